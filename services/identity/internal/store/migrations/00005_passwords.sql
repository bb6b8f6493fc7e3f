-- +goose Up

-- When an address got mail because somebody who is not signed in named it, the latest five times.
ALTER TABLE sign_up_mails RENAME TO stranger_mails;
ALTER INDEX sign_up_mails_expire_time RENAME TO stranger_mails_expire_time;

-- Links that reset a password. The newest is the one that works.
CREATE TABLE resets (
  account_id  uuid        PRIMARY KEY,
  token_hash  bytea       NOT NULL,
  expire_time timestamptz NOT NULL
);
ALTER TABLE resets ENABLE ROW LEVEL SECURITY;
ALTER TABLE resets FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON resets TO roster_app
  USING (account_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
  WITH CHECK (account_id = nullif(current_setting('app.aggregate_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON resets TO roster_app;

-- Who asked for a link, in the form that is compared. Whose that is, is looked for afterwards, so that the answer takes as
-- long for nobody as for somebody. A directory.
CREATE TABLE reset_requests (
  id       uuid PRIMARY KEY,
  email    text NOT NULL,
  username text NOT NULL
);
GRANT SELECT, INSERT, DELETE ON reset_requests TO roster_app;
