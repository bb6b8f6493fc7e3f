-- +goose Up

-- Keys of people's programs.
CREATE TABLE api_keys (
  account_id    uuid        NOT NULL,
  id            uuid        NOT NULL,
  secret_hash   bytea       NOT NULL,
  display_name  text        NOT NULL CONSTRAINT api_keys_display_name CHECK (char_length(display_name) BETWEEN 1 AND 100),
  scopes        text[]      NOT NULL CONSTRAINT api_keys_scopes CHECK (cardinality(scopes) > 0),
  last_four     text        NOT NULL,
  create_time   timestamptz NOT NULL,
  last_use_time timestamptz, -- to the minute; NULL: never
  expire_time   timestamptz NOT NULL,
  PRIMARY KEY (account_id, id),
  CONSTRAINT api_keys_secret UNIQUE (account_id, secret_hash)
);
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON api_keys TO roster_app
  USING (account_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
  WITH CHECK (account_id = nullif(current_setting('app.aggregate_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON api_keys TO roster_app;
