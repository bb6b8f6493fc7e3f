-- +goose Up

-- What services of the platform are to us. A directory of the operators': its keys are in api_keys, by its own number.
CREATE TABLE service_accounts (
  id           uuid        PRIMARY KEY,
  display_name text        NOT NULL CONSTRAINT service_accounts_display_name CHECK (char_length(display_name) BETWEEN 1 AND 100),
  scopes       text[]      NOT NULL CONSTRAINT service_accounts_scopes CHECK (cardinality(scopes) > 0),
  create_time  timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON service_accounts TO roster_app;
