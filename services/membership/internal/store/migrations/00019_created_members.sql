-- +goose Up

-- DIRECT: somebody is made a member without being asked, maybe with an account that is made for it.
ALTER TABLE member_operations DROP CONSTRAINT member_operations_kind;
ALTER TABLE member_operations
  ADD CONSTRAINT member_operations_kind CHECK (kind IN ('CREATE', 'ENABLE', 'ADD', 'RELEASE', 'JOIN', 'RESET_MFA', 'RESET', 'REVOKE_SESSIONS', 'DIRECT')),
  ADD COLUMN new_account boolean NOT NULL DEFAULT false;

-- How often an organization has asked today who has an address, which the answers to creating members tell.
CREATE TABLE asked_today (
  organization_id uuid PRIMARY KEY,
  day             date NOT NULL,
  asked           int  NOT NULL CONSTRAINT asked_today_asked CHECK (asked > 0)
) WITH (fillfactor = 50);

ALTER TABLE asked_today ENABLE ROW LEVEL SECURITY;
ALTER TABLE asked_today FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON asked_today TO roster_app
  USING (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
  WITH CHECK (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON asked_today TO roster_app;
