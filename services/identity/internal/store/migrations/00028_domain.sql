-- +goose Up

-- Accounts that an organization goes on managing although they belong to others, too: their address is on a domain that it has verified, and
-- they belong to it. A directory: "whose management rests on this domain?" is asked of all accounts.
CREATE TABLE managed_domains (
  account_id      uuid        PRIMARY KEY,
  organization_id uuid        NOT NULL, -- accounts.managed_by
  domain          text        NOT NULL,
  domain_id       uuid        NOT NULL,
  verify_time     timestamptz NOT NULL, -- since when the organization has it
  join_time       timestamptz NOT NULL, -- since when the account belongs to the organization
  lost            boolean     NOT NULL DEFAULT false -- one of both has ended: nobody manages the account, which waits to be told so
);
CREATE INDEX managed_domains_organization ON managed_domains (organization_id, domain_id);

GRANT SELECT, INSERT, UPDATE, DELETE ON managed_domains TO roster_app;
