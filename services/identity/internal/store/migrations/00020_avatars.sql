-- +goose Up

-- What the picture of the account is found by; NULL: there is none.
ALTER TABLE accounts ADD COLUMN avatar_id text;

CREATE TABLE avatars (
  account_id uuid  PRIMARY KEY,
  content    bytea NOT NULL -- PNG, drawn by us
);
ALTER TABLE avatars ENABLE ROW LEVEL SECURITY;
ALTER TABLE avatars FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON avatars TO roster_app
  USING (account_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
  WITH CHECK (account_id = nullif(current_setting('app.aggregate_id', true), '')::uuid);

-- Whose a picture is. A directory: whoever knows the id sees the picture.
CREATE TABLE avatar_ids (
  id         text PRIMARY KEY,
  account_id uuid NOT NULL CONSTRAINT avatar_ids_account UNIQUE
);

GRANT SELECT, INSERT, UPDATE, DELETE ON avatars, avatar_ids TO roster_app;
