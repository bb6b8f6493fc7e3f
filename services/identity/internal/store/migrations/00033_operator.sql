-- +goose Up

-- Which operator has deleted the account, and why; NULL: its person has.
ALTER TABLE accounts
  ADD COLUMN erase_operator uuid,
  ADD COLUMN erase_reason   text;
