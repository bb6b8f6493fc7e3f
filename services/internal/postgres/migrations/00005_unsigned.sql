-- Whose history has grown since its last checkpoint. The relay notes what it has published; whoever signs takes it away.

-- +goose Up

CREATE TABLE unsigned (
  aggregate_id uuid        PRIMARY KEY,
  revision     bigint      NOT NULL,
  since        timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
CREATE INDEX unsigned_since ON unsigned (since);

GRANT SELECT, UPDATE, DELETE ON unsigned TO roster_app;
GRANT SELECT, INSERT, UPDATE ON unsigned TO roster_relay;

INSERT INTO unsigned (aggregate_id, revision) SELECT aggregate_id, revision FROM heads;
