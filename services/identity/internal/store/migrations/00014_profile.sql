-- +goose Up

-- What people say of themselves beside their name. For themselves and their programs; NULL: nothing.
ALTER TABLE accounts
  ADD COLUMN phone     text,
  ADD COLUMN locale    text,
  ADD COLUMN time_zone text;

-- A username that its account had before another. It stays the account's, so that nobody is taken for who had it.
ALTER TABLE usernames ADD COLUMN former boolean NOT NULL DEFAULT false;
DROP INDEX usernames_account;
CREATE UNIQUE INDEX usernames_account ON usernames (account_id) WHERE account_id IS NOT NULL AND NOT former;
CREATE INDEX usernames_former ON usernames (account_id) WHERE former;
