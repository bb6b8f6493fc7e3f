package identity

import (
	"bytes"
	"context"
	"time"

	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/secret"
)

const (
	claimLifetime       = 24 * time.Hour
	operatorKeyLifetime = 90 * 24 * time.Hour
)

// Bootstrap returns the one-time token that ClaimOperator makes an operator of, to be shown to whoever has started the
// deployment; empty when there is an operator with a key that works. Every start of every copy returns the same token, until it
// is used or a day has passed: no row holds it, but it follows from the operator's id under the service's key.
func (s *Service) Bootstrap(ctx context.Context) (token string, err error) {
	key := s.Key.Derive("operator claim")
	tokenOf := func(operator id.Operator) secret.Secret {
		return secret.Derived(secret.Link, operator, [32]byte(key.Sum(operator[:])))
	}
	operator := id.NewOperator()
	err = s.inTx(ctx, postgres.Scope{}, func(q store.Queries) error {
		claim, has, err := q.OperatorClaim(ctx)
		switch {
		case err != nil:
			return err
		case has:
			q.DeleteOperatorClaim()
		case !bytes.Equal(claim.TokenHash, tokenOf(claim.OperatorID).Hash): // none, or of another key
			q.ReplaceOperatorClaim(claim.TokenHash, operator, tokenOf(operator).Hash, q.Now().Add(claimLifetime))
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	err = s.view(ctx, postgres.Scope{}, func(q store.Queries) error { // another copy may have been first
		claim, _, err := q.OperatorClaim(ctx)
		if made := tokenOf(claim.OperatorID); err == nil && bytes.Equal(claim.TokenHash, made.Hash) {
			token = made.Text()
		}
		return err
	})
	return token, err
}
