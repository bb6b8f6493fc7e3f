package identity

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	"github.com/rosterhq/roster/pkg/fault"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/budget"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/internal/id"
)

// from is the context of a call of a client at an address, that the gateway passes on.
func (h *harness) from(address string) context.Context {
	return metadata.AppendToOutgoingContext(h.Context(), "x-roster-client-address", address, "x-roster-user-agent", "Firefox/140 (X11)")
}

// tries signs in with an address and a password from somewhere.
func (h *harness) tries(from, email, password string) error {
	_, err := h.sessions.CreateSession(h.from(from), &identityv1.CreateSessionRequest{
		Email: email, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
	return err
}

const (
	home, cafe = "198.51.100.7", "2001:db8:1:2::7"
	nowhere    = "192.0.2."
)

func TestAttempts(t *testing.T) {
	t.Parallel()

	t.Run("R61 ANetworkThatFailsTooOftenWaits", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.service.attempts = budget.New(6, time.Now)
		h.withPassword("ada@example.com", "")
		for i := range 6 { // whomever it is about, from all over one /64
			requireReason(t, credentialsInvalid, h.tries(fmt.Sprintf("2001:db8:1:2::%d", i+1), fmt.Sprintf("nobody-%d@example.com", i), "wrong"))
		}
		before := count(h, `sign_in_failures`)
		for _, email := range []string{"ada@example.com", "nobody@example.com"} {
			err := h.tries(cafe, email, goodPassword)
			requireReason(t, rateLimited, err)
			require.NotZero(t, fault.From(err).Retry)
		}
		require.Equal(t, before, count(h, `sign_in_failures`), "it is not looked at")
		require.NoError(t, h.tries("2001:db8:1:3::7", "ada@example.com", goodPassword), "others may")
		require.NoError(t, h.tries(home, "ada@example.com", goodPassword))
	})
	t.Run("R61 WhatSucceedsOrIsNotLookedAtCostsNothing", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.service.attempts, h.service.strangers = budget.New(2, time.Now), budget.New(2, time.Now)
		h.withPassword("ada@example.com", "")
		for range 5 {
			require.NoError(t, h.tries(home, "ada@example.com", goodPassword))
		}
		h.fillGate()
		for range 5 {
			requireReason(t, busy, h.tries(cafe, "ada@example.com", goodPassword))
		}
	})
	t.Run("R61 StrangersDoNotKeepThePersonOut", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		require.NoError(t, h.tries(home, "ada@example.com", goodPassword))
		for range 5 {
			requireReason(t, credentialsInvalid, h.tries(cafe, "ada@example.com", "wrong"))
		}
		h.stretch()
		requireReason(t, credentialsInvalid, h.tries(cafe, "ada@example.com", goodPassword))
		requireReason(t, credentialsInvalid, h.tries(nowhere+"1", "ada@example.com", goodPassword))
		require.NoError(t, h.tries(home, "ada@example.com", goodPassword), "who is at home gets in")
		require.Equal(t, 1, count(h, `sign_in_failures WHERE account_id = $1 AND count = 5`, key), "which forgives the strangers nothing")
		requireReason(t, credentialsInvalid, h.tries(cafe, "ada@example.com", goodPassword))

		for range 5 {
			requireReason(t, credentialsInvalid, h.tries(home, "ada@example.com", "wrong"))
		}
		h.stretch()
		requireReason(t, credentialsInvalid, h.tries(home, "ada@example.com", goodPassword))
		require.Equal(t, 2, count(h, `sign_in_failures WHERE account_id = $1 AND count = 5`, key), "at home too, one may guess for so long")
	})
	t.Run("R61 NorDoTheyWithTheCode", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, a, _ := h.withApp("ada@example.com") // at 203.0.113.7
		for range 5 {
			requireReason(t, credentialsInvalid, h.tries(cafe, "ada@example.com", "wrong"))
		}
		h.stretch()
		h.next()
		_, err := h.answer(h.challenge("ada@example.com"), a.code())
		require.NoError(t, err)
	})
	t.Run("R61 HalfASignInMakesNobodyKnown", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, _, _ := h.withApp("ada@example.com")
		require.NoError(t, h.tries(cafe, "ada@example.com", goodPassword))
		require.Equal(t, 1, count(h, `known_networks WHERE account_id = $1`, key))
		require.Equal(t, 1, count(h, `known_networks WHERE network = '203.0.113.7/32' AND expire_time > now() + interval '89 days'`))
	})
	t.Run("R61 ANetworkIsKnownForSoLongAndTheLatestAre", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		for i := range session.KnownNetworks + 2 {
			require.NoError(t, h.tries(fmt.Sprint(nowhere, i), "ada@example.com", goodPassword))
		}
		require.Equal(t, session.KnownNetworks, count(h, `known_networks WHERE account_id = $1`, key))
		require.Zero(t, count(h, `known_networks WHERE network IN ('192.0.2.0/32', '192.0.2.1/32')`))
		requireReason(t, credentialsInvalid, h.tries(nowhere+"9", "ada@example.com", "wrong"))
		require.Equal(t, 1, count(h, `sign_in_failures WHERE network = '192.0.2.9/32'`))
		h.exec(`UPDATE known_networks SET expire_time = now()`)
		requireReason(t, credentialsInvalid, h.tries(nowhere+"9", "ada@example.com", "wrong"))
		require.Equal(t, 1, count(h, `sign_in_failures WHERE network = '' AND count = 1`), "a stranger's")
		require.NoError(t, h.tries(home, "ada@example.com", goodPassword))
		require.Zero(t, count(h, `sign_in_failures`), "what was counted there is forgotten with it")
	})
	t.Run("R61 WhileTooManyFailEverywhereOnlyWhoIsKnownGetsIn", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		h.withPassword("bob@example.com", "")
		require.NoError(t, h.tries(home, "ada@example.com", goodPassword))
		h.service.strangers = budget.New(3, time.Now)
		for i := range 3 {
			requireReason(t, credentialsInvalid, h.tries(fmt.Sprint(nowhere, i), fmt.Sprintf("nobody-%d@example.com", i), "wrong"))
		}
		requireReason(t, rateLimited, h.tries(nowhere+"9", "nobody@example.com", goodPassword))
		requireReason(t, rateLimited, h.tries(home, "bob@example.com", goodPassword))
		require.NoError(t, h.tries(home, "ada@example.com", goodPassword))
	})
	t.Run("R61 AnotherPasswordForgivesEverybody", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		require.NoError(t, h.tries(home, "ada@example.com", goodPassword))
		token := h.signIn("ada@example.com").token
		for _, at := range []string{home, cafe} {
			requireReason(t, credentialsInvalid, h.tries(at, "ada@example.com", "wrong"))
		}
		require.Equal(t, 2, count(h, `sign_in_failures WHERE account_id = $1`, key))
		_, err := h.passwords.ChangePassword(h.as(token), &identityv1.ChangePasswordRequest{CurrentPassword: goodPassword, Password: "marble lantern orchard"})
		require.NoError(t, err)
		require.Zero(t, count(h, `sign_in_failures WHERE account_id = $1`, key))
	})
	t.Run("R61 R63 ANetworkBeginsSoManySignInsThatComeToNoEnd", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.service.begun = budget.New(3, time.Now)
		p := h.provider()
		passkey := func(from string) error {
			_, err := h.sessions.BeginPasskeySignIn(h.from(from), &identityv1.BeginPasskeySignInRequest{})
			return err
		}
		provider := func(from, provider string) error {
			_, err := h.federated.BeginFederatedSignIn(h.from(from), &identityv1.BeginFederatedSignInRequest{ProviderId: provider})
			return err
		}
		require.NoError(t, passkey("2001:db8:1:2::1")) // from all over one /64
		require.NoError(t, provider("2001:db8:1:2::2", p.id))
		require.NoError(t, passkey("2001:db8:1:2::3"))
		work := h.watch()
		said := map[string]bool{}
		for _, err := range []error{passkey(cafe), provider(cafe, p.id), provider(cafe, id.NewProvider().String())} {
			requireReason(t, rateLimited, err)
			require.NotZero(t, fault.From(err).Retry)
			said[err.Error()] = true
		}
		require.Len(t, said, 1, "whatever there is")
		require.Empty(t, work.take(), "it is not looked at")
		require.Equal(t, 2, count(h, `passkey_challenges`))
		require.NoError(t, passkey(home), "others may")
		require.NoError(t, provider(home, p.id))
	})
	t.Run("R61 ASignInThatIsFinishedCostsNothing", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.service.begun = budget.New(1, time.Now)
		p := h.provider()
		_, key, _ := h.withPasskey("grace@example.com")
		for range 3 {
			_, err := h.finish(key.Sign(t, h.signInOptions()))
			require.NoError(t, err)
			_, err = h.come(p)
			require.NoError(t, err)
		}
		liar := *key
		liar.Unverified = true
		_, err := h.finish(liar.Sign(t, h.signInOptions()))
		requireReason(t, passkeyInvalid, err)
		_, err = h.sessions.BeginPasskeySignIn(h.as(""), &identityv1.BeginPasskeySignInRequest{})
		requireReason(t, rateLimited, err)
	})
	t.Run("R19 ANetworkHasSoManyMailsWritten", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		h.service.mails = budget.New(3, time.Now)
		for i := range 2 {
			_, err := h.accounts.SignUp(h.from(cafe), &identityv1.SignUpRequest{Email: fmt.Sprintf("n%d@example.com", i), Password: goodPassword, DisplayName: "N"})
			require.NoError(t, err)
		}
		reset := func(from string) error {
			_, err := h.passwords.RequestPasswordReset(h.from(from), &identityv1.RequestPasswordResetRequest{Email: "ada@example.com"})
			return err
		}
		require.NoError(t, reset(cafe))
		requireReason(t, rateLimited, reset(cafe))
		_, err := h.accounts.SignUp(h.from(cafe), &identityv1.SignUpRequest{Email: "n9@example.com", Password: goodPassword, DisplayName: "N"})
		requireReason(t, rateLimited, err)
		require.NoError(t, reset(home))
		require.Zero(t, count(h, `sign_in_failures WHERE account_id = $1`, key), "which locks nobody out")
	})
}
