package invitation_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/invitation"
)

// errDisabled is membership's answer to a disabled member.
var errDisabled = fault.New(errorv1.Reason_REASON_MEMBER_DISABLED, "Disabled.")

func TestCreateInvitation(t *testing.T) {
	t.Parallel()
	h := newHarness(t, invitation.Limits{})

	refusals := []struct {
		reason  errorv1.Reason
		arrange func(organization, *invitationv1.CreateInvitationRequest)
	}{
		{errorv1.Reason_REASON_VALIDATION_FAILED, func(_ organization, req *invitationv1.CreateInvitationRequest) { req.Email = "nobody" }},
		{errorv1.Reason_REASON_VALIDATION_FAILED, func(o organization, req *invitationv1.CreateInvitationRequest) {
			req.Email, h.peers.organizations[o.id.String()].policy.Email = "", membershipv1.Requirement_REQUIREMENT_REQUIRED
		}},
		{errorv1.Reason_REASON_VALIDATION_FAILED, func(_ organization, req *invitationv1.CreateInvitationRequest) { req.DisplayName = "Ada\u202eb" }},
		{errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE, func(_ organization, req *invitationv1.CreateInvitationRequest) { req.Role = "owner" }},
		{errorv1.Reason_REASON_ALREADY_MEMBER, func(o organization, req *invitationv1.CreateInvitationRequest) {
			h.peers.organizations[o.id.String()].seat[h.peers.signUp(req.GetEmail()).String()] = "a seat"
		}},
		{errorv1.Reason_REASON_INVITATION_PENDING, func(o organization, req *invitationv1.CreateInvitationRequest) { o.invite(t, req.GetEmail(), "") }},
		{errorv1.Reason_REASON_INVITATION_PENDING, func(o organization, req *invitationv1.CreateInvitationRequest) { o.invite(t, "", req.GetUsername()) }},
		{errorv1.Reason_REASON_USERNAME_TAKEN, func(_ organization, req *invitationv1.CreateInvitationRequest) {
			h.peers.usernames[req.GetUsername()] = hold{owner: "somebody"}
		}},
		{errorv1.Reason_REASON_SEAT_LIMIT_REACHED, func(o organization, _ *invitationv1.CreateInvitationRequest) { h.peers.total[o.id.String()] = 0 }},
		{errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND, func(o organization, _ *invitationv1.CreateInvitationRequest) {
			h.peers.organizations[o.id.String()].deleted = true
		}},
		{errorv1.Reason_REASON_PERMISSION_MISSING, func(o organization, _ *invitationv1.CreateInvitationRequest) {
			h.peers.refuse(o.id, o.admin, errMissing)
		}},
		{errorv1.Reason_REASON_MEMBER_DISABLED, func(o organization, _ *invitationv1.CreateInvitationRequest) {
			h.peers.refuse(o.id, o.admin, errDisabled)
		}},
		{errorv1.Reason_REASON_REQUEST_ID_REUSED, func(o organization, req *invitationv1.CreateInvitationRequest) {
			other := o.asks(address(), "")
			other.RequestId, req.RequestId = "once", "once"
			_, err := o.client.CreateInvitation(as(t, o.admin), other)
			require.NoError(t, err)
		}},
	}
	for _, c := range refusals {
		t.Run(c.reason.String(), func(t *testing.T) {
			o := h.organization()
			req := o.asks(address(), username())
			c.arrange(o, req)
			before := len(o.types(t))
			_, err := o.client.CreateInvitation(as(t, o.admin), req)
			refused(t, err, c.reason)
			o.sweep(t)
			require.LessOrEqual(t, len(o.types(t)), before+1, "nobody hears of it") // one more: the mail of the one before
			listed, err := o.client.ListInvitations(as(t, o.admin), &invitationv1.ListInvitationsRequest{OrganizationId: o.id.String()})
			if err == nil {
				for _, i := range listed.GetInvitations() {
					require.NotEqual(t, invitationv1.Invitation_STATE_FAILED, i.GetState())
				}
			}
		})
	}

	t.Run("UNAUTHENTICATED", func(t *testing.T) {
		_, err := h.client.CreateInvitation(t.Context(), h.organization().asks(address(), ""))
		refused(t, err, errorv1.Reason_REASON_UNAUTHENTICATED)
	})

	t.Run("ADeniedAttemptCannotBeFoundSentAgainOrRevoked", func(t *testing.T) {
		o := h.organization()
		h.peers.total[o.id.String()] = 0
		_, err := o.client.CreateInvitation(as(t, o.admin), o.asks(address(), ""))
		f := refused(t, err, errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
		require.Equal(t, "0", f.Metadata["total"])
		require.NotEmpty(t, f.Help)
		i := invited{organization: o, id: o.kept(t)[0].InvitationID.String()}
		_, err = o.client.GetInvitation(as(t, o.admin), &invitationv1.GetInvitationRequest{OrganizationId: o.id.String(), InvitationId: i.id})
		refused(t, err, errorv1.Reason_REASON_INVITATION_NOT_FOUND)
		_, err = i.resend(t)
		refused(t, err, errorv1.Reason_REASON_INVITATION_NOT_FOUND)
		_, err = i.revoke(t)
		refused(t, err, errorv1.Reason_REASON_INVITATION_NOT_FOUND)
	})

	t.Run("T06 an overdue invitation blocks neither its person nor its seat, however many there are", func(t *testing.T) {
		h.peers.reset()
		o := h.organization()
		var all []invited
		for range 25 {
			all = append(all, link(t, o))
		}
		for _, i := range all {
			i.age(t)
		}
		late := all[len(all)-1]
		person := late.row(t, "username")
		h.peers.with(func() { h.peers.total[o.id.String()] = h.peers.used() })
		again := o.invite(t, "", person)
		require.Equal(t, "EXPIRED", late.state(t))
		refused(t, late.preview(t), errorv1.Reason_REASON_INVITATION_EXPIRED)
		require.NoError(t, again.preview(t))
		o.sweep(t)
		o.consistent(t)
	})

	t.Run("AReplayAnswersTheFirstAttemptWhateverCameLater", func(t *testing.T) {
		o := h.organization()
		req := o.asks("", username())
		req.RequestId = "once"
		made, err := o.client.CreateInvitation(as(t, o.admin), req)
		require.NoError(t, err)
		i := invited{organization: o, id: made.GetInvitation().GetId()}
		i.age(t)
		o.sweep(t)
		h.peers.with(func() { h.peers.total[o.id.String()] = 0 })
		_, err = i.resend(t)
		refused(t, err, errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
		again, err := o.client.CreateInvitation(as(t, o.admin), req)
		require.NoError(t, err, "this request was granted; a later one was not")
		require.Equal(t, made.GetLink(), again.GetLink())
		require.Equal(t, invitationv1.Invitation_STATE_EXPIRED, again.GetInvitation().GetState())
	})

	t.Run("AnOrganizationThatIsDeletedMeanwhileGetsNoInvitationAndNoMail", func(t *testing.T) {
		o := h.organization()
		person := address()
		calls := 0
		h.peers.lose = func(method string, after bool) error {
			if method == "AuthorizeInvitation" && after {
				if calls++; calls == 1 {
					h.peers.with(func() { h.peers.organizations[o.id.String()].deleted = true })
				}
			}
			return nil
		}
		_, err := o.client.CreateInvitation(as(t, o.admin), o.asks(person, ""))
		h.heal()
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		o.sweep(t)
		require.Empty(t, h.post.link(person))
		require.Equal(t, "FAILED", o.kept(t)[0].State)
	})

	t.Run("ASlowMembershipMakesNoMailWithoutNames", func(t *testing.T) {
		h.peers.reset()
		o := h.organization()
		person := address()
		calls := 0
		h.peers.lose = func(method string, after bool) error {
			if method == "AuthorizeInvitation" && !after {
				if calls++; calls > 1 {
					return fault.New(errorv1.Reason_REASON_DEADLINE_EXCEEDED, "Too slow.")
				}
			}
			return nil
		}
		_, err := o.client.CreateInvitation(as(t, o.admin), o.asks(person, ""))
		h.heal()
		f := refused(t, err, errorv1.Reason_REASON_UNAVAILABLE)
		require.Positive(t, f.Retry)
		o.sweep(t)
		require.Contains(t, h.post.sent[len(h.post.sent)-1].Text, "Acme")
		o.consistent(t)
	})
}

func TestDailyLimits(t *testing.T) {
	t.Parallel()
	h := newHarness(t, invitation.Limits{PerOrganization: 3, PerInviter: 4})

	t.Run("R28 the organization's limit counts first attempts and resends, and ends at midnight UTC", func(t *testing.T) {
		o := h.organization()
		i := link(t, o)
		_, err := i.resend(t)
		require.NoError(t, err)
		link(t, o)
		for _, call := range []func() error{
			func() error { _, err := o.client.CreateInvitation(as(t, o.admin), o.asks("", username())); return err },
			func() error { return resend(t, i) },
			func() error {
				_, err := o.client.CreateInvitationLink(as(t, o.admin), &invitationv1.CreateInvitationLinkRequest{OrganizationId: o.id.String(), InvitationId: i.id})
				return err
			},
		} {
			f := refused(t, call(), errorv1.Reason_REASON_RATE_LIMITED)
			require.Equal(t, []string{"perOrganization", "3"}, []string{f.Metadata["limit"], f.Metadata["most"]})
			require.Positive(t, f.Retry)
			require.LessOrEqual(t, f.Retry, 24*time.Hour)
		}
		require.NoError(t, func() error { _, err := i.revoke(t); return err }(), "taking back is never limited")

		_, err = h.rows.Exec(t.Context(), `UPDATE sent_today SET day = day - 1 WHERE subject_id IN ($1, $2)`, o.id, o.admin)
		require.NoError(t, err)
		link(t, o)
		var sent int
		require.NoError(t, h.rows.QueryRow(t.Context(), `SELECT sent FROM sent_today WHERE subject_id = $1`, o.id).Scan(&sent))
		require.Equal(t, 1, sent)
	})

	t.Run("R28 the inviter's limit goes across organizations", func(t *testing.T) {
		first := h.organization()
		second := organization{harness: h, id: id.NewOrganization(), admin: first.admin}
		h.peers.found(second.id, second.admin)
		link(t, first)
		link(t, first)
		link(t, second)
		link(t, second)
		_, err := second.client.CreateInvitation(as(t, second.admin), second.asks("", username()))
		f := refused(t, err, errorv1.Reason_REASON_RATE_LIMITED)
		require.Equal(t, []string{"perInviter", "4"}, []string{f.Metadata["limit"], f.Metadata["most"]})

		other := h.peers.signUp("")
		h.peers.with(func() { h.peers.organizations[second.id.String()].seat[other.String()] = "a seat" })
		second.admin = other
		link(t, second)
	})

	t.Run("ARepeatedRequestIsNotCounted", func(t *testing.T) {
		o := h.organization()
		req := o.asks("", username())
		req.RequestId = "once"
		for range 6 {
			_, err := o.client.CreateInvitation(as(t, o.admin), req)
			require.NoError(t, err)
		}
		link(t, o)
	})
}
