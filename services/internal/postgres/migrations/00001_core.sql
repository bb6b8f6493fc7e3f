-- What the database of every service holds, beside the service's own tables.
-- An aggregate is an organization; in the identity service it is an account.

-- +goose Up

-- One row per aggregate: the head of its event log. Locking it orders the aggregate's events.
CREATE TABLE heads (
  aggregate_id uuid PRIMARY KEY,
  part         smallint NOT NULL CONSTRAINT heads_part CHECK (part BETWEEN 0 AND 63),
  epoch        bigint   NOT NULL DEFAULT 1,
  revision     bigint   NOT NULL DEFAULT 0,
  prev_hash    bytea    NOT NULL DEFAULT '\x0000000000000000000000000000000000000000000000000000000000000000',
  hash         bytea    NOT NULL DEFAULT '\x0000000000000000000000000000000000000000000000000000000000000000'
) WITH (fillfactor = 50);

-- The event log, which is also the audit log. Rows are never changed, but for personal, which is
-- erased with the person; its hash stays, so that the chain still verifies.
CREATE TABLE events (
  aggregate_id  uuid        NOT NULL,
  revision      bigint      NOT NULL,
  epoch         bigint      NOT NULL,
  id            uuid        NOT NULL,
  type          text        NOT NULL,
  time          timestamptz NOT NULL,
  data          bytea       NOT NULL,
  personal      bytea,
  personal_salt bytea,
  personal_hash bytea       NOT NULL,
  trace_id      text        NOT NULL,
  prev_hash     bytea       NOT NULL,
  hash          bytea       NOT NULL,
  PRIMARY KEY (aggregate_id, revision)
);

-- What the relay still has to publish. Narrow, and deleted once JetStream has it.
CREATE TABLE outbox (
  id           bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
  part         smallint NOT NULL,
  aggregate_id uuid     NOT NULL,
  revision     bigint   NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- Who relays. The holder renews before until; epoch fences a holder that lost the lease.
CREATE TABLE relay_lease (
  shard       smallint    PRIMARY KEY,
  holder      text        NOT NULL,
  fence       bigint      NOT NULL,
  expire_time timestamptz NOT NULL
);

-- What has to be done later, or finished after a crash. The sweeper scans it.
CREATE TABLE due (
  aggregate_id uuid        NOT NULL,
  kind         text        NOT NULL,
  id           uuid        NOT NULL,
  next_time    timestamptz NOT NULL,
  attempts     int         NOT NULL DEFAULT 0,
  PRIMARY KEY (aggregate_id, kind, id)
);
CREATE INDEX due_next_time ON due (next_time);

-- Answers of mutations, by the request id of the caller.
CREATE TABLE idempotency (
  aggregate_id uuid        NOT NULL,
  principal    text        NOT NULL,
  method       text        NOT NULL,
  request_id   text        NOT NULL,
  body_hash    bytea       NOT NULL,
  revision     bigint      NOT NULL,
  response     bytea       NOT NULL, -- sealed
  expire_time  timestamptz NOT NULL,
  CONSTRAINT idempotency_pkey PRIMARY KEY (aggregate_id, principal, method, request_id)
);
CREATE INDEX idempotency_expire_time ON idempotency (expire_time);

-- Mails on their way. payload is sealed, and erased once the mail server has the mail.
CREATE TABLE mails (
  aggregate_id uuid        NOT NULL,
  id           uuid        NOT NULL,
  kind         text        NOT NULL,
  reference    uuid, -- what the mail is about, for whoever wants to hear of its delivery
  payload      bytea,
  state        text        NOT NULL CONSTRAINT mails_state CHECK (state IN ('QUEUED', 'SENT', 'REFUSED')),
  create_time  timestamptz NOT NULL,
  PRIMARY KEY (aggregate_id, id)
);

-- How far this service has applied the events of another.
CREATE TABLE positions (
  aggregate_id uuid   NOT NULL,
  service      text   NOT NULL,
  revision     bigint NOT NULL,
  PRIMARY KEY (aggregate_id, service)
);

-- Tenant isolation, the second wall behind the WHERE of every statement. An unset setting matches nothing.
-- +goose StatementBegin
DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['heads', 'events', 'idempotency', 'mails', 'positions'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format($p$CREATE POLICY tenant ON %I TO roster_app
      USING (aggregate_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
      WITH CHECK (aggregate_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)$p$, t);
  END LOOP;
END
$$;
-- +goose StatementEnd

GRANT SELECT, INSERT, UPDATE ON heads, mails, positions TO roster_app;
GRANT SELECT, INSERT, DELETE ON idempotency TO roster_app;
GRANT SELECT, INSERT ON events TO roster_app;
GRANT UPDATE (personal, personal_salt) ON events TO roster_app;
GRANT INSERT ON outbox TO roster_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON due TO roster_app;

-- The relay reads every aggregate's events, and nothing else.
CREATE POLICY relay ON events FOR SELECT TO roster_relay USING (true);
GRANT SELECT ON events TO roster_relay;
GRANT SELECT, DELETE ON outbox TO roster_relay;
GRANT SELECT, INSERT, UPDATE ON relay_lease TO roster_relay;
