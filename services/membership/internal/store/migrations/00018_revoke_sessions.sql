-- +goose Up

-- Signing a member out everywhere is an operation, too; its id takes the place of a seat's.
ALTER TABLE member_operations
  DROP CONSTRAINT member_operations_kind,
  ADD CONSTRAINT member_operations_kind CHECK (kind IN ('CREATE', 'ENABLE', 'ADD', 'RELEASE', 'JOIN', 'RESET_MFA', 'RESET', 'REVOKE_SESSIONS'));
