-- +goose Up

-- With which key each link is sealed that waits for its mail, see the core's 00006_seal.
ALTER TABLE invitations ADD COLUMN sealed_by bytea GENERATED ALWAYS AS (substr(sealed_token, 1, 5)) STORED;
CREATE INDEX invitations_sealed_by ON invitations (sealed_by) WHERE sealed_by IS NOT NULL;
CREATE POLICY relay_sees_seals ON invitations FOR SELECT TO roster_relay USING (sealed_by IS NOT NULL);
GRANT SELECT (organization_id, invitation_id, sealed_by) ON invitations TO roster_relay;
