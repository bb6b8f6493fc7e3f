-- When members can be reached for work: what that follows from, and how it is now.

-- +goose Up

-- Of members. When it changes next the sweeper computes it anew, and whoever changes a schedule does so at once.
ALTER TABLE people
  ADD COLUMN availability text NOT NULL DEFAULT 'AVAILABLE'
    CONSTRAINT people_availability CHECK (availability IN ('AVAILABLE', 'ON_CALL', 'UNAVAILABLE')),
  ADD COLUMN next_change_time timestamptz;
CREATE INDEX people_available ON people (organization_id, sort_name, person_id)
  WHERE kind = 'MEMBER' AND state = 'ACTIVE' AND availability <> 'UNAVAILABLE';
CREATE INDEX people_unavailable ON people (organization_id, sort_name, person_id)
  WHERE kind = 'MEMBER' AND state = 'ACTIVE' AND availability = 'UNAVAILABLE';

-- Schedules belong to rows of people: whoever leaves takes them along, and comes back without.
CREATE TABLE weekly_hours (
  organization_id uuid   NOT NULL,
  account_id      uuid   NOT NULL,
  time_zone       text   NOT NULL, -- empty without intervals
  intervals       jsonb  NOT NULL,
  version         bigint NOT NULL,
  PRIMARY KEY (organization_id, account_id),
  CONSTRAINT weekly_hours_person FOREIGN KEY (organization_id, account_id) REFERENCES people ON DELETE CASCADE
);

CREATE TABLE overrides (
  organization_id uuid        NOT NULL,
  override_id     uuid        NOT NULL,
  account_id      uuid        NOT NULL,
  state           text        NOT NULL CONSTRAINT overrides_state CHECK (state IN ('AVAILABLE', 'ON_CALL', 'UNAVAILABLE')),
  start_time      timestamptz NOT NULL,
  end_time        timestamptz NOT NULL,
  repeat_days     int         NOT NULL, -- 0: once
  time_zone       text        NOT NULL, -- of the repetition
  until_time      timestamptz,
  over_time       timestamptz,          -- when it has ended for good, if ever
  note            text        NOT NULL,
  PRIMARY KEY (organization_id, override_id),
  CONSTRAINT overrides_times CHECK (start_time < end_time),
  CONSTRAINT overrides_person FOREIGN KEY (organization_id, account_id) REFERENCES people ON DELETE CASCADE
);
CREATE INDEX overrides_account ON overrides (organization_id, account_id, start_time);

-- What another scheduler has said last.
CREATE TABLE availability_reports (
  organization_id uuid        NOT NULL,
  account_id      uuid        NOT NULL,
  state           text        NOT NULL CONSTRAINT availability_reports_state CHECK (state IN ('AVAILABLE', 'ON_CALL', 'UNAVAILABLE')),
  report_time     timestamptz NOT NULL,
  until_time      timestamptz NOT NULL,
  PRIMARY KEY (organization_id, account_id),
  CONSTRAINT availability_reports_person FOREIGN KEY (organization_id, account_id) REFERENCES people ON DELETE CASCADE
);

-- Turns are computed. A place whose participant has left stays, and is nobody's: who is on call when does not change by it.
CREATE TABLE rotations (
  organization_id uuid        NOT NULL,
  rotation_id     uuid        NOT NULL,
  display_name    text        NOT NULL,
  time_zone       text        NOT NULL,
  start_time      timestamptz NOT NULL,
  end_time        timestamptz,
  turn_days       int         NOT NULL CONSTRAINT rotations_turn_days CHECK (turn_days > 0),
  places          int         NOT NULL CONSTRAINT rotations_places CHECK (places > 0),
  version         bigint      NOT NULL,
  PRIMARY KEY (organization_id, rotation_id),
  CONSTRAINT rotations_organization FOREIGN KEY (organization_id) REFERENCES organizations
);
CREATE TABLE rotation_participants (
  organization_id uuid NOT NULL,
  rotation_id     uuid NOT NULL,
  place           int  NOT NULL, -- from 1
  account_id      uuid NOT NULL,
  PRIMARY KEY (organization_id, rotation_id, place),
  CONSTRAINT rotation_participants_once UNIQUE (organization_id, account_id, rotation_id),
  CONSTRAINT rotation_participants_rotation FOREIGN KEY (organization_id, rotation_id) REFERENCES rotations ON DELETE CASCADE,
  CONSTRAINT rotation_participants_person FOREIGN KEY (organization_id, account_id) REFERENCES people ON DELETE CASCADE
);

-- +goose StatementBegin
DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['weekly_hours', 'overrides', 'availability_reports', 'rotations', 'rotation_participants'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format($p$CREATE POLICY tenant ON %I TO roster_app
      USING (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
      WITH CHECK (organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)$p$, t);
  END LOOP;
END
$$;
-- +goose StatementEnd

GRANT SELECT, INSERT, UPDATE ON weekly_hours, availability_reports TO roster_app;
GRANT SELECT, INSERT, DELETE ON overrides, rotation_participants TO roster_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON rotations TO roster_app;
