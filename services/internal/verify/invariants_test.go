package verify_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/verify"
)

// breach is damage to the rows of one service: the last statement returns the aggregate, and the id of what is to be reported.
type breach struct {
	name       string // begins with the invariant that is reported
	service    string
	settled    bool
	kind       func(id.Any) string
	statements []string
	also       []string // other invariants that the same rows break
}

func account(i id.Any) string    { return id.Account(i).String() }
func invitation(i id.Any) string { return id.Invitation(i).String() }
func seat(i id.Any) string       { return id.Seat(i).String() }
func mail(i id.Any) string       { return id.Mail(i).String() }
func nothing(id.Any) string      { return "" }

// Rows that are there in every past.
const (
	pending  = `(SELECT invitation_id FROM invitations WHERE state = 'PENDING' AND delivery <> 'LINK' ORDER BY invitation_id LIMIT 1)`
	accepted = `(SELECT invitation_id FROM invitations WHERE state = 'ACCEPTED' ORDER BY invitation_id LIMIT 1)`
	joined   = `(SELECT organization_id, account_id FROM members WHERE state = 'ACTIVE' AND NOT sole_owner AND invitation_id IS NOT NULL ORDER BY account_id LIMIT 1)`
	sent     = `(SELECT id FROM events WHERE type = 'invitation.sent' ORDER BY id LIMIT 1)`
)

var breaches = []breach{
	{"A1_TheCountersAreNotTheSeats", "billing", false, nothing, []string{
		`UPDATE heads SET reserved = reserved + 1, used = used + 1 WHERE aggregate_id = (SELECT aggregate_id FROM heads WHERE cap IS NULL LIMIT 1)
		 RETURNING aggregate_id, NULL::uuid`}, nil},
	{"A1_TheLedgerDoesNotAddUp", "billing", false, nothing, []string{
		`UPDATE seat_ledger SET used_after = used_after + 1
		 WHERE event_id = (SELECT event_id FROM seat_ledger WHERE op = 'OCCUPY' ORDER BY revision LIMIT 1) RETURNING organization_id, NULL::uuid`}, nil},
	{"A2_TheLedgerIsAboveItsCap", "billing", false, nothing, []string{
		`ALTER TABLE seat_ledger DROP CONSTRAINT seat_ledger_growth`,
		`UPDATE seat_ledger SET cap_at = used_after - 1
		 WHERE event_id = (SELECT event_id FROM seat_ledger WHERE op = 'RESERVE' AND used_after > 2 LIMIT 1) RETURNING organization_id, NULL::uuid`}, nil},
	{"A3_TwoLiveInvitationsForOneAddress", "invitation", false, invitation, []string{
		`DROP INDEX invitations_live_email`,
		`UPDATE invitations i SET email_key = o.email_key FROM invitations o
		 WHERE i.organization_id = o.organization_id AND i.state = 'PENDING' AND o.state = 'PENDING' AND i.invitation_id < o.invitation_id
		 RETURNING i.organization_id, i.invitation_id`}, nil},
	{"A3_TwoLiveInvitationsForOneUsername", "invitation", false, invitation, []string{
		`DROP INDEX invitations_live_username`,
		`UPDATE invitations i SET username_key = o.username_key FROM invitations o
		 WHERE i.organization_id = o.organization_id AND i.state = 'PENDING' AND o.state = 'PENDING' AND i.invitation_id < o.invitation_id AND o.username_key <> ''
		 RETURNING i.organization_id, i.invitation_id`}, nil},
	{"A4_NobodyIsTheSoleOwner", "membership", false, account, []string{
		`UPDATE members SET sole_owner = false WHERE account_id = (SELECT account_id FROM members WHERE sole_owner LIMIT 1) RETURNING organization_id, account_id`}, nil},
	{"A4_TwoOwners", "membership", false, account, []string{
		`UPDATE roles r SET owner = true FROM members m
		 WHERE m.organization_id = r.organization_id AND m.role_id = r.role_id AND r.key = 'admin' AND m.state = 'ACTIVE' RETURNING m.organization_id, m.account_id`}, nil},
	{"A4_NobodyMayDoEverything", "membership", false, nothing, []string{
		`INSERT INTO roles (organization_id, role_id, key, display_name, description, color, rank, owner, permissions)
		 SELECT organization_id, gen_random_uuid(), 'more', '', '', '', 1, false, '{more}'
		 FROM organizations WHERE preset = 'flat' AND state = 'ACTIVE' LIMIT 1
		 RETURNING organization_id, NULL::uuid`}, nil},
	{"A5_TwoMembersOnOneSeat", "membership", false, account, []string{
		`ALTER TABLE members DROP CONSTRAINT members_seat`,
		`UPDATE members m SET seat_id = o.seat_id FROM members o
		 WHERE (m.organization_id, m.account_id) = ` + joined + ` AND o.organization_id = m.organization_id AND o.account_id <> m.account_id AND o.state = 'ACTIVE'
		 RETURNING m.organization_id, m.account_id`}, []string{"A8", "E2", "E3"}},
	{"A6_AnEventIsGone", "invitation", false, nothing, []string{`DELETE FROM events WHERE id = ` + sent + ` RETURNING aggregate_id, NULL::uuid`}, nil},
	{"A6_TheHeadIsAhead", "membership", false, nothing, []string{
		`UPDATE heads SET revision = revision + 1 WHERE aggregate_id = (SELECT organization_id FROM organizations WHERE state = 'ACTIVE' LIMIT 1) RETURNING aggregate_id, NULL::uuid`}, nil},
	{"A6_TheHeadIsGone", "invitation", false, nothing, []string{
		`DELETE FROM idempotency`,
		`DELETE FROM heads WHERE aggregate_id = (SELECT aggregate_id FROM heads LIMIT 1) RETURNING aggregate_id, NULL::uuid`}, nil},
	{"A6_ThereAreNoEvents", "billing", false, nothing, []string{
		`INSERT INTO heads (aggregate_id, part, revision) VALUES (gen_random_uuid(), 0, 2) RETURNING aggregate_id, NULL::uuid`}, nil},
	{"A7_AnEventWasChanged", "invitation", false, nothing, []string{`UPDATE events SET time = time + interval '1 second' WHERE id = ` + sent + ` RETURNING aggregate_id, NULL::uuid`}, nil},
	{"A7_APersonalPartWasChanged", "membership", false, nothing, []string{
		`UPDATE events SET personal = '{"displayName":"Eve"}' WHERE id = (SELECT id FROM events WHERE personal IS NOT NULL LIMIT 1) RETURNING aggregate_id, NULL::uuid`}, nil},
	{"A7_TheHeadHoldsAnotherHash", "invitation", false, nothing, []string{
		`UPDATE heads SET hash = sha256('other') WHERE aggregate_id = (SELECT aggregate_id FROM heads LIMIT 1) RETURNING aggregate_id, NULL::uuid`}, nil},
	{"A8_AnOrganizationHasAnotherName", "membership", false, nothing, []string{
		`UPDATE organizations SET display_name = 'Other' WHERE organization_id = (SELECT organization_id FROM organizations LIMIT 1) RETURNING organization_id, NULL::uuid`}, nil},
	{"A8_AMemberHasAnotherRole", "membership", false, account, []string{
		`WITH changed AS (
			UPDATE members m SET role_id = r.role_id FROM roles r
			WHERE (m.organization_id, m.account_id) = (SELECT organization_id, account_id FROM members WHERE state = 'ACTIVE' AND NOT sole_owner
				AND organization_id IN (SELECT organization_id FROM organizations WHERE preset = 'portal') LIMIT 1)
			AND r.organization_id = m.organization_id AND NOT r.owner AND r.role_id <> m.role_id
			RETURNING m.organization_id, m.account_id, r.key)
		 UPDATE people p SET role = c.key FROM changed c
		 WHERE p.organization_id = c.organization_id AND p.person_id = c.account_id RETURNING p.organization_id, p.person_id`}, nil},
	{"A8_AMemberIsGone", "membership", false, account, []string{
		`DELETE FROM people WHERE (organization_id, person_id) = ` + joined,
		`DELETE FROM members WHERE (organization_id, account_id) = ` + joined + ` RETURNING organization_id, account_id`}, []string{"E3"}},
	{"A8_AnInvitationExpiresAtAnotherTime", "invitation", false, invitation, []string{
		`UPDATE invitations SET expire_time = expire_time + interval '1 day' WHERE invitation_id = ` + pending + ` RETURNING organization_id, invitation_id`}, nil},
	{"A8_AnInvitationIsUnheardOf", "invitation", false, invitation, []string{
		`UPDATE invitations SET announced = false WHERE state = 'DECLINED' RETURNING organization_id, invitation_id`}, nil},
	{"A8_ASeatIsInAnotherState", "billing", false, seat, []string{
		`UPDATE seats SET state = 'DENIED' WHERE seat_id = (SELECT seat_id FROM seats WHERE state = 'RELEASED' AND owner_id IS NOT NULL LIMIT 1) RETURNING organization_id, seat_id`}, nil},
	{"A8_ACapThatNobodySet", "billing", false, nothing, []string{
		`UPDATE heads SET cap = 100, ceiling = 100 WHERE aggregate_id = (SELECT aggregate_id FROM heads LIMIT 1) RETURNING aggregate_id, NULL::uuid`}, nil},
	{"A8_ALineOfTheLedgerWithoutEvent", "billing", false, nothing, []string{
		`INSERT INTO seat_ledger (organization_id, event_id, revision, op, occupied_delta, reserved_delta, used_after, at)
		 SELECT aggregate_id, gen_random_uuid(), revision + 1, 'AT_LIMIT', 0, 0, used, now() FROM heads LIMIT 1 RETURNING organization_id, NULL::uuid`}, nil},
	{"A9_TwoInvitationsWithOneLink", "invitation", false, invitation, []string{
		`DROP INDEX invitations_token`,
		`UPDATE invitations i SET token_hash = o.token_hash FROM invitations o
		 WHERE i.invitation_id = ` + accepted + ` AND o.organization_id = i.organization_id AND o.invitation_id <> i.invitation_id AND o.token_hash IS NOT NULL
		 RETURNING i.organization_id, i.invitation_id`}, nil},
	{"A9_TwoMailsForOneGeneration", "invitation", false, invitation, []string{
		`WITH again AS (
			INSERT INTO mails (aggregate_id, id, kind, reference, state, create_time)
			SELECT m.aggregate_id, gen_random_uuid(), m.kind, m.reference, m.state, m.create_time
			FROM mails m JOIN invitations i ON i.send_id = m.reference WHERE i.invitation_id = ` + pending + ` RETURNING reference)
		 SELECT organization_id, invitation_id FROM invitations WHERE send_id = (SELECT reference FROM again)`}, nil},
	{"A9_TheMailOfAGenerationIsGone", "invitation", false, invitation, []string{
		`DELETE FROM mails m USING invitations i WHERE i.send_id = m.reference AND i.invitation_id = ` + pending + ` RETURNING i.organization_id, i.invitation_id`}, nil},
	{"A9_NobodyCanAnswer", "invitation", false, invitation, []string{
		`UPDATE invitations SET token_hash = NULL WHERE invitation_id = ` + pending + ` RETURNING organization_id, invitation_id`}, nil},
	{"A10_TwoAnswersToOneRequest", "membership", false, nothing, []string{
		`ALTER TABLE idempotency DROP CONSTRAINT idempotency_pkey`,
		`INSERT INTO idempotency (aggregate_id, principal, method, request_id, body_hash, revision, response, expire_time)
		 SELECT aggregate_id, principal, method, request_id, 'other', revision, response, expire_time FROM idempotency LIMIT 1 RETURNING aggregate_id, NULL::uuid`}, nil},
	{"A10_AnAnswerFromTheFuture", "invitation", false, nothing, []string{
		`UPDATE idempotency SET revision = 1000 WHERE request_id = (SELECT request_id FROM idempotency LIMIT 1) RETURNING aggregate_id, NULL::uuid`}, nil},
	{"A10_TwoOrganizationsByOneRequest", "membership", false, nothing, []string{
		`UPDATE member_operations SET request_id = 'same', actor_account_id = (SELECT actor_account_id FROM member_operations LIMIT 1) WHERE kind = 'CREATE' AND organization_id IN
			(SELECT organization_id FROM organizations ORDER BY organization_id LIMIT 2)`,
		`SELECT min(organization_id::text)::uuid, max(organization_id::text)::uuid FROM member_operations WHERE request_id = 'same'`}, nil},
	{"A11_OneSeatTwice", "membership", false, seat, []string{
		`ALTER TABLE member_operations DROP CONSTRAINT member_operations_pkey`,
		`INSERT INTO member_operations SELECT * FROM member_operations WHERE kind = 'RELEASE' LIMIT 1 RETURNING organization_id, seat_id`}, nil},
	{"A11_AnAdditionThatNoEventTells", "membership", false, seat, []string{
		`UPDATE member_operations SET revision = revision + 1
		 WHERE seat_id = (SELECT seat_id FROM member_operations WHERE kind = 'ADD' AND state = 'DONE' LIMIT 1) AND kind = 'ADD' RETURNING organization_id, seat_id`}, nil},
	{"A11_AnAdditionThatNoOperationNames", "membership", false, seat, []string{
		`DELETE FROM member_operations WHERE kind = 'ENABLE' RETURNING organization_id, seat_id`}, nil},
	{"A12_TwoMembersByOneInvitation", "membership", false, account, []string{
		`UPDATE members m SET invitation_id = o.invitation_id FROM members o
		 WHERE (o.organization_id, o.account_id) = ` + joined + ` AND m.organization_id = o.organization_id AND m.account_id <> o.account_id AND m.state = 'ACTIVE'
		 RETURNING m.organization_id, m.account_id`}, nil},
	{"A12_AMemberOnASeatThatWasGivenBack", "membership", false, account, []string{
		`INSERT INTO member_operations (organization_id, seat_id, kind, state, account_id, cause, request_id, display_name, email, username, create_time)
		 SELECT organization_id, seat_id, 'RELEASE', 'DONE', account_id, 'admin', '', '', '', '', now() FROM members WHERE state = 'ACTIVE' LIMIT 1
		 RETURNING organization_id, account_id`}, nil},
	{"A12_AcceptedBySomebodyWhoWasNeverAdded", "invitation", false, invitation, []string{
		`UPDATE invitations SET account_id = gen_random_uuid() WHERE invitation_id = ` + accepted + ` RETURNING organization_id, invitation_id`}, []string{"A8"}},

	{"E1_AnInvitationIsNotScheduled", "invitation", false, invitation, []string{
		`DELETE FROM due WHERE kind = 'invitation' AND id = ` + pending + ` RETURNING aggregate_id, id`}, nil},
	{"E1_AReviewIsNotScheduled", "billing", false, seat, []string{
		`DELETE FROM due WHERE id = (SELECT id FROM due WHERE kind = 'review' LIMIT 1) RETURNING aggregate_id, id`}, nil},
	{"E1_AnOperationIsNotScheduled", "membership", false, seat, []string{
		`UPDATE member_operations SET state = 'PENDING' WHERE seat_id = (SELECT seat_id FROM member_operations WHERE kind = 'RELEASE' LIMIT 1) AND kind = 'RELEASE'
		 RETURNING organization_id, seat_id`}, nil},
	{"E1_AMailIsNotScheduled", "identity", false, mail, []string{
		`UPDATE mails SET state = 'QUEUED' WHERE id = (SELECT id FROM mails LIMIT 1) RETURNING aggregate_id, id`}, nil},
	{"E1_AnOperationIsUnderWay", "membership", true, seat, []string{
		`UPDATE member_operations SET state = 'PENDING' WHERE seat_id = (SELECT seat_id FROM member_operations WHERE kind = 'RELEASE' LIMIT 1) AND kind = 'RELEASE'`,
		`INSERT INTO due (aggregate_id, kind, id, next_time)
		 SELECT organization_id, 'release', seat_id, now() FROM member_operations WHERE state = 'PENDING' RETURNING aggregate_id, id`}, nil},
	{"E1_AnInvitationGivesItsSeatBack", "invitation", true, invitation, []string{
		`INSERT INTO due (aggregate_id, kind, id, next_time) SELECT organization_id, 'invitation', invitation_id, now() FROM invitations WHERE state = 'REVOKED' LIMIT 1`,
		`UPDATE invitations SET releasing = true WHERE state = 'REVOKED' AND invitation_id IN (SELECT id FROM due) RETURNING organization_id, invitation_id`}, nil},
	{"E1_ATaskIsOverdue", "identity", true, nothing, []string{
		`INSERT INTO due (aggregate_id, kind, id, next_time) VALUES (gen_random_uuid(), 'sign_up', gen_random_uuid(), now() - interval '2 minutes') RETURNING aggregate_id, NULL::uuid`}, nil},
	{"E1_ATaskWasTriedInVain", "membership", true, nothing, []string{
		`INSERT INTO due (aggregate_id, kind, id, next_time, attempts) VALUES (gen_random_uuid(), 'sign_in', gen_random_uuid(), now() + interval '20 seconds', 8) RETURNING aggregate_id, NULL::uuid`}, nil},
	{"E5_AnEventWaits", "billing", true, nothing, []string{
		`INSERT INTO outbox (part, aggregate_id, revision) SELECT part, aggregate_id, revision FROM heads LIMIT 1 RETURNING aggregate_id, NULL::uuid`}, nil},
	{"E7_AMemberIsNotListed", "membership", false, account, []string{
		`DELETE FROM people WHERE (organization_id, person_id) = ` + joined + ` RETURNING organization_id, person_id`}, nil},
	{"E7_AMemberIsListedInAnotherRole", "membership", false, account, []string{
		`UPDATE people SET role = 'other' WHERE (organization_id, person_id) = ` + joined + ` RETURNING organization_id, person_id`}, nil},
	{"E7_AMemberCannotBeFound", "membership", false, account, []string{
		`DELETE FROM people_search WHERE (organization_id, person_id) = ` + joined + ` RETURNING organization_id, person_id`}, nil},
	{"E7_TheListIsCountedWrong", "membership", false, nothing, []string{
		`UPDATE people_counts SET invitations = invitations + 1 WHERE organization_id = (SELECT organization_id FROM people_counts LIMIT 1) RETURNING organization_id, NULL::uuid`}, nil},
	{"E7_AnInvitationIsNotListed", "membership", true, invitation, []string{
		`DELETE FROM people WHERE person_id = (SELECT person_id FROM people WHERE kind = 'INVITATION' LIMIT 1) RETURNING organization_id, person_id`}, nil},
	{"E7_AMemberIsListedUnderAnOldName", "membership", true, account, []string{
		`UPDATE people SET display_name = 'Other' WHERE (organization_id, person_id) = ` + joined + ` RETURNING organization_id, person_id`}, nil},
	{"E7_TheListHasNotHeardOfEverything", "membership", true, nothing, []string{
		`UPDATE positions SET revision = revision - 1 WHERE service = 'invitation' AND aggregate_id = (SELECT organization_id FROM organizations WHERE state = 'ACTIVE' LIMIT 1) RETURNING aggregate_id, NULL::uuid`}, nil},
}

// TestInvariants breaks the data of a healthy suite, one row at a time, and expects exactly that to be reported.
func TestInvariants(t *testing.T) {
	t.Parallel()
	for _, b := range breaches {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			w := theWorld(t, b.service)
			aggregate, subject := w.exec(b.service, b.statements...)
			key := id.Organization(aggregate).String()
			if b.service == "identity" {
				key = id.Account(aggregate).String()
			}
			w.finds(verify.Options{Settled: b.settled}, key, b.kind(subject), append([]string{invariant(b.name)}, b.also...)...)
		})
	}
}

// invariant is the id that a name begins with.
func invariant(name string) string {
	id, _, _ := strings.Cut(name, "_")
	return id
}

func TestWhatIsChecked(t *testing.T) {
	t.Parallel()
	var ids []string
	for _, i := range verify.Invariants {
		if len(ids) == 0 || ids[len(ids)-1] != i.ID {
			ids = append(ids, i.ID)
		}
	}
	require.Equal(t, []string{"A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9", "A10", "A11", "A12",
		"E1", "E2", "E3", "E4", "E5", "E6", "E7", "E8", "E9"}, ids)
}
