package e2e

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/devmail"
)

// changeEmail gives a member's account another address.
func (o *organization) changeEmail(t *testing.T, by client, who *person, address string) error {
	t.Helper()
	_, err := by.ChangeMemberEmail(t.Context(), &membershipv1.ChangeMemberEmailRequest{OrganizationId: o.ID, AccountId: who.ID, Email: address})
	return err
}

// opened signs in with an address and the password of all, as far as it goes.
func opened(t *testing.T, over, email, password string) *person {
	t.Helper()
	in, err := open(t, over, email, password)
	require.NoError(t, err)
	require.Nil(t, in.GetChallenge())
	return as(t, over, in.GetToken())
}

// temporary has an admin make a password, with which the person chooses their own.
func (o *organization) temporary(t *testing.T, over string, who *person) *person {
	t.Helper()
	issued, err := o.resetPassword(t, o.owner.client, who, membershipv1.OrganizationPolicy_RESET_TEMP_PASSWORD)
	require.NoError(t, err)
	in, err := open(t, over, who.Email, issued.GetTemporaryPassword())
	require.NoError(t, err)
	return chosen(t, over, in.GetToken(), issued.GetTemporaryPassword())
}

// chosen chooses another password in the place of a temporary one.
func chosen(t *testing.T, over, token, temporary string) *person {
	t.Helper()
	changed, err := connect(over, token).ChangePassword(t.Context(), &identityv1.ChangePasswordRequest{CurrentPassword: temporary, Password: newPassword})
	require.NoError(t, err)
	return as(t, over, changed.GetToken())
}

// prove opens the link in the newest mail to the address, as who.
func prove(t *testing.T, who client, address string) error {
	t.Helper()
	_, err := who.VerifyEmail(t.Context(), &identityv1.VerifyEmailRequest{Token: mailLink(t, address, "/verify/")})
	return err
}

// me is the account as its person sees it.
func (p *person) me(t *testing.T) *identityv1.Account {
	t.Helper()
	me, err := p.GetMe(t.Context(), &identityv1.GetMeRequest{})
	require.NoError(t, err)
	return me.GetAccount()
}

func (p *person) signedOut(t *testing.T) {
	t.Helper()
	eventually(t, func() bool {
		_, err := p.GetMe(t.Context(), &identityv1.GetMeRequest{})
		return fault.ReasonOf(err) == errorv1.Reason_REASON_UNAUTHENTICATED
	}, "the session ends")
}

// accepts tells what becomes of an invitation without an address, which is for whoever holds the link.
func (o *organization) accepts(t *testing.T, who *person) error {
	t.Helper()
	invited, err := o.owner.CreateInvitation(t.Context(), o.invitation(t, ""))
	require.NoError(t, err)
	_, err = who.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: lastSegment(invited.GetLink())})
	return err
}

// TestUnproven is about accounts whose address an admin wrote, or whose password an admin had made: they count for little until the mailbox is proven.
func TestUnproven(t *testing.T) {
	t.Parallel()

	scenario(t, "RB20 R66 an admin changes the address of a managed account, and nothing counts until its person proves the mailbox", func(t *testing.T, over string) {
		org, other := create(t, over, pipeline), create(t, over, pipeline)
		bob, address := org.join(t, "developer"), unique("robert")+"@example.com"
		older := apiKey(t, bob.client, "members.read")
		req := &membershipv1.ChangeMemberEmailRequest{OrganizationId: org.ID, AccountId: bob.ID, Email: address, RequestId: unique("email")}
		for range 2 { // the same request
			answer, err := org.owner.ChangeMemberEmail(t.Context(), req)
			require.NoError(t, err)
			require.NotEmpty(t, answer.GetToken())
		}
		require.Equal(t, 1, org.events(t, "membership", "member.email_changed"))
		bob.signedOut(t)
		_, err := open(t, over, bob.Email, password)
		refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)
		now := opened(t, over, address, password)
		require.Equal(t, bob.ID, now.ID, "signing in stays possible")
		require.True(t, now.me(t).GetUnproven())
		require.False(t, now.me(t).GetEmailVerified())
		eventually(t, func() bool {
			return org.member(t, org.owner, bob.ID).GetUnproven() && org.row(t, bob.ID).GetEmail() == address
		}, "admins see it")
		require.False(t, org.member(t, now, bob.ID).GetUnproven(), "others do not")
		require.True(t, org.can(t, now, "products.use"), "nor does it take away what they may do here")

		refused(t, other.accepts(t, now), errorv1.Reason_REASON_EMAIL_UNVERIFIED)
		_, err = now.AddEmail(t.Context(), &identityv1.AddEmailRequest{Email: unique("mine") + "@example.com"})
		refused(t, err, errorv1.Reason_REASON_EMAIL_UNVERIFIED)
		refused(t, org.offer(t, org.owner, now), errorv1.Reason_REASON_EMAIL_UNVERIFIED)
		_, _, now.client = enrol(t, over, now.client)
		newer := apiKey(t, now.client, "members.read")

		told := mailTo(t, bob.Email, func(m devmail.Received) bool { return linkWith(m, "/revert-email/") != "" })
		require.Contains(t, told.Text, org.Name)
		require.NotContains(t, told.Text, address)
		refused(t, prove(t, connect(over, ""), address), errorv1.Reason_REASON_SIGN_IN_REQUIRED)
		refused(t, prove(t, other.owner.client, address), errorv1.Reason_REASON_SIGN_IN_REQUIRED)
		require.NoError(t, prove(t, now.client, address))
		now.signedOut(t)
		now = opened(t, over, address, password)
		require.False(t, now.me(t).GetUnproven())
		require.True(t, now.me(t).GetEmailVerified())
		_, err = connect(over, older.GetSecret()).ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
		require.NoError(t, err, "what was there before stays")
		_, err = connect(over, newer.GetSecret()).ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
		refused(t, err, errorv1.Reason_REASON_UNAUTHENTICATED)
		factors, err := now.ListFactors(t.Context(), &identityv1.ListFactorsRequest{})
		require.NoError(t, err)
		require.Empty(t, factors.GetFactors())
		require.Zero(t, factors.GetRecoveryCodesLeft())
		eventually(t, func() bool { return !org.member(t, org.owner, bob.ID).GetUnproven() }, "admins see that, too")
		require.NoError(t, other.accepts(t, now))
	})

	scenario(t, "R66 whoever reads the old mailbox takes a change of the address back, and resets the password", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		bob, address := org.join(t, "member"), unique("robert")+"@example.com"
		require.NoError(t, org.changeEmail(t, org.owner.client, bob, address))
		now := opened(t, over, address, password)
		newer := apiKey(t, now.client, "org.read")
		enrol(t, over, now.client)
		_, err := connect(over, "").RevertEmailChange(t.Context(), &identityv1.RevertEmailChangeRequest{Token: mailLink(t, bob.Email, "/revert-email/")})
		require.NoError(t, err)
		now.signedOut(t)
		for _, known := range []string{address, bob.Email} {
			_, err = open(t, over, known, password)
			refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)
		}
		_, err = connect(over, "").RequestPasswordReset(t.Context(), &identityv1.RequestPasswordResetRequest{Email: bob.Email})
		require.NoError(t, err)
		_, err = connect(over, "").ResetPassword(t.Context(), &identityv1.ResetPasswordRequest{Token: mailLink(t, bob.Email, "/reset/"), Password: newPassword})
		require.NoError(t, err)
		_, err = connect(over, newer.GetSecret()).ListOrganizations(t.Context(), &membershipv1.ListOrganizationsRequest{})
		refused(t, err, errorv1.Reason_REASON_UNAUTHENTICATED)
		var told, ended int
		require.NoError(t, suite.owners["identity"].QueryRow(t.Context(), `
			SELECT count(*), count(DISTINCT data) FROM events
			WHERE aggregate_id = $1 AND type IN ('session.ended', 'account.api_key_deleted')`, key(t, bob)).Scan(&told, &ended))
		require.Equal(t, ended, told, "each of them ends once")
		again := opened(t, over, bob.Email, newPassword).me(t)
		require.False(t, again.GetUnproven())
		require.True(t, again.GetEmailVerified())
	})

	scenario(t, "RB3 R63 whose address is changed, by whom, and to what", func(t *testing.T, over string) {
		org, stranger := create(t, over, rbac), signUp(t, over)
		admin, bob := org.join(t, "admin"), org.join(t, "member")
		free, claimed := unique("free")+"@example.com", unique("claimed")+"@example.com"
		_, err := org.createMember(t, org.owner, claimed, "member")
		require.NoError(t, err)
		stale := &person{client: longAgo(t, over, admin.Email)}
		for _, c := range []struct {
			by, who *person
			address string
			reason  errorv1.Reason
		}{
			{admin, org.owner, free, errorv1.Reason_REASON_OWNER_PROTECTED},
			{admin, admin, free, errorv1.Reason_REASON_SELF_ACTION},
			{bob, admin, free, errorv1.Reason_REASON_PERMISSION_MISSING},
			{stale, bob, free, errorv1.Reason_REASON_STEP_UP_REQUIRED},
			{stranger, bob, free, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND},
			{admin, stranger, free, errorv1.Reason_REASON_MEMBER_NOT_FOUND},
			{admin, bob, bob.Email, errorv1.Reason_REASON_STATE_CONFLICT},
			{admin, bob, stranger.Email, errorv1.Reason_REASON_EMAIL_TAKEN},
			{admin, bob, claimed, errorv1.Reason_REASON_EMAIL_TAKEN},
			{admin, bob, "bob@[127.0.0.1]", errorv1.Reason_REASON_VALIDATION_FAILED},
		} {
			refused(t, org.changeEmail(t, c.by.client, c.who, c.address), c.reason)
		}
		require.Equal(t, bob.Email, bob.me(t).GetEmail())
		require.NoError(t, org.changeEmail(t, admin.client, bob, free))
	})

	scenario(t, "RB20 R12 R35 what was set up with a temporary password goes when the mailbox is proven", func(t *testing.T, over string) {
		org, other, third := create(t, over, rbac), create(t, over, rbac), create(t, over, pipeline)
		bob := org.join(t, "member")
		phone, _, _ := enrol(t, over, bob.client)
		issued, err := org.resetPassword(t, org.owner.client, bob, membershipv1.OrganizationPolicy_RESET_TEMP_PASSWORD)
		require.NoError(t, err)
		in, err := open(t, over, bob.Email, issued.GetTemporaryPassword())
		require.NoError(t, err)
		answered, err := answerChallenge(t, connect(over, in.GetToken()), phone.code(t))
		require.NoError(t, err)
		now := chosen(t, over, answered.GetToken(), issued.GetTemporaryPassword())
		require.True(t, now.me(t).GetUnproven())
		eventually(t, func() bool { return org.member(t, org.owner, bob.ID).GetUnproven() }, "admins see it")
		refused(t, third.accepts(t, now), errorv1.Reason_REASON_EMAIL_UNVERIFIED)
		_, err = other.createMember(t, other.owner, bob.Email, "member")
		refused(t, err, errorv1.Reason_REASON_EMAIL_TAKEN)
		_, err = now.RegenerateRecoveryCodes(t.Context(), &identityv1.RegenerateRecoveryCodesRequest{})
		require.NoError(t, err)
		require.NoError(t, prove(t, now.client, bob.Email))
		now.signedOut(t)

		in, err = open(t, over, bob.Email, newPassword)
		require.NoError(t, err)
		answered, err = answerChallenge(t, connect(over, in.GetToken()), phone.code(t))
		require.NoError(t, err, "the factor from before stays")
		now = as(t, over, answered.GetToken())
		require.False(t, now.me(t).GetUnproven())
		factors, err := now.ListFactors(t.Context(), &identityv1.ListFactorsRequest{})
		require.NoError(t, err)
		require.Len(t, factors.GetFactors(), 1)
		require.Zero(t, factors.GetRecoveryCodesLeft(), "these were made since")
		_, err = other.createMember(t, other.owner, bob.Email, "member")
		require.NoError(t, err)
	})

	scenario(t, "RB20 S2-22 a created account is unproven, and its person has the mail sent again", func(t *testing.T, over string) {
		org, other := create(t, over, rbac), create(t, over, portal)
		address := unique("grace") + "@" + other.domain(t)
		made, err := org.createMember(t, org.owner, address, "member")
		require.NoError(t, err)
		in, err := open(t, over, address, made.GetTemporaryPassword())
		require.NoError(t, err)
		grace := chosen(t, over, in.GetToken(), made.GetTemporaryPassword())
		require.True(t, grace.me(t).GetUnproven())
		first := mailLink(t, address, "/verify/")
		_, err = grace.AddEmail(t.Context(), &identityv1.AddEmailRequest{Email: address})
		require.NoError(t, err)
		mailTo(t, address, func(m devmail.Received) bool {
			link := linkWith(m, "/verify/")
			return link != "" && lastSegment(link) != first
		})
		require.Empty(t, other.waiting(t, other.owner), "nobody joins through a domain without having proven the address")
		require.False(t, other.can(t, grace, "products.use"))
		require.NoError(t, prove(t, grace.client, address))
		now := opened(t, over, address, newPassword)
		require.False(t, now.me(t).GetUnproven())
		eventually(t, func() bool { return other.can(t, now, "products.use") }, "now they do")
	})

	scenario(t, "R18 the page of the link asks whoever is unproven to sign in first", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		bob, address := org.join(t, "member"), unique("robert")+"@example.com"
		require.NoError(t, org.changeEmail(t, org.owner.client, bob, address))
		b, link := newWindow(t), suite.URL+"/verify/"+mailLink(t, address, "/verify/")
		page := b.submit(b.visit(http.MethodGet, link, nil, nil), nil, nil)
		require.Contains(t, page.text, "Sign in first")
		require.Contains(t, page.text, "/forgot")
		b.submit(b.visit(http.MethodGet, suite.URL+"/sign-in", nil, nil), url.Values{"identifier": {address}, "password": {password}}, nil)
		require.True(t, b.whoIs().GetUnproven())
		page = b.submit(b.visit(http.MethodGet, link, nil, nil), nil, nil)
		require.Contains(t, page.text, "Your address is confirmed")
		require.False(t, opened(t, over, address, password).me(t).GetUnproven())
	})

	t.Run("RB20 an address is changed while another is proven: the new one is not proven by that", func(t *testing.T) {
		t.Parallel()
		org := create(t, "gRPC", rbac)
		for range 8 {
			bob := org.join(t, "member")
			now, address := org.temporary(t, "gRPC", bob), unique("robert")+"@example.com"
			link := mailLink(t, bob.Email, "/verify/")
			outcomes := atOnce(2, func(i int) error {
				if i == 0 {
					return org.changeEmail(t, org.owner.client, bob, address)
				}
				_, err := now.VerifyEmail(t.Context(), &identityv1.VerifyEmailRequest{Token: link})
				return err
			})
			require.NoError(t, outcomes[0])
			switch fault.ReasonOf(outcomes[1]) {
			case errorv1.Reason_REASON_LINK_INVALID, errorv1.Reason_REASON_SIGN_IN_REQUIRED, errorv1.Reason_REASON_UNAUTHENTICATED:
			default:
				require.NoError(t, outcomes[1])
			}
			require.True(t, opened(t, "gRPC", address, newPassword).me(t).GetUnproven())
			_, err := open(t, "gRPC", bob.Email, newPassword)
			refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)
		}
	})
}
