package crash

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func init() {
	operations = append(operations,
		operation{
			name: "make a service account",
			arrange: func(t *testing.T, s *scene) {
				t.Cleanup(func() { // a deployment has few
					all, _ := s.operator.ListServiceAccounts(context.Background(), &identityv1.ListServiceAccountsRequest{})
					for _, one := range all.GetServiceAccounts() {
						if one.GetDisplayName() == "Made "+s.tag {
							_, _ = s.operator.DeleteServiceAccount(context.Background(), &identityv1.DeleteServiceAccountRequest{ServiceAccountId: one.GetId()})
						}
					}
				})
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.operator.CreateServiceAccount(ctx, &identityv1.CreateServiceAccountRequest{
					DisplayName: "Made " + s.tag, Scopes: []string{"access.check"}, RequestId: s.request()})
			},
		},
		operation{
			name:    "make a key of a service account",
			arrange: platform,
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.operator.CreateServiceAccountKey(ctx, &identityv1.CreateServiceAccountKeyRequest{ServiceAccountId: s.account, DisplayName: "Green"})
			},
			repeats: []string{"identity: api", "identity: event account.api_key_created"}, // whose secret got lost can be deleted
		},
		operation{
			name:    "delete a key of a service account",
			arrange: platform,
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.operator.DeleteServiceAccountKey(ctx, &identityv1.DeleteServiceAccountKeyRequest{ServiceAccountId: s.account, ApiKeyId: s.factor})
			},
			done: errorv1.Reason_REASON_API_KEY_NOT_FOUND,
		},
		operation{
			name:    "delete a service account",
			arrange: platform,
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.operator.DeleteServiceAccount(ctx, &identityv1.DeleteServiceAccountRequest{ServiceAccountId: s.account})
			},
			done: errorv1.Reason_REASON_SERVICE_ACCOUNT_NOT_FOUND,
		},
		operation{
			name: "revoke a session",
			arrange: func(t *testing.T, s *scene) {
				newcomer(t, s)
				platform(t, s)
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.as(s.code).RevokeToken(ctx, &identityv1.RevokeTokenRequest{Token: s.token})
			},
		},
	)
}

// platform is a service account with a key, which is code.
func platform(t *testing.T, s *scene) {
	t.Helper()
	made, err := s.operator.CreateServiceAccount(t.Context(), &identityv1.CreateServiceAccountRequest{DisplayName: "Reports " + s.tag, Scopes: []string{"access.check", "sessions.introspect"}})
	require.NoError(t, err)
	s.account = made.GetServiceAccount().GetId()
	t.Cleanup(func() { // a deployment has few; the operation may have deleted it
		_, _ = s.operator.DeleteServiceAccount(context.Background(), &identityv1.DeleteServiceAccountRequest{ServiceAccountId: s.account})
	})
	key, err := s.operator.CreateServiceAccountKey(t.Context(), &identityv1.CreateServiceAccountKeyRequest{ServiceAccountId: s.account, DisplayName: "Blue"})
	require.NoError(t, err)
	s.factor, s.code = key.GetApiKey().GetId(), key.GetSecret()
}
