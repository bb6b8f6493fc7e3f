-- Domains of organizations, and who joins through them.

-- +goose Up

-- A directory: "whose is this domain?" is asked of all organizations. No row-level security, so statements name the
-- organization; the one that does not is FindDomain. Of others' domains nobody hears more than that a proven one is taken.
CREATE TABLE domains (
  organization_id uuid        NOT NULL,
  domain_id       uuid        NOT NULL,
  name            text        NOT NULL COLLATE "C",
  state           text        NOT NULL CONSTRAINT domains_state CHECK (state IN ('PENDING', 'VERIFIED', 'SUSPENDED')),
  challenge       text        NOT NULL,
  create_time     timestamptz NOT NULL,
  verify_time     timestamptz,
  check_time      timestamptz,
  missing_time    timestamptz,
  PRIMARY KEY (organization_id, domain_id),
  CONSTRAINT domains_name UNIQUE (organization_id, name),
  CONSTRAINT domains_proven CHECK ((state = 'PENDING') = (verify_time IS NULL)),
  CONSTRAINT domains_organization FOREIGN KEY (organization_id) REFERENCES organizations
);
CREATE UNIQUE INDEX domains_verified ON domains (name) WHERE state = 'VERIFIED';

-- Who is to join through a domain and is no member yet: until there is a seat, or while an invitation to the same address is
-- pending, by which they come instead.
CREATE TABLE joins (
  organization_id uuid        NOT NULL,
  account_id      uuid        NOT NULL,
  domain_id       uuid        NOT NULL,
  invited         boolean     NOT NULL,
  create_time     timestamptz NOT NULL,
  PRIMARY KEY (organization_id, account_id),
  CONSTRAINT joins_domain FOREIGN KEY (organization_id, domain_id) REFERENCES domains
);
CREATE INDEX joins_order ON joins (organization_id, create_time, account_id);
CREATE INDEX joins_domain_id ON joins (organization_id, domain_id);

ALTER TABLE joins ENABLE ROW LEVEL SECURITY;
ALTER TABLE joins FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON joins TO roster_app
  USING (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
  WITH CHECK (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid);

GRANT SELECT, INSERT, UPDATE, DELETE ON domains, joins TO roster_app;

-- JOIN takes a seat for who joins through a domain, once at a time.
ALTER TABLE member_operations DROP CONSTRAINT member_operations_kind;
ALTER TABLE member_operations ADD CONSTRAINT member_operations_kind CHECK (kind IN ('CREATE', 'ENABLE', 'ADD', 'RELEASE', 'JOIN'));
CREATE UNIQUE INDEX member_operations_joining ON member_operations (organization_id, account_id) WHERE kind = 'JOIN' AND state = 'PENDING';
