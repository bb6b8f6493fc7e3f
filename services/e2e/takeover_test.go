package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// powers are what an organization can do to the credentials of accounts that it manages.
func (o *organization) powers(t *testing.T, who *person) map[string]error {
	t.Helper()
	_, password := o.resetPassword(t, o.owner.client, who, membershipv1.OrganizationPolicy_RESET_TEMP_PASSWORD)
	_, mfa := o.owner.ResetMemberMfa(t.Context(), &membershipv1.ResetMemberMfaRequest{OrganizationId: o.ID, AccountId: who.ID})
	_, sessions := o.owner.RevokeMemberSessions(t.Context(), &membershipv1.RevokeMemberSessionsRequest{OrganizationId: o.ID, AccountId: who.ID})
	return map[string]error{
		"a temporary password": password, "a reset of factors": mfa, "an end of sessions": sessions,
		"another address": o.changeEmail(t, o.owner.client, who, unique("attacker")+"@example.com"),
	}
}

// powerless holds that the organization has no power over somebody's credentials, who is who they were.
func (o *organization) powerless(t *testing.T, who *person) {
	t.Helper()
	for power, err := range o.powers(t, who) {
		require.Error(t, err, power)
		f := refused(t, err, errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED)
		require.NotEmpty(t, f.Message, power)
	}
	me := who.me(t)
	require.Equal(t, []any{who.Email, true, false}, []any{me.GetEmail(), me.GetEmailVerified(), me.GetUnproven()})
	require.Equal(t, who.ID, signIn(t, o.owner.transport, who.Email).ID)
}

// manages waits until the organization has the say over somebody's account, or has it no more. Asking changes nothing.
func (o *organization) manages(t *testing.T, who *person, yes bool) {
	t.Helper()
	eventually(t, func() bool {
		shown, err := o.owner.ListMemberSessions(t.Context(), &membershipv1.ListMemberSessionsRequest{OrganizationId: o.ID, AccountId: who.ID})
		return err == nil && shown.GetManaged() == yes
	}, "whether the organization manages the account")
}

// TestTakeover is what an organization tries that wants accounts of others.
func TestTakeover(t *testing.T) {
	t.Parallel()

	scenario(t, "RB20 adding an account that its person made gives no power over it", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		victim, invited := signUp(t, over), signUp(t, over)
		_, err := org.createMember(t, org.owner, victim.Email, "member")
		require.NoError(t, err)
		org.powerless(t, victim)
		org.invite(t, invited.Email, "member")
		_, err = invited.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: mailLink(t, invited.Email, "/invite/")})
		require.NoError(t, err)
		org.powerless(t, invited)
	})

	scenario(t, "RB20 a second membership ends the first organization's power for good, and gives the second none", func(t *testing.T, over string) {
		first, second := create(t, over, rbac), create(t, over, rbac)
		bob := first.join(t, "member")
		first.manages(t, bob, true)
		_, err := second.createMember(t, second.owner, bob.Email, "member")
		require.NoError(t, err)
		first.manages(t, bob, false)
		first.powerless(t, bob)
		second.powerless(t, bob)
		require.NoError(t, second.leave(t, bob))
		first.powerless(t, bob)
	})

	scenario(t, "RB20 an account that is made with somebody else's address is nothing to them, who have theirs by proving it", func(t *testing.T, over string) {
		org, home := create(t, over, rbac), create(t, over, portal)
		address := unique("victim") + "@" + home.domain(t)
		made, err := org.createMember(t, org.owner, address, "member")
		require.NoError(t, err)
		in, err := open(t, over, address, made.GetTemporaryPassword())
		require.NoError(t, err)
		attacker := chosen(t, over, in.GetToken(), made.GetTemporaryPassword())
		invited := home.invite(t, address, "member")
		require.NotEmpty(t, invited.GetInvitation().GetId())
		victim := home.accept(t, mailLink(t, address, "/invite/"))
		require.NotEqual(t, attacker.ID, victim.ID)
		require.Equal(t, victim.ID, signIn(t, over, address).ID)
		_, err = attacker.AddEmail(t.Context(), &identityv1.AddEmailRequest{Email: unique("other") + "@example.com"})
		refused(t, err, errorv1.Reason_REASON_EMAIL_UNVERIFIED)
		require.False(t, home.can(t, attacker, "products.use"))
		require.True(t, home.can(t, victim, "products.use"))
	})
}
