-- +goose Up

-- A sealed password that nobody can open is a refusal like the others: the invitee enters it again.
ALTER TABLE account_creations
  DROP CONSTRAINT account_creations_refusal,
  ADD CONSTRAINT account_creations_refusal CHECK (refusal IN ('EMAIL_TAKEN', 'USERNAME_TAKEN', 'PASSWORD_REFUSED'));
