-- +goose Up

-- Accounts that were deleted, and the invitations by which they came: what is personal of them is not written again, and nobody adds them. A directory.
CREATE TABLE erased (
  id uuid PRIMARY KEY
);
GRANT SELECT, INSERT ON erased TO roster_app;
