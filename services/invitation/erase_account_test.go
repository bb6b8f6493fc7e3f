package invitation_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	"github.com/rosterhq/roster/pkg/events"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/invitation"
)

// deleted tells as identity does that an account was deleted.
func (h *harness) deleted(account id.Account) {
	h.Helper()
	h.peers.with(func() {
		delete(h.peers.accounts, account.String())
		h.peers.gone[account.String()] = true
	})
	require.NoError(h, h.service.AccountDeleted(h.Context(), events.Event{Aggregate: account.String()}))
}

// erase runs the task that follows from it.
func (h *harness) erase(account id.Account) error {
	return h.service.Steps()["erase"](h.Context(), saga.For(account, "erase", account))
}

// keeps lists the tables in which a word stands.
func (h *harness) keeps(word string) (tables []string) {
	h.Helper()
	for _, table := range []string{"invitations", "events", "idempotency", "mails", "due"} {
		var found bool
		require.NoError(h, h.rows.QueryRow(h.Context(), `SELECT EXISTS (SELECT FROM `+table+` r WHERE position(lower($1) IN lower(to_jsonb(r)::text)) > 0
			OR position(encode(convert_to($1, 'UTF8'), 'hex') IN to_jsonb(r)::text) > 0)`, word).Scan(&found))
		if found {
			tables = append(tables, table)
		}
	}
	return tables
}

func TestEraseAccount(t *testing.T) {
	t.Parallel()

	t.Run("C14 Nothing is left of whom the invitation was to, who has accepted it", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, invitation.Limits{})
		o := h.organization()
		i := mailed(t, o)
		answer, err := i.accept(t, nobody)
		require.NoError(t, err)
		ada, err := id.ParseAccount(answer.GetAccountId())
		require.NoError(t, err)
		require.NotEmpty(t, h.keeps(i.email))
		other := mailed(t, o)

		for range 2 {
			h.deleted(ada)
			require.NoError(t, h.erase(ada))
		}
		require.Empty(t, h.keeps(i.email))
		require.Empty(t, h.keeps("Grace Hopper"))
		require.Equal(t, []string{"invitations", "events", "mails"}[:2], h.keeps(other.email)[:2], "whoever has not accepted is nobody's account")
		require.Equal(t, "ACCEPTED", i.state(t))
		shown, err := o.client.GetInvitation(as(t, o.admin), &invitationv1.GetInvitationRequest{OrganizationId: o.id.String(), InvitationId: i.id})
		require.NoError(t, err)
		require.Empty(t, shown.GetInvitation().GetEmail()+shown.GetInvitation().GetUsername()+shown.GetInvitation().GetDisplayName())
		refused(t, acceptNew(t, i), errorv1.Reason_REASON_INVITATION_USED)
		require.NoError(t, acceptNew(t, other))
		for _, task := range h.tasks(t) {
			require.NotEqual(t, "erase", task.Kind)
		}
	})

	t.Run("C14 What somebody sent whose account is deleted stays whom it is to, and lets nobody in", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, invitation.Limits{})
		o := h.organization()
		i := mailed(t, o)
		second := h.peers.signUp("")
		h.peers.with(func() {
			seats := h.peers.organizations[o.id.String()].seat
			delete(seats, o.admin.String()) // whose membership has ended
			seats[second.String()] = "the second's"
		})
		h.deleted(o.admin)
		require.NoError(t, h.erase(o.admin))
		require.Equal(t, []string{"invitations"}, h.keeps(i.email), "theirs, and where it was sent from is not")
		refused(t, acceptNew(t, i), errorv1.Reason_REASON_INVITATION_FAILED)
		i.admin = second
		require.NoError(t, resend(t, i), "somebody else sends it again")
		h.sweep(t)
		i.token = h.post.link(i.email)
		require.NoError(t, acceptNew(t, i))
		require.Equal(t, "ACCEPTED", i.state(t))
	})

	t.Run("C14 Whoever has revoked or sent again what others sent is not told of any more", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, invitation.Limits{})
		o := h.organization()
		revoked, sent := mailed(t, o), mailed(t, o)
		bob, carol := h.peers.signUp(""), h.peers.signUp("")
		h.peers.with(func() {
			seats := h.peers.organizations[o.id.String()].seat
			seats[bob.String()], seats[carol.String()] = "bob's", "carol's"
		})
		_, err := h.client.RevokeInvitation(metadata.AppendToOutgoingContext(as(t, bob), "x-roster-client-address", "203.0.113.9"),
			&invitationv1.RevokeInvitationRequest{OrganizationId: o.id.String(), InvitationId: revoked.id})
		require.NoError(t, err)
		for _, by := range []id.Account{carol, o.admin} { // who is the inviter, in the end
			sent.admin = by
			require.NoError(t, resend(t, sent))
		}
		toldOf := func(who id.Account) (events int) {
			require.NoError(t, h.rows.QueryRow(t.Context(), `SELECT count(*) FROM events WHERE personal IS NOT NULL AND position(convert_to($1, 'UTF8') IN data) > 0`,
				who.String()).Scan(&events))
			return events
		}
		for _, who := range []id.Account{bob, carol} {
			require.Equal(t, 1, toldOf(who))
			h.deleted(who)
			require.NoError(t, h.erase(who))
			require.Zero(t, toldOf(who))
		}
		require.Equal(t, 3, toldOf(o.admin), "what others did stays")
		h.sweep(t)
		sent.token = h.post.link(sent.email)
		require.NoError(t, acceptNew(t, sent))
	})

	t.Run("C14 An acceptance whose account is deleted meanwhile fails, and is erased then", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, invitation.Limits{})
		o := h.organization()
		i := link(t, o)
		ada := h.peers.signUp("")
		h.peers.lose = func(method string, after bool) error {
			if method == "OccupySeat" && after {
				h.deleted(ada)
				return errDown
			}
			return nil
		}
		_, err := i.accept(t, ada)
		refused(t, err, errorv1.Reason_REASON_UNAVAILABLE)
		require.Equal(t, "ACCEPTING", i.state(t))
		require.Error(t, h.erase(ada), "it is too early")
		require.NotEmpty(t, i.row(t, "username"))

		h.heal()
		for _, task := range h.tasks(t) {
			if task.Kind != "erase" {
				require.NoError(t, h.service.Steps()[task.Kind](t.Context(), task), task.Kind)
			}
		}
		require.Equal(t, []string{"FAILED", "ACCOUNT_NOT_FOUND"}, []string{i.state(t), i.row(t, "failure_reason")})
		require.NoError(t, h.erase(ada))
		require.Empty(t, i.row(t, "username || display_name"))
		refused(t, resend(t, i), errorv1.Reason_REASON_STATE_CONFLICT)
		require.Equal(t, "FAILED", i.state(t), "nobody is left whom it would be to")
		o.sweep(t)
		o.consistent(t)
	})

	t.Run("C14 An acceptance that is faster is erased", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, invitation.Limits{})
		o := h.organization()
		i := link(t, o)
		ada := h.peers.signUp("")
		h.peers.lose = func(method string, after bool) error {
			if method == "AddMember" && after {
				h.deleted(ada)
				return errDown
			}
			return nil
		}
		_, err := i.accept(t, ada)
		refused(t, err, errorv1.Reason_REASON_UNAVAILABLE)
		require.Error(t, h.erase(ada))
		h.heal()
		for _, task := range h.tasks(t) {
			if task.Kind != "erase" {
				require.NoError(t, h.service.Steps()[task.Kind](t.Context(), task), task.Kind)
			}
		}
		require.Equal(t, "ACCEPTED", i.state(t))
		require.NoError(t, h.erase(ada))
		require.Empty(t, i.row(t, "username || display_name"))
		o.sweep(t)
		o.consistent(t)
	})

	t.Run("C14 What is to the same address again is somebody else's", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, invitation.Limits{})
		o := h.organization()
		i := mailed(t, o)
		answer, err := i.accept(t, nobody)
		require.NoError(t, err)
		ada, err := id.ParseAccount(answer.GetAccountId())
		require.NoError(t, err)
		h.deleted(ada)
		again := o.invite(t, i.email, username())
		require.NoError(t, h.erase(ada))
		require.Equal(t, "PENDING", again.state(t))
		require.Equal(t, i.email, again.row(t, "email"))
		require.NoError(t, acceptNew(t, again))
	})
}
