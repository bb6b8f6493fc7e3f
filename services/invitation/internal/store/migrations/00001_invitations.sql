-- +goose Up

CREATE TABLE invitations (
  organization_id uuid        NOT NULL,
  invitation_id   uuid        NOT NULL,
  seat_id         uuid        NOT NULL,
  email           text        NOT NULL,
  email_key       text        NOT NULL,
  username        text        NOT NULL,
  username_key    text        NOT NULL,
  display_name    text        NOT NULL,
  role            text        NOT NULL,
  state           text        NOT NULL CONSTRAINT invitations_state CHECK
    (state IN ('RESERVING', 'PENDING', 'ACCEPTING', 'ACCEPTED', 'DECLINED', 'REVOKED', 'EXPIRED', 'FAILED')),
  announced       boolean     NOT NULL,
  generation      int         NOT NULL,
  token_hash      bytea,
  sealed_token    bytea,
  delivery        text        NOT NULL CONSTRAINT invitations_delivery CHECK (delivery IN ('LINK', 'QUEUED', 'SENT', 'FAILED')),
  send_id         uuid        NOT NULL,
  link_shown      boolean     NOT NULL,
  inviter_id      uuid        NOT NULL,
  create_time     timestamptz NOT NULL,
  send_time       timestamptz NOT NULL,
  expire_time     timestamptz NOT NULL,
  ttl             interval    NOT NULL,
  account_id      uuid,
  new_account     boolean     NOT NULL,
  sealed_password bytea,
  accept_name     text        NOT NULL,
  failure_reason  text        NOT NULL,
  refused_reason  text        NOT NULL,
  prior_state     text        NOT NULL,
  prior_failure   text        NOT NULL,
  releasing       boolean     NOT NULL,
  PRIMARY KEY (organization_id, invitation_id),
  CONSTRAINT invitations_seat UNIQUE (organization_id, seat_id)
);

-- One live invitation per person and organization.
CREATE UNIQUE INDEX invitations_live_email ON invitations (organization_id, email_key)
  WHERE email_key <> '' AND state IN ('RESERVING', 'PENDING', 'ACCEPTING');
CREATE UNIQUE INDEX invitations_live_username ON invitations (organization_id, username_key)
  WHERE username_key <> '' AND state IN ('RESERVING', 'PENDING', 'ACCEPTING');
CREATE UNIQUE INDEX invitations_token ON invitations (organization_id, token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX invitations_overdue ON invitations (organization_id, expire_time) WHERE state = 'PENDING';
CREATE INDEX invitations_releasing ON invitations (organization_id) WHERE releasing;

ALTER TABLE invitations ENABLE ROW LEVEL SECURITY;
ALTER TABLE invitations FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON invitations TO roster_app
  USING (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
  WITH CHECK (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE ON invitations TO roster_app;
