package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/devmail"
)

// TestInvitationSecurity holds R20 to R29: what a link can do, and what it cannot.
func TestInvitationSecurity(t *testing.T) {
	t.Parallel()

	scenario(t, "R20 a link works until the second it expires, a changed one never", func(t *testing.T, over string) {
		org := create(t, over, portal)
		email := unique("grace") + "@example.com"
		made := org.invite(t, email, "member")
		link := mailLink(t, email, "/invite/")
		org.age(t, made.GetInvitation(), 7*24*time.Hour-5*time.Second)
		preview := func(token string) error {
			_, err := connect(over, "").PreviewInvitation(t.Context(), &invitationv1.PreviewInvitationRequest{LinkToken: token})
			return err
		}
		require.NoError(t, preview(link))
		for i := 0; i < len(link); i += 7 {
			changed := []byte(link)
			changed[i] ^= 1
			refused(t, preview(strings.ToValidUTF8(string(changed), "x")), errorv1.Reason_REASON_INVITATION_LINK_INVALID)
		}
		for _, other := range []string{link + "A", link[:len(link)-1], strings.ToUpper(link), org.ID + ".", "x"} {
			refused(t, preview(other), errorv1.Reason_REASON_INVITATION_LINK_INVALID)
		}
		org.age(t, made.GetInvitation(), 6*time.Second)
		refused(t, preview(link), errorv1.Reason_REASON_INVITATION_EXPIRED)
	})

	scenario(t, "R21 the link is in no list and no get", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		made, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, ""))
		require.NoError(t, err)
		secret := lastSegment(made.GetLink())
		secret = secret[strings.Index(secret, ".")+1:]
		got, err := org.owner.GetInvitation(t.Context(), &invitationv1.GetInvitationRequest{OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
		require.NoError(t, err)
		listed, err := org.owner.ListInvitations(t.Context(), &invitationv1.ListInvitationsRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		for _, text := range []string{got.String(), listed.String()} {
			require.NotContains(t, text, secret)
		}
		var stored int
		require.NoError(t, suite.owners["invitation"].QueryRow(t.Context(),
			`SELECT count(*) FROM invitations i WHERE i::text LIKE '%' || $1 || '%'`, secret).Scan(&stored))
		require.Zero(t, stored)
	})

	scenario(t, "R22 an invitation to an address is for the account that has proven it", func(t *testing.T, over string) {
		org := create(t, over, portal)
		invited, other := signUp(t, over), signUp(t, over)
		org.invite(t, invited.Email, "admin")
		link := mailLink(t, invited.Email, "/invite/")
		_, err := other.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: link})
		f := refused(t, err, errorv1.Reason_REASON_INVITATION_MISMATCH)
		require.NotContains(t, f.Message, invited.Email, "only a masked address")
		_, err = invited.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: link}) // still pending
		require.NoError(t, err)
		require.False(t, org.can(t, other, "org.read"))
	})

	scenario(t, "R23 a link never opens an account that exists", func(t *testing.T, over string) {
		org := create(t, over, portal)
		invited := signUp(t, over)
		org.invite(t, invited.Email, "member")
		link := mailLink(t, invited.Email, "/invite/")
		preview, err := connect(over, "").PreviewInvitation(t.Context(), &invitationv1.PreviewInvitationRequest{LinkToken: link})
		require.NoError(t, err)
		require.True(t, preview.GetSignInRequired())
		_, err = connect(over, "").AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{
			LinkToken: link, Password: "an attacker's own passphrase", DisplayName: "Mallory", Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		refused(t, err, errorv1.Reason_REASON_SIGN_IN_REQUIRED)
		signIn(t, over, invited.Email) // the password is what it was
	})

	scenario(t, "R24 only a mailed link proves the address", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		verified := func(who *person) bool {
			me, err := who.GetMe(t.Context(), &identityv1.GetMeRequest{})
			require.NoError(t, err)
			return me.GetAccount().GetEmailVerified()
		}
		require.True(t, verified(org.join(t, "developer")))

		made, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, unique("x")+"@example.com"))
		require.NoError(t, err)
		shown, err := org.owner.CreateInvitationLink(t.Context(), &invitationv1.CreateInvitationLinkRequest{OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
		require.NoError(t, err)
		require.False(t, verified(org.accept(t, lastSegment(shown.GetLink()))))
	})

	scenario(t, "R25 an invitation reserves no account: signing up with its address is a sign-up", func(t *testing.T, over string) {
		org := create(t, over, portal)
		email := unique("grace") + "@example.com"
		org.invite(t, email, "admin")
		link := mailLink(t, email, "/invite/")
		newcomer := signUpAs(t, over, email)
		require.False(t, org.can(t, newcomer, "org.read"), "an account is not an acceptance")
		_, err := newcomer.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: link})
		require.NoError(t, err)
		require.True(t, org.can(t, newcomer, "members.remove"))
	})

	scenario(t, "R26 accepting checks again that the inviter may give the role", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		admin := org.join(t, "admin")
		req := org.invitation(t, unique("x")+"@example.com")
		req.Role = "admin"
		made, err := admin.CreateInvitation(t.Context(), req)
		require.NoError(t, err)
		link := mailLink(t, req.GetEmail(), "/invite/")
		_, err = org.owner.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: admin.ID, Role: "viewer"})
		require.NoError(t, err)
		_, err = connect(over, "").AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{
			LinkToken: link, Password: password, DisplayName: "G", Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		refused(t, err, errorv1.Reason_REASON_INVITATION_FAILED)
		org.settled(t, made.GetInvitation().GetId())
		require.Len(t, org.people(t, org.owner), 2)
		eventually(t, func() bool { return org.seats(t).GetUsed() == 2 }, "the seat is given back")

		listed, err := org.owner.ListInvitations(t.Context(), &invitationv1.ListInvitationsRequest{OrganizationId: org.ID, States: []invitationv1.Invitation_State{invitationv1.Invitation_STATE_FAILED}})
		require.NoError(t, err)
		require.Len(t, listed.GetInvitations(), 1)
		_, err = org.owner.ResendInvitation(t.Context(), &invitationv1.ResendInvitationRequest{OrganizationId: org.ID, InvitationId: listed.GetInvitations()[0].GetId()})
		require.NoError(t, err)                         // in the name of somebody who may
		org.accept(t, newLink(t, req.GetEmail(), link)) // the refused attempt has left no account
	})

	scenario(t, "R27 an answer that is repeated with its request id is answered as before", func(t *testing.T, over string) {
		org := create(t, over, portal)
		email := unique("grace") + "@example.com"
		org.invite(t, email, "member")
		yes := &invitationv1.AcceptInvitationRequest{LinkToken: mailLink(t, email, "/invite/"), Password: password, DisplayName: "Grace",
			Delivery: identityv1.Delivery_DELIVERY_TOKEN, RequestId: unique("request")}
		first, err := connect(over, "").AcceptInvitation(t.Context(), yes)
		require.NoError(t, err)
		require.NotEmpty(t, first.GetSessionToken())
		again, err := connect(over, "").AcceptInvitation(t.Context(), yes)
		require.NoError(t, err)
		require.Equal(t, first.GetAccountId(), again.GetAccountId())
		require.Empty(t, again.GetSessionToken(), "a session is for whoever heard the first answer")
		yes.Password += "!"
		_, err = connect(over, "").AcceptInvitation(t.Context(), yes)
		refused(t, err, errorv1.Reason_REASON_REQUEST_ID_REUSED)

		email = unique("ada") + "@example.com"
		made := org.invite(t, email, "member")
		no := &invitationv1.DeclineInvitationRequest{LinkToken: mailLink(t, email, "/invite/"), RequestId: unique("request")}
		for range 2 {
			declined, err := connect(over, "").DeclineInvitation(t.Context(), no)
			require.NoError(t, err)
			require.Equal(t, invitationv1.Invitation_STATE_DECLINED, declined.GetState())
		}
		org.settled(t, made.GetInvitation().GetId())
		require.Len(t, org.people(t, org.owner), 2)
	})

	scenario(t, "R27 a link that was answered is dead for every answer", func(t *testing.T, over string) {
		org := create(t, over, portal)
		email := unique("grace") + "@example.com"
		made := org.invite(t, email, "member")
		link := mailLink(t, email, "/invite/")
		declined, err := connect(over, "").DeclineInvitation(t.Context(), &invitationv1.DeclineInvitationRequest{LinkToken: link})
		require.NoError(t, err)
		require.Equal(t, invitationv1.Invitation_STATE_DECLINED, declined.GetState())
		_, err = connect(over, "").AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: link, Password: password, DisplayName: "G", Delivery: 2})
		refused(t, err, errorv1.Reason_REASON_INVITATION_DECLINED)
		_, err = connect(over, "").DeclineInvitation(t.Context(), &invitationv1.DeclineInvitationRequest{LinkToken: link})
		refused(t, err, errorv1.Reason_REASON_INVITATION_DECLINED)
		_, err = org.owner.ResendInvitation(t.Context(), &invitationv1.ResendInvitationRequest{OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
		refused(t, err, errorv1.Reason_REASON_INVITATION_DECLINED)
		require.EqualValues(t, 1, org.seats(t).GetUsed())
	})

	scenario(t, "R28 names in mail are plain text, on one line, and no link", func(t *testing.T, over string) {
		owner := signUp(t, over)
		made, err := owner.CreateOrganization(t.Context(), &membershipv1.CreateOrganizationRequest{
			DisplayName: "Win at https://evil.example/x <b>now</b>", Preset: portal})
		require.NoError(t, err)
		email := unique("grace") + "@example.com"
		_, err = owner.CreateInvitation(t.Context(), &invitationv1.CreateInvitationRequest{OrganizationId: made.GetOrganization().GetId(), Email: email, Role: "member"})
		require.NoError(t, err)
		mail := mailTo(t, email, func(m devmail.Received) bool { return linkWith(m, "/invite/") != "" })
		for _, link := range mail.Links {
			require.True(t, strings.HasPrefix(link, suite.URL), link)
		}
		require.NotContains(t, mail.HTML, "<b>now</b>")
		_, err = owner.CreateOrganization(t.Context(), &membershipv1.CreateOrganizationRequest{DisplayName: "two\r\nlines", Preset: portal})
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
	})

	t.Run("R29 an invitation carries no redirect", func(t *testing.T) {
		t.Parallel()
		for _, message := range []proto.Message{
			&invitationv1.CreateInvitationRequest{}, &invitationv1.AcceptInvitationRequest{}, &invitationv1.ResendInvitationRequest{},
		} {
			fields := message.ProtoReflect().Descriptor().Fields()
			for i := range fields.Len() {
				name := string(fields.Get(i).Name())
				require.NotContains(t, name, "redirect")
				require.NotContains(t, name, "url")
			}
		}
	})
}
