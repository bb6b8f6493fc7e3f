package identity

import (
	"context"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/identity/internal/federation"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// ListFederatedIdentities returns whom identity providers know as the caller.
func (s *Service) ListFederatedIdentities(
	ctx context.Context, _ *identityv1.ListFederatedIdentitiesRequest,
) (*identityv1.ListFederatedIdentitiesResponse, error) {
	who := caller.From(ctx)
	answer := &identityv1.ListFederatedIdentitiesResponse{}
	var all []store.Identity
	err := s.view(ctx, postgres.In(who.Account), func(q store.Queries) (err error) {
		all, err = q.ListIdentities(ctx, who.Account)
		return err
	})
	for _, one := range all {
		answer.FederatedIdentities = append(answer.FederatedIdentities, identityToProto(one))
	}
	return answer, err
}

// UnlinkProvider ends that a provider signs the caller in, and the sessions that came from it. Something else has to be left that does.
func (s *Service) UnlinkProvider(ctx context.Context, req *identityv1.UnlinkProviderRequest) (*identityv1.UnlinkProviderResponse, error) {
	who := caller.From(ctx)
	key, err := id.ParseProvider(req.GetProviderId())
	if err != nil {
		return nil, federation.ErrNotLinked
	}
	once := s.ownRequest(ctx, req.GetRequestId(), "UnlinkProvider", req)
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(who.Account), once, func(tx *postgres.Tx) (*identityv1.UnlinkProviderResponse, error) {
		q := store.Queries{Tx: tx}
		has, err := q.LockFactors(ctx, who.Account)
		if err != nil {
			return nil, err
		}
		if err := provenFor(ctx, q, has); err != nil {
			return nil, err
		}
		identities, err := q.ListIdentities(ctx, who.Account)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(identities, func(one store.Identity) bool { return one.ProviderID == key })
		if i < 0 {
			return nil, federation.ErrNotLinked
		}
		gone := identities[i]
		if err := othersSignIn(ctx, q, has, slices.Delete(identities, i, i+1)); err != nil {
			return nil, err
		}
		from := origin(ctx, who.Account, req.GetRequestId())
		if err := unlink(q, who.Account, []store.Identity{gone}, from); err != nil {
			return nil, err
		}
		if err := s.notify(q, has.Account, mail.ProviderUnlinked{Notice: s.notice(ctx, q), Provider: gone.DisplayName}); err != nil {
			return nil, err
		}
		live, err := q.ListSessions(ctx, who.Account)
		if err != nil {
			return nil, err
		}
		for _, one := range live {
			if one.ProviderID != key {
				continue
			}
			if err := endSession(q, one, from); err != nil {
				return nil, err
			}
		}
		return &identityv1.UnlinkProviderResponse{}, nil
	})
	return answer, err
}

// othersSignIn refuses to take a provider away beside which nothing signs the person in: no other provider, no password of theirs, and no passkey of which
// it is known that it does so by itself. An authenticator app, and a passkey that has only been asked for beside something else, do not.
func othersSignIn(ctx context.Context, q store.Queries, has store.Factors, others []store.Identity) error {
	if slices.ContainsFunc(others, func(one store.Identity) bool { return one.Enabled }) ||
		slices.ContainsFunc(has.Active(), func(one factor.Factor) bool { return one.Method == factor.Passkey && one.Alone }) {
		return nil
	}
	password, err := q.HasPassword(ctx, has.Account.ID)
	if err == nil && !password {
		err = federation.ErrLastWayIn
	}
	return err
}

// unlink takes away that providers sign somebody in to the account, and says so to the world.
func unlink(q store.Queries, owner id.Account, gone []store.Identity, from *eventv1.Context) error {
	for _, one := range gone {
		q.DeleteLink(owner, one.ProviderID)
		err := outbox.Publish(q.Tx, owner, q.Now(), &eventv1.AccountProviderUnlinked{
			Context: from, ProviderId: one.ProviderID.String(), OrganizationId: one.OrganizationID.String()})
		if err != nil {
			return err
		}
	}
	return nil
}

func identityToProto(one store.Identity) *identityv1.FederatedIdentity {
	return &identityv1.FederatedIdentity{
		ProviderId: one.ProviderID.String(), OrganizationId: one.OrganizationID.String(), ProviderDisplayName: one.DisplayName, Issuer: one.Issuer,
		Subject: one.Subject, CreateTime: timestamppb.New(one.CreateTime),
	}
}
