-- +goose Up

-- Networks from which an account's person has fully signed in. What fails there is counted apart from what strangers try, so that they do
-- not keep the person out.
CREATE TABLE known_networks (
  account_id  uuid        NOT NULL,
  network     text        NOT NULL,
  expire_time timestamptz NOT NULL,
  PRIMARY KEY (account_id, network)
);
ALTER TABLE known_networks ENABLE ROW LEVEL SECURITY;
ALTER TABLE known_networks FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON known_networks TO roster_app
  USING (account_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
  WITH CHECK (account_id = nullif(current_setting('app.aggregate_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON known_networks TO roster_app;

ALTER TABLE sign_in_failures
  ADD COLUMN network text NOT NULL DEFAULT '', -- a known one; empty: all others
  DROP CONSTRAINT sign_in_failures_pkey,
  ADD CONSTRAINT sign_in_failures_pkey PRIMARY KEY (account_id, network);
