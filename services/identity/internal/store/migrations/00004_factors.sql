-- +goose Up

-- Second factors.
CREATE TABLE factors (
  account_id    uuid        NOT NULL,
  id            uuid        NOT NULL,
  method        text        NOT NULL CONSTRAINT factors_method CHECK (method IN ('TOTP')),
  display_name  text        NOT NULL,
  sealed_secret bytea       NOT NULL, -- for the account and the id
  active        boolean     NOT NULL, -- signing in asks for it; otherwise it waits for its first code
  last_step     bigint      NOT NULL, -- the time step of the last code that was used
  create_time   timestamptz NOT NULL,
  PRIMARY KEY (account_id, id)
);
CREATE UNIQUE INDEX factors_pending ON factors (account_id) WHERE NOT active;

-- What stands in for a factor, once. The row goes when it is used.
CREATE TABLE recovery_codes (
  account_id uuid  NOT NULL,
  code_hash  bytea NOT NULL, -- SHA-256 over the account and the code
  PRIMARY KEY (account_id, code_hash)
);

-- +goose StatementBegin
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['factors', 'recovery_codes'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format($p$CREATE POLICY tenant ON %I TO roster_app
      USING (account_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
      WITH CHECK (account_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)$p$, name);
  END LOOP;
END
$$;
-- +goose StatementEnd

GRANT SELECT, INSERT, UPDATE, DELETE ON factors TO roster_app;
GRANT SELECT, INSERT, DELETE ON recovery_codes TO roster_app;

-- How many codes the challenge of a sign-in was answered with in vain.
ALTER TABLE sessions ADD COLUMN tries smallint NOT NULL DEFAULT 0;
