package crash

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// The operations on service accounts of an organization: each is one transaction of membership's, which keeps their keys.
func init() {
	for name, act := range map[string]func(context.Context, *scene) (proto.Message, error){
		"make a service account of an organization": func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.CreateOrganizationServiceAccount(ctx, &membershipv1.CreateOrganizationServiceAccountRequest{
				OrganizationId: s.org, DisplayName: "Deploy " + s.tag, Permissions: []string{"org.read"}, RequestId: s.request()})
		},
		"change a service account of an organization": func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.UpdateOrganizationServiceAccount(ctx, &membershipv1.UpdateOrganizationServiceAccountRequest{
				OrganizationId: s.org, ServiceAccountId: s.account, DisplayName: "Deploy " + s.tag, Permissions: []string{"org.read", "members.read"},
				Disabled: new(true), RequestId: s.request()})
		},
		"make a key of an organization's service account": func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.CreateOrganizationServiceAccountKey(ctx, &membershipv1.CreateOrganizationServiceAccountKeyRequest{
				OrganizationId: s.org, ServiceAccountId: s.account, DisplayName: "Green", RequestId: s.request()})
		},
		"delete a key of an organization's service account": func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.DeleteOrganizationServiceAccountKey(ctx, &membershipv1.DeleteOrganizationServiceAccountKeyRequest{
				OrganizationId: s.org, ServiceAccountId: s.account, ApiKeyId: s.factor, RequestId: s.request()})
		},
		"delete a service account of an organization": func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.DeleteOrganizationServiceAccount(ctx, &membershipv1.DeleteOrganizationServiceAccountRequest{
				OrganizationId: s.org, ServiceAccountId: s.account, RequestId: s.request()})
		},
	} {
		operations = append(operations, operation{name: name, arrange: program, act: act})
	}
}

// A platform's service is shown a key, and ends it.
func init() {
	operations = append(operations, operation{
		name: "revoke a key of an organization's service account",
		arrange: func(t *testing.T, s *scene) {
			t.Helper()
			program(t, s)
			platform(t, s) // whose code it calls with
		},
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.as(s.code).RevokeToken(ctx, &identityv1.RevokeTokenRequest{Token: s.token})
		},
	})
}

// program is an organization with a service account that has a key.
func program(t *testing.T, s *scene) {
	t.Helper()
	organization(membershipv1.Preset_PRESET_RBAC)(t, s)
	made, err := s.owner.CreateOrganizationServiceAccount(t.Context(), &membershipv1.CreateOrganizationServiceAccountRequest{
		OrganizationId: s.org, DisplayName: "Deploy", Permissions: []string{"org.read"}})
	require.NoError(t, err)
	s.account = made.GetServiceAccount().GetId()
	key, err := s.owner.CreateOrganizationServiceAccountKey(t.Context(), &membershipv1.CreateOrganizationServiceAccountKeyRequest{
		OrganizationId: s.org, ServiceAccountId: s.account, DisplayName: "Blue"})
	require.NoError(t, err)
	s.factor, s.token = key.GetApiKey().GetId(), key.GetSecret()
}
