-- The programs of an organization, which are no members.

-- +goose Up

CREATE TABLE service_accounts (
  organization_id    uuid        NOT NULL,
  service_account_id uuid        NOT NULL,
  display_name       text        NOT NULL,
  permissions        text[]      NOT NULL,
  creator_account_id uuid        NOT NULL,
  create_time        timestamptz NOT NULL,
  PRIMARY KEY (organization_id, service_account_id),
  CONSTRAINT service_accounts_organization FOREIGN KEY (organization_id) REFERENCES organizations,
  CONSTRAINT service_accounts_permissions CHECK (cardinality(permissions) > 0)
);

-- Of a key the hash alone is kept.
CREATE TABLE service_account_keys (
  organization_id    uuid        NOT NULL,
  service_account_id uuid        NOT NULL,
  api_key_id         uuid        NOT NULL,
  secret_hash        bytea       NOT NULL,
  display_name       text        NOT NULL,
  scopes             text[]      NOT NULL,
  last_four          text        NOT NULL,
  create_time        timestamptz NOT NULL,
  last_use_time      timestamptz,
  expire_time        timestamptz NOT NULL,
  PRIMARY KEY (organization_id, service_account_id, api_key_id),
  CONSTRAINT service_account_keys_secret UNIQUE (organization_id, secret_hash),
  CONSTRAINT service_account_keys_account FOREIGN KEY (organization_id, service_account_id) REFERENCES service_accounts ON DELETE CASCADE,
  CONSTRAINT service_account_keys_scopes CHECK (cardinality(scopes) > 0)
);

-- +goose StatementBegin
DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['service_accounts', 'service_account_keys'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format($p$CREATE POLICY tenant ON %I TO roster_app
      USING (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
      WITH CHECK (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)$p$, t);
  END LOOP;
END
$$;
-- +goose StatementEnd

GRANT SELECT, INSERT, DELETE ON service_accounts, service_account_keys TO roster_app;
GRANT UPDATE (last_use_time) ON service_account_keys TO roster_app;
