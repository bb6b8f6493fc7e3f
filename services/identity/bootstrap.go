package identity

import (
	"context"
	"crypto/subtle"
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
	tokensOf := func(operator id.Operator) (tokens []secret.Secret) { // of the first key, and of others
		for _, sum := range key.Sums(operator[:]) {
			tokens = append(tokens, secret.Derived(secret.Link, operator, [32]byte(sum)))
		}
		return tokens
	}
	find := func(claim store.OperatorClaim) (token string) {
		for _, made := range tokensOf(claim.OperatorID) {
			if subtle.ConstantTimeCompare(claim.TokenHash, made.Hash) == 1 {
				token = made.Text()
			}
		}
		return token
	}
	operator := id.NewOperator()
	err = s.inTx(ctx, postgres.Scope{}, func(q store.Queries) error {
		claim, has, err := q.OperatorClaim(ctx)
		switch {
		case err != nil:
			return err
		case has:
			q.DeleteOperatorClaim()
		case find(claim) == "": // there is none, or it is of another key
			q.ReplaceOperatorClaim(claim.TokenHash, operator, tokensOf(operator)[0].Hash, q.Now().Add(claimLifetime))
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	err = s.view(ctx, postgres.Scope{}, func(q store.Queries) error { // another copy may have been first
		claim, _, err := q.OperatorClaim(ctx)
		token = find(claim)
		return err
	})
	return token, err
}
