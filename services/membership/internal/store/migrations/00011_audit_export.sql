-- What members were not allowed to do, in the audit view: rows without a revision, because no history tells of them.

-- +goose Up

ALTER TABLE audit_events ALTER COLUMN revision DROP NOT NULL;

-- How many of an organization's denials the present minute has.
CREATE TABLE denial_minutes (
  organization_id uuid        PRIMARY KEY,
  minute          timestamptz NOT NULL,
  recorded        integer     NOT NULL, -- that are shown one by one
  omitted         bigint      NOT NULL,
  event_id        uuid        NOT NULL  -- of the row that tells how many were omitted
);

ALTER TABLE denial_minutes ENABLE ROW LEVEL SECURITY;
ALTER TABLE denial_minutes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON denial_minutes TO roster_app
  USING (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
  WITH CHECK (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON denial_minutes TO roster_app;
