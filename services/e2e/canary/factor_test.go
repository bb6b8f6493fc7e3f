package canary

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/testkit"
)

// useFactor sets up an authenticator app for somebody who is signed in, uses what it gives them, fails with it, and takes it away.
func (s *suite) useFactor(t *testing.T, as func(string) context.Context, sessions identityv1.SessionServiceClient, bearer, password string) string {
	t.Helper()
	factors := identityv1.NewFactorServiceClient(s.Conn())
	begun, err := factors.BeginTotp(as(bearer), &identityv1.BeginTotpRequest{})
	require.NoError(t, err)
	secret := s.plant(t, "authenticator secret", begun.GetSecret())
	confirmed, err := factors.ConfirmTotp(as(bearer), &identityv1.ConfirmTotpRequest{FactorId: begun.GetFactorId(), Code: testkit.TOTP(t, secret)})
	require.NoError(t, err)
	bearer = s.plant(t, "session with both factors", confirmed.GetToken())
	plantCodes := func(what string, codes []string) {
		for i, code := range codes {
			s.plant(t, fmt.Sprintf("%s %d", what, i), code)
		}
	}
	plantCodes("recovery code", confirmed.GetRecoveryCodes())
	half, err := sessions.CreateSession(t.Context(), &identityv1.CreateSessionRequest{
		Email: "ada@example.com", Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
	require.NoError(t, err)
	s.plant(t, "half session", half.GetToken())
	_, err = sessions.AnswerChallenge(as(half.GetToken()), &identityv1.AnswerChallengeRequest{
		Code: s.plant(t, "wrong recovery code", "CANA-RYCA-NARY-CANA-RYCA-NARY")})
	require.Error(t, err)
	whole, err := sessions.AnswerChallenge(as(half.GetToken()), &identityv1.AnswerChallengeRequest{Code: confirmed.GetRecoveryCodes()[0]})
	require.NoError(t, err)
	s.plant(t, "session by recovery code", whole.GetToken())
	renewed, err := factors.RegenerateRecoveryCodes(as(bearer), &identityv1.RegenerateRecoveryCodesRequest{})
	require.NoError(t, err)
	plantCodes("renewed recovery code", renewed.GetRecoveryCodes())
	_, err = factors.RemoveFactor(as(bearer), &identityv1.RemoveFactorRequest{FactorId: begun.GetFactorId()})
	require.NoError(t, err)
	return bearer
}
