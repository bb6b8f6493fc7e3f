package membership

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// providerTask is the kind of the task that tells identity what an identity provider is to be. Its id is the provider's.
const providerTask = "provider"

// prepareProvider has identity check what somebody says of a provider, and seal the secret.
func (s *Service) prepareProvider(ctx context.Context, key id.Organization, p org.IdentityProvider, secret string) (sealed []byte, err error) {
	answer, err := s.Federation.PrepareProvider(ctx, &identityv1.PrepareProviderRequest{
		ProviderId: p.ID.String(), OrganizationId: key.String(), DisplayName: p.DisplayName, Issuer: p.Issuer, ClientId: p.ClientID, ClientSecret: secret})
	return answer.GetSealedSecret(), err
}

// tellProvider tells identity of a provider as it is now. It says which version that is, so that of two who tell at once the newer counts; it
// does not matter how often it runs.
func (s *Service) tellProvider(ctx context.Context, key id.Organization, provider id.Provider) error {
	var p org.IdentityProvider
	err := s.view(ctx, key, func(q store.Queries) (err error) {
		p, err = q.FindIdentityProvider(ctx, key, provider)
		return err
	})
	if err != nil || p.ID.IsZero() {
		return err
	}
	_, err = s.Federation.SetProvider(ctx, &identityv1.SetProviderRequest{
		ProviderId: p.ID.String(), OrganizationId: key.String(), Version: p.Version, DisplayName: p.DisplayName, Issuer: p.Issuer, ClientId: p.ClientID,
		ClientSecretSet: p.SecretSet, SealedSecret: p.SealedSecret, Enabled: p.Enabled, Deleted: p.Deleted,
	})
	if err != nil {
		return fmt.Errorf("set provider: %w", err)
	}
	return s.inTx(ctx, key, func(q store.Queries) error {
		q.ToldIdentityProvider(key, p, providerTask)
		return nil
	})
}

// finishProvider tells identity of what was just committed, and says when the sweeper has to.
func (s *Service) finishProvider(ctx context.Context, key id.Organization, provider id.Provider) error {
	if err := s.tellProvider(ctx, key, provider); err != nil {
		return saga.Unfinished(err)
	}
	return nil
}

// parseProvider reads what names an identity provider. What can be none is none.
func parseProvider(req interface {
	GetOrganizationId() string
	GetProviderId() string
}) (key id.Organization, provider id.Provider, err error) {
	if key, err = id.ParseOrganization(req.GetOrganizationId()); err != nil {
		return key, provider, err
	}
	provider, err = id.ParseProvider(req.GetProviderId())
	return key, provider, err
}

func (s *Service) providerToProto(p org.IdentityProvider) *membershipv1.OrganizationProvider {
	return &membershipv1.OrganizationProvider{
		Id: p.ID.String(), DisplayName: p.DisplayName, Issuer: p.Issuer, ClientId: p.ClientID, ClientSecretSet: p.SecretSet,
		Enabled: p.Enabled, Join: p.Joins, RedirectUri: s.PublicURL + "/signin/oidc/" + p.ID.String() + "/callback", CreateTime: timestamppb.New(p.CreateTime),
	}
}

func providerToEvent(p org.IdentityProvider) *eventv1.Provider {
	return &eventv1.Provider{
		ProviderId: p.ID.String(), DisplayName: p.DisplayName, Issuer: p.Issuer, ClientId: p.ClientID, Confidential: p.SecretSet,
		Enabled: p.Enabled, Join: p.Joins,
	}
}
