-- +goose Up

-- CHANGE_EMAIL: a member's account gets another address; its id takes the place of a seat's.
ALTER TABLE member_operations
  DROP CONSTRAINT member_operations_kind,
  ADD CONSTRAINT member_operations_kind CHECK (kind IN (
    'CREATE', 'ENABLE', 'ADD', 'RELEASE', 'JOIN', 'RESET_MFA', 'RESET', 'REVOKE_SESSIONS', 'DIRECT', 'CHANGE_EMAIL'));

-- The accounts that are unproven, as identity tells of them. About people whoever they belong to, as account_factors is.
CREATE TABLE unproven_accounts (account_id uuid PRIMARY KEY);
ALTER TABLE unproven_accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE unproven_accounts FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON unproven_accounts TO roster_app
  USING (account_id = nullif(current_setting('app.account_id', true), '')::uuid)
  WITH CHECK (account_id = nullif(current_setting('app.account_id', true), '')::uuid);
CREATE POLICY members ON unproven_accounts FOR SELECT TO roster_app
  USING (EXISTS (
    SELECT FROM members m
    WHERE m.organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid AND m.account_id = unproven_accounts.account_id));
GRANT SELECT, INSERT, DELETE ON unproven_accounts TO roster_app;
