-- Roles that an organization makes for itself. A role that is deleted keeps its row: removed members had it, its key is never
-- another's, and who comes with the key later, on an invitation, gets the replacement.

-- +goose Up

ALTER TABLE roles
  ADD COLUMN built_in            boolean NOT NULL DEFAULT true,
  ADD COLUMN version             bigint  NOT NULL DEFAULT 1,
  ADD COLUMN name_key            text, -- the name as it is compared
  ADD COLUMN delete_time         timestamptz,
  ADD COLUMN replacement_role_id uuid, -- never a deleted one
  ADD CONSTRAINT roles_replacement FOREIGN KEY (organization_id, replacement_role_id) REFERENCES roles,
  ADD CONSTRAINT roles_replaced CHECK (delete_time IS NOT NULL OR replacement_role_id IS NULL);
CREATE UNIQUE INDEX roles_name ON roles (organization_id, name_key) WHERE delete_time IS NULL;

-- Who has a role: counted before it is changed or deleted, and moved in parts.
CREATE INDEX members_role ON members (organization_id, role_id, account_id) INCLUDE (state);
DROP INDEX members_role_id;
CREATE INDEX people_role ON people (organization_id, role) WHERE kind = 'INVITATION';

GRANT UPDATE ON roles TO roster_app;
