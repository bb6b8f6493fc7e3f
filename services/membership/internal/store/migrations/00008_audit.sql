-- What happened in an organization, as its admins read it: one row per event of its history, of this service and of those
-- that tell us theirs. It is made of the events, which remain the record.

-- +goose Up

CREATE TABLE audit_events (
  organization_id uuid        NOT NULL,
  time            timestamptz NOT NULL,
  event_id        uuid        NOT NULL,
  service         text        NOT NULL,
  revision        bigint      NOT NULL,
  type            text        NOT NULL COLLATE "C",
  actor_kind      text        NOT NULL,
  actor_id        text        NOT NULL COLLATE "C",
  targets         text[]      NOT NULL,
  cause           text        NOT NULL,
  cause_id        text        NOT NULL,
  reason          text        NOT NULL,
  request_id      text        NOT NULL,
  trace_id        text        NOT NULL,
  data            jsonb       NOT NULL, -- what the event tells beside these columns
  personal        jsonb,                -- names and addresses, with their words folded; erased with the person
  PRIMARY KEY (organization_id, time, event_id),
  CONSTRAINT audit_events_revision UNIQUE (organization_id, service, revision)
);
CREATE INDEX audit_events_actor ON audit_events (organization_id, actor_id, time, event_id);
CREATE INDEX audit_events_type ON audit_events (organization_id, type, time, event_id);

-- What was done to whom, in order.
CREATE TABLE audit_targets (
  organization_id uuid        NOT NULL,
  target          text        NOT NULL COLLATE "C",
  time            timestamptz NOT NULL,
  event_id        uuid        NOT NULL,
  PRIMARY KEY (organization_id, target, time, event_id),
  CONSTRAINT audit_targets_event FOREIGN KEY (organization_id, time, event_id) REFERENCES audit_events ON DELETE CASCADE
);

-- +goose StatementBegin
DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['audit_events', 'audit_targets'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format($p$CREATE POLICY tenant ON %I TO roster_app
      USING (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
      WITH CHECK (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)$p$, t);
  END LOOP;
END
$$;
-- +goose StatementEnd

-- Rows are taken away only when the history that they tell of was lost, see SaveAuditEvent.
GRANT SELECT, INSERT, DELETE ON audit_events, audit_targets TO roster_app;
GRANT UPDATE (personal) ON audit_events TO roster_app;
