-- +goose Up

-- How far a sign-in has come, and how well, and when, its person proved who they are.
ALTER TABLE sessions
  ADD COLUMN stage     text        NOT NULL DEFAULT '' CONSTRAINT sessions_stage CHECK (stage IN ('', 'CHALLENGE', 'PASSWORD_CHANGE')),
  ADD COLUMN level     smallint    NOT NULL DEFAULT 1,
  ADD COLUMN auth_time timestamptz NOT NULL DEFAULT now();
UPDATE sessions SET auth_time = create_time;
ALTER TABLE sessions
  ALTER COLUMN stage DROP DEFAULT,
  ALTER COLUMN level DROP DEFAULT,
  ALTER COLUMN auth_time DROP DEFAULT;

-- How many factors signing in takes.
ALTER TABLE accounts ADD COLUMN factors smallint NOT NULL DEFAULT 1 CONSTRAINT accounts_factors CHECK (factors IN (1, 2));
