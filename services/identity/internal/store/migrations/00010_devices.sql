-- +goose Up

-- Where people have signed in, to tell them of what is new.
CREATE TABLE devices (
  account_id uuid        NOT NULL,
  device     text        NOT NULL, -- a short name of the client
  network    text        NOT NULL, -- the part of its address that stays the same; empty: not known
  last_time  timestamptz NOT NULL,
  PRIMARY KEY (account_id, device, network)
);
ALTER TABLE devices ENABLE ROW LEVEL SECURITY;
ALTER TABLE devices FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON devices TO roster_app
  USING (account_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
  WITH CHECK (account_id = nullif(current_setting('app.aggregate_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON devices TO roster_app;
