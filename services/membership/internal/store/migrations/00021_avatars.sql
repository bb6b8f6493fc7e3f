-- +goose Up

-- Where the picture of a member's account is; empty: there is none, or it is not known yet.
ALTER TABLE people ADD COLUMN avatar_url text NOT NULL DEFAULT '';
