-- +goose Up

-- sole: an organization has had an account made with the address, which nobody claimed. Nobody makes a second one like this: while two claim an
-- address without proof, neither signs in with it.
ALTER TABLE user_emails ADD COLUMN sole boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX user_emails_sole ON user_emails (email) WHERE sole;

-- Who asked for the account: the invitation, or an organization's operation.
COMMENT ON COLUMN account_creations.invitation_id IS 'the invitation, or the operation, that the account is made for';
