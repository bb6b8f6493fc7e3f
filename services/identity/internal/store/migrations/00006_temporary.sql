-- +goose Up

-- Until when a password opens the choice of the next one, and nothing else. NULL: it is the person's own.
ALTER TABLE credentials ADD COLUMN temporary_until timestamptz;
