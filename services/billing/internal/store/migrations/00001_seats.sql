-- Seats of organizations. Every change of seats locks the organization's row in heads first, in a statement of
-- its own; behind that lock the tables below need no other.

-- +goose Up

-- The counters. They change with the seats, the ledger and the event, or not at all. ceiling is a ratchet: it is
-- greatest(cap, used) whenever the cap moves or seats are freed, and growth does not touch it, so that the check on it
-- holds also for an organization whose cap was set below what it uses.
ALTER TABLE heads
  ADD COLUMN occupied int NOT NULL DEFAULT 0 CONSTRAINT heads_occupied CHECK (occupied >= 0),
  ADD COLUMN reserved int NOT NULL DEFAULT 0 CONSTRAINT heads_reserved CHECK (reserved >= 0),
  ADD COLUMN used     int NOT NULL DEFAULT 0 CONSTRAINT heads_used CHECK (used >= 0),
  ADD COLUMN cap      int CONSTRAINT heads_cap CHECK (cap >= 1), -- NULL: no limit; never 0
  ADD COLUMN ceiling  int,
  ADD CONSTRAINT heads_used_sum CHECK (used = occupied + reserved),
  ADD CONSTRAINT heads_ceiling_cap CHECK ((ceiling IS NULL) = (cap IS NULL) AND ceiling >= cap),
  ADD CONSTRAINT heads_ceiling CHECK (ceiling IS NULL OR used <= ceiling);

-- One row per seat id that anybody ever named. RELEASED and DENIED are for ever; a seat that was released before it
-- was heard of has no owner.
CREATE TABLE seats (
  organization_id uuid NOT NULL,
  seat_id         uuid NOT NULL,
  state           text NOT NULL CONSTRAINT seats_state CHECK (state IN ('RESERVED', 'OCCUPIED', 'RELEASED', 'DENIED')),
  owner_kind      text CONSTRAINT seats_owner_kind CHECK (owner_kind IN ('INVITATION', 'MEMBER')),
  owner_id        uuid,
  account_id      uuid,        -- who sits on it, or sat last
  review_time     timestamptz, -- when its owner said that it may be asked; what is scheduled stands in due
  PRIMARY KEY (organization_id, seat_id),
  CONSTRAINT seats_owner CHECK (state = 'RELEASED' OR owner_kind IS NOT NULL AND owner_id IS NOT NULL),
  CONSTRAINT seats_account CHECK (state <> 'OCCUPIED' OR account_id IS NOT NULL)
);

-- What every event did to the counters. Append only.
CREATE TABLE seat_ledger (
  organization_id uuid        NOT NULL,
  event_id        uuid        NOT NULL,
  revision        bigint      NOT NULL,
  op              text        NOT NULL CONSTRAINT seat_ledger_op CHECK (op IN ('RESERVE', 'OCCUPY', 'RELEASE', 'AT_LIMIT')),
  occupied_delta  int         NOT NULL,
  reserved_delta  int         NOT NULL,
  used_after      int         NOT NULL,
  cap_at          int,
  at              timestamptz NOT NULL,
  PRIMARY KEY (organization_id, event_id),
  CONSTRAINT seat_ledger_revision UNIQUE (organization_id, revision),
  CONSTRAINT seat_ledger_growth CHECK (op <> 'RESERVE' OR cap_at IS NULL OR used_after <= cap_at)
);

-- +goose StatementBegin
DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['seats', 'seat_ledger'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format($p$CREATE POLICY tenant ON %I TO roster_app
      USING (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
      WITH CHECK (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)$p$, t);
  END LOOP;
END
$$;
-- +goose StatementEnd

GRANT SELECT, INSERT ON seats, seat_ledger TO roster_app;
GRANT UPDATE (state, account_id) ON seats TO roster_app;
