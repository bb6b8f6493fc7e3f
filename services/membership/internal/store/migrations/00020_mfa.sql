-- +goose Up

-- The second factors of accounts, as identity tells of them: an account without a row has none. About people whoever they belong to, so that
-- who joins need not be asked about.
CREATE TABLE account_factors (
  account_id uuid   PRIMARY KEY,
  methods    text[] NOT NULL CONSTRAINT account_factors_methods CHECK (cardinality(methods) > 0)
);
ALTER TABLE account_factors ENABLE ROW LEVEL SECURITY;
ALTER TABLE account_factors FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON account_factors TO roster_app
  USING (account_id = nullif(current_setting('app.account_id', true), '')::uuid)
  WITH CHECK (account_id = nullif(current_setting('app.account_id', true), '')::uuid);
CREATE POLICY members ON account_factors FOR SELECT TO roster_app
  USING (EXISTS (
    SELECT FROM members m
    WHERE m.organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid AND m.account_id = account_factors.account_id));
GRANT SELECT, INSERT, UPDATE, DELETE ON account_factors TO roster_app;
