-- What an organization says of its members itself, when they used it last, and lists in other orders than by name.

-- +goose Up

-- display_name, email and username stay what the account says. An overlay that is not empty stands in place of it.
ALTER TABLE people
  ADD COLUMN overlay_display_name text        NOT NULL DEFAULT '',
  ADD COLUMN overlay_email        text        NOT NULL DEFAULT '',
  ADD COLUMN overlay_phone        text        NOT NULL DEFAULT '',
  ADD COLUMN account_create_time  timestamptz,                           -- NULL: not known yet
  ADD COLUMN activity_time        timestamptz NOT NULL DEFAULT now();    -- noted once an hour; join_time: never
UPDATE people SET activity_time = join_time;

-- The kind follows from the state, so who filters by either reads the same index.
DROP INDEX people_by_kind;
CREATE INDEX people_by_role ON people (organization_id, role, state, sort_name, person_id);
CREATE INDEX people_by_join_time ON people (organization_id, join_time, person_id);
CREATE INDEX people_by_activity_time ON people (organization_id, kind, activity_time, person_id);

-- A list that is searched in order is read from people.
DROP INDEX people_search_order;
ALTER TABLE people_search DROP COLUMN sort_name;

-- Whoever is listed already is looked up once more, for when the account was made.
INSERT INTO due (aggregate_id, kind, id, next_time)
SELECT organization_id, 'profile', person_id, now() FROM people WHERE kind = 'MEMBER'
ON CONFLICT DO NOTHING;
