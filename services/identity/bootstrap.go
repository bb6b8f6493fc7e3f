package identity

import (
	"context"
	"time"

	"github.com/rosterhq/roster/services/identity/internal/secret"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

const (
	claimLifetime       = 24 * time.Hour
	operatorKeyLifetime = 90 * 24 * time.Hour
)

// Bootstrap returns the one-time token that ClaimOperator makes an operator of, to be shown to whoever has started the
// deployment; empty when there is an operator with a key that works. Each call replaces the token before.
func (s *Service) Bootstrap(ctx context.Context) (token string, err error) {
	operator := id.NewOperator()
	fresh := secret.New(secret.Link, operator)
	err = s.inTx(ctx, postgres.Scope{}, func(q store.Queries) error {
		token = ""
		has, err := q.HasOperator(ctx)
		switch {
		case err != nil:
			return err
		case has:
			q.DeleteOperatorClaim()
			return nil
		}
		q.SaveOperatorClaim(operator, fresh.Hash, q.Now().Add(claimLifetime))
		token = fresh.Text()
		return nil
	})
	return token, err
}
