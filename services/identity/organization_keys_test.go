package identity

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/credential"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/secret"
)

func TestKeysOfOrganizations(t *testing.T) {
	t.Parallel()
	resolve := func(h *harness, text string, cookie bool) (string, error) {
		answer, err := h.credential.ResolveCredential(h.Context(), &identityv1.ResolveCredentialRequest{Secret: text, Cookie: cookie, Audience: "membership"})
		return answer.GetToken(), err
	}

	t.Run("R48 Membership says whose a key is, and the token names the organization", func(t *testing.T) {
		t.Parallel()
		h, org := start(t), id.NewOrganization()
		key := secret.New(secret.OrganizationKey, org)
		program, apiKey := id.NewServiceAccount(), id.NewAPIKey()
		h.programs.answer = &membershipv1.ResolveOrganizationKeyResponse{ServiceAccountId: program.String(), ApiKeyId: apiKey.String(),
			Scopes: []string{"members.read"}, ExpireTime: timestamppb.New(time.Now().Add(time.Hour))}
		token, err := resolve(h, key.Text(), false)
		require.NoError(t, err)
		claims, err := credential.NewVerifier("membership", credential.KeysOf(h.credential), time.Now).Verify(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, org, claims.Organization)
		require.Equal(t, program, claims.ServiceAccount)
		require.Equal(t, apiKey, claims.Key)
		require.Equal(t, []string{"members.read"}, claims.Scopes)
		require.True(t, claims.Account.IsZero())
		require.Equal(t, org.String(), h.programs.asked[0].GetOrganizationId())
		require.Equal(t, key.Hash, h.programs.asked[0].GetSecretHash())

		_, err = resolve(h, key.Text(), true)
		requireReason(t, errorv1.Reason_REASON_UNAUTHENTICATED, err)
		require.Len(t, h.programs.asked, 1, "a cookie is no key")
	})
	t.Run("R48 A key that nobody knows is refused as any other, and an outage is none", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		text := secret.New(secret.OrganizationKey, id.NewOrganization()).Text()
		h.programs.err = fault.New(errorv1.Reason_REASON_API_KEY_NOT_FOUND, "There is no such key.")
		_, err := resolve(h, text, false)
		requireReason(t, errorv1.Reason_REASON_UNAUTHENTICATED, err)
		h.programs.err = fault.New(errorv1.Reason_REASON_UNAVAILABLE, "Later.")
		_, err = resolve(h, text, false)
		requireReason(t, errorv1.Reason_REASON_UNAVAILABLE, err)
	})
}
