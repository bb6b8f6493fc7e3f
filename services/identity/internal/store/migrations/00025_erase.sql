-- +goose Up

-- When its person wanted the account to be deleted. From then on nobody signs in to it; the row goes when all memberships have ended.
ALTER TABLE accounts ADD COLUMN erase_time timestamptz;

-- What is erased with the account.
GRANT DELETE ON accounts, credentials, user_handles TO roster_app;
