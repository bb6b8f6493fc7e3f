package identity

import (
	"context"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// DeleteAccount ends somebody's account for an operator, the way DeleteMe ends one's own.
func (s *Service) DeleteAccount(ctx context.Context, req *identityv1.DeleteAccountRequest) (*identityv1.DeleteAccountResponse, error) {
	key, err := id.ParseAccount(req.GetAccountId())
	if err != nil {
		return nil, account.ErrNotFound
	}
	operator := caller.From(ctx).Operator
	once := postgres.Request{ID: req.GetRequestId(), Principal: operator.String(), Method: "DeleteAccount", Body: req}
	answer, begun, err := postgres.Replayed[*identityv1.DeleteAccountResponse](ctx, s.DB, postgres.In(operator), once)
	if err != nil {
		return nil, err
	}
	if !begun {
		if err := s.mayBeDeleted(ctx, key); err != nil || req.GetValidateOnly() {
			return &identityv1.DeleteAccountResponse{}, err
		}
		answer, err = asOperator(ctx, s, req, "DeleteAccount", func(q store.Queries) (*identityv1.DeleteAccountResponse, error) {
			q.LookIn(id.Any(key))
			err := s.beginErasing(ctx, q, key, operator, req.GetReason())
			q.GoOnIn(id.Any(operator)) // where what is remembered of the request stays when the account is gone
			return &identityv1.DeleteAccountResponse{}, err
		})
		if err != nil {
			return nil, err
		}
	}
	answer.Deleted, err = s.eraseNow(ctx, key)
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// mayBeDeleted tells whether there is such an account, and whether organizations can do without it.
func (s *Service) mayBeDeleted(ctx context.Context, key id.Account) error {
	var there bool
	err := s.view(ctx, postgres.In(key), func(q store.Queries) (err error) {
		_, there, err = q.Ending(ctx, key)
		return err
	})
	if err != nil {
		return err
	}
	if !there {
		return account.ErrNotFound
	}
	return s.mayEnd(ctx, key)
}
