package identity

import (
	"context"

	"github.com/rosterhq/roster/pkg/fault"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

const mostAccounts = 500

// GetAccounts returns the profiles of accounts that another service knows by id.
func (s *Service) GetAccounts(ctx context.Context, req *identityv1.GetAccountsRequest) (*identityv1.GetAccountsResponse, error) {
	if len(req.GetAccountIds()) > mostAccounts {
		return nil, fault.Invalid("account_ids", "must be at most 500")
	}
	keys := make([]id.Account, len(req.GetAccountIds()))
	for i, text := range req.GetAccountIds() {
		var err error
		if keys[i], err = id.ParseAccount(text); err != nil {
			return nil, fault.Invalid("account_ids", "must be ids that begin with acc_")
		}
	}
	var found []account.Account
	err := s.view(ctx, postgres.Scope{}, func(q store.Queries) (err error) {
		found, err = q.ListAccounts(ctx, keys)
		return err
	})
	if err != nil {
		return nil, err
	}
	answer := &identityv1.GetAccountsResponse{}
	for _, a := range found {
		answer.Accounts = append(answer.Accounts, accountToProto(a))
	}
	return answer, nil
}
