package identity

import (
	"cmp"
	"context"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/secret"
)

// ClaimOperator makes an operator of the token of Bootstrap, once, and shows their key, once. Only the same request
// repeated sees it again, because without it the deployment would have an operator and no key.
func (s *Service) ClaimOperator(ctx context.Context, req *identityv1.ClaimOperatorRequest) (*identityv1.ClaimOperatorResponse, error) {
	name, err := naming.ParseDisplayName("display_name", cmp.Or(req.GetDisplayName(), "Operator"))
	if err != nil {
		return nil, err
	}
	claim, ok := secret.Parse(secret.Link, req.GetToken())
	if !ok {
		return nil, account.ErrLinkInvalid
	}
	operator := id.Operator(claim.Owner)
	key := secret.New(secret.OperatorKey, operator)
	once := linkRequest(claim, req.GetRequestId(), "ClaimOperator", req)
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(operator), once, func(tx *postgres.Tx) (*identityv1.ClaimOperatorResponse, error) {
		q := store.Queries{Tx: tx}
		if err := q.UseOperatorClaim(ctx, operator, claim.Hash); err != nil {
			return nil, err
		}
		q.InsertOperator(operator, name, key.Hash, q.Now(), q.Now().Add(operatorKeyLifetime))
		return &identityv1.ClaimOperatorResponse{OperatorId: operator.String(), ApiKey: key.Text()}, nil
	})
	return answer, err
}
