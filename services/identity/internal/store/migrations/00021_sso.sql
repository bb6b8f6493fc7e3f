-- +goose Up

-- Providers of organizations, as membership has decided about them.
ALTER TABLE providers
  ADD COLUMN version bigint  NOT NULL DEFAULT 1,     -- what was begun with another one does not come to its end
  ADD COLUMN deleted boolean NOT NULL DEFAULT false, -- by its organization: what is heard late does not bring it back
  ADD CONSTRAINT providers_deleted CHECK (NOT (deleted AND enabled));

-- For what a link holds: an organization's provider is believed about addresses on its domains.
ALTER TABLE federated_identities ADD COLUMN domain text; -- that the organization has to have still; NULL: none, it is the deployment's

-- Who came with which provider; NULL: with none.
ALTER TABLE sessions ADD COLUMN provider_id uuid;
