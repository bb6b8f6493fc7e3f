-- What is sealed and stays until something happens is sealed anew when the service gets another key. Beside such a value sealed_by has
-- its beginning, which names the key. Whoever looks for those of older keys sees that of all tenants, and not the values.

-- +goose Up

ALTER TABLE mails ADD COLUMN sealed_by bytea GENERATED ALWAYS AS (substr(payload, 1, 5)) STORED;
CREATE INDEX mails_sealed_by ON mails (sealed_by) WHERE sealed_by IS NOT NULL;
CREATE POLICY relay_sees_seals ON mails FOR SELECT TO roster_relay USING (sealed_by IS NOT NULL);
GRANT SELECT (aggregate_id, id, sealed_by) ON mails TO roster_relay;

-- With which key values are sealed anew: the first one of the instance that was started last. The others leave them alone, or
-- instances that are restarted one after the other would undo what each has done.
CREATE TABLE sealing (
  one  bool  PRIMARY KEY DEFAULT true CONSTRAINT sealing_one CHECK (one),
  head bytea NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON sealing TO roster_app;
