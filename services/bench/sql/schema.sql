-- What a change of membership writes, at its barest: a member, the organization's counter, the history, the queue of
-- events, and the answer to a request that may come again.
CREATE TABLE organization (
  organization text PRIMARY KEY,
  seats        int NOT NULL,
  used         int NOT NULL DEFAULT 0
);
CREATE TABLE member (
  organization text        NOT NULL,
  account      text        NOT NULL,
  role         smallint    NOT NULL,
  name         text        NOT NULL,
  email        text        NOT NULL,
  join_time    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (organization, account)
);
CREATE TABLE history (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  organization text        NOT NULL,
  actor        text        NOT NULL,
  action       text        NOT NULL,
  detail       jsonb       NOT NULL,
  time         timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE queue (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  organization text        NOT NULL,
  subject      text        NOT NULL,
  event        jsonb       NOT NULL,
  time         timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE request (
  id     text PRIMARY KEY,
  answer bytea       NOT NULL,
  time   timestamptz NOT NULL DEFAULT now()
);
INSERT INTO organization (organization, seats) SELECT 'org_' || n, 1000000000 FROM generate_series(1, 10000) n;
