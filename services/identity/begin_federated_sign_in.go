package identity

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/federation"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/identity/internal/upstream"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// ListSignInProviders returns what a page for signing in shows to everybody.
func (s *Service) ListSignInProviders(ctx context.Context, req *identityv1.ListSignInProvidersRequest) (*identityv1.ListSignInProvidersResponse, error) {
	var of id.Organization
	if req.GetOrganizationId() != "" {
		var err error
		if of, err = id.ParseOrganization(req.GetOrganizationId()); err != nil {
			return nil, err
		}
	}
	all, err := s.listProviders(ctx, of)
	if err != nil {
		return nil, err
	}
	answer := &identityv1.ListSignInProvidersResponse{}
	for _, one := range all {
		if one.Enabled {
			answer.Providers = append(answer.Providers, &identityv1.SignInProvider{Id: one.ID.String(), DisplayName: one.DisplayName})
		}
	}
	slices.SortStableFunc(answer.Providers, func(a, b *identityv1.SignInProvider) int {
		return strings.Compare(a.GetDisplayName(), b.GetDisplayName())
	})
	return answer, nil
}

// BeginFederatedSignIn sends a browser to a provider. It writes nothing, whoever asks for it and how often.
func (s *Service) BeginFederatedSignIn(ctx context.Context, req *identityv1.BeginFederatedSignInRequest) (*identityv1.BeginFederatedSignInResponse, error) {
	if err := s.countBegun(ctx); err != nil {
		return nil, err
	}
	client, err := s.clientAt(ctx, req.GetProviderId())
	if err != nil {
		return nil, err
	}
	flow := federation.NewFlow(client.Provider, req.GetAgain(), s.Now())
	url, err := s.upstream.URL(ctx, client, flow)
	if err != nil {
		return nil, s.upstreamFault(ctx, client, err)
	}
	return &identityv1.BeginFederatedSignInResponse{AuthorizationUrl: url, Flow: s.sealFlow(flow), ExpireTime: timestamppb.New(flow.End())}, nil
}

// clientAt returns who we are at a provider that people can sign in with.
func (s *Service) clientAt(ctx context.Context, provider string) (client upstream.Client, err error) {
	key, err := id.ParseProvider(provider)
	if err != nil {
		return client, federation.ErrProviderNotFound
	}
	err = s.view(ctx, postgres.Scope{}, func(q store.Queries) (err error) {
		client.Provider, err = q.GetSignInProvider(ctx, key)
		return err
	})
	if err != nil {
		return client, err
	}
	client.RedirectURI = s.redirectURI(key)
	if sealed := client.Provider.SealedSecret; sealed != nil {
		text, err := s.Key.OpenOlder(sealed, providerBoundBefore(key), providerBound(client.Provider.OrganizationID, key)...)
		if err != nil {
			return client, err
		}
		client.Secret = string(text)
	}
	return client, nil
}

// flowSeal is the purpose of a sealed flow.
const flowSeal = "flow"

func (s *Service) sealFlow(f federation.Flow) string {
	return base64.RawURLEncoding.EncodeToString(s.Key.Seal(f.Text(), flowSeal))
}

// openFlow reads what sealFlow gave to a browser.
func (s *Service) openFlow(text string) (f federation.Flow, err error) {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return f, federation.ErrFailed
	}
	plain, err := s.Key.Open(sealed, flowSeal)
	if err != nil {
		return f, federation.ErrFailed
	}
	return federation.ParseFlow(plain)
}
