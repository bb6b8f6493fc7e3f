-- +goose Up

-- Stored answers that expired an hour ago, by whichever clock, are deleted, of all tenants at once: they hold what callers
-- were told, and every mutation leaves one. Whoever does it learns nothing but that they expired.
CREATE POLICY relay_sees_expired ON idempotency FOR SELECT TO roster_relay USING (expire_time < now() - interval '1 hour');
CREATE POLICY relay_forgets ON idempotency FOR DELETE TO roster_relay USING (expire_time < now() - interval '1 hour');
GRANT SELECT (expire_time), DELETE ON idempotency TO roster_relay;
