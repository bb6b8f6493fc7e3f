package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
)

var (
	mailed = &invitationv1.Invitation{Id: "inv_1", OrganizationId: "org_1", Email: "eve@example.com", Role: "viewer",
		State: invitationv1.Invitation_STATE_PENDING, Delivery: invitationv1.Invitation_DELIVERY_SENT, InviterAccountId: "acc_1",
		CreateTime: away(-day), SendTime: away(-day / 2), ExpireTime: away(7*day - day/2)}
	linked = &invitationv1.Invitation{Id: "inv_2", OrganizationId: "org_1", Username: "bob", Role: "developer",
		State: invitationv1.Invitation_STATE_PENDING, Delivery: invitationv1.Invitation_DELIVERY_LINK, SendTime: away(0), ExpireTime: away(7 * day)}
	expired = &invitationv1.Invitation{Id: "inv_3", Email: "old@example.com", Role: "viewer", State: invitationv1.Invitation_STATE_EXPIRED,
		Delivery: invitationv1.Invitation_DELIVERY_FAILED, SendTime: away(-9 * day), ExpireTime: away(-2 * day)}
)

const (
	link     = "https://roster.example.com/invite/link-token"
	linkText = `
  https://roster.example.com/invite/link-token

The link is shown this once, and links before it are void. It ends in 7d. Whoever has it can answer: hand it to the invitee only.
`
)

func TestInvite(t *testing.T) {
	t.Parallel()

	t.Run("ByMail", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		gives(w, &invitationv1.CreateInvitationRequest{}, &invitationv1.CreateInvitationResponse{Invitation: mailed})
		require.Equal(t, "Invited eve@example.com as viewer: inv_1\nThe mail is on its way; the invitation ends in 7d.\n",
			w.ok("invite", "create", "eve@example.com", "--role", "viewer", "--name", "Eve"))
		sent := w.last().request.(*invitationv1.CreateInvitationRequest)
		require.Equal(t, "org_1 eve@example.com viewer Eve", sent.GetOrganizationId()+" "+sent.GetEmail()+" "+sent.GetRole()+" "+sent.GetDisplayName())

		gives(w, &invitationv1.ResendInvitationRequest{}, &invitationv1.ResendInvitationResponse{Invitation: mailed})
		require.Equal(t, "Invited eve@example.com again.\nThe mail is on its way; the invitation ends in 7d.\n", w.ok("invite", "resend", "inv_1"))
		gives(w, &invitationv1.RevokeInvitationRequest{}, &invitationv1.RevokeInvitationResponse{Invitation: mailed, SeatReleased: true})
		require.Equal(t, "The invitation of eve@example.com is revoked. The seat is free.\n", w.ok("invite", "revoke", "inv_1"))
	})

	t.Run("ByLinkThatIsShownOnce", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		gives(w, &invitationv1.CreateInvitationRequest{}, &invitationv1.CreateInvitationResponse{Invitation: linked, Link: link})
		require.Equal(t, "Invited bob as developer: inv_2\n"+linkText, w.ok("invite", "create", "--username", "bob"))
		require.Equal(t, "bob", w.last().request.(*invitationv1.CreateInvitationRequest).GetUsername())
		gives(w, &invitationv1.CreateInvitationLinkRequest{}, &invitationv1.CreateInvitationLinkResponse{Invitation: linked, Link: link})
		require.Equal(t, "New link for bob:\n"+linkText, w.ok("invite", "new-link", "inv_2"))
	})

	t.Run("ListAndGet", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		gives(w, &invitationv1.ListInvitationsRequest{}, &invitationv1.ListInvitationsResponse{})
		require.Equal(t, "No invitations. Invite somebody: roster invite create EMAIL --role ROLE\n", w.ok("invite", "list"))
		require.Equal(t, "No invitation matches. Without --status all are listed.\n", w.ok("invite", "list", "--status", "pending"))
		require.Equal(t, []invitationv1.Invitation_State{invitationv1.Invitation_STATE_PENDING},
			w.last().request.(*invitationv1.ListInvitationsRequest).GetStates())

		gives(w, &invitationv1.ListInvitationsRequest{}, &invitationv1.ListInvitationsResponse{
			Invitations: []*invitationv1.Invitation{linked, mailed, expired}, NextPageToken: "next"})
		r := w.run("invite", "list", "--limit", "3")
		require.Equal(t, `EMAIL            USERNAME  ROLE       STATUS   DELIVERY  SENT     ENDS   ID
-                bob       developer  pending  link      now      in 7d  inv_2
eve@example.com  -         viewer     pending  sent      12h ago  in 7d  inv_1
old@example.com  -         viewer     expired  failed    9d ago   -      inv_3
`, r.out)
		require.Equal(t, "There are more: --limit N or --all\n", r.err)

		gives(w, &invitationv1.GetInvitationRequest{}, &invitationv1.GetInvitationResponse{Invitation: mailed})
		require.Equal(t, `Invitation:  inv_1
Email:       eve@example.com
Role:        viewer
Status:      pending
Delivery:    sent
Invited by:  acc_1
Created:     2026-03-09 12:00 UTC (24h ago)
Sent:        2026-03-10 00:00 UTC (12h ago)
Ends:        2026-03-17 00:00 UTC (in 7d)
`, w.ok("invite", "get", "inv_1"))
	})
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	preview := &invitationv1.PreviewInvitationResponse{OrganizationId: "org_1", OrganizationDisplayName: "Analytical", InviterDisplayName: "Ada",
		RoleDisplayName: "Admin", MaskedEmail: "e•••@example.com", ExpireTime: away(7 * day), FullAccess: true, SignInRequired: true}

	t.Run("PreviewAndDeclineNeedNoAccount", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		gives(w, &invitationv1.PreviewInvitationRequest{}, preview)
		gives(w, &invitationv1.DeclineInvitationRequest{}, &invitationv1.DeclineInvitationResponse{State: invitationv1.Invitation_STATE_DECLINED})
		require.Equal(t, `Organization:  Analytical (org_1)
Invited by:    Ada
Role:          Admin
For:           e•••@example.com
Ends:          2026-03-17 12:00 UTC (in 7d)

The role gives full administrative access.

You have an account: sign in with 'roster login', then accept.
`, w.ok("invite", "preview", link))
		require.Equal(t, "link-token", w.last().request.(*invitationv1.PreviewInvitationRequest).GetLinkToken())
		require.Empty(t, w.last().authorization)
		require.Equal(t, "The invitation is declined.\n", w.ok("invite", "decline", "link-token"))
		require.Empty(t, w.last().authorization)
	})

	t.Run("WhoIsSignedInAcceptsWithThatAccount", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		gives(w, &invitationv1.AcceptInvitationRequest{}, &invitationv1.AcceptInvitationResponse{Invitation: mailed, AccountId: "acc_5"})
		require.Equal(t, "Welcome: acc_5 is a member of org_1, as viewer.\nWork with it by default: roster org use org_1\n",
			w.ok("invite", "accept", link))
		require.Equal(t, "Bearer session-token", w.last().authorization)
		require.Empty(t, w.last().request.(*invitationv1.AcceptInvitationRequest).GetPassword())

		refuses(w, &invitationv1.AcceptInvitationRequest{}, fault.New(errorv1.Reason_REASON_INVITATION_MISMATCH, "It is for another address."))
		r := w.run("invite", "accept", link)
		require.Equal(t, exitDenied, r.code)
		require.Contains(t, r.err, "--new-account")
	})

	for name, args := range map[string][]string{"SomebodyNewIsSignedIn": nil, "ANewAccountOnRequest": {"--new-account"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if args != nil {
				w.env["ROSTER_TOKEN"] = "of-somebody-else"
			}
			w.in = "a long password\n"
			gives(w, &invitationv1.PreviewInvitationRequest{}, &invitationv1.PreviewInvitationResponse{})
			gives(w, &invitationv1.AcceptInvitationRequest{}, &invitationv1.AcceptInvitationResponse{Invitation: mailed, AccountId: "acc_5",
				Session: &identityv1.Session{Id: "ses_5", AccountId: "acc_5"}, SessionToken: "new-session"})
			out := w.ok(append([]string{"invite", "accept", link, "--password-stdin", "--name", "Eve"}, args...)...)
			require.Equal(t, "Welcome: acc_5 is a member of org_1, as viewer.\nYou are signed in to "+w.address+
				".\nWork with it by default: roster org use org_1\n", out)
			require.Empty(t, w.last().authorization)
			sent := w.last().request.(*invitationv1.AcceptInvitationRequest)
			require.Equal(t, "a long password Eve", sent.GetPassword()+" "+sent.GetDisplayName())
			require.Equal(t, identityv1.Delivery_DELIVERY_TOKEN, sent.GetDelivery())
			require.Contains(t, w.keptFile(), "new-session")
		})
	}

	t.Run("WhoHasAnAccountIsNotAskedForAPassword", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.interactive = true // asking would fail: there are no secrets
		gives(w, &invitationv1.PreviewInvitationRequest{}, preview)
		r := w.run("invite", "accept", link)
		require.Equal(t, result{exitConflict, "",
			"Error: The invited address has an account. (SIGN_IN_REQUIRED)\n  Sign in, then accept again: roster login\n"}, r)
	})

	t.Run("ADeadLinkIsSaidToBeBeforeAPasswordIsChosen", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.interactive = true
		refuses(w, &invitationv1.PreviewInvitationRequest{}, fault.New(errorv1.Reason_REASON_INVITATION_EXPIRED, "The invitation has expired."))
		require.Equal(t, result{exitConflict, "", "Error: The invitation has expired. (INVITATION_EXPIRED)\n"}, w.run("invite", "accept", link))
	})
}
