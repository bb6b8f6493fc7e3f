package crash

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/testkit"
)

// The operations on identity providers that people link to their account.
func init() {
	operations = append(operations,
		operation{
			name:    "link an identity provider",
			arrange: aboutToLink,
			act:     link,
			brief:   []string{"identity postgres.after_commit", "identity server.before_answer CompleteLinkProvider"},
		},
		operation{
			name: "unlink an identity provider",
			arrange: func(t *testing.T, s *scene) {
				aboutToLink(t, s)
				_, err := link(t.Context(), s)
				require.NoError(t, err)
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.as(s.token).UnlinkProvider(ctx, &identityv1.UnlinkProviderRequest{ProviderId: s.provider, RequestId: s.request()})
			},
			brief: []string{"identity postgres.before_commit"},
		},
	)
}

// aboutToLink is a newcomer whom an identity provider knows, and who goes there and comes back as often as it takes.
func aboutToLink(t *testing.T, s *scene) {
	t.Helper()
	newcomer(t, s)
	there := testkit.NewIDP(t).Says("sub", s.email).Says("email", "elsewhere-"+s.email)
	made, err := s.operator.CreateOperatorProvider(t.Context(), &identityv1.CreateOperatorProviderRequest{
		DisplayName: "Example", Issuer: there.URL, ClientId: testkit.ClientID, ClientSecret: testkit.ClientSecret})
	require.NoError(t, err)
	s.provider = made.GetProvider().GetId()
	s.goThere = func(ctx context.Context) (*identityv1.CompleteLinkProviderRequest, error) {
		begun, err := s.as(s.token).BeginLinkProvider(ctx, &identityv1.BeginLinkProviderRequest{ProviderId: s.provider})
		if err != nil {
			return nil, err
		}
		sent, code := there.Visit(begun.GetAuthorizationUrl())
		return &identityv1.CompleteLinkProviderRequest{ProviderId: s.provider, Flow: begun.GetFlow(), State: sent.Get("state"), Code: code}, nil
	}
}

// link goes there and comes back. What a browser comes back with is good once: when the answer was lost, its person begins anew.
func link(ctx context.Context, s *scene) (proto.Message, error) {
	for {
		back, err := s.goThere(ctx)
		if err != nil {
			return nil, err
		}
		answer, err := s.as(s.token).CompleteLinkProvider(ctx, back)
		if fault.ReasonOf(err) != errorv1.Reason_REASON_FEDERATED_SIGN_IN_FAILED {
			return answer, err
		}
	}
}
