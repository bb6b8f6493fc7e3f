package identity

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/secret"
)

func TestVerifyEmail(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T, h *harness, email string) (token string) {
		t.Helper()
		_, err := h.accounts.SignUp(h.as(""), &identityv1.SignUpRequest{Email: email, Password: goodPassword, DisplayName: "Ada Lovelace"})
		require.NoError(t, err)
		return h.linkFor(email)
	}
	verify := func(h *harness, token string) (*identityv1.VerifyEmailResponse, error) {
		return h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: token})
	}

	t.Run("MakesTheAccountWithItsAddress", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		verified, err := verify(h, ask(t, h, "Ada@example.com"))
		require.NoError(t, err)
		a := verified.GetAccount()
		require.Equal(t, "Ada Lovelace", a.GetDisplayName())
		require.Equal(t, "Ada@example.com", a.GetEmail())
		require.True(t, a.GetEmailVerified())
		require.Equal(t, []string{"account.created", "account.email_verified"}, h.types(a.GetId()))
		created := h.events(a.GetId())[0]
		require.Equal(t, map[string]any{"displayName": "Ada Lovelace", "email": "Ada@example.com", "clientAddress": "203.0.113.7"}, created.Personal)
		require.NotContains(t, created.Data, "personal")
		origin := created.Data["context"].(map[string]any)
		require.Equal(t, map[string]any{"kind": "KIND_ACCOUNT", "id": a.GetId()}, origin["actor"])
		require.Equal(t, map[string]any{"kind": "KIND_SELF"}, origin["cause"])
		require.NotEmpty(t, h.signIn("ada@EXAMPLE.com").token)
	})
	t.Run("ALinkWorksOnce", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		token := ask(t, h, "ada@example.com")
		made := 0
		for _, err := range h.together(50, func(int) error {
			_, err := verify(h, token)
			return err
		}) {
			if err == nil {
				made++
				continue
			}
			requireReason(t, linkInvalid, err)
		}
		require.Equal(t, 1, made)
		require.Equal(t, 1, count(h, `accounts`))
		require.Equal(t, 2, count(h, `events`))
		require.Zero(t, count(h, `sign_ups`))
	})
	t.Run("R34 TheFirstToProveAnAddressHasIt", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		mine, theirs := ask(t, h, "ada@example.com"), ask(t, h, "ADA@example.com")
		_, err := verify(h, theirs)
		require.NoError(t, err)
		for range 2 {
			_, err = verify(h, mine)
			requireReason(t, emailTaken, err)
		}
		require.Equal(t, 1, count(h, `accounts`))
	})
	t.Run("SeveralAtOnceMakeOneAccount", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		var tokens []string
		for range 5 {
			tokens = append(tokens, ask(t, h, "ada@example.com"))
		}
		made := 0
		for _, err := range h.together(len(tokens), func(i int) error {
			_, err := verify(h, tokens[i])
			return err
		}) {
			if err == nil {
				made++
				continue
			}
			requireReason(t, emailTaken, err)
		}
		require.Equal(t, 1, made)
		require.Equal(t, 1, count(h, `accounts`))
	})
	t.Run("R15 ALinkWorksForADay", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		early, late := ask(t, h, "early@example.com"), ask(t, h, "late@example.com")
		h.exec(`UPDATE sign_ups SET expire_time = expire_time - interval '23 hours 59 minutes' WHERE email = 'early@example.com'`)
		h.exec(`UPDATE sign_ups SET expire_time = expire_time - interval '24 hours' WHERE email = 'late@example.com'`)
		_, err := verify(h, early)
		require.NoError(t, err)
		_, err = verify(h, late)
		requireReason(t, linkInvalid, err)
	})
	t.Run("R20 OtherSecretsAreRefused", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		token := ask(t, h, "ada@example.com")
		link, ok := secret.Parse(secret.Link, token)
		require.True(t, ok)
		flipped := []byte(token)
		flipped[40] ^= 1
		for _, other := range []string{
			"x", token[:63], token + "A", string(flipped), secret.New(secret.Link, id.SignUp(link.Owner)).Text(),
			secret.New(secret.Link, id.NewSignUp()).Text(), "rst_" + token,
		} {
			_, err := verify(h, other)
			requireReason(t, linkInvalid, err)
		}
		_, err := verify(h, token)
		require.NoError(t, err, "none of them used it up")
	})
	t.Run("R23 AProvenAddressEndsOtherClaims", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.exec(`INSERT INTO user_emails VALUES ('ada@example.com', $1, false)`, id.NewAccount())
		verified, err := verify(h, ask(t, h, "ada@example.com"))
		require.NoError(t, err)
		require.Equal(t, 1, count(h, `user_emails`))
		found, err := h.directory.FindAccount(t.Context(), &identityv1.FindAccountRequest{Email: "ada@example.com"})
		require.NoError(t, err)
		require.Equal(t, verified.GetAccount().GetId(), found.GetAccount().GetId())
	})
	t.Run("ARepeatedRequestGetsTheFirstAnswer", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		token := ask(t, h, "ada@example.com")
		once := &identityv1.VerifyEmailRequest{Token: token, RequestId: "once"}
		var mu sync.Mutex
		var answers []*identityv1.VerifyEmailResponse
		for _, err := range h.together(10, func(int) error {
			answer, err := h.accounts.VerifyEmail(h.as(""), once)
			mu.Lock()
			defer mu.Unlock()
			answers = append(answers, answer)
			return err
		}) {
			require.NoError(t, err)
		}
		for _, answer := range answers {
			require.Equal(t, "ada@example.com", answer.GetAccount().GetEmail())
			require.True(t, proto.Equal(answers[0], answer))
		}
		require.Equal(t, 1, count(h, `accounts`))
		require.Equal(t, 2, count(h, `events`))

		_, err := verify(h, token)
		requireReason(t, linkInvalid, err)
		_, err = h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: token, RequestId: "twice"})
		requireReason(t, linkInvalid, err)
		other := ask(t, h, "grace@example.com")
		answer, err := h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: other, RequestId: "once"})
		require.NoError(t, err)
		require.Equal(t, "grace@example.com", answer.GetAccount().GetEmail(), "another link is another person's")
	})
	t.Run("ARepeatedRequestThatWasRefusedIsDecidedAgain", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		mine, theirs := ask(t, h, "ada@example.com"), ask(t, h, "ada@example.com")
		_, err := verify(h, theirs)
		require.NoError(t, err)
		for range 2 {
			_, err := h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: mine, RequestId: "once"})
			requireReason(t, emailTaken, err)
		}
	})
}
