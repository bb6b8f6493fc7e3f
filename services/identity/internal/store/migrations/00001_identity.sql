-- The identity service's own tables. The aggregate of its event log is the account.

-- +goose Up

-- By account, under row-level security.

CREATE TABLE accounts (
  id             uuid        PRIMARY KEY, -- the aggregate
  display_name   text        NOT NULL CONSTRAINT accounts_display_name CHECK (char_length(display_name) BETWEEN 1 AND 100),
  email          text,       -- as written; who it belongs to, user_emails says
  email_verified boolean     NOT NULL DEFAULT false,
  username       text,       -- as written; who it belongs to, usernames says
  create_time    timestamptz NOT NULL,

  managed_by       uuid,                          -- the organization that brought the account in; NULL: nobody
  sign_in_allowed  boolean NOT NULL DEFAULT true, -- what that organization says
  sign_in_revision bigint  NOT NULL DEFAULT 0,    -- of its history, that this follows from

  CONSTRAINT accounts_identifier CHECK (email IS NOT NULL OR username IS NOT NULL),
  CONSTRAINT accounts_sign_in CHECK (sign_in_allowed OR managed_by IS NOT NULL),
  CONSTRAINT accounts_email_verified CHECK (email IS NOT NULL OR NOT email_verified)
);

CREATE TABLE credentials (
  account_id    uuid        PRIMARY KEY,
  password_hash text        NOT NULL, -- Argon2id, PHC string
  set_time      timestamptz NOT NULL  -- when the password changed; hashing it anew does not count
);

CREATE TABLE sessions (
  account_id    uuid        NOT NULL,
  id            uuid        NOT NULL,
  secret_hash   bytea       NOT NULL,
  delivery      text        NOT NULL CONSTRAINT sessions_delivery CHECK (delivery IN ('COOKIE', 'TOKEN')),
  create_time   timestamptz NOT NULL,
  last_use_time timestamptz NOT NULL, -- to the minute
  expire_time   timestamptz NOT NULL,
  user_agent    text        NOT NULL,
  address       text        NOT NULL,
  PRIMARY KEY (account_id, id),
  CONSTRAINT sessions_secret UNIQUE (account_id, secret_hash)
);

-- Failed sign-ins since the last that succeeded. 1,024 of the ids are no accounts: what is counted for unknown
-- addresses goes there, so that it takes as long.
CREATE TABLE sign_in_failures (
  account_id uuid        PRIMARY KEY,
  count      int         NOT NULL,
  next_time  timestamptz NOT NULL -- nobody gets in before
) WITH (fillfactor = 50);

-- What became of CreateAccount for an id that another service chose. A refusal stays: the caller has acted on it.
CREATE TABLE account_creations (
  account_id    uuid PRIMARY KEY,
  invitation_id uuid NOT NULL,
  refusal       text CONSTRAINT account_creations_refusal CHECK (refusal IN ('EMAIL_TAKEN', 'USERNAME_TAKEN'))
);

-- +goose StatementBegin
DO $$
DECLARE
  t record;
BEGIN
  FOR t IN SELECT * FROM (VALUES ('accounts', 'id'), ('credentials', 'account_id'), ('sessions', 'account_id'),
      ('sign_in_failures', 'account_id'), ('account_creations', 'account_id')) AS tables (name, key) LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t.name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t.name);
    EXECUTE format($p$CREATE POLICY tenant ON %1$I TO roster_app
      USING (%2$I = nullif(current_setting('app.aggregate_id', true), '')::uuid)
      WITH CHECK (%2$I = nullif(current_setting('app.aggregate_id', true), '')::uuid)$p$, t.name, t.key);
  END LOOP;
END
$$;
-- +goose StatementEnd

GRANT SELECT, INSERT, UPDATE ON accounts, credentials, account_creations TO roster_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions, sign_in_failures TO roster_app;

-- Directories: they answer "whose is this?", when the account is not known yet. No row-level security; every
-- statement names what it looks for.

-- Who claims an address, in the form that is compared. One account has proven it, or any number of accounts that
-- an invitation made claim it without proof: nobody keeps others from an address without proving that it is theirs.
CREATE TABLE user_emails (
  email      text    NOT NULL,
  account_id uuid    NOT NULL,
  verified   boolean NOT NULL,
  PRIMARY KEY (email, account_id)
);
CREATE UNIQUE INDEX user_emails_verified ON user_emails (email) WHERE verified;

-- Whose a username is, in the form that is compared: an account's for ever, or an invitation's until it ends.
CREATE TABLE usernames (
  username      text PRIMARY KEY,
  account_id    uuid,
  invitation_id uuid,
  generation    int  NOT NULL DEFAULT 0, -- of the invitation
  CONSTRAINT usernames_owner CHECK (num_nonnulls(account_id, invitation_id) = 1)
);
CREATE UNIQUE INDEX usernames_account ON usernames (account_id) WHERE account_id IS NOT NULL;
CREATE UNIQUE INDEX usernames_invitation ON usernames (invitation_id) WHERE invitation_id IS NOT NULL;

-- How far an invitation's holds have ended. A request to hold that comes late, of a generation that has ended, is
-- refused. The row also orders an invitation's requests.
CREATE TABLE username_fences (
  invitation_id       uuid PRIMARY KEY,
  released_generation int  NOT NULL
);

-- People who have not proven their address yet. The row goes when the link is used, or has expired.
CREATE TABLE sign_ups (
  id            uuid        PRIMARY KEY,
  token_hash    bytea       NOT NULL,
  email         text        NOT NULL, -- as written
  display_name  text        NOT NULL,
  password_hash text        NOT NULL,
  expire_time   timestamptz NOT NULL
);

-- When an address got mail about sign-ups, the latest five times.
CREATE TABLE sign_up_mails (
  email       text          PRIMARY KEY,
  times       timestamptz[] NOT NULL,
  expire_time timestamptz   NOT NULL -- after it the row says nothing
);
CREATE INDEX sign_up_mails_expire_time ON sign_up_mails (expire_time);

-- The people who run the deployment.
CREATE TABLE operators (
  id           uuid        PRIMARY KEY,
  display_name text        NOT NULL,
  create_time  timestamptz NOT NULL
);
CREATE TABLE operator_keys (
  operator_id   uuid        NOT NULL REFERENCES operators (id),
  secret_hash   bytea       NOT NULL,
  create_time   timestamptz NOT NULL,
  last_use_time timestamptz NOT NULL,
  expire_time   timestamptz NOT NULL,
  PRIMARY KEY (operator_id, secret_hash)
);

-- The one token that makes the first operator.
CREATE TABLE operator_claims (
  single      boolean     PRIMARY KEY DEFAULT true CONSTRAINT operator_claims_single CHECK (single),
  operator_id uuid        NOT NULL, -- the operator that it will make
  token_hash  bytea       NOT NULL,
  expire_time timestamptz NOT NULL
);

-- The keys that internal tokens are signed with. One is in use.
CREATE TABLE signing_keys (
  id          text        PRIMARY KEY,
  public_key  bytea       NOT NULL, -- Ed25519
  sealed_seed bytea       NOT NULL,
  active      boolean     NOT NULL,
  create_time timestamptz NOT NULL
);
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (active) WHERE active;

GRANT SELECT, INSERT, UPDATE, DELETE ON user_emails, usernames, sign_up_mails, operator_claims TO roster_app;
GRANT SELECT, INSERT, UPDATE ON username_fences TO roster_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON sign_ups TO roster_app; -- UPDATE to lock
GRANT SELECT, INSERT ON operators TO roster_app;
GRANT SELECT, INSERT, UPDATE ON operator_keys TO roster_app;
GRANT SELECT, INSERT ON signing_keys TO roster_app;
