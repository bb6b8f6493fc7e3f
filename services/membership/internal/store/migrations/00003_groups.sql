-- Groups, what they give their members, and projects.

-- +goose Up

-- The path is that of the group from the top down to itself. A member of a group is one of all groups on its path.
CREATE TABLE groups (
  organization_id uuid        NOT NULL,
  group_id        uuid        NOT NULL,
  display_name    text        NOT NULL,
  name_key        text        NOT NULL COLLATE "C", -- how names are compared and sorted
  description     text        NOT NULL,
  parent_id       uuid,
  path            uuid[]      NOT NULL,
  opens           text[]      NOT NULL, -- of the permissions that the policy gates
  version         bigint      NOT NULL,
  create_time     timestamptz NOT NULL,
  PRIMARY KEY (organization_id, group_id),
  CONSTRAINT groups_name UNIQUE (organization_id, name_key),
  CONSTRAINT groups_organization FOREIGN KEY (organization_id) REFERENCES organizations,
  CONSTRAINT groups_parent FOREIGN KEY (organization_id, parent_id) REFERENCES groups,
  CONSTRAINT groups_path CHECK (cardinality(path) BETWEEN 1 AND 5 AND path[cardinality(path)] = group_id
    AND (path[cardinality(path) - 1] IS NOT DISTINCT FROM parent_id))
);

CREATE TABLE group_members (
  organization_id uuid NOT NULL,
  account_id      uuid NOT NULL,
  group_id        uuid NOT NULL,
  PRIMARY KEY (organization_id, account_id, group_id),
  CONSTRAINT group_members_member FOREIGN KEY (organization_id, account_id) REFERENCES members,
  CONSTRAINT group_members_group FOREIGN KEY (organization_id, group_id) REFERENCES groups ON DELETE CASCADE
);
CREATE INDEX group_members_by_group ON group_members (organization_id, group_id, account_id);

CREATE TABLE projects (
  organization_id uuid        NOT NULL,
  project_id      uuid        NOT NULL,
  display_name    text        NOT NULL,
  name_key        text        NOT NULL COLLATE "C",
  description     text        NOT NULL,
  version         bigint      NOT NULL,
  create_time     timestamptz NOT NULL,
  PRIMARY KEY (organization_id, project_id),
  CONSTRAINT projects_name UNIQUE (organization_id, name_key),
  CONSTRAINT projects_organization FOREIGN KEY (organization_id) REFERENCES organizations
);

-- Direct memberships. They may outlive that of the organization.
CREATE TABLE project_members (
  organization_id uuid        NOT NULL,
  account_id      uuid        NOT NULL,
  project_id      uuid        NOT NULL,
  role_id         uuid        NOT NULL,
  join_time       timestamptz NOT NULL,
  PRIMARY KEY (organization_id, account_id, project_id),
  CONSTRAINT project_members_member FOREIGN KEY (organization_id, account_id) REFERENCES members,
  CONSTRAINT project_members_project FOREIGN KEY (organization_id, project_id) REFERENCES projects ON DELETE CASCADE,
  CONSTRAINT project_members_role FOREIGN KEY (organization_id, role_id) REFERENCES roles
);
CREATE INDEX project_members_by_project ON project_members (organization_id, project_id, account_id);
CREATE INDEX project_members_role_id ON project_members (organization_id, role_id);

-- The roles that a group gives, in the whole organization or in one project.
CREATE TABLE group_bindings (
  organization_id uuid NOT NULL,
  group_id        uuid NOT NULL,
  role_id         uuid NOT NULL,
  project_id      uuid,
  CONSTRAINT group_bindings_once UNIQUE NULLS NOT DISTINCT (organization_id, group_id, role_id, project_id),
  CONSTRAINT group_bindings_group FOREIGN KEY (organization_id, group_id) REFERENCES groups ON DELETE CASCADE,
  CONSTRAINT group_bindings_role FOREIGN KEY (organization_id, role_id) REFERENCES roles,
  CONSTRAINT group_bindings_project FOREIGN KEY (organization_id, project_id) REFERENCES projects ON DELETE CASCADE
);
CREATE INDEX group_bindings_role_id ON group_bindings (organization_id, role_id);
CREATE INDEX group_bindings_project_id ON group_bindings (organization_id, project_id) WHERE project_id IS NOT NULL;

-- +goose StatementBegin
DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['groups', 'group_members', 'group_bindings', 'projects', 'project_members'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format($p$CREATE POLICY tenant ON %I TO roster_app
      USING (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
      WITH CHECK (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)$p$, t);
  END LOOP;
END
$$;
-- +goose StatementEnd

GRANT SELECT, INSERT, UPDATE, DELETE ON groups, projects TO roster_app;
GRANT SELECT, INSERT, DELETE ON group_members, group_bindings, project_members TO roster_app;
GRANT UPDATE (role_id) ON project_members TO roster_app; -- when a role is replaced
