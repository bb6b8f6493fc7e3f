-- What the relay has to remember: which stream it feeds, and whose history it tells.

-- +goose Up

ALTER TABLE relay_lease
  ADD COLUMN stream_time timestamptz,               -- when the stream that is fed was made; NULL: none was fed yet
  ADD COLUMN sequence    bigint NOT NULL DEFAULT 0, -- the last one of that stream that confirmed an event
  ADD COLUMN requeued    uuid;                      -- a new stream gets the whole log: the aggregates up to here are queued; NULL: all are

-- Which history the log tells: one row, written by the relay. A promoted or a restored database begins another one,
-- with a higher epoch. Events that are written before the relay has noticed count the same way, see package outbox.
CREATE TABLE history (
  one      bool   PRIMARY KEY DEFAULT true CONSTRAINT history_one CHECK (one),
  identity text   NOT NULL,
  epoch    bigint NOT NULL
);
GRANT SELECT ON history TO roster_app;
GRANT SELECT, INSERT, UPDATE ON history TO roster_relay;

-- To queue events again the relay locks the heads of their aggregates. That takes the right to update, but it updates nothing.
CREATE POLICY relay_reads ON heads FOR SELECT TO roster_relay USING (true);
CREATE POLICY relay_locks ON heads FOR UPDATE TO roster_relay USING (true) WITH CHECK (false);
GRANT SELECT (aggregate_id, part), UPDATE (part) ON heads TO roster_relay;
GRANT INSERT ON outbox TO roster_relay;

-- A higher epoch goes on from an earlier revision, when what was applied has vanished.
ALTER TABLE positions ADD COLUMN epoch bigint NOT NULL DEFAULT 1;
