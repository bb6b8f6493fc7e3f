-- +goose Up

-- Where people prove who they are instead of with a password here. A directory: it answers strangers, too.
CREATE TABLE providers (
  id              uuid        PRIMARY KEY,
  organization_id uuid,       -- whose it is; NULL: the deployment's
  display_name    text        NOT NULL CONSTRAINT providers_display_name CHECK (char_length(display_name) BETWEEN 1 AND 100),
  issuer          text        NOT NULL,
  client_id       text        NOT NULL,
  sealed_secret   bytea,      -- for the id; NULL: none
  enabled         boolean     NOT NULL,
  create_time     timestamptz NOT NULL,
  update_time     timestamptz NOT NULL
);
CREATE INDEX providers_organization ON providers (organization_id);

-- Whom a provider knows, and whose account that is. A directory: it answers whose a subject is.
CREATE TABLE federated_identities (
  provider_id   uuid        NOT NULL REFERENCES providers (id) ON DELETE CASCADE,
  subject       text        NOT NULL, -- opaque, and the provider's own
  account_id    uuid        NOT NULL,
  create_time   timestamptz NOT NULL,
  PRIMARY KEY (provider_id, subject),
  CONSTRAINT federated_identities_account UNIQUE (provider_id, account_id)
);
CREATE INDEX federated_identities_accounts ON federated_identities (account_id);

-- Sign-ins with a provider that have come to their end, well or not: what began them is good once. A directory; after expire_time a row
-- says nothing.
CREATE TABLE used_flows (
  id          uuid        PRIMARY KEY,
  expire_time timestamptz NOT NULL
);
CREATE INDEX used_flows_expire_time ON used_flows (expire_time);

GRANT SELECT, INSERT, UPDATE, DELETE ON providers, federated_identities TO roster_app;
GRANT SELECT, INSERT, DELETE ON used_flows TO roster_app;

ALTER TABLE sign_ins
  DROP CONSTRAINT sign_ins_method,
  ADD CONSTRAINT sign_ins_method CHECK (method IN ('', 'PASSWORD', 'SECOND_FACTOR', 'LINK', 'PASSKEY', 'PROVIDER'));
