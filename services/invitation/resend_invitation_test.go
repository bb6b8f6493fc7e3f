package invitation_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/invitation"
)

func TestResendInvitation(t *testing.T) {
	t.Parallel()
	h := newHarness(t, invitation.Limits{})
	newLink := func(t *testing.T, i invited) (*invitationv1.CreateInvitationLinkResponse, error) {
		return i.client.CreateInvitationLink(as(t, i.admin), &invitationv1.CreateInvitationLinkRequest{OrganizationId: i.organization.id.String(), InvitationId: i.id})
	}
	verbs := map[string]func(*testing.T, invited) error{
		"Resend":  resend,
		"NewLink": func(t *testing.T, i invited) error { _, err := newLink(t, i); return err },
	}
	for name, again := range verbs {
		for _, reason := range []errorv1.Reason{errorv1.Reason_REASON_INVITATION_REVOKED, errorv1.Reason_REASON_INVITATION_DECLINED} {
			t.Run(name+" "+reason.String(), func(t *testing.T) {
				refused(t, again(t, ends[reason](t, link(t, h.organization()))), reason)
			})
		}
		t.Run(name+" INVITATION_USED", func(t *testing.T) {
			i := ends[errorv1.Reason_REASON_INVITATION_USED](t, link(t, h.organization()))
			refused(t, again(t, i), errorv1.Reason_REASON_INVITATION_USED)
		})
		t.Run(name+" INVITATION_NOT_FOUND", func(t *testing.T) {
			refused(t, again(t, invited{organization: h.organization(), id: id.NewInvitation().String()}), errorv1.Reason_REASON_INVITATION_NOT_FOUND)
		})
		t.Run(name+" SEAT_LIMIT_REACHED, and it stays what it was", func(t *testing.T) {
			i := full(expired)(t, h.organization())
			refused(t, again(t, i), errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
			require.Equal(t, []string{"EXPIRED", ""}, []string{i.state(t), i.row(t, "failure_reason")})
		})
		t.Run(name+" USERNAME_TAKEN", func(t *testing.T) {
			i := expired(t, h.organization())
			h.peers.with(func() { h.peers.usernames[i.row(t, "username")] = hold{owner: "somebody"} })
			refused(t, again(t, i), errorv1.Reason_REASON_USERNAME_TAKEN)
		})
		t.Run(name+" INVITATION_PENDING for the same person", func(t *testing.T) {
			i := expired(t, h.organization())
			other := i.invite(t, i.email, "")
			f := refused(t, again(t, i), errorv1.Reason_REASON_INVITATION_PENDING)
			require.Equal(t, other.id, f.Metadata["invitationId"])
		})
		t.Run(name+" of an expired one is blocked by no other that is overdue", func(t *testing.T) {
			i := expired(t, h.organization())
			other := i.invite(t, i.email, "")
			h.peers.with(func() { h.peers.total[i.organization.id.String()] = h.peers.used() })
			other.age(t)
			require.NoError(t, again(t, i))
			require.Equal(t, []string{"PENDING", "EXPIRED"}, []string{i.state(t), other.state(t)})
		})
		t.Run(name+" ALREADY_MEMBER", func(t *testing.T) {
			i := mailed(t, h.organization())
			account := h.peers.signUp(i.email)
			h.peers.with(func() { h.peers.organizations[i.organization.id.String()].seat[account.String()] = "a seat" })
			refused(t, again(t, i), errorv1.Reason_REASON_ALREADY_MEMBER)
		})
		for reason, why := range map[errorv1.Reason]error{errorv1.Reason_REASON_PERMISSION_MISSING: errMissing, errorv1.Reason_REASON_MEMBER_DISABLED: errDisabled} {
			t.Run(name+" "+reason.String()+" says nothing about the invitation", func(t *testing.T) {
				i := ends[errorv1.Reason_REASON_INVITATION_REVOKED](t, link(t, h.organization()))
				i.peers.refuse(i.organization.id, i.admin, errMissing)
				if why == errDisabled {
					i.peers.refuse(i.organization.id, i.admin, errDisabled)
				}
				refused(t, again(t, i), reason)
			})
		}
	}

	t.Run("STATE_CONFLICT where links are not allowed, also for one that was made by link before", func(t *testing.T) {
		o := h.organization()
		byMail, byLink := mailed(t, o), link(t, o)
		h.peers.with(func() { h.peers.organizations[o.id.String()].policy.LinkInvites = false })
		_, err := newLink(t, byMail)
		refused(t, err, errorv1.Reason_REASON_STATE_CONFLICT)
		refused(t, resend(t, byLink), errorv1.Reason_REASON_STATE_CONFLICT)
		require.NoError(t, resend(t, byMail))
	})

	t.Run("T07 a live one is sent again at the limit, on its seat", func(t *testing.T) {
		i := full(mailed)(t, h.organization())
		seat := i.row(t, "seat_id")
		require.NoError(t, resend(t, i))
		require.Equal(t, seat, i.row(t, "seat_id"))
		refused(t, i.preview(t), errorv1.Reason_REASON_INVITATION_LINK_INVALID)
		i.organization.sweep(t)
		i.token = h.post.link(i.email)
		require.NoError(t, i.preview(t))
	})

	t.Run("AReplayGivesTheSameLinkAndTheSameRefusal", func(t *testing.T) {
		i := link(t, h.organization())
		req := &invitationv1.ResendInvitationRequest{OrganizationId: i.organization.id.String(), InvitationId: i.id, RequestId: "once"}
		first, err := i.client.ResendInvitation(as(t, i.admin), req)
		require.NoError(t, err)
		again, err := i.client.ResendInvitation(as(t, i.admin), req)
		require.NoError(t, err)
		require.Equal(t, first.GetLink(), again.GetLink())
		require.Equal(t, first.GetToken(), again.GetToken())
		require.Equal(t, "2", i.row(t, "generation"))

		late := full(expired)(t, h.organization())
		req.OrganizationId, req.InvitationId = late.organization.id.String(), late.id
		for range 2 {
			_, err := late.client.ResendInvitation(as(t, late.admin), req)
			refused(t, err, errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
			require.Equal(t, "2", late.row(t, "generation"))
		}
	})

	t.Run("MailGoesToTheDomainThatServersKnow", func(t *testing.T) {
		o := h.organization()
		_, err := o.client.CreateInvitation(as(t, o.admin), o.asks("Ada@Bücher.example", ""))
		require.NoError(t, err)
		o.sweep(t)
		require.Equal(t, "Ada@xn--bcher-kva.example", h.post.sent[len(h.post.sent)-1].To)
	})
}
