-- Offers of ownership.

-- +goose Up

-- At most one per organization. What became of those before is in the history.
CREATE TABLE ownership_transfers (
  organization_id  uuid        PRIMARY KEY,
  owner_account_id uuid        NOT NULL, -- who offers
  account_id       uuid        NOT NULL, -- to whom
  ownership        text        NOT NULL CONSTRAINT ownership_transfers_ownership CHECK (ownership IN ('SINGLE', 'MULTIPLE')),
  offer_time       timestamptz NOT NULL,
  expire_time      timestamptz NOT NULL,
  CONSTRAINT ownership_transfers_two CHECK (owner_account_id <> account_id),
  CONSTRAINT ownership_transfers_owner FOREIGN KEY (organization_id, owner_account_id) REFERENCES members,
  CONSTRAINT ownership_transfers_account FOREIGN KEY (organization_id, account_id) REFERENCES members
);
ALTER TABLE ownership_transfers ENABLE ROW LEVEL SECURITY;
ALTER TABLE ownership_transfers FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON ownership_transfers TO roster_app
  USING (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
  WITH CHECK (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON ownership_transfers TO roster_app;
