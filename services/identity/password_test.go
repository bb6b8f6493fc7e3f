package identity

import (
	"crypto/sha256"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
)

const otherPassword = "marble lantern orchard 3"

func (h *harness) change(bearer, current, wanted string) error {
	_, err := h.passwords.ChangePassword(h.as(bearer), &identityv1.ChangePasswordRequest{CurrentPassword: current, Password: wanted})
	return err
}

func (h *harness) reset(token, wanted, requestID string) error {
	_, err := h.passwords.ResetPassword(h.as(""), &identityv1.ResetPasswordRequest{Token: token, Password: wanted, RequestId: requestID})
	return err
}

var resetLink = regexp.MustCompile(`https://roster\.test/reset/([A-Za-z0-9_-]+)`)

// resetLinks asks for a link and returns all that were mailed to the address by then, the newest first.
func (h *harness) resetLinks(req *identityv1.RequestPasswordResetRequest, address string) (links []string) {
	h.Helper()
	_, err := h.passwords.RequestPasswordReset(h.as(""), req)
	require.NoError(h, err)
	h.sweep(resetTask)
	h.sweep(mail.TaskKind)
	for _, m := range h.outbox.to(address) {
		if found := resetLink.FindStringSubmatch(m.Text); found != nil {
			links = append(links, found[1])
		}
	}
	return links
}

func byEmail(email string) *identityv1.RequestPasswordResetRequest {
	return &identityv1.RequestPasswordResetRequest{Email: email}
}

func (h *harness) signsIn(email, password string) bool {
	_, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{Email: email, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
	return err == nil
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	t.Run("R6 AllElseThatThePasswordOpenedIsClosed", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		here, there := h.signIn("ada@example.com"), h.signIn("ada@example.com")
		link := h.resetLinks(byEmail("ada@example.com"), "ada@example.com")[0]
		require.NoError(t, h.change(here.token, goodPassword, otherPassword))
		require.False(t, h.signsIn("ada@example.com", goodPassword))
		require.True(t, h.signsIn("ada@example.com", otherPassword))
		require.Equal(t, 1, count(h, `sessions WHERE id = $1`, parse(t, here.session)), "the one that it was changed with goes on")
		require.Zero(t, count(h, `sessions WHERE id = $1`, parse(t, there.session)))
		requireReason(t, linkInvalid, h.reset(link, goodPassword, ""))
		require.Contains(t, h.types(key.String()), "account.password_changed")
		h.sweep(mail.TaskKind)
		require.Contains(t, h.outbox.to("ada@example.com")[0].Text, "Your password was changed")
	})
	t.Run("R6 TheCurrentOneIsAskedFor", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		in := h.signIn("ada@example.com")
		requireReason(t, credentialsInvalid, h.change(in.token, otherPassword, otherPassword))
		require.Equal(t, 1, count(h, `sign_in_failures WHERE account_id = $1`, key))
		require.True(t, h.signsIn("ada@example.com", goodPassword))
	})
	t.Run("R4 ThePolicyHolds", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("lovelace@analytical.example", "")
		in := h.signIn("lovelace@analytical.example")
		for _, wanted := range []string{"short", "passwordpassword", "lovelace-analytical"} {
			err := h.change(in.token, goodPassword, wanted)
			requireReason(t, passwordRefused, err)
			require.Equal(t, "password", fault.From(err).Fields[0].Name)
		}
		require.True(t, h.signsIn("lovelace@analytical.example", goodPassword))
	})
}

func TestResetPassword(t *testing.T) {
	t.Parallel()
	t.Run("R18 TheLinkSetsAPasswordAndDoesNotSignIn", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "ada")
		in := h.signIn("ada@example.com")
		link := h.resetLinks(&identityv1.RequestPasswordResetRequest{Username: "ADA"}, "ada@example.com")[0]
		require.NoError(t, h.reset(link, otherPassword, ""))
		require.Zero(t, count(h, `sessions`), "not even the one from before")
		_, err := h.credential.ResolveCredential(t.Context(), &identityv1.ResolveCredentialRequest{Secret: in.token, Audience: "identity"})
		requireReason(t, unauthenticated, err)
		require.False(t, h.signsIn("ada@example.com", goodPassword))
		require.True(t, h.signsIn("ada@example.com", otherPassword))
		h.sweep(mail.TaskKind)
		require.Contains(t, h.outbox.to("ada@example.com")[0].Text, "Your password was changed")
		require.Contains(t, h.types(key.String()), "account.password_changed")
	})
	t.Run("R15 TheNewestWorksOnceForHalfAnHour", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		older := h.resetLinks(byEmail("ada@example.com"), "ada@example.com")[0]
		newer := h.resetLinks(byEmail("Ada@EXAMPLE.com"), "ada@example.com")[0]
		requireReason(t, linkInvalid, h.reset(older, otherPassword, ""))
		h.exec(`UPDATE resets SET expire_time = expire_time - interval '29 minutes 50 seconds'`)
		requireReason(t, passwordRefused, h.reset(newer, "short", "")) // and leaves the link as it is
		require.NoError(t, h.reset(newer, otherPassword, ""))
		requireReason(t, linkInvalid, h.reset(newer, goodPassword, ""))

		late := h.resetLinks(byEmail("ada@example.com"), "ada@example.com")[0]
		h.exec(`UPDATE resets SET expire_time = expire_time - interval '30 minutes'`)
		requireReason(t, linkInvalid, h.reset(late, goodPassword, ""))
		require.Zero(t, count(h, `resets WHERE position(convert_to($1, 'UTF8') IN token_hash) > 0`, late), "the hash is stored")
	})
	t.Run("ARepeatedRequestIsAnsweredAgain", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		link := h.resetLinks(byEmail("ada@example.com"), "ada@example.com")[0]
		require.NoError(t, h.reset(link, otherPassword, "r-1"))
		require.NoError(t, h.reset(link, otherPassword, "r-1"))
		requireReason(t, linkInvalid, h.reset(link, otherPassword, "r-2"))
		require.Equal(t, 1, count(h, `events WHERE type = 'account.password_changed'`))
	})
	t.Run("R14 WhoHasNoAccountGetsTheSameAnswerAndNoMail", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "ada")
		disabled := h.withPassword("off@example.com", "")
		h.exec(`UPDATE accounts SET sign_in_allowed = false, managed_by = $2 WHERE id = $1`, disabled, id.NewOrganization())
		unproven := h.withPassword("unproven@example.com", "")
		h.exec(`UPDATE accounts SET email_verified = false WHERE id = $1`, unproven)
		h.exec(`UPDATE user_emails SET verified = false WHERE account_id = $1`, unproven)
		for _, address := range []string{"nobody@example.com", "off@example.com", "unproven@example.com", "not an address"} {
			require.Empty(t, h.resetLinks(byEmail(address), address), address)
		}
		require.Zero(t, count(h, `reset_requests`))
		require.Zero(t, count(h, `due WHERE kind = $1`, resetTask))
	})
	t.Run("R15 AnAddressThatWaitedForItsProofIsNoWayBack", func(t *testing.T) {
		t.Parallel()
		for name, end := range map[string]func(*harness, id.Account, id.Organization, string){
			"changed": func(h *harness, _ id.Account, _ id.Organization, eve string) {
				require.NoError(h, h.change(eve, goodPassword, otherPassword))
			},
			"reset": func(h *harness, _ id.Account, _ id.Organization, _ string) {
				require.NoError(h, h.reset(h.resetLinks(byEmail("ada@example.com"), "ada@example.com")[0], otherPassword, ""))
			},
			"disabled": func(h *harness, key id.Account, org id.Organization, _ string) {
				h.setSignIn(key, org, false, 1)
				h.setSignIn(key, org, true, 2)
			},
			"temporary": func(h *harness, key id.Account, org id.Organization, _ string) {
				_, err := h.issue(key, org, id.NewSeat())
				require.NoError(h, err)
			},
		} {
			h := start(t)
			key, org := h.broughtIn("ada@example.com")
			eve := h.signIn("ada@example.com").token
			_, err := h.emails.AddEmail(h.as(eve), &identityv1.AddEmailRequest{Email: "eve@evil.example"})
			require.NoError(t, err)
			link := h.linkFor("eve@evil.example")
			require.Equal(t, 1, count(h, `email_additions`))
			end(h, key, org, eve)
			_, err = h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: link})
			requireReason(t, linkInvalid, err)
			require.Zero(t, count(h, `email_additions`), name)
		}
	})
	t.Run("R15 WhatIsTakenAwayWhileTheMailIsWrittenGetsNone", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		h.addEmail(ada.token, "old@example.com")
		key, err := id.ParseAccount(ada.session.GetAccountId())
		require.NoError(t, err)
		_, err = h.passwords.RequestPasswordReset(h.as(""), byEmail("old@example.com"))
		require.NoError(t, err)
		require.NoError(t, h.meanwhile(key, `DELETE FROM user_emails WHERE email = 'old@example.com'`, func() error {
			h.sweep(resetTask)
			return nil
		}))
		require.Zero(t, count(h, `resets`))
		require.Zero(t, count(h, `reset_requests`))
	})
	t.Run("R15 WhoIsDisabledMeanwhileHasNoLink", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		link := h.resetLinks(byEmail("ada@example.com"), "ada@example.com")[0]
		h.exec(`UPDATE accounts SET sign_in_allowed = false, managed_by = $2 WHERE id = $1`, key, id.NewOrganization())
		requireReason(t, linkInvalid, h.reset(link, otherPassword, ""))

		again, org := h.broughtIn("bob@example.com")
		link = h.resetLinks(byEmail("bob@example.com"), "bob@example.com")[0]
		h.setSignIn(again, org, false, 1)
		h.setSignIn(again, org, true, 2)
		requireReason(t, linkInvalid, h.reset(link, otherPassword, ""))
	})
	t.Run("R19 AnAddressGetsFiveMailsAnHourAndIsNotLocked", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		for range 6 {
			h.resetLinks(byEmail("ada@example.com"), "ada@example.com")
		}
		links := h.resetLinks(byEmail("ada@example.com"), "ada@example.com")
		require.Len(t, links, 5)
		require.True(t, h.signsIn("ada@example.com", goodPassword))
		require.NoError(t, h.reset(links[0], otherPassword, ""))
	})
	t.Run("R16 TheLinkIsOfTheConfigurationWhateverTheRequestSays", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		ctx := metadata.AppendToOutgoingContext(h.as(""), "host", "evil.example", "x-forwarded-host", "evil.example", "origin", "https://evil.example", "referer", "https://evil.example")
		_, err := h.passwords.RequestPasswordReset(ctx, byEmail("ada@example.com"))
		require.NoError(t, err)
		h.sweep(resetTask)
		h.sweep(mail.TaskKind)
		require.NotContains(t, h.outbox.to("ada@example.com")[0].Text, "evil")
	})
	t.Run("R18 NoOtherSecretOpensIt", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		in := h.signIn("ada@example.com")
		_, err := h.accounts.SignUp(h.as(""), &identityv1.SignUpRequest{Email: "bob@example.com", Password: goodPassword, DisplayName: "Bob"})
		require.NoError(t, err)
		for _, token := range []string{in.token, h.linkFor("bob@example.com"), "x", ""} {
			err := h.reset(token, otherPassword, "")
			require.Error(t, err)
		}
		require.True(t, h.signsIn("ada@example.com", goodPassword))
	})
	t.Run("R15 OfManyAtOnceOneSetsIt", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		link := h.resetLinks(byEmail("ada@example.com"), "ada@example.com")[0]
		won := 0
		for _, err := range h.together(8, func(int) error { return h.reset(link, otherPassword, "") }) {
			if err == nil {
				won++
			}
		}
		require.Equal(t, 1, won)
		require.Equal(t, 1, count(h, `events WHERE type = 'account.password_changed'`))
	})
	t.Run("AnotherPasswordIsAnotherRequestWhoseHashIsNotQuickToTry", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		link := h.resetLinks(byEmail("ada@example.com"), "ada@example.com")[0]
		require.NoError(t, h.reset(link, otherPassword, "r-1"))
		requireReason(t, errorv1.Reason_REASON_REQUEST_ID_REUSED, h.reset(link, goodPassword, "r-1"))
		body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&identityv1.ResetPasswordRequest{Token: link, Password: otherPassword, RequestId: "r-1"})
		require.NoError(t, err)
		plain := sha256.Sum256(body)
		require.Zero(t, count(h, `idempotency WHERE body_hash = $1`, plain[:]))
	})
}
