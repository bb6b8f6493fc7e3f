package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
)

// rule is an invariant of one database that SQL sees: its statement returns the rows that break it, among the aggregates
// after $1 up to $2.
type rule struct {
	id       string
	services []string
	when     When
	subjects func(id.Any) string // the kind of the ids in the statement's second column
	sql      string              // returns the aggregate, the ids of what is wrong, and what is wrong about it
	advice   string
	mend     string // a statement that repairs what is wrong with $2, an id, of $1, the aggregate; empty: there is none
	mends    string // what it does
}

// Kinds of ids, as text.
var (
	account    = kind[id.Account]
	invitation = kind[id.Invitation]
	seat       = kind[id.Seat]
	mail       = kind[id.Mail]
	none       = kind[id.Any]
)

func kind[K ~[16]byte](i id.Any) string { return fmt.Sprint(K(i)) }

const every = "membership invitation identity billing"

var rules = []rule{
	{id: "A1", services: []string{"billing"}, when: Always, subjects: none, mend: recount, mends: recounts, sql: `
		SELECT coalesce(h.aggregate_id, s.organization_id), '{}'::uuid[], format('the counters say %s occupied, %s reserved, %s used; the seats are %s and %s',
			h.occupied, h.reserved, h.used, coalesce(s.occupied, 0), coalesce(s.reserved, 0))
		FROM (SELECT * FROM heads WHERE aggregate_id > $1 AND aggregate_id <= $2) h
		FULL JOIN (
			SELECT organization_id, count(*) FILTER (WHERE state = 'OCCUPIED') AS occupied, count(*) FILTER (WHERE state = 'RESERVED') AS reserved
			FROM seats WHERE organization_id > $1 AND organization_id <= $2 GROUP BY organization_id
		) s ON s.organization_id = h.aggregate_id
		WHERE (coalesce(h.occupied, 0), coalesce(h.reserved, 0), coalesce(h.used, 0))
			<> (coalesce(s.occupied, 0), coalesce(s.reserved, 0), coalesce(s.occupied + s.reserved, 0))`},
	{id: "A1", services: []string{"billing"}, when: Always, subjects: none, advice: appendOnly, sql: `
		SELECT organization_id, '{}'::uuid[], format('revision %s of the ledger says %s used, after %s and a change of %s', revision, used_after, before, delta)
		FROM (
			SELECT organization_id, revision, used_after, occupied_delta + reserved_delta AS delta,
				lag(used_after, 1, 0) OVER (PARTITION BY organization_id ORDER BY revision) AS before
			FROM seat_ledger WHERE organization_id > $1 AND organization_id <= $2
		) l
		WHERE used_after <> before + delta`},
	{id: "A1", services: []string{"billing"}, when: Always, subjects: none, advice: appendOnly, sql: `
		SELECT h.aggregate_id, '{}'::uuid[], format('the counters say %s used, the end of the ledger %s', h.used, coalesce(l.used_after, 0))
		FROM heads h
		LEFT JOIN LATERAL (
			SELECT used_after FROM seat_ledger WHERE organization_id = h.aggregate_id ORDER BY revision DESC LIMIT 1
		) l ON true
		WHERE h.aggregate_id > $1 AND h.aggregate_id <= $2 AND h.used <> coalesce(l.used_after, 0)`},
	{id: "A2", services: []string{"billing"}, when: Always, subjects: none, sql: `
		SELECT organization_id, '{}'::uuid[], format('revision %s of the ledger reserved up to %s of %s', revision, used_after, cap_at)
		FROM seat_ledger
		WHERE organization_id > $1 AND organization_id <= $2 AND op = 'RESERVE' AND cap_at IS NOT NULL AND used_after > cap_at`},
	{id: "A3", services: []string{"invitation"}, when: Always, subjects: invitation, sql: `
		SELECT organization_id, array_agg(invitation_id ORDER BY invitation_id), format('%s live invitations for one address', count(*))
		FROM invitations
		WHERE organization_id > $1 AND organization_id <= $2 AND state IN ('RESERVING', 'PENDING', 'ACCEPTING') AND email_key <> ''
		GROUP BY organization_id, email_key HAVING count(*) > 1
		UNION ALL
		SELECT organization_id, array_agg(invitation_id ORDER BY invitation_id), format('%s live invitations for one username', count(*))
		FROM invitations
		WHERE organization_id > $1 AND organization_id <= $2 AND state IN ('RESERVING', 'PENDING', 'ACCEPTING') AND username_key <> ''
		GROUP BY organization_id, username_key HAVING count(*) > 1`},
	{id: "A4", services: []string{"membership"}, when: Always, subjects: account, sql: `
		SELECT organization_id, owners, format('ownership is %s, with %s owners by role, %s by flag, %s active members with full access',
			ownership, cardinality(owners), sole, fully)
		FROM (
			SELECT o.organization_id, o.policy ->> 'ownership' AS ownership,
				coalesce(array_agg(m.account_id ORDER BY m.account_id) FILTER (WHERE r.owner), '{}') AS owners,
				count(*) FILTER (WHERE m.sole_owner) AS sole,
				count(*) FILTER (WHERE r.owner IS DISTINCT FROM m.sole_owner) AS apart,
				count(*) FILTER (WHERE r.fully) AS fully
			FROM organizations o
			LEFT JOIN (members m JOIN (
				SELECT organization_id, role_id, owner, NOT EXISTS (
					SELECT FROM roles q, unnest(q.permissions) AS permission
					WHERE q.organization_id = a.organization_id AND permission <> ALL (a.permissions)) AS fully
				FROM roles a WHERE organization_id > $1 AND organization_id <= $2
			) r ON r.organization_id = m.organization_id AND r.role_id = m.role_id)
				ON m.organization_id = o.organization_id AND m.state = 'ACTIVE'
			WHERE o.organization_id > $1 AND o.organization_id <= $2 AND o.state = 'ACTIVE'
			GROUP BY o.organization_id
		) s
		WHERE CASE ownership
			WHEN 'SINGLE' THEN cardinality(owners) <> 1 OR sole <> 1 OR apart > 0
			WHEN 'MULTIPLE' THEN cardinality(owners) = 0
			ELSE fully = 0 END`},
	{id: "A5", services: []string{"membership"}, when: Always, subjects: account, sql: `
		SELECT organization_id, array_agg(account_id ORDER BY account_id), format('%s active members on one seat', count(*))
		FROM members
		WHERE organization_id > $1 AND organization_id <= $2 AND state = 'ACTIVE' AND seat_id IS NOT NULL
		GROUP BY organization_id, seat_id HAVING count(*) > 1`},
	{id: "A8", services: []string{"billing"}, when: Always, subjects: none, sql: `
		SELECT coalesce(e.aggregate_id, l.organization_id), '{}'::uuid[], CASE
			WHEN e.revision IS NULL THEN format('revision %s of the ledger has no event', l.revision)
			ELSE format('revision %s, %s, has no line in the ledger', e.revision, e.type) END
		FROM (
			SELECT aggregate_id, revision, id, type FROM events
			WHERE aggregate_id > $1 AND aggregate_id <= $2 AND type IN ('seat.reserved', 'seat.occupied', 'seat.released', 'seat.at_limit')
		) e
		FULL JOIN (
			SELECT organization_id, revision, event_id, op FROM seat_ledger WHERE organization_id > $1 AND organization_id <= $2
		) l ON l.organization_id = e.aggregate_id AND l.revision = e.revision AND l.event_id = e.id
		WHERE e.revision IS NULL OR l.revision IS NULL`},
	{id: "A9", services: []string{"invitation"}, when: Always, subjects: invitation, sql: `
		SELECT organization_id, array_agg(invitation_id ORDER BY invitation_id), format('%s invitations with one link', count(*))
		FROM invitations
		WHERE organization_id > $1 AND organization_id <= $2 AND token_hash IS NOT NULL
		GROUP BY organization_id, token_hash HAVING count(*) > 1
		UNION ALL
		SELECT organization_id, ARRAY[invitation_id], format('%s, and there is no link to answer', state)
		FROM invitations
		WHERE organization_id > $1 AND organization_id <= $2 AND state IN ('PENDING', 'ACCEPTING') AND token_hash IS NULL
		UNION ALL
		SELECT i.organization_id, ARRAY[i.invitation_id], format('generation %s is %s, delivery %s, with %s mails', i.generation, i.state, i.delivery, count(m.id))
		FROM invitations i
		LEFT JOIN mails m ON m.aggregate_id = i.organization_id AND m.reference = i.send_id
		WHERE i.organization_id > $1 AND i.organization_id <= $2 AND i.state IN ('PENDING', 'ACCEPTING', 'ACCEPTED')
		GROUP BY i.organization_id, i.invitation_id
		HAVING count(m.id) <> CASE i.delivery WHEN 'LINK' THEN 0 ELSE 1 END
		UNION ALL
		SELECT aggregate_id, ARRAY[reference], format('%s mails of one sending', count(*))
		FROM mails
		WHERE aggregate_id > $1 AND aggregate_id <= $2 AND reference IS NOT NULL
		GROUP BY aggregate_id, reference HAVING count(*) > 1`},
	{id: "A10", services: strings.Fields(every), when: Always, subjects: none, sql: `
		SELECT aggregate_id, '{}'::uuid[], format('%s stored answers for request %s of %s by %s, to %s different requests',
			count(*), request_id, method, principal, count(DISTINCT body_hash))
		FROM idempotency
		WHERE aggregate_id > $1 AND aggregate_id <= $2
		GROUP BY aggregate_id, principal, method, request_id HAVING count(*) > 1
		UNION ALL
		SELECT i.aggregate_id, '{}'::uuid[], format('the answer to request %s of %s by %s names revision %s of %s',
			i.request_id, i.method, i.principal, i.revision, coalesce(h.revision, 0))
		FROM idempotency i
		LEFT JOIN heads h ON h.aggregate_id = i.aggregate_id
		WHERE i.aggregate_id > $1 AND i.aggregate_id <= $2 AND i.revision > coalesce(h.revision, 0)`},
	{id: "A11", services: []string{"membership"}, when: Always, subjects: seat, sql: `
		SELECT organization_id, ARRAY[seat_id], format('%s operations %s of one seat', count(*), kind)
		FROM member_operations
		WHERE organization_id > $1 AND organization_id <= $2
		GROUP BY organization_id, seat_id, kind HAVING count(*) > 1`},
	{id: "A12", services: []string{"membership"}, when: Always, subjects: account, sql: `
		SELECT organization_id, array_agg(account_id ORDER BY account_id), format('%s members by one invitation', count(*))
		FROM members
		WHERE organization_id > $1 AND organization_id <= $2 AND state <> 'REMOVED' AND invitation_id IS NOT NULL
		GROUP BY organization_id, invitation_id HAVING count(*) > 1
		UNION ALL
		SELECT m.organization_id, ARRAY[m.account_id], format('%s on a seat that is to be given back: the operation is %s', m.state, o.state)
		FROM members m
		JOIN member_operations o ON o.organization_id = m.organization_id AND o.seat_id = m.seat_id AND o.kind = 'RELEASE'
		WHERE m.organization_id > $1 AND m.organization_id <= $2`},

	{id: "E1", services: []string{"membership"}, when: Always, subjects: seat, mend: scheduleOperation, mends: schedules, sql: `
		SELECT o.organization_id, ARRAY[o.seat_id], format('%s is PENDING, and not scheduled', o.kind)
		FROM member_operations o
		WHERE o.organization_id > $1 AND o.organization_id <= $2 AND o.state = 'PENDING' AND NOT EXISTS (
			SELECT FROM due d WHERE d.aggregate_id = o.organization_id AND d.id = o.seat_id
			AND d.kind = CASE o.kind WHEN 'CREATE' THEN 'organization' WHEN 'ENABLE' THEN 'enable' WHEN 'JOIN' THEN 'join_seat' WHEN 'DIRECT' THEN 'direct' WHEN 'RESET_MFA' THEN 'reset_mfa' WHEN 'RESET' THEN 'reset_password' WHEN 'REVOKE_SESSIONS' THEN 'revoke_sessions' WHEN 'CHANGE_EMAIL' THEN 'change_email' ELSE 'release' END)`},
	{id: "E1", services: []string{"invitation"}, when: Always, subjects: invitation, mend: scheduleInvitation, mends: schedules, sql: `
		SELECT i.organization_id, ARRAY[i.invitation_id], format('%s%s, and not scheduled', i.state, CASE WHEN i.releasing THEN ', to be released' END)
		FROM invitations i
		WHERE i.organization_id > $1 AND i.organization_id <= $2 AND (i.releasing OR i.state IN ('RESERVING', 'PENDING', 'ACCEPTING'))
		AND NOT EXISTS (SELECT FROM due d WHERE d.aggregate_id = i.organization_id AND d.kind = 'invitation' AND d.id = i.invitation_id)`},
	{id: "E1", services: []string{"billing"}, when: Always, subjects: seat, mend: scheduleReview, mends: schedules, sql: `
		SELECT s.organization_id, ARRAY[s.seat_id], 'RESERVED, and its review is not scheduled'
		FROM seats s
		WHERE s.organization_id > $1 AND s.organization_id <= $2 AND s.state = 'RESERVED'
		AND NOT EXISTS (SELECT FROM due d WHERE d.aggregate_id = s.organization_id AND d.kind = 'review' AND d.id = s.seat_id)`},
	{id: "E1", services: strings.Fields(every), when: Always, subjects: mail, mend: scheduleMail, mends: schedules, sql: `
		SELECT m.aggregate_id, ARRAY[m.id], 'QUEUED, and not scheduled'
		FROM mails m
		WHERE m.aggregate_id > $1 AND m.aggregate_id <= $2 AND m.state = 'QUEUED'
		AND NOT EXISTS (SELECT FROM due d WHERE d.aggregate_id = m.aggregate_id AND d.kind = 'mail' AND d.id = m.id)`},
	{id: "E1", services: []string{"membership"}, when: Settled, subjects: seat, advice: unfinished, sql: `
		SELECT organization_id, ARRAY[seat_id], format('%s is PENDING', kind)
		FROM member_operations
		WHERE organization_id > $1 AND organization_id <= $2 AND state = 'PENDING'`},
	{id: "E1", services: []string{"invitation"}, when: Settled, subjects: invitation, advice: unfinished, sql: `
		SELECT organization_id, ARRAY[invitation_id], format('%s%s', state, CASE WHEN releasing THEN ', to be released' END)
		FROM invitations
		WHERE organization_id > $1 AND organization_id <= $2 AND (releasing OR state IN ('RESERVING', 'ACCEPTING'))`},
	{id: "E1", services: strings.Fields(every), when: Settled, subjects: none, advice: unfinished, sql: `
		SELECT aggregate_id, ARRAY[id], CASE
			WHEN attempts >= 8 THEN format('%s was tried 8 times or more', kind)
			ELSE format('%s has been due for more than a minute', kind) END
		FROM due
		WHERE aggregate_id > $1 AND aggregate_id <= $2 AND (attempts >= 8 OR next_time < now() - interval '1 minute')`},
	{id: "E5", services: strings.Fields(every), when: Settled, subjects: none,
		advice: "The service's relay is not running or cannot reach NATS; its log says which.", sql: `
		SELECT aggregate_id, '{}'::uuid[], format('revision %s waits to be published', min(revision))
		FROM outbox
		WHERE aggregate_id > $1 AND aggregate_id <= $2
		GROUP BY aggregate_id`},
	{id: "E7", services: []string{"membership"}, when: Always, subjects: account, sql: `
		SELECT coalesce(m.organization_id, p.organization_id), ARRAY[coalesce(m.account_id, p.person_id)], CASE
			WHEN p.person_id IS NULL THEN format('is %s, and not listed', m.state)
			WHEN m.account_id IS NULL THEN 'is listed, and does not belong'
			WHEN s.person_id IS NULL THEN 'is listed, and cannot be searched for'
			ELSE format('is %s as %s, and listed as %s as %s', m.state, m.role, p.state, p.role) END
		FROM (
			SELECT m.organization_id, m.account_id, m.state, m.join_time, r.key AS role
			FROM members m LEFT JOIN roles r ON r.organization_id = m.organization_id AND r.role_id = m.role_id
			WHERE m.organization_id > $1 AND m.organization_id <= $2 AND m.state <> 'REMOVED'
		) m
		FULL JOIN (
			SELECT organization_id, person_id, state, role, join_time FROM people
			WHERE organization_id > $1 AND organization_id <= $2 AND kind = 'MEMBER'
		) p ON p.organization_id = m.organization_id AND p.person_id = m.account_id
		LEFT JOIN people_search s ON s.organization_id = p.organization_id AND s.person_id = p.person_id
		WHERE m.account_id IS NULL OR s.person_id IS NULL OR (m.state, m.role, m.join_time) IS DISTINCT FROM (p.state, p.role, p.join_time)`},
	{id: "E7", services: []string{"membership"}, when: Always, subjects: none, sql: `
		SELECT coalesce(c.organization_id, p.organization_id), '{}'::uuid[], format('%s members and %s invitations are listed, and counted as %s and %s',
			coalesce(p.members, 0), coalesce(p.invitations, 0), c.members, c.invitations)
		FROM (SELECT * FROM people_counts WHERE organization_id > $1 AND organization_id <= $2) c
		FULL JOIN (
			SELECT organization_id, count(*) FILTER (WHERE kind = 'MEMBER') AS members, count(*) FILTER (WHERE kind = 'INVITATION') AS invitations
			FROM people WHERE organization_id > $1 AND organization_id <= $2 GROUP BY organization_id
		) p ON p.organization_id = c.organization_id
		WHERE (coalesce(c.members, 0), coalesce(c.invitations, 0)) <> (coalesce(p.members, 0), coalesce(p.invitations, 0))`},
}

const unfinished = "The service's sweeper does not run or does not get through: its log says what is in the way. Nothing else may finish it."

// checkRules runs the rules of a service on a snapshot.
func (c *Checker) checkRules(ctx context.Context, tx pgx.Tx, service string, s span, o Options, r *Report) error {
	for _, rule := range rules {
		if !slices.Contains(rule.services, service) || rule.when == Settled && !o.Settled {
			continue
		}
		rows, _ := tx.Query(ctx, rule.sql, uuid(s.after), uuid(s.to))
		var key id.Any
		var ids []id.Any
		var detail string
		_, err := pgx.ForEachRow(rows, []any{&key, &ids, &detail}, func() error {
			subjects := make([]string, len(ids))
			for i, subject := range ids {
				subjects[i] = rule.subjects(subject)
			}
			f := Finding{ID: rule.id, Service: service, Organization: aggregate(service, key), Subject: strings.Join(subjects, " "),
				Detail: detail, Advice: rule.advice}
			if rule.mend != "" {
				f.Repair, f.repair = rule.mends, c.mend(service, rule.mend, key, ids)
			}
			r.add(f)
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", rule.id, err)
		}
	}
	return nil
}

// checkCreations looks for requests that made more than one organization: those have no history in common.
func (c *Checker) checkCreations(ctx context.Context, r *Report) error {
	return c.snapshot(ctx, "membership", func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `
			SELECT array_agg(organization_id ORDER BY organization_id), actor_account_id, request_id
			FROM member_operations
			WHERE kind = 'CREATE' AND request_id <> ''
			GROUP BY actor_account_id, request_id
			HAVING count(*) > 1 AND max(create_time) - min(create_time) < interval '1 day'`)
		var organizations []id.Organization
		var actor id.Account
		var request string
		_, err := pgx.ForEachRow(rows, []any{&organizations, &actor, &request}, func() error {
			r.add(Finding{ID: "A10", Service: "membership", Organization: organizations[0].String(), Subject: fmt.Sprint(organizations[1:]),
				Detail: fmt.Sprintf("request %s of %s made %d organizations", request, actor, len(organizations))})
			return nil
		})
		return err
	})
}

// aggregate is the id of an aggregate as people know it.
func aggregate(service string, key id.Any) string {
	if service == "identity" {
		return id.Account(key).String()
	}
	return id.Organization(key).String()
}
