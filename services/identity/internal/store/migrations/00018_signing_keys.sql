-- +goose Up

-- A ring of keys: the next is published before it signs; the one that signs is active; one that has signed is published until nothing is
-- left that it has signed. Neither active nor activated ever: the next.
ALTER TABLE signing_keys
  ADD COLUMN activate_time timestamptz,
  ADD COLUMN retire_time   timestamptz; -- published until then
UPDATE signing_keys SET activate_time = create_time;
CREATE UNIQUE INDEX signing_keys_next ON signing_keys ((true)) WHERE NOT active AND activate_time IS NULL;

GRANT UPDATE (active, activate_time, retire_time), DELETE ON signing_keys TO roster_app;
