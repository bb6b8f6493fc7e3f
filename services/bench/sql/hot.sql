-- The same, all in one organization.
\set organization random(7, 7)
\set account random(1, 9000000000000000)
BEGIN;
INSERT INTO request (id, answer) VALUES (:client_id || '-' || :account, '\x00') ON CONFLICT DO NOTHING;
UPDATE organization SET used = used + 1 WHERE organization = 'org_' || :organization AND used < seats;
INSERT INTO member (organization, account, role, name, email)
  VALUES ('org_' || :organization, 'acc_' || :account, 3, 'Grace Hopper', :account || '@example.com') ON CONFLICT DO NOTHING;
INSERT INTO history (organization, actor, action, detail)
  VALUES ('org_' || :organization, 'acc_1', 'member.added', '{"role": "member"}');
INSERT INTO queue (organization, subject, event)
  VALUES ('org_' || :organization, 'member.added', '{"account": "acc_1", "role": "member", "revision": 1}');
COMMIT;
