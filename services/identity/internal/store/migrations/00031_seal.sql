-- +goose Up

-- With which key each value is sealed, see the core's 00006_seal.
ALTER TABLE factors ADD COLUMN sealed_by bytea GENERATED ALWAYS AS (substr(sealed_secret, 1, 5)) STORED;
CREATE INDEX factors_sealed_by ON factors (sealed_by) WHERE sealed_by IS NOT NULL;
CREATE POLICY relay_sees_seals ON factors FOR SELECT TO roster_relay USING (sealed_by IS NOT NULL);
GRANT SELECT (account_id, id, sealed_by) ON factors TO roster_relay;

ALTER TABLE providers ADD COLUMN sealed_by bytea GENERATED ALWAYS AS (substr(sealed_secret, 1, 5)) STORED;
CREATE INDEX providers_sealed_by ON providers (sealed_by) WHERE sealed_by IS NOT NULL;
GRANT SELECT (id, organization_id, sealed_by) ON providers TO roster_relay;

ALTER TABLE signing_keys ADD COLUMN sealed_by bytea GENERATED ALWAYS AS (substr(sealed_seed, 1, 5)) STORED;
CREATE INDEX signing_keys_sealed_by ON signing_keys (sealed_by);
GRANT SELECT (id, sealed_by) ON signing_keys TO roster_relay;
GRANT UPDATE (sealed_seed) ON signing_keys TO roster_app;
