-- +goose Up
ALTER TABLE factors ADD COLUMN alone boolean NOT NULL DEFAULT false; -- a passkey that has signed its person in by itself, so that it can
