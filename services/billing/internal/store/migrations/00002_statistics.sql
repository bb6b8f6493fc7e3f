-- Most organizations have few seats and some have thousands. For the planner all are alike: by the average it would read
-- all seats of an organization instead of looking up some, which takes longer the more members a customer has. So it is
-- told that each is large. It believes that after the next ANALYZE, which autovacuum runs.

-- +goose Up
ALTER TABLE seats ALTER COLUMN organization_id SET (n_distinct = 20);
ALTER TABLE seat_ledger ALTER COLUMN organization_id SET (n_distinct = 20);
