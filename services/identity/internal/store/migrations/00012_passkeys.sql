-- +goose Up

-- Passkeys are factors, too.
ALTER TABLE factors
  ALTER COLUMN sealed_secret DROP NOT NULL,
  ADD COLUMN credential_id bytea   CONSTRAINT factors_credential UNIQUE, -- what the authenticator calls it; of all accounts
  ADD COLUMN public_key    bytea,
  ADD COLUMN sign_count    bigint  NOT NULL DEFAULT 0,     -- how often the authenticator says that it was used
  ADD COLUMN syncable      boolean NOT NULL DEFAULT false, -- its owner may have it on several devices; that never changes
  DROP CONSTRAINT factors_method,
  ADD CONSTRAINT factors_method CHECK (CASE method
    WHEN 'TOTP' THEN sealed_secret IS NOT NULL AND credential_id IS NULL AND public_key IS NULL
    WHEN 'PASSKEY' THEN sealed_secret IS NULL AND credential_id IS NOT NULL AND public_key IS NOT NULL
    ELSE false END);

-- What authenticators know an account by; random, so that it tells nobody anything.
CREATE TABLE user_handles (
  handle     bytea NOT NULL PRIMARY KEY,
  account_id uuid  NOT NULL CONSTRAINT user_handles_account UNIQUE
);

-- What an authenticator is to sign. The row goes when the answer comes.
CREATE TABLE passkey_challenges (
  challenge   bytea       NOT NULL PRIMARY KEY,
  ceremony    text        NOT NULL CONSTRAINT passkey_challenges_ceremony CHECK (ceremony IN ('CREATE', 'PROVE', 'SIGN_IN')),
  account_id  uuid,
  session_id  uuid,
  expire_time timestamptz NOT NULL,
  CONSTRAINT passkey_challenges_whose CHECK ((account_id IS NULL) = (ceremony = 'SIGN_IN') AND (session_id IS NULL) = (ceremony = 'SIGN_IN'))
);
CREATE INDEX passkey_challenges_expire_time ON passkey_challenges (expire_time);

GRANT SELECT, INSERT ON user_handles TO roster_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON passkey_challenges TO roster_app; -- UPDATE is for locking rows

ALTER TABLE sign_ins
  DROP CONSTRAINT sign_ins_method,
  ADD CONSTRAINT sign_ins_method CHECK (method IN ('', 'PASSWORD', 'SECOND_FACTOR', 'LINK', 'PASSKEY')),
  DROP CONSTRAINT sign_ins_reason,
  ADD CONSTRAINT sign_ins_reason CHECK (reason IN (
    '', 'CODE_DUE', 'WRONG_PASSWORD', 'WRONG_CODE', 'TOO_MANY_FAILURES', 'DISABLED', 'WRONG_PASSKEY', 'PASSKEY_COPIED'));
