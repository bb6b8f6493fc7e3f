-- +goose Up

-- The mail server's answer finds its invitation.
CREATE INDEX invitations_send ON invitations (organization_id, send_id);

-- A secret is kept for the step that needs it, and no longer.
ALTER TABLE invitations
  ADD CONSTRAINT invitations_sealed_token CHECK (sealed_token IS NULL OR state = 'RESERVING'),
  ADD CONSTRAINT invitations_sealed_password CHECK (sealed_password IS NULL OR state = 'ACCEPTING'),
  ADD CONSTRAINT invitations_accepting CHECK (state NOT IN ('ACCEPTING', 'ACCEPTED') OR account_id IS NOT NULL),
  ADD CONSTRAINT invitations_release CHECK (NOT releasing OR state IN ('DECLINED', 'REVOKED', 'EXPIRED', 'FAILED'));
