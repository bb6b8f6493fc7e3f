-- +goose Up

-- Who takes another primary address back is left without the password that somebody else may know.
GRANT DELETE ON credentials TO roster_app;
