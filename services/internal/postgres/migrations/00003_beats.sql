-- +goose Up

-- What an instance of the service writes to learn whether the server it talks to is still the primary: with a
-- synchronous standby only the primary can commit.
CREATE TABLE beats (
  instance text        PRIMARY KEY,
  time     timestamptz NOT NULL
) WITH (fillfactor = 50);

GRANT SELECT, INSERT, UPDATE, DELETE ON beats TO roster_app, roster_relay;
