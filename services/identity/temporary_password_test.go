package identity

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
)

const (
	notManaged       = errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED
	signInIncomplete = errorv1.Reason_REASON_SIGN_IN_INCOMPLETE
)

// broughtIn makes an account with a password, whose organization is returned too.
func (h *harness) broughtIn(email string) (id.Account, id.Organization) {
	h.Helper()
	key, org := h.withPassword(email, ""), id.NewOrganization()
	h.exec(`UPDATE accounts SET managed_by = $2 WHERE id = $1`, key, org)
	return key, org
}

func (h *harness) issue(key id.Account, org id.Organization, operation id.Seat) (*identityv1.IssueTemporaryPasswordResponse, error) {
	return h.membership.IssueTemporaryPassword(h.Context(), &identityv1.IssueTemporaryPasswordRequest{
		AccountId: key.String(), OrganizationId: org.String(), OperationId: operation.String()})
}

func (h *harness) send(key id.Account, org id.Organization, operation id.Seat) (*identityv1.SendPasswordResetResponse, error) {
	return h.membership.SendPasswordReset(h.Context(), &identityv1.SendPasswordResetRequest{
		AccountId: key.String(), OrganizationId: org.String(), OperationId: operation.String()})
}

// temporary gives a managed account a temporary password, and signs in with it.
func (h *harness) temporary(email string) (password string, in *identityv1.CreateSessionResponse) {
	h.Helper()
	key, org := h.broughtIn(email)
	issued, err := h.issue(key, org, id.NewSeat())
	require.NoError(h, err)
	in, err = h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
		Email: email, Password: issued.GetPassword(), Delivery: identityv1.Delivery_DELIVERY_TOKEN})
	require.NoError(h, err)
	return issued.GetPassword(), in
}

func TestIssueTemporaryPassword(t *testing.T) {
	t.Parallel()
	t.Run("R9 ItIsInTheAnswerOnlyAndWorksForThreeDays", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, org := h.broughtIn("ada@example.com")
		issued, err := h.issue(key, org, id.NewSeat())
		require.NoError(t, err)
		require.Regexp(t, `^([a-z2-7]{5}-){3}[a-z2-7]{5}$`, issued.GetPassword())
		require.WithinDuration(t, time.Now().Add(72*time.Hour), issued.GetExpireTime().AsTime(), time.Minute)
		require.False(t, h.signsIn("ada@example.com", goodPassword))
		h.sweep(mail.TaskKind)
		require.Contains(t, h.outbox.to("ada@example.com")[0].Text, "temporary")
		for where, text := range map[string]string{"log": h.logged.String(), "database": h.dump(), "mail": h.outbox.to("ada@example.com")[0].Text} {
			require.NotContains(t, text, issued.GetPassword(), where)
		}
		h.exec(`UPDATE credentials SET temporary_until = temporary_until - interval '71 hours 59 minutes'`)
		require.True(t, h.signsIn("ada@example.com", issued.GetPassword()))
		h.exec(`UPDATE credentials SET temporary_until = temporary_until - interval '1 minute'`)
		require.False(t, h.signsIn("ada@example.com", issued.GetPassword()))
	})
	t.Run("R10 ItOpensNothingButTheChoiceOfTheNext", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		password, in := h.temporary("ada@example.com")
		require.True(t, in.GetPasswordChangeRequired())
		_, err := h.accounts.GetMe(h.as(in.GetToken()), &identityv1.GetMeRequest{})
		requireReason(t, signInIncomplete, err)
		_, err = h.sessions.ListSessions(h.as(in.GetToken()), &identityv1.ListSessionsRequest{})
		requireReason(t, signInIncomplete, err)
		require.Equal(t, "PASSWORD_CHANGE", fault.From(err).Metadata["stage"])
		_, err = h.sessions.Reauthenticate(h.as(in.GetToken()), &identityv1.ReauthenticateRequest{Password: password})
		requireReason(t, signInIncomplete, err)

		requireReason(t, passwordRefused, h.change(in.GetToken(), password, password))
		changed, err := h.passwords.ChangePassword(h.as(in.GetToken()), &identityv1.ChangePasswordRequest{CurrentPassword: password, Password: otherPassword})
		require.NoError(t, err)
		require.NotEqual(t, in.GetSession().GetId(), changed.GetSession().GetId())
		listed, err := h.sessions.ListSessions(h.as(changed.GetToken()), &identityv1.ListSessionsRequest{})
		require.NoError(t, err)
		require.Len(t, listed.GetSessions(), 1, "it took the place of the other")
		require.False(t, h.signsIn("ada@example.com", password))
		again, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
			Email: "ada@example.com", Password: otherPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		require.NoError(t, err)
		require.False(t, again.GetPasswordChangeRequired())
	})
	t.Run("R10 AnExpiredOneChangesNothingEither", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		password, in := h.temporary("ada@example.com")
		h.exec(`UPDATE credentials SET temporary_until = now()`)
		requireReason(t, credentialsInvalid, h.change(in.GetToken(), password, otherPassword))
	})
	t.Run("R10 ANewerOneEndsIt", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, org := h.broughtIn("ada@example.com")
		first, err := h.issue(key, org, id.NewSeat())
		require.NoError(t, err)
		second, err := h.issue(key, org, id.NewSeat())
		require.NoError(t, err)
		require.NotEqual(t, first.GetPassword(), second.GetPassword())
		require.False(t, h.signsIn("ada@example.com", first.GetPassword()))
		require.True(t, h.signsIn("ada@example.com", second.GetPassword()))
	})
	t.Run("R11 ItProvesNoAddress", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, org := h.broughtIn("ada@example.com")
		h.exec(`UPDATE accounts SET email_verified = false WHERE id = $1`, key)
		h.exec(`UPDATE user_emails SET verified = false WHERE account_id = $1`, key)
		issued, err := h.issue(key, org, id.NewSeat())
		require.NoError(t, err)
		require.True(t, h.signsIn("ada@example.com", issued.GetPassword()))
		require.Zero(t, count(h, `accounts WHERE email_verified`))
		require.Zero(t, count(h, `mails`), "who has proven no address gets no mail")
	})
	t.Run("R12 AllThatTheOldOneOpenedEnds", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, org := h.broughtIn("ada@example.com")
		in := h.signIn("ada@example.com")
		link := h.resetLinks(byEmail("ada@example.com"), "ada@example.com")[0]
		_, err := h.issue(key, org, id.NewSeat())
		require.NoError(t, err)
		require.Zero(t, count(h, `sessions`))
		_, err = h.resolve(in.token, false)
		requireReason(t, unauthenticated, err)
		requireReason(t, linkInvalid, h.reset(link, otherPassword, ""))
		require.Subset(t, h.types(key.String()), []string{"session.ended", "account.temporary_password_issued"})
	})
	t.Run("RB20 OnlyTheOrganizationThatManagesTheAccountHasOneMade", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, _ := h.broughtIn("ada@example.com")
		free := h.withPassword("bob@example.com", "")
		for _, key := range []id.Account{key, free} {
			_, err := h.issue(key, id.NewOrganization(), id.NewSeat())
			requireReason(t, notManaged, err)
			require.Equal(t, "LINK", fault.From(err).Metadata["method"])
		}
		require.True(t, h.signsIn("ada@example.com", goodPassword))
		_, err := h.issue(id.NewAccount(), id.NewOrganization(), id.NewSeat())
		requireReason(t, accountNotFound, err)
	})
	t.Run("TheSameOperationIsAnsweredTheSame", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, org := h.broughtIn("ada@example.com")
		operation := id.NewSeat()
		answers := make([]string, 4)
		for _, err := range h.together(4, func(i int) error {
			issued, err := h.issue(key, org, operation)
			answers[i] = issued.GetPassword()
			return err
		}) {
			require.NoError(t, err)
		}
		for _, answer := range answers {
			require.Equal(t, answers[0], answer)
		}
		require.Equal(t, 1, count(h, `events WHERE type = 'account.temporary_password_issued'`))
		require.True(t, h.signsIn("ada@example.com", answers[0]))
	})
	t.Run("S2-43 WhoHasNoPasswordGetsNone", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, org := h.broughtIn("ada@example.com")
		h.exec(`DELETE FROM credentials`)
		_, err := h.issue(key, org, id.NewSeat())
		requireReason(t, errorv1.Reason_REASON_PASSWORD_MISSING, err)
		_, err = h.send(key, org, id.NewSeat())
		requireReason(t, errorv1.Reason_REASON_PASSWORD_MISSING, err)
		require.Zero(t, count(h, `credentials`))
	})
}

func TestSendPasswordReset(t *testing.T) {
	t.Parallel()
	t.Run("RULING 30 TheProvenAddressGetsTheLink", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		sent, err := h.send(key, id.NewOrganization(), id.NewSeat())
		require.NoError(t, err)
		require.Empty(t, sent.GetResetUrl())
		h.sweep(mail.TaskKind)
		found := resetLink.FindStringSubmatch(h.outbox.to("ada@example.com")[0].Text)
		require.True(t, h.signsIn("ada@example.com", goodPassword), "nothing has changed yet")
		require.NoError(t, h.reset(found[1], otherPassword, ""))
		require.True(t, h.signsIn("ada@example.com", otherPassword))
	})
	t.Run("RULING 30 WithoutOneTheManagingOrganizationGetsIt", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, org := h.broughtIn("ada@example.com")
		h.exec(`UPDATE accounts SET email_verified = false WHERE id = $1`, key)
		_, err := h.send(key, id.NewOrganization(), id.NewSeat())
		requireReason(t, errorv1.Reason_REASON_EMAIL_UNVERIFIED, err)
		require.Zero(t, count(h, `resets`))
		operation := id.NewSeat()
		sent, err := h.send(key, org, operation)
		require.NoError(t, err)
		again, err := h.send(key, org, operation)
		require.NoError(t, err)
		require.Equal(t, sent.GetResetUrl(), again.GetResetUrl())
		found := resetLink.FindStringSubmatch(sent.GetResetUrl())
		require.NoError(t, h.reset(found[1], otherPassword, ""))
	})
	t.Run("R19 AnAddressGetsFiveAnHour", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		for range 5 {
			_, err := h.send(key, id.NewOrganization(), id.NewSeat())
			require.NoError(t, err)
		}
		_, err := h.send(key, id.NewOrganization(), id.NewSeat())
		requireReason(t, errorv1.Reason_REASON_RATE_LIMITED, err)
	})
}
