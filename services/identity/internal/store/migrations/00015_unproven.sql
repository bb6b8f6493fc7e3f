-- +goose Up

-- Since when nobody has proven that the mailbox is the person's, after an admin has written the address or had the password made. NULL: that
-- is not so. What was added since goes when they prove it.
ALTER TABLE accounts ADD COLUMN unproven_time timestamptz;
ALTER TABLE recovery_codes ADD COLUMN create_time timestamptz NOT NULL DEFAULT now();

-- Whether somebody else has seen the link, which then proves no mailbox.
ALTER TABLE resets ADD COLUMN shown boolean NOT NULL DEFAULT false;
