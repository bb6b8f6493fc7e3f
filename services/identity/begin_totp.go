package identity

import (
	"cmp"
	"context"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// BeginTotp makes the secret of an authenticator app, which waits for its first code.
func (s *Service) BeginTotp(ctx context.Context, req *identityv1.BeginTotpRequest) (*identityv1.BeginTotpResponse, error) {
	who := caller.From(ctx)
	name, err := naming.ParseDisplayName("display_name", cmp.Or(req.GetDisplayName(), "Authenticator app"))
	if err != nil {
		return nil, err
	}
	secret, key := factor.NewSecret(), id.NewFactor()
	var me account.Account
	err = s.inTx(ctx, postgres.In(who.Account), func(q store.Queries) error {
		has, err := q.LockFactors(ctx, who.Account)
		if err != nil {
			return err
		}
		if err := provenFor(ctx, q, has); err != nil {
			return err
		}
		if len(factor.Of(factor.TOTP, has.Active())) >= factor.Most {
			return factor.ErrMost
		}
		me = has.Account
		q.InsertFactor(who.Account, factor.Factor{
			ID: key, Method: factor.TOTP, DisplayName: name, CreateTime: q.Now(),
			SealedSecret: s.Key.Seal(secret, factorBound(who.Account, key)...),
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.BeginTotpResponse{FactorId: key.String(), Secret: secret.Text(), Uri: secret.URI(cmp.Or(me.Email, me.Username))}, nil
}
