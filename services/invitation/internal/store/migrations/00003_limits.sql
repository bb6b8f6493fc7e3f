-- +goose Up

-- How many invitations an organization, or a person in all organizations, has sent on the latest day that they sent
-- any. One row each, for ever.
CREATE TABLE sent_today (
  subject_id uuid PRIMARY KEY,
  day        date NOT NULL,
  sent       int  NOT NULL CONSTRAINT sent_today_sent CHECK (sent > 0)
) WITH (fillfactor = 50);

ALTER TABLE sent_today ENABLE ROW LEVEL SECURITY;
ALTER TABLE sent_today FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON sent_today TO roster_app
  USING (subject_id IN (nullif(current_setting('app.aggregate_id', true), '')::uuid, nullif(current_setting('app.account_id', true), '')::uuid))
  WITH CHECK (subject_id IN (nullif(current_setting('app.aggregate_id', true), '')::uuid, nullif(current_setting('app.account_id', true), '')::uuid));
GRANT SELECT, INSERT, UPDATE ON sent_today TO roster_app;
