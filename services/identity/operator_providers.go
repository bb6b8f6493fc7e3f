package identity

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/federation"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// CreateOperatorProvider adds a provider that anybody may sign in with.
func (s *Service) CreateOperatorProvider(ctx context.Context, req *identityv1.CreateOperatorProviderRequest) (*identityv1.CreateOperatorProviderResponse, error) {
	p, err := federation.NewProvider(req.GetDisplayName(), req.GetIssuer(), req.GetClientId(), s.Outbound.Plain)
	if err != nil {
		return nil, err
	}
	p.ID, p.Enabled = id.NewProvider(), !req.GetDisabled()
	p.SealedSecret = s.sealClientSecret(id.Organization{}, p.ID, req.GetClientSecret())
	return asOperator(ctx, s, req, "CreateOperatorProvider", func(q store.Queries) (*identityv1.CreateOperatorProviderResponse, error) {
		others, err := q.ListProviders(ctx, id.Organization{})
		if err != nil {
			return nil, err
		}
		if len(others) >= federation.Most {
			return nil, federation.ErrTooMany
		}
		p.CreateTime, p.UpdateTime = q.Now(), q.Now()
		q.InsertProvider(p)
		return &identityv1.CreateOperatorProviderResponse{Provider: s.providerToProto(p)},
			publishOf(ctx, q, p.ID, &eventv1.AccountSignInProviderCreated{Context: byOperator(ctx, req.GetRequestId()), Provider: providerToEvent(p)})
	})
}

// ListOperatorProviders returns the providers that anybody may sign in with.
func (s *Service) ListOperatorProviders(ctx context.Context, _ *identityv1.ListOperatorProvidersRequest) (*identityv1.ListOperatorProvidersResponse, error) {
	all, err := s.listProviders(ctx, id.Organization{})
	if err != nil {
		return nil, err
	}
	answer := &identityv1.ListOperatorProvidersResponse{}
	for _, one := range all {
		answer.Providers = append(answer.Providers, s.providerToProto(one))
	}
	return answer, nil
}

// UpdateOperatorProvider changes what is given.
func (s *Service) UpdateOperatorProvider(ctx context.Context, req *identityv1.UpdateOperatorProviderRequest) (*identityv1.UpdateOperatorProviderResponse, error) {
	key, err := id.ParseProvider(req.GetProviderId())
	if err != nil {
		return nil, federation.ErrProviderNotFound
	}
	return asOperator(ctx, s, req, "UpdateOperatorProvider", func(q store.Queries) (*identityv1.UpdateOperatorProviderResponse, error) {
		p, err := q.LockProvider(ctx, id.Organization{}, key)
		if err != nil {
			return nil, err
		}
		before := p
		if err := p.Apply(federation.Change{DisplayName: req.DisplayName, ClientID: req.ClientId, Enabled: req.Enabled}); err != nil {
			return nil, err
		}
		if req.ClientSecret != nil {
			p.SealedSecret = s.sealClientSecret(id.Organization{}, key, req.GetClientSecret())
		}
		p.UpdateTime = q.Now()
		q.SaveProvider(p)
		if !p.Enabled {
			q.ScheduleLinked(key, providedTask)
		}
		return &identityv1.UpdateOperatorProviderResponse{Provider: s.providerToProto(p)}, publishOf(ctx, q, key, &eventv1.AccountSignInProviderUpdated{
			Context: byOperator(ctx, req.GetRequestId()), Before: providerToEvent(before), After: providerToEvent(p), ClientSecretChanged: req.ClientSecret != nil})
	})
}

// DeleteOperatorProvider takes a provider away.
func (s *Service) DeleteOperatorProvider(ctx context.Context, req *identityv1.DeleteOperatorProviderRequest) (*identityv1.DeleteOperatorProviderResponse, error) {
	key, err := id.ParseProvider(req.GetProviderId())
	if err != nil {
		return nil, federation.ErrProviderNotFound
	}
	return asOperator(ctx, s, req, "DeleteOperatorProvider", func(q store.Queries) (*identityv1.DeleteOperatorProviderResponse, error) {
		before, err := q.LockProvider(ctx, id.Organization{}, key)
		if err != nil {
			return nil, err
		}
		q.ScheduleLinked(key, providedTask)
		q.DeleteProvider(key)
		return &identityv1.DeleteOperatorProviderResponse{},
			publishOf(ctx, q, key, &eventv1.AccountSignInProviderDeleted{Context: byOperator(ctx, req.GetRequestId()), Before: providerToEvent(before)})
	})
}

// asOperator does once what an operator asks for.
func asOperator[R proto.Message](ctx context.Context, s *Service, req interface {
	proto.Message
	GetRequestId() string
}, method string, do func(store.Queries) (R, error),
) (answer R, err error) {
	operator := caller.From(ctx).Operator
	once := postgres.Request{ID: req.GetRequestId(), Principal: operator.String(), Method: method, Body: req}
	answer, _, err = postgres.Once(ctx, s.DB, postgres.In(operator), once, func(tx *postgres.Tx) (R, error) { return do(store.Queries{Tx: tx}) })
	return answer, err
}

// publishOf tells, within asOperator, what has become of something. Its history is its own, and what is remembered of the request is the operator's.
func publishOf[K any](ctx context.Context, q store.Queries, key id.ID[K], event proto.Message) error {
	q.GoOnIn(id.Any(key))
	err := outbox.Publish(q.Tx, key, q.Now(), event)
	q.GoOnIn(id.Any(caller.From(ctx).Operator))
	return err
}

func (s *Service) listProviders(ctx context.Context, of id.Organization) (all []federation.Provider, err error) {
	err = s.view(ctx, postgres.Scope{}, func(q store.Queries) (err error) {
		all, err = q.ListProviders(ctx, of)
		return err
	})
	return all, err
}

func (s *Service) sealClientSecret(of id.Organization, key id.Provider, text string) []byte {
	if text == "" {
		return nil
	}
	return s.Key.Seal([]byte(text), providerBound(of, key)...)
}

func (s *Service) redirectURI(of id.Provider) string {
	return s.PublicURL + "/signin/oidc/" + of.String() + "/callback"
}

func (s *Service) providerToProto(p federation.Provider) *identityv1.IdentityProvider {
	return &identityv1.IdentityProvider{
		Id: p.ID.String(), DisplayName: p.DisplayName, Issuer: p.Issuer, ClientId: p.ClientID, ClientSecretSet: p.SealedSecret != nil,
		Enabled: p.Enabled, RedirectUri: s.redirectURI(p.ID), CreateTime: timestamppb.New(p.CreateTime),
	}
}

func providerToEvent(p federation.Provider) *eventv1.Provider {
	return &eventv1.Provider{
		ProviderId: p.ID.String(), DisplayName: p.DisplayName, Issuer: p.Issuer, ClientId: p.ClientID, Confidential: p.SealedSecret != nil, Enabled: p.Enabled,
	}
}
