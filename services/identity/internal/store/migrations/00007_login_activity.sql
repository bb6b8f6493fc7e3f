-- +goose Up

-- What was tried with an account, and what became of it, for its person to see.
CREATE TABLE sign_ins (
  account_id uuid        NOT NULL,
  id         bigint      GENERATED ALWAYS AS IDENTITY,
  time       timestamptz NOT NULL DEFAULT now(),
  action     text        NOT NULL CONSTRAINT sign_ins_action CHECK (action IN ('SIGN_IN', 'SIGN_OUT', 'REAUTHENTICATE', 'PASSWORD_CHANGE', 'PASSWORD_RESET')),
  method     text        NOT NULL CONSTRAINT sign_ins_method CHECK (method IN ('', 'PASSWORD', 'SECOND_FACTOR', 'LINK')),
  reason     text        NOT NULL CONSTRAINT sign_ins_reason CHECK (reason IN ('', 'CODE_DUE', 'WRONG_PASSWORD', 'WRONG_CODE', 'TOO_MANY_FAILURES', 'DISABLED')),
  address    text        NOT NULL,
  user_agent text        NOT NULL,
  PRIMARY KEY (account_id, id)
);
ALTER TABLE sign_ins ENABLE ROW LEVEL SECURITY;
ALTER TABLE sign_ins FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON sign_ins TO roster_app
  USING (account_id = nullif(current_setting('app.aggregate_id', true), '')::uuid)
  WITH CHECK (account_id = nullif(current_setting('app.aggregate_id', true), '')::uuid);
GRANT SELECT, INSERT, DELETE ON sign_ins TO roster_app;
