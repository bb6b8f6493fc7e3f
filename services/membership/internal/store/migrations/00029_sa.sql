-- Service accounts can be changed, and kept from calling for a while.

-- +goose Up

ALTER TABLE service_accounts ADD COLUMN disabled boolean NOT NULL DEFAULT false;
GRANT UPDATE (display_name, permissions, disabled) ON service_accounts TO roster_app;
