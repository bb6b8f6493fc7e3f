-- +goose Up

-- RESET: a member's password is reset at identity. Its id is no seat, and its cause is the method.
ALTER TABLE member_operations DROP CONSTRAINT member_operations_kind;
ALTER TABLE member_operations ADD CONSTRAINT member_operations_kind CHECK (kind IN ('CREATE', 'ENABLE', 'ADD', 'RELEASE', 'JOIN', 'RESET_MFA', 'RESET'));
