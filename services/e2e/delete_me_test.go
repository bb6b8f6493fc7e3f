package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/dev"
	"github.com/rosterhq/roster/services/internal/devmail"
)

// where returns the tables, as service.table, in which a word stands, as text or as bytes.
func where(t *testing.T, word string) (tables []string) {
	t.Helper()
	for service, db := range suite.owners {
		rows, err := db.Query(t.Context(), `SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'`)
		require.NoError(t, err)
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		for _, table := range all {
			var found bool
			require.NoError(t, db.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM `+table+` r CROSS JOIN LATERAL (SELECT lower(to_jsonb(r)::text) AS text) as_text
				WHERE position(lower($1) IN text) > 0 OR position(encode(convert_to($1, 'UTF8'), 'hex') IN text) > 0)`, word).Scan(&found))
			if found {
				tables = append(tables, service+"."+table)
			}
		}
	}
	return tables
}

// deletion is somebody whose account is full of words that are nobody else's.
type deletion struct {
	*person
	words map[string]string // by what they are
}

// full fills an account, and what an organization says of its person.
func full(t *testing.T, org *organization, me *person) deletion {
	t.Helper()
	ctx := t.Context()
	d := deletion{me, map[string]string{
		"address": strings.TrimSuffix(me.Email, "@example.com"), "sign-up name": me.Name, "name": unique("personal"), "username": unique("blocked"),
		"phone": fmt.Sprintf("+4420%08d", rand.IntN(1e8)), "overlay": unique("nickname"), "contact": unique("desk") + "@works.example",
		"desk phone": fmt.Sprintf("+4920%08d", rand.IntN(1e8)), "note": unique("dentist"),
	}}
	_, err := me.UpdateMe(ctx, &identityv1.UpdateMeRequest{DisplayName: d.words["name"], Username: d.words["username"], Phone: d.words["phone"]})
	require.NoError(t, err)
	_, err = org.edit(t, org.owner, me.ID, &membershipv1.UpdateMemberRequest{DisplayName: d.words["overlay"], ContactEmail: d.words["contact"], Phone: d.words["desk phone"]})
	require.NoError(t, err)
	_, err = me.CreateOverride(ctx, &membershipv1.CreateOverrideRequest{OrganizationId: org.ID, AccountId: me.ID,
		State: membershipv1.Availability_STATE_UNAVAILABLE, StartTime: in(-time.Minute), EndTime: in(time.Hour), Note: d.words["note"]})
	require.NoError(t, err)
	return d
}

// TestDeleteMe is about the end of an account.
func TestDeleteMe(t *testing.T) {
	t.Parallel()

	scenario(t, "C14 R43 nothing personal of a deleted account is left, in any table of any service", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		org.amend(t, `{"availability": true}`)
		me := signUp(t, over)
		org.admit(t, me, "admin")
		d := full(t, org, me)
		invited := unique("invited") + "@example.com"
		_, err := me.CreateInvitation(t.Context(), org.invitation(t, invited))
		require.NoError(t, err)
		org.shown(t)
		for what, word := range d.words {
			require.NotEmpty(t, where(t, word), "the test has put the %s somewhere", what)
		}
		used := org.seats(t).GetUsed()

		answer, err := me.DeleteMe(t.Context(), &identityv1.DeleteMeRequest{})
		require.NoError(t, err)
		require.True(t, answer.GetDeleted())
		eventually(t, func() bool {
			_, err := me.GetMe(t.Context(), &identityv1.GetMeRequest{})
			return err != nil
		}, "the session is over")
		_, err = connect(over, "").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
			Email: me.Email, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)
		for _, row := range org.people(t, org.owner) {
			require.NotEqual(t, me.ID, row.GetAccountId())
		}
		require.Equal(t, used-1, org.seats(t).GetUsed(), "the seat is free")
		mailTo(t, me.Email, func(m devmail.Received) bool { return m.Subject == "Your account is being deleted" })
		mailTo(t, me.Email, func(m devmail.Received) bool { return m.Subject == "Your account is deleted" })
		for what, word := range d.words {
			var left []string
			eventually(t, func() bool {
				left = where(t, word)
				return len(left) == 0 || what == "username" && len(left) == 1 && left[0] == "identity.usernames" // for ever
			}, what+" is still kept")
			t.Logf("%s: %v", what, left)
		}
		require.NotEmpty(t, where(t, invited), "whom others know is theirs")
	})

	scenario(t, "C14 R83 a deleted account is nobody in a history that is as it was, and verifies", func(t *testing.T, over string) {
		org := create(t, over, portal)
		me, other := org.join(t, "admin"), org.join(t, "member")
		invited := unique("invited") + "@example.com"
		_, err := me.CreateInvitation(t.Context(), org.invitation(t, invited))
		require.NoError(t, err)
		org.shown(t)
		before := org.audit(t, org.owner)

		_, err = me.DeleteMe(t.Context(), &identityv1.DeleteMeRequest{})
		require.NoError(t, err)
		eventually(t, func() bool { return len(where(t, me.Email)) == 0 }, "the address is erased")
		org.shown(t)
		after := org.audit(t, org.owner)
		told := map[string]*membershipv1.AuditEvent{}
		for _, e := range after {
			told[e.GetId()] = e
		}
		mine := 0
		for _, was := range before {
			is := told[was.GetId()]
			require.NotNil(t, is, "%s is gone", was.GetType())
			require.Equal(t, was.GetType()+was.GetActor().GetId(), is.GetType()+is.GetActor().GetId())
			if is.GetActor().GetId() == me.ID {
				mine++
				require.Equal(t, "Deleted user", is.GetActor().GetDisplayName())
				require.Empty(t, is.GetClientAddress())
			}
			for _, target := range is.GetTargets() {
				if target.GetId() == me.ID {
					require.Equal(t, "Deleted user", target.GetDisplayName())
				}
				if target.GetId() == other.ID {
					require.Equal(t, other.Name, target.GetDisplayName())
				}
			}
			if was.GetEmail() == invited || was.GetEmail() == other.Email {
				require.Equal(t, was.GetEmail(), is.GetEmail(), "what somebody else is told of in is theirs")
			}
		}
		require.Positive(t, mine)
		require.Len(t, org.audit(t, org.owner, func(r *membershipv1.ListAuditEventsRequest) { r.Types = []string{"member.left"} }), 1)
		verdicts, intact := org.proven(t, org.owner)
		require.True(t, intact, "%v", verdicts)
	})

	scenario(t, "C14 whoever comes back with the address of a deleted account is somebody else", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		me := signUp(t, over)
		org.admit(t, me, "member")
		d := full(t, org, me)
		_, err := me.DeleteMe(t.Context(), &identityv1.DeleteMeRequest{})
		require.NoError(t, err)
		used, anybody := mailLink(t, me.Email, "/verify/"), connect(over, "")
		_, err = anybody.SignUp(t.Context(), &identityv1.SignUpRequest{Email: me.Email, Password: password, DisplayName: "Ada"})
		require.NoError(t, err)
		link := linkWith(mailTo(t, me.Email, func(m devmail.Received) bool {
			link := linkWith(m, "/verify/")
			return link != "" && lastSegment(link) != used
		}), "/verify/")
		_, err = anybody.VerifyEmail(t.Context(), &identityv1.VerifyEmailRequest{Token: lastSegment(link)})
		require.NoError(t, err)
		again := signIn(t, over, me.Email)
		require.NotEqual(t, me.ID, again.ID)
		own, err := again.ListOrganizations(t.Context(), &membershipv1.ListOrganizationsRequest{})
		require.NoError(t, err)
		require.Empty(t, own.GetOrganizations())
		_, err = again.UpdateMe(t.Context(), &identityv1.UpdateMeRequest{Username: d.words["username"]})
		refused(t, err, errorv1.Reason_REASON_USERNAME_TAKEN)
		org.admit(t, again, "member")
		require.True(t, org.can(t, again, "org.read"), "they are asked in like anybody")
	})

	scenario(t, "RB6 nobody deletes their account while they alone can do everything somewhere", func(t *testing.T, over string) {
		org, second := create(t, over, pipeline), ""
		owner := org.owner
		second = createBy(t, owner, flat).ID
		for _, validate := range []bool{true, false} {
			_, err := owner.DeleteMe(t.Context(), &identityv1.DeleteMeRequest{ValidateOnly: validate})
			named := refused(t, err, errorv1.Reason_REASON_LAST_OWNER).Metadata["organizationIds"]
			require.ElementsMatch(t, []string{org.ID, second}, strings.Split(named, ","))
			require.Contains(t, err.Error(), org.Name)
		}
		for _, one := range []string{org.ID, second} {
			_, err := owner.DeleteOrganization(t.Context(), &membershipv1.DeleteOrganizationRequest{OrganizationId: one})
			require.NoError(t, err)
		}
		answer, err := owner.DeleteMe(t.Context(), &identityv1.DeleteMeRequest{})
		require.NoError(t, err)
		require.True(t, answer.GetDeleted())
		eventually(t, func() bool { return len(where(t, owner.Email)) == 0 }, "in organizations that are gone, too")
	})

	scenario(t, "C14 RB22 an operator deletes an account, and organizations see who did it", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		me := org.join(t, "developer")
		_, err := operator(over).DeleteAccount(t.Context(), &identityv1.DeleteAccountRequest{AccountId: org.owner.ID, Reason: "a fraud"})
		require.Contains(t, refused(t, err, errorv1.Reason_REASON_LAST_OWNER).Metadata["organizationIds"], org.ID)
		request := &identityv1.DeleteAccountRequest{AccountId: me.ID, Reason: "a fraud", RequestId: unique("once")}
		for range 2 {
			answer, err := operator(over).DeleteAccount(t.Context(), request)
			require.NoError(t, err)
			require.True(t, answer.GetDeleted())
		}
		eventually(t, func() bool {
			_, err := me.GetMe(t.Context(), &identityv1.GetMeRequest{})
			return err != nil
		}, "the session is over")
		eventually(t, func() bool { return len(where(t, me.Email)) == 0 }, "the address is erased")
		org.shown(t)
		log := org.audit(t, org.owner, func(req *membershipv1.ListAuditEventsRequest) { req.Types = []string{"member.left"} })
		require.Len(t, log, 1)
		require.Equal(t, membershipv1.AuditEvent_Actor_KIND_OPERATOR, log[0].GetActor().GetKind())
		_, err = operator(over).DeleteAccount(t.Context(), &identityv1.DeleteAccountRequest{AccountId: me.ID, Reason: "a fraud"})
		refused(t, err, errorv1.Reason_REASON_ACCOUNT_NOT_FOUND)
	})

	t.Run("C14 every table that knows accounts is erased, or says why not", func(t *testing.T) {
		t.Parallel()
		// What stays of an account are ids, which are nobody's by then.
		kept := map[string]string{
			"identity.account_creations":   "a late call makes no second account",
			"identity.usernames":           "a username is never anybody else's",
			"membership.members":           "history: REMOVED",
			"membership.member_operations": "answers by seat, for ever; without names",
			"invitation.invitations":       "history: who accepted; without name and address",
			"billing.seats":                "who sat on it last",
		}
		for service := range dev.Migrations {
			rows, err := suite.owners[service].Query(t.Context(), `SELECT DISTINCT table_name::text FROM information_schema.columns
				WHERE table_schema = 'public' AND column_name IN ('account_id', 'owner_account_id', 'person_id') ORDER BY 1`)
			require.NoError(t, err)
			tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
			require.NoError(t, err)
			if service == "identity" {
				continue // its own test fills each, and looks
			}
			for _, table := range tables {
				if kept[service+"."+table] == "" {
					require.Contains(t, erased, service+"."+table, "erase it with the account, or say here why not")
				}
			}
		}
	})
}

// erased are the tables of other services than identity whose rows go with the account, and what takes them away.
var erased = map[string]string{
	"invitation.hands":                 "erasing",
	"membership.account_factors":       "the event",
	"membership.availability_reports":  "the list of people",
	"membership.group_members":         "the membership",
	"membership.joins":                 "erasing",
	"membership.overrides":             "the list of people",
	"membership.ownership_transfers":   "the membership",
	"membership.people":                "the membership",
	"membership.people_search":         "the list of people",
	"membership.project_members":       "the membership",
	"membership.rotation_participants": "the list of people",
	"membership.unproven_accounts":     "the event",
	"membership.weekly_hours":          "the list of people",
}
