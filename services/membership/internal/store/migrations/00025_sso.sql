-- Identity providers of organizations, and who joins through them.

-- +goose Up

CREATE TABLE identity_providers (
  organization_id uuid        NOT NULL,
  provider_id     uuid        NOT NULL,
  display_name    text        NOT NULL,
  issuer          text        NOT NULL,
  client_id       text        NOT NULL,
  secret_set      boolean     NOT NULL,
  sealed_secret   bytea,      -- identity's: only it can open this; NULL: identity has it, or there is none
  enabled         boolean     NOT NULL,
  joins           boolean     NOT NULL,
  deleted         boolean     NOT NULL, -- until identity has heard of it
  version         bigint      NOT NULL,
  create_time     timestamptz NOT NULL,
  PRIMARY KEY (organization_id, provider_id),
  CONSTRAINT identity_providers_organization FOREIGN KEY (organization_id) REFERENCES organizations
);

ALTER TABLE identity_providers ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity_providers FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON identity_providers TO roster_app
  USING (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
  WITH CHECK (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid);

GRANT SELECT, INSERT, UPDATE, DELETE ON identity_providers TO roster_app;

ALTER TABLE joins
  ALTER COLUMN domain_id DROP NOT NULL,
  ADD COLUMN provider_id uuid,
  ADD CONSTRAINT joins_through CHECK (num_nonnulls(domain_id, provider_id) = 1),
  ADD CONSTRAINT joins_provider FOREIGN KEY (organization_id, provider_id) REFERENCES identity_providers;
CREATE INDEX joins_provider_id ON joins (organization_id, provider_id);
