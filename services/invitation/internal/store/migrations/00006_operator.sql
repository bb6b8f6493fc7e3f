-- +goose Up

-- Who has had a hand in an organization's invitations, beside who has invited last and who has accepted: their events tell of them, too, and
-- are erased with their accounts.
CREATE TABLE hands (
  organization_id uuid NOT NULL,
  account_id      uuid NOT NULL,
  PRIMARY KEY (organization_id, account_id)
);
CREATE INDEX hands_account ON hands (account_id);

ALTER TABLE hands ENABLE ROW LEVEL SECURITY;
ALTER TABLE hands FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON hands TO roster_app
  USING (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
  WITH CHECK (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid);
CREATE POLICY own ON hands FOR SELECT TO roster_app
  USING (account_id = nullif(current_setting('app.account_id', true), '')::uuid);
GRANT SELECT, INSERT, DELETE ON hands TO roster_app;
