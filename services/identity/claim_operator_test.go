package identity

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/internal/secret"
)

func (h *harness) bootstrap(s *Service) string {
	h.Helper()
	token, err := s.Bootstrap(h.Context())
	require.NoError(h, err)
	return token
}

func (h *harness) claim(token string) *identityv1.ClaimOperatorResponse {
	h.Helper()
	claimed, err := h.operators.ClaimOperator(h.as(""), &identityv1.ClaimOperatorRequest{Token: token, DisplayName: "Grace Hopper"})
	require.NoError(h, err)
	return claimed
}

func TestClaimOperator(t *testing.T) {
	t.Parallel()
	refuse := func(t *testing.T, h *harness, token string) {
		t.Helper()
		_, err := h.operators.ClaimOperator(h.as(""), &identityv1.ClaimOperatorRequest{Token: token})
		requireReason(t, linkInvalid, err)
	}
	t.Run("R85 OnceForAnEmptyDeployment", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		token := h.bootstrap(h.service)
		require.NotEmpty(t, token)
		claimed := h.claim(token)
		require.True(t, strings.HasPrefix(claimed.GetApiKey(), "rok_"))
		require.Equal(t, 1, count(h, `operators WHERE display_name = 'Grace Hopper'`))
		require.Equal(t, 1, count(h, `operator_keys WHERE expire_time BETWEEN now() + interval '89 days' AND now() + interval '90 days'`), "R53")
		refuse(t, h, token)
		require.Empty(t, h.bootstrap(h.instance()), "there is an operator")
		require.Zero(t, count(h, `events`))
	})
	t.Run("R85 ByOneOfMany", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		token := h.bootstrap(h.service)
		made := 0
		for _, err := range h.together(20, func(int) error {
			_, err := h.operators.ClaimOperator(h.as(""), &identityv1.ClaimOperatorRequest{Token: token})
			return err
		}) {
			if err == nil {
				made++
				continue
			}
			requireReason(t, linkInvalid, err)
		}
		require.Equal(t, 1, made)
		require.Equal(t, 1, count(h, `operators`))
	})
	t.Run("R18 TheTokenIsGoodForNothingElse", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		token := h.bootstrap(h.service)
		_, err := h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: token})
		requireReason(t, linkInvalid, err)
		_, err = h.passwords.ResetPassword(h.as(""), &identityv1.ResetPasswordRequest{Token: token, Password: goodPassword})
		requireReason(t, linkInvalid, err)
		for _, cookie := range []bool{false, true} {
			_, err = h.credential.ResolveCredential(t.Context(), &identityv1.ResolveCredentialRequest{Secret: token, Cookie: cookie, Audience: "identity"})
			requireReason(t, unauthenticated, err)
		}
		require.Zero(t, count(h, `accounts`))
		h.claim(token)
	})
	t.Run("EveryStartOfEveryCopyShowsTheSameToken", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		shown := make([]string, 20)
		for _, err := range h.together(len(shown), func(i int) (err error) {
			shown[i], err = h.service.Bootstrap(t.Context())
			return err
		}) {
			require.NoError(t, err)
		}
		shown = append(shown, h.bootstrap(h.instance()))
		require.NotEmpty(t, shown[0])
		require.Len(t, slices.Compact(shown), 1)
		h.claim(shown[0])
		require.Empty(t, h.bootstrap(h.instance()))
	})
	t.Run("ATokenThatHasExpiredIsReplaced", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		before := h.bootstrap(h.service)
		h.exec(`UPDATE operator_claims SET expire_time = now()`)
		after := h.bootstrap(h.service)
		require.NotEqual(t, before, after)
		refuse(t, h, before)
		h.claim(after)
	})
	t.Run("ATokenOfAnotherKeyIsReplaced", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		other := h.instance()
		other.Key = seal.NewKey([32]byte{1})
		before, after := h.bootstrap(other), h.bootstrap(h.service)
		require.NotEmpty(t, before)
		require.NotEqual(t, before, after)
		refuse(t, h, before)
		h.claim(after)
	})
	t.Run("R85 TheTokenWorksForADay", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		token := h.bootstrap(h.service)
		h.exec(`UPDATE operator_claims SET expire_time = expire_time - interval '24 hours'`)
		refuse(t, h, token)
		for _, other := range []string{"x", token + "A", secret.New(secret.Link, id.NewOperator()).Text()} {
			refuse(t, h, other)
		}
		require.Zero(t, count(h, `operators`))
	})
	t.Run("WhenAllKeysHaveExpiredThereIsANewToken", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.claim(h.bootstrap(h.service))
		h.exec(`UPDATE operator_keys SET expire_time = now()`)
		h.claim(h.bootstrap(h.service))
		require.Equal(t, 2, count(h, `operators`))
	})
	t.Run("RefusesWhatIsNotValid", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		token := h.bootstrap(h.service)
		_, err := h.operators.ClaimOperator(h.as(""), &identityv1.ClaimOperatorRequest{Token: token, DisplayName: "a\nb"})
		requireReason(t, invalid, err)
		h.claim(token)
	})
	t.Run("ARepeatedRequestSeesTheKeyAgain", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		token := h.bootstrap(h.service)
		once := func(id, name string) (*identityv1.ClaimOperatorResponse, error) {
			return h.operators.ClaimOperator(h.as(""), &identityv1.ClaimOperatorRequest{Token: token, DisplayName: name, RequestId: id})
		}
		claimed, err := once("once", "Grace Hopper")
		require.NoError(t, err)
		again, err := once("once", "Grace Hopper")
		require.NoError(t, err)
		require.True(t, proto.Equal(claimed, again))
		require.Equal(t, 1, count(h, `operator_keys`))
		require.Zero(t, count(h, `idempotency WHERE position($1::bytea IN response) > 0`, []byte(claimed.GetApiKey())), "it is sealed")

		_, err = once("once", "Ada Lovelace")
		requireReason(t, errorv1.Reason_REASON_REQUEST_ID_REUSED, err)
		_, err = once("twice", "Grace Hopper")
		requireReason(t, linkInvalid, err)
		refuse(t, h, token)
	})
}
