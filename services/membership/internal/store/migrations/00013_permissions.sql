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
