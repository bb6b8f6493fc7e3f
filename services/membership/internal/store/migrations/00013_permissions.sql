-- What people may do in all of their organizations, at once.

-- +goose Up

-- A person reads what groups give in the organizations that they belong to.
CREATE POLICY own ON group_members FOR SELECT TO roster_app
  USING (account_id = nullif(current_setting('app.account_id', true), '')::uuid);
CREATE POLICY own ON groups FOR SELECT TO roster_app
  USING (EXISTS (
    SELECT FROM members m
    WHERE m.organization_id = groups.organization_id AND m.state <> 'REMOVED'
      AND m.account_id = nullif(current_setting('app.account_id', true), '')::uuid));
CREATE POLICY own ON group_bindings FOR SELECT TO roster_app
  USING (EXISTS (
    SELECT FROM members m
    WHERE m.organization_id = group_bindings.organization_id AND m.state <> 'REMOVED'
      AND m.account_id = nullif(current_setting('app.account_id', true), '')::uuid));
DROP POLICY own ON roles;
CREATE POLICY own ON roles FOR SELECT TO roster_app
  USING (EXISTS (
    SELECT FROM members m
    WHERE m.organization_id = roles.organization_id AND m.state <> 'REMOVED'
      AND m.account_id = nullif(current_setting('app.account_id', true), '')::uuid));

-- The permissions that whoever builds on the suite has added, a row for each time that they were changed: the newest counts, and who
-- changed them when stays known. No tenant's, so without row-level security.
CREATE TABLE registry (
  revision    bigint PRIMARY KEY,
  version     uuid        NOT NULL, -- names what it says, also in another database
  permissions jsonb       NOT NULL,
  operator_id uuid,
  apply_time  timestamptz NOT NULL
);
INSERT INTO registry (revision, version, permissions, apply_time) VALUES (0, gen_random_uuid(), '[]', now());
GRANT SELECT, INSERT ON registry TO roster_app;
