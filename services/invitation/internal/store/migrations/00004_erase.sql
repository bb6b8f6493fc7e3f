-- +goose Up

-- Who has invited or accepted, across organizations: to find what is to be erased with an account.
CREATE POLICY own ON invitations FOR SELECT TO roster_app
  USING (nullif(current_setting('app.account_id', true), '')::uuid IN (account_id, inviter_id));
CREATE INDEX invitations_account ON invitations (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX invitations_inviter ON invitations (inviter_id);
