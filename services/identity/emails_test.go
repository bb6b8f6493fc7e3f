package identity

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// newcomer signs up, proves an address and signs in.
func (h *harness) newcomer(email string) person {
	h.Helper()
	_, err := h.accounts.SignUp(h.as(""), &identityv1.SignUpRequest{Email: email, Password: goodPassword, DisplayName: "Ada Lovelace"})
	require.NoError(h, err)
	h.verifyLink(email)
	return h.signIn(email)
}

// verifyLink opens the latest link that proves the address.
func (h *harness) verifyLink(email string) {
	h.Helper()
	_, err := h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: h.linkFor(email)})
	require.NoError(h, err)
}

// addEmail gives an account another address.
func (h *harness) addEmail(bearer, email string) {
	h.Helper()
	_, err := h.emails.AddEmail(h.as(bearer), &identityv1.AddEmailRequest{Email: email})
	require.NoError(h, err)
	h.verifyLink(email)
}

func (h *harness) setPrimary(bearer, email string) {
	h.Helper()
	_, err := h.emails.SetPrimaryEmail(h.as(bearer), &identityv1.SetPrimaryEmailRequest{Email: email})
	require.NoError(h, err)
}

// listEmails returns the addresses as a person reads them.
func (h *harness) listEmails(bearer string) (shown []string) {
	h.Helper()
	answer, err := h.emails.ListEmails(h.as(bearer), &identityv1.ListEmailsRequest{})
	require.NoError(h, err)
	for _, e := range answer.GetEmails() {
		line := e.GetEmail()
		if e.GetPrimary() {
			line += " primary"
		}
		if !e.GetVerified() {
			line += " unproven"
		}
		if e.GetExpireTime() != nil {
			line += " waiting"
		}
		shown = append(shown, line)
	}
	return shown
}

var revertPattern = regexp.MustCompile(`https://roster\.test/revert-email/([A-Za-z0-9_-]+)`)

// revertLink returns the token of the latest mail that lets the address be taken back.
func (h *harness) revertLink(address string) string {
	h.Helper()
	h.sweep(mail.TaskKind)
	for _, m := range h.outbox.to(address) {
		if found := revertPattern.FindStringSubmatch(m.Text); found != nil {
			return found[1]
		}
	}
	require.Fail(h, "no mail with a link to "+address)
	return ""
}

func TestEmails(t *testing.T) {
	t.Parallel()
	const notFound, limit = errorv1.Reason_REASON_EMAIL_NOT_FOUND, errorv1.Reason_REASON_LIMIT_REACHED
	revert := func(h *harness, token string) error {
		_, err := h.emails.RevertEmailChange(h.as(""), &identityv1.RevertEmailChangeRequest{Token: token})
		return err
	}

	t.Run("R66 AnAddressCountsFromItsProofOn", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		_, err := h.emails.AddEmail(h.as(ada.token), &identityv1.AddEmailRequest{Email: "Countess@works.example"})
		require.NoError(t, err)
		require.Equal(t, []string{"ada@example.com primary", "Countess@works.example unproven waiting"}, h.listEmails(ada.token))
		_, err = h.emails.SetPrimaryEmail(h.as(ada.token), &identityv1.SetPrimaryEmailRequest{Email: "countess@works.example"})
		requireReason(t, errorv1.Reason_REASON_EMAIL_UNVERIFIED, err)
		sign := &identityv1.CreateSessionRequest{Email: "countess@works.example", Password: goodPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN}
		_, err = h.sessions.CreateSession(h.as(""), sign)
		requireReason(t, credentialsInvalid, err)

		verified, err := h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: h.linkFor("Countess@works.example"), RequestId: "once"})
		require.NoError(t, err)
		require.Equal(t, "Countess@works.example", verified.GetEmail())
		require.Equal(t, "ada@example.com", verified.GetAccount().GetEmail(), "the primary one stays")
		require.Equal(t, []string{"ada@example.com primary", "Countess@works.example"}, h.listEmails(ada.token))
		require.Equal(t, ada.session.GetAccountId(), h.signIn("countess@works.example").session.GetAccountId())
		h.sweep(mail.TaskKind)
		require.Equal(t, "An address was added to your account", h.outbox.to("ada@example.com")[0].Subject)
		_, err = h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: h.linkFor("Countess@works.example")})
		requireReason(t, linkInvalid, err)
		again, err := h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: h.linkFor("Countess@works.example"), RequestId: "once"})
		require.NoError(t, err)
		require.Equal(t, verified.String(), again.String())
	})
	t.Run("R63 AddingSaysNothingAboutTheAddress", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		h.insert("bob@example.com", "")
		for _, address := range []string{"bob@example.com", "free@example.com", "ADA@example.com"} {
			answer, err := h.emails.AddEmail(h.as(ada.token), &identityv1.AddEmailRequest{Email: address})
			require.NoError(t, err)
			require.Empty(t, answer.String())
		}
		require.Len(t, h.listEmails(ada.token), 4)
		h.sweep(mail.TaskKind)
		for _, taken := range []string{"bob@example.com", "ADA@example.com"} {
			require.Equal(t, "This address belongs to an account", h.outbox.to(taken)[0].Subject)
			require.NotContains(t, h.outbox.to(taken)[0].Text, "/verify/")
		}
		require.Contains(t, h.outbox.to("free@example.com")[0].Text, "/verify/")
	})
	t.Run("R34 WhatIsNotProvenBlocksNobody", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		_, err := h.emails.AddEmail(h.as(ada.token), &identityv1.AddEmailRequest{Email: "bob@example.com"})
		require.NoError(t, err)
		mine := h.linkFor("bob@example.com")
		bob := h.newcomer("bob@example.com")
		require.NotEqual(t, ada.session.GetAccountId(), bob.session.GetAccountId())
		_, err = h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: mine})
		requireReason(t, emailTaken, err)
		require.Equal(t, []string{"bob@example.com primary"}, h.listEmails(bob.token))
	})
	t.Run("R15 LinksAreOfOnePurposeAndTime", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		_, err := h.emails.AddEmail(h.as(ada.token), &identityv1.AddEmailRequest{Email: "late@example.com"})
		require.NoError(t, err)
		late := h.linkFor("late@example.com")
		requireReason(t, linkInvalid, revert(h, late))
		_, err = h.passwords.ResetPassword(h.as(""), &identityv1.ResetPasswordRequest{Token: late, Password: goodPassword + "x"})
		requireReason(t, linkInvalid, err)
		h.exec(`UPDATE email_additions SET expire_time = expire_time - interval '24 hours'`)
		_, err = h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: late})
		requireReason(t, linkInvalid, err)
		require.Equal(t, []string{"ada@example.com primary"}, h.listEmails(ada.token))

		h.addEmail(ada.token, "new@example.com")
		h.setPrimary(ada.token, "new@example.com")
		back := h.revertLink("ada@example.com")
		_, err = h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: back})
		requireReason(t, linkInvalid, err)
		h.exec(`UPDATE email_reverts SET expire_time = expire_time - interval '7 days'`)
		requireReason(t, linkInvalid, revert(h, back))
	})
	t.Run("R66 AnotherPrimaryEndsTheOtherSessionsAndTellsTheOldAddress", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		other := h.signIn("ada@example.com")
		h.addEmail(ada.token, "new@works.example")
		_, err := h.passwords.RequestPasswordReset(h.as(""), &identityv1.RequestPasswordResetRequest{Email: "ada@example.com"})
		require.NoError(t, err)
		h.sweep(resetTask)
		require.Equal(t, 1, count(h, `resets`))
		changed, err := h.emails.SetPrimaryEmail(h.as(ada.token), &identityv1.SetPrimaryEmailRequest{Email: "NEW@works.example", RequestId: "once"})
		require.NoError(t, err)
		require.Equal(t, "new@works.example", changed.GetAccount().GetEmail())
		require.Zero(t, count(h, `resets`), "R15")
		_, err = h.resolve(other.token, false)
		requireReason(t, unauthenticated, err)
		_, err = h.resolve(ada.token, false)
		require.NoError(t, err)
		h.sweep(mail.TaskKind)
		told := h.outbox.to("ada@example.com")[0]
		require.Equal(t, "The address of your account was changed", told.Subject)
		require.NotContains(t, told.Text, "new@works.example")
		events := h.events(ada.session.GetAccountId())
		latest := events[len(events)-1]
		require.Equal(t, "account.email_changed", latest.Type)
		require.Equal(t, "new@works.example", latest.Personal["email"])
		require.NotContains(t, fmt.Sprint(latest.Data), "works.example")
		again, err := h.emails.SetPrimaryEmail(h.as(ada.token), &identityv1.SetPrimaryEmailRequest{Email: "NEW@works.example", RequestId: "once"})
		require.NoError(t, err)
		require.Equal(t, changed.String(), again.String())
		require.Equal(t, 1, count(h, `email_reverts`))
	})
	t.Run("R66 TheOldAddressTakesItBackAndAllElseEnds", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		eve := h.newcomer("ada@example.com") // somebody at Ada's computer, who knows the password
		h.makeKey(eve.token, "org.read")
		h.addEmail(eve.token, "eve@evil.example")
		h.addEmail(eve.token, "eve@spare.example")
		h.setPrimary(eve.token, "eve@evil.example")
		h.setPrimary(eve.token, "eve@spare.example")
		_, err := h.emails.RemoveEmail(h.as(eve.token), &identityv1.RemoveEmailRequest{Email: "ada@example.com"})
		require.NoError(t, err)
		theirs := h.revertLink("eve@evil.example")
		back := h.revertLink("ada@example.com")
		taken := 0
		for _, err := range h.together(10, func(int) error { return revert(h, back) }) {
			if err == nil {
				taken++
				continue
			}
			requireReason(t, linkInvalid, err)
		}
		require.Equal(t, 1, taken)
		requireReason(t, linkInvalid, revert(h, theirs))
		_, err = h.resolve(eve.token, false)
		requireReason(t, unauthenticated, err)
		require.Zero(t, count(h, `sessions`))
		require.Zero(t, count(h, `api_keys`))
		require.Equal(t, 1, count(h, `user_emails`))
		require.False(t, h.signsIn("ada@example.com", goodPassword), "whoever got in knows it")
		require.NoError(t, h.reset(h.resetLinks(byEmail("ada@example.com"), "ada@example.com")[0], otherPassword, ""))
		require.True(t, h.signsIn("ada@example.com", otherPassword))
		require.Equal(t, 1, count(h, `accounts WHERE email = 'ada@example.com' AND email_verified`))
	})
	t.Run("R66 WhatWasSetUpSinceThenOpensNothing", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		eve := h.newcomer("ada@example.com").token
		_, before := h.enrol(eve)
		eve = before.GetToken()
		h.addEmail(eve, "eve@evil.example")
		h.setPrimary(eve, "eve@evil.example")
		p := h.provider().says("email", "eve@evil.example").says("email_verified", true)
		_, err := h.come(p)
		require.NoError(t, err, "the provider vouches for the address")
		_, err = h.factors.RemoveFactor(h.as(eve), &identityv1.RemoveFactorRequest{FactorId: before.GetFactor().GetId()})
		require.NoError(t, err)
		key := testkit.NewPasskey(t, publicURL)
		_, err = h.confirm(eve, key.Create(t, h.creation(eve)))
		require.NoError(t, err)
		_, err = h.finish(key.Sign(t, h.signInOptions()))
		require.NoError(t, err)

		require.NoError(t, revert(h, h.revertLink("ada@example.com")))
		_, err = h.finish(key.Sign(t, h.signInOptions()))
		requireReason(t, errorv1.Reason_REASON_PASSKEY_INVALID, err)
		back, err := h.come(p)
		require.NoError(t, err)
		require.NotEqual(t, before.GetSession().GetAccountId(), back.GetSession().GetAccountId(), "it is another account's")
		require.NoError(t, h.reset(h.resetLinks(byEmail("ada@example.com"), "ada@example.com")[0], otherPassword, ""))
		require.True(t, h.signsIn("ada@example.com", otherPassword))
	})
	t.Run("R43 WhatWaitsForItsProofEndsWithTheSessions", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		for name, end := range map[string]func() error{
			"SignOutOthers": func() error {
				_, err := h.sessions.SignOutOthers(h.as(ada.token), &identityv1.SignOutOthersRequest{})
				return err
			},
			"EndSessions": func() error {
				org := id.NewOrganization()
				h.exec(`UPDATE accounts SET managed_by = $1`, org)
				_, err := h.membership.EndSessions(h.Context(), &identityv1.EndSessionsRequest{
					AccountId: ada.session.GetAccountId(), OrganizationId: org.String(), OperationId: id.NewSeat().String(), ActorAccountId: ada.session.GetAccountId()})
				return err
			},
		} {
			ada = h.signIn("ada@example.com")
			eve := h.signIn("ada@example.com")
			address := strings.ToLower(name) + "@evil.example"
			_, err := h.emails.AddEmail(h.as(eve.token), &identityv1.AddEmailRequest{Email: address})
			require.NoError(t, err)
			require.NoError(t, end())
			_, err = h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: h.linkFor(address)})
			require.Equal(t, linkInvalid, fault.ReasonOf(err), name)
		}
		require.Equal(t, 1, count(h, `user_emails`))
	})
	t.Run("R66 AnAppThatWasBegunBeforeItIsOfThen", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		eve := h.newcomer("ada@example.com").token
		h.addEmail(eve, "eve@evil.example")
		begun := h.begin(eve)
		h.setPrimary(eve, "eve@evil.example")
		_, err := h.factors.ConfirmTotp(h.as(eve), &identityv1.ConfirmTotpRequest{FactorId: begun.id, Code: begun.code()})
		require.NoError(t, err)
		require.NoError(t, revert(h, h.revertLink("ada@example.com")))
		require.NoError(t, h.reset(h.resetLinks(byEmail("ada@example.com"), "ada@example.com")[0], otherPassword, ""))
		in, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
			Email: "ada@example.com", Password: otherPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		require.NoError(t, err)
		require.Nil(t, in.GetChallenge(), "only Eve has the app")
	})
	t.Run("R66 RecoveryCodesOfThenStandInForNothing", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, app, confirmed := h.withApp("ada@example.com")
		eve := confirmed.GetToken()
		h.addEmail(eve, "eve@evil.example")
		h.setPrimary(eve, "eve@evil.example")
		made, err := h.factors.RegenerateRecoveryCodes(h.as(eve), &identityv1.RegenerateRecoveryCodesRequest{})
		require.NoError(t, err)
		require.NoError(t, revert(h, h.revertLink("ada@example.com")))
		require.NoError(t, h.reset(h.resetLinks(byEmail("ada@example.com"), "ada@example.com")[0], otherPassword, ""))
		in, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
			Email: "ada@example.com", Password: otherPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		require.NoError(t, err)
		_, err = h.answer(in.GetToken(), made.GetRecoveryCodes()[0])
		requireReason(t, codeInvalid, err)
		_, err = h.answer(in.GetToken(), app.code())
		require.NoError(t, err)
	})
	t.Run("R66 TheFactorsOfBeforeStay", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, app, confirmed := h.withApp("ada@example.com")
		bearer := confirmed.GetToken()
		h.addEmail(bearer, "new@works.example")
		h.setPrimary(bearer, "new@works.example")
		_, err := h.confirm(bearer, testkit.NewPasskey(t, publicURL).Create(t, h.creation(bearer)))
		require.NoError(t, err)
		require.NoError(t, revert(h, h.revertLink("ada@example.com")))
		require.Equal(t, 1, count(h, `factors`))
		require.Equal(t, len(confirmed.GetRecoveryCodes()), count(h, `recovery_codes`))
		require.NoError(t, h.reset(h.resetLinks(byEmail("ada@example.com"), "ada@example.com")[0], otherPassword, ""))
		in, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
			Email: "ada@example.com", Password: otherPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		require.NoError(t, err)
		require.NotNil(t, in.GetChallenge(), "the mailbox alone does not sign in")
		_, err = h.answer(in.GetToken(), app.code())
		require.NoError(t, err)
	})
	t.Run("R66 AnAddressThatSomebodyElseHasProvenIsNotTakenBack", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		h.addEmail(ada.token, "new@works.example")
		h.setPrimary(ada.token, "new@works.example")
		_, err := h.emails.RemoveEmail(h.as(ada.token), &identityv1.RemoveEmailRequest{Email: "ada@example.com"})
		require.NoError(t, err)
		other := h.newcomer("ada@example.com")
		requireReason(t, emailTaken, revert(h, h.revertLink("ada@example.com")))
		require.Equal(t, []string{"new@works.example primary"}, h.listEmails(ada.token))
		require.Equal(t, []string{"ada@example.com primary"}, h.listEmails(other.token))
	})
	t.Run("R66 AsksForAFreshProof", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		h.addEmail(ada.token, "new@example.com")
		ada = h.signIn("ada@example.com")
		h.exec(`UPDATE sessions SET auth_time = now() - interval '11 minutes'`)
		_, err := h.emails.AddEmail(h.as(ada.token), &identityv1.AddEmailRequest{Email: "other@example.com"})
		requireReason(t, stepUpRequired, err)
		_, err = h.emails.SetPrimaryEmail(h.as(ada.token), &identityv1.SetPrimaryEmailRequest{Email: "new@example.com"})
		requireReason(t, stepUpRequired, err)
		_, err = h.emails.RemoveEmail(h.as(ada.token), &identityv1.RemoveEmailRequest{Email: "new@example.com"})
		requireReason(t, stepUpRequired, err)
		require.Equal(t, []string{"ada@example.com primary", "new@example.com"}, h.listEmails(ada.token))
	})
	t.Run("ThePrimaryOneStays", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		h.addEmail(ada.token, "new@example.com")
		remove := func(address string) error {
			_, err := h.emails.RemoveEmail(h.as(ada.token), &identityv1.RemoveEmailRequest{Email: address})
			return err
		}
		requireReason(t, stateConflict, remove("ADA@example.com"))
		requireReason(t, notFound, remove("bob@example.com"))
		require.NoError(t, remove("NEW@example.com"))
		requireReason(t, notFound, remove("new@example.com"))
		h.sweep(mail.TaskKind)
		require.Equal(t, "An address was removed from your account", h.outbox.to("ada@example.com")[0].Subject)
		types := h.types(ada.session.GetAccountId())
		require.Equal(t, "account.email_removed", types[len(types)-1])
		require.NotEmpty(t, h.newcomer("new@example.com").token, "it is free again")
	})
	t.Run("AnotherPersonsAddressIsNotFound", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada, bob := h.newcomer("ada@example.com"), h.newcomer("bob@example.com")
		h.addEmail(bob.token, "bob@works.example")
		_, err := h.emails.SetPrimaryEmail(h.as(ada.token), &identityv1.SetPrimaryEmailRequest{Email: "bob@works.example"})
		requireReason(t, notFound, err)
		_, err = h.emails.RemoveEmail(h.as(ada.token), &identityv1.RemoveEmailRequest{Email: "bob@works.example"})
		requireReason(t, notFound, err)
		require.Equal(t, []string{"bob@example.com primary", "bob@works.example"}, h.listEmails(bob.token))
	})
	t.Run("R28 AnAccountWritesToFiveStrangersAnHourAndHasTenAddresses", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		add := func(i int) error {
			_, err := h.emails.AddEmail(h.as(ada.token), &identityv1.AddEmailRequest{Email: fmt.Sprintf("new%d@example.com", i)})
			return err
		}
		for i := range 9 {
			if i == 5 {
				requireReason(t, rateLimited, add(i))
				h.exec(`UPDATE stranger_mails SET times = array_fill(now() - interval '2 hours', ARRAY[5])`)
			}
			require.NoError(t, add(i))
		}
		requireReason(t, limit, add(9))
		require.NoError(t, add(8), "one that waits may be asked for again")
		require.Len(t, h.listEmails(ada.token), 10)
	})
	t.Run("R24 TheFirstProvenAddressIsThePrimaryOne", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("", "ada")
		h.exec(`UPDATE accounts SET email = 'Ada@example.com' WHERE id = $1`, ada) // from a link that somebody was shown
		h.exec(`INSERT INTO user_emails VALUES ('ada@example.com', $1, false)`, ada)
		_, bearer := h.open(ada)
		require.Equal(t, []string{"Ada@example.com primary unproven"}, h.listEmails(bearer))
		h.addEmail(bearer, "new@example.com")
		require.Equal(t, []string{"new@example.com primary"}, h.listEmails(bearer))
		require.Equal(t, 1, count(h, `user_emails`))
		require.Equal(t, []string{"account.signed_in", "account.email_verified", "account.email_changed"}, h.types(ada.String()))

		bob := h.insert("", "bob")
		h.exec(`UPDATE accounts SET email = 'bob@example.com' WHERE id = $1`, bob)
		h.exec(`INSERT INTO user_emails VALUES ('bob@example.com', $1, false)`, bob)
		_, bearer = h.open(bob)
		h.addEmail(bearer, "bob@example.com")
		require.Equal(t, []string{"bob@example.com primary"}, h.listEmails(bearer))
		require.Equal(t, []string{"account.signed_in", "account.email_verified"}, h.types(bob.String()))
	})
	t.Run("ALinkToResetGoesToTheAddressThatWasNamed", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		h.addEmail(ada.token, "New@works.example")
		_, err := h.passwords.RequestPasswordReset(h.as(""), &identityv1.RequestPasswordResetRequest{Email: "new@works.example"})
		require.NoError(t, err)
		h.sweep(resetTask)
		h.sweep(mail.TaskKind)
		require.Contains(t, h.outbox.to("New@works.example")[0].Text, "/reset/")
	})
	t.Run("WhoIsGoneHasNoLinks", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		_, err := h.emails.AddEmail(h.as(ada.token), &identityv1.AddEmailRequest{Email: "new@example.com"})
		require.NoError(t, err)
		link := h.linkFor("new@example.com")
		key, err := id.ParseAccount(ada.session.GetAccountId())
		require.NoError(t, err)
		h.exec(`DELETE FROM accounts WHERE id = $1`, key)
		_, err = h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: link})
		requireReason(t, linkInvalid, err)
	})
}
