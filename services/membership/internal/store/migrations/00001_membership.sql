-- Organizations, their roles and members, and the list of their people.

-- +goose Up

CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TABLE organizations (
  organization_id    uuid        PRIMARY KEY,
  display_name       text        NOT NULL,
  sort_name          text        NOT NULL COLLATE "C",
  preset             text        NOT NULL CONSTRAINT organizations_preset CHECK (preset IN ('pipeline', 'portal', 'rbac', 'flat')),
  policy             jsonb       NOT NULL,
  state              text        NOT NULL CONSTRAINT organizations_state CHECK (state IN ('CREATING', 'ACTIVE', 'FAILED', 'DELETED')),
  creator_account_id uuid        NOT NULL,
  version            bigint      NOT NULL,
  create_time        timestamptz NOT NULL,
  update_time        timestamptz NOT NULL
);

CREATE TABLE roles (
  organization_id uuid    NOT NULL,
  role_id         uuid    NOT NULL,
  key             text    NOT NULL,
  display_name    text    NOT NULL,
  description     text    NOT NULL,
  color           text    NOT NULL,
  rank            int     NOT NULL,
  owner           boolean NOT NULL,
  permissions     text[]  NOT NULL,
  PRIMARY KEY (organization_id, role_id),
  CONSTRAINT roles_key UNIQUE (organization_id, key),
  CONSTRAINT roles_organization FOREIGN KEY (organization_id) REFERENCES organizations
);

-- One row per person who ever belonged to the organization. A member has a seat exactly while having access, and no two
-- have the same.
CREATE TABLE members (
  organization_id     uuid        NOT NULL,
  account_id          uuid        NOT NULL,
  role_id             uuid        NOT NULL,
  state               text        NOT NULL CONSTRAINT members_state CHECK (state IN ('ACTIVE', 'DISABLED', 'REMOVED')),
  seat_id             uuid,
  invitation_id       uuid, -- by which the person joined last
  join_time           timestamptz NOT NULL,
  disable_time        timestamptz,
  disabler_account_id uuid,
  sole_owner          boolean     NOT NULL,
  version             bigint      NOT NULL,
  PRIMARY KEY (organization_id, account_id),
  CONSTRAINT members_seat UNIQUE (organization_id, seat_id),
  CONSTRAINT members_seated CHECK ((state = 'ACTIVE') = (seat_id IS NOT NULL)),
  CONSTRAINT members_disabled CHECK ((state = 'DISABLED') = (disable_time IS NOT NULL)),
  CONSTRAINT members_role FOREIGN KEY (organization_id, role_id) REFERENCES roles
) WITH (fillfactor = 90);
CREATE UNIQUE INDEX members_sole_owner ON members (organization_id) WHERE sole_owner AND state <> 'REMOVED';
CREATE INDEX members_account ON members (account_id);
CREATE INDEX members_role_id ON members (organization_id, role_id) WHERE state = 'ACTIVE';
CREATE INDEX members_invitation ON members (organization_id, invitation_id) WHERE invitation_id IS NOT NULL;

-- What was begun about a member's seat, under the id of the seat, which is never used again. CREATE and ENABLE take one,
-- RELEASE gives one back; ADD is the answer to AddMember, kept for ever, so that a late duplicate adds nobody.
CREATE TABLE member_operations (
  organization_id  uuid        NOT NULL,
  seat_id          uuid        NOT NULL,
  kind             text        NOT NULL CONSTRAINT member_operations_kind CHECK (kind IN ('CREATE', 'ENABLE', 'ADD', 'RELEASE')),
  state            text        NOT NULL CONSTRAINT member_operations_state CHECK (state IN ('PENDING', 'DONE', 'REFUSED')),
  account_id       uuid        NOT NULL, -- the member
  actor_account_id uuid,
  cause            text        NOT NULL,
  request_id       text        NOT NULL,
  display_name     text        NOT NULL, -- these three only while a CREATE is pending
  email            text        NOT NULL,
  username         text        NOT NULL,
  refusal          jsonb,
  role_id          uuid,   -- the outcome: the member's role, version
  version          bigint, -- and the revision at which it was committed
  revision         bigint,
  create_time      timestamptz NOT NULL,
  PRIMARY KEY (organization_id, seat_id, kind),
  CONSTRAINT member_operations_refusal CHECK ((state = 'REFUSED') = (refusal IS NOT NULL))
);
-- A member is enabled once at a time.
CREATE UNIQUE INDEX member_operations_enabling ON member_operations (organization_id, account_id) WHERE kind = 'ENABLE' AND state = 'PENDING';
CREATE INDEX member_operations_releasing ON member_operations (organization_id, account_id) WHERE kind = 'RELEASE' AND state = 'PENDING';

-- The list that people see: members, and those with a pending invitation. Names and invitations are copies, fed by the
-- events of other services.
CREATE TABLE people (
  organization_id uuid        NOT NULL,
  person_id       uuid        NOT NULL, -- the account or the invitation
  kind            text        NOT NULL CONSTRAINT people_kind CHECK (kind IN ('MEMBER', 'INVITATION')),
  sort_name       text        NOT NULL COLLATE "C",
  display_name    text        NOT NULL,
  email           text        NOT NULL,
  username        text        NOT NULL,
  role            text        NOT NULL,
  state           text        NOT NULL,
  join_time       timestamptz NOT NULL,
  expire_time     timestamptz,
  PRIMARY KEY (organization_id, person_id),
  CONSTRAINT people_state CHECK (CASE kind WHEN 'MEMBER' THEN state IN ('ACTIVE', 'DISABLED') ELSE state = 'PENDING' END)
) WITH (fillfactor = 90);
CREATE INDEX people_by_name ON people (organization_id, sort_name, person_id);
CREATE INDEX people_by_kind ON people (organization_id, kind, sort_name, person_id);
CREATE INDEX people_member ON people (person_id) WHERE kind = 'MEMBER';

-- The words of people, folded. No row-level security, under which LIKE would not use an index: statements name the
-- organization, take ids from here and everything else from people. The trigram index is without the organization on
-- purpose: with it, it is slower and larger.
CREATE TABLE people_search (
  organization_id uuid NOT NULL,
  person_id       uuid NOT NULL,
  sort_name       text NOT NULL COLLATE "C",
  name            text NOT NULL,
  username        text NOT NULL,
  email           text NOT NULL,
  PRIMARY KEY (organization_id, person_id),
  CONSTRAINT people_search_person FOREIGN KEY (organization_id, person_id) REFERENCES people ON DELETE CASCADE
);
CREATE INDEX people_search_words ON people_search USING gin (name gin_trgm_ops, username gin_trgm_ops, email gin_trgm_ops);
CREATE INDEX people_search_order ON people_search (organization_id, sort_name, person_id);
CREATE INDEX people_search_name ON people_search (organization_id, name text_pattern_ops);
CREATE INDEX people_search_username ON people_search (organization_id, username text_pattern_ops);
CREATE INDEX people_search_email ON people_search (organization_id, email text_pattern_ops);

-- How many people there are, so that a page need not count.
CREATE TABLE people_counts (
  organization_id uuid PRIMARY KEY,
  members         int NOT NULL CONSTRAINT people_counts_members CHECK (members >= 0),
  invitations     int NOT NULL CONSTRAINT people_counts_invitations CHECK (invitations >= 0)
) WITH (fillfactor = 50);

-- +goose StatementBegin
CREATE FUNCTION count_people() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO people_counts AS c (organization_id, members, invitations)
    SELECT organization_id, count(*) FILTER (WHERE kind = 'MEMBER'), count(*) FILTER (WHERE kind = 'INVITATION')
    FROM changed GROUP BY organization_id
    ON CONFLICT (organization_id) DO UPDATE
    SET members = c.members + excluded.members, invitations = c.invitations + excluded.invitations;
  ELSE
    UPDATE people_counts c
    SET members = c.members - gone.members, invitations = c.invitations - gone.invitations
    FROM (
      SELECT organization_id, count(*) FILTER (WHERE kind = 'MEMBER') AS members, count(*) FILTER (WHERE kind = 'INVITATION') AS invitations
      FROM changed GROUP BY organization_id
    ) gone
    WHERE c.organization_id = gone.organization_id;
  END IF;
  RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER people_came AFTER INSERT ON people REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_people();
CREATE TRIGGER people_left AFTER DELETE ON people REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_people();

-- +goose StatementBegin
DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['organizations', 'roles', 'members', 'member_operations', 'people', 'people_counts'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format($p$CREATE POLICY tenant ON %I TO roster_app
      USING (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
      WITH CHECK (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)$p$, t);
  END LOOP;
END
$$;
-- +goose StatementEnd

-- A person reads their own memberships, with the organization's name and their role there.
CREATE POLICY own ON members FOR SELECT TO roster_app
  USING (account_id = nullif(current_setting('app.account_id', true), '')::uuid);
CREATE POLICY own ON organizations FOR SELECT TO roster_app
  USING (EXISTS (
    SELECT FROM members m
    WHERE m.organization_id = organizations.organization_id
      AND m.account_id = nullif(current_setting('app.account_id', true), '')::uuid));
CREATE POLICY own ON roles FOR SELECT TO roster_app
  USING (EXISTS (
    SELECT FROM members m
    WHERE m.organization_id = roles.organization_id AND m.role_id = roles.role_id
      AND m.account_id = nullif(current_setting('app.account_id', true), '')::uuid));

-- What an account says of itself reaches all lists that it is on.
CREATE POLICY own_read ON people FOR SELECT TO roster_app
  USING (kind = 'MEMBER' AND person_id = nullif(current_setting('app.account_id', true), '')::uuid);
CREATE POLICY own_update ON people FOR UPDATE TO roster_app
  USING (kind = 'MEMBER' AND person_id = nullif(current_setting('app.account_id', true), '')::uuid);

GRANT SELECT, INSERT, UPDATE ON organizations, members, member_operations, people_counts TO roster_app;
GRANT SELECT, INSERT ON roles TO roster_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON people, people_search TO roster_app;
