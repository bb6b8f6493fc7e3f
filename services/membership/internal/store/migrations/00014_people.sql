-- Lists read as many rows as a page has, whatever the size of the organization and of the others.

-- +goose Up

-- A policy and the condition of a statement, both on the organization, are independent for the planner, which then believes that an
-- organization of 10,000 among a million has a hundred people, and sorts them all for each page. What coalesce hides is no
-- condition on the organization for the planner.
ALTER POLICY tenant ON people
  USING (coalesce(organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid, false))
  WITH CHECK (coalesce(organization_id = nullif(current_setting('app.aggregate_id', true), '')::uuid, false));

-- No invitation has the id of an account. Without the kind, policies ask for nothing that an index of an order has not.
ALTER POLICY own_read ON people
  USING (person_id = nullif(current_setting('app.account_id', true), '')::uuid);
ALTER POLICY own_update ON people
  USING (person_id = nullif(current_setting('app.account_id', true), '')::uuid);
