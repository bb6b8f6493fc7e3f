-- +goose Up

-- An account may have several proven addresses. The one in accounts is the primary one.
ALTER TABLE user_emails
  ADD COLUMN address     text, -- as written; NULL: as in email
  ADD COLUMN create_time timestamptz NOT NULL DEFAULT now();
UPDATE user_emails e SET address = a.email FROM accounts a WHERE a.id = e.account_id;
CREATE INDEX user_emails_account ON user_emails (account_id);

-- Addresses that people want to add and have not proven yet. They block nobody.
CREATE TABLE email_additions (
  account_id  uuid        NOT NULL,
  email       text        NOT NULL, -- in the form that is compared
  address     text        NOT NULL, -- as written
  token_hash  bytea       NOT NULL,
  expire_time timestamptz NOT NULL,
  PRIMARY KEY (account_id, email)
);

-- Links that make an address the primary one again.
CREATE TABLE email_reverts (
  account_id  uuid        NOT NULL,
  token_hash  bytea       NOT NULL,
  address     text        NOT NULL, -- as written
  expire_time timestamptz NOT NULL,
  PRIMARY KEY (account_id, token_hash)
);

-- +goose StatementBegin
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['email_additions', 'email_reverts'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format($p$CREATE POLICY tenant ON %I TO roster_app
      USING (account_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
      WITH CHECK (account_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)$p$, name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO roster_app', name);
  END LOOP;
END
$$;
-- +goose StatementEnd
