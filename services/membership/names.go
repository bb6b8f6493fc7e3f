package membership

import (
	"context"
	"slices"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// mostAccounts is how many accounts identity tells about in one call.
const mostAccounts = 500

// namesOf returns what accounts are called that the list of people does not have: of those who have left, and of guests. Those of
// whom identity cannot tell have no name, but for those whose account was deleted.
func (s *Service) namesOf(ctx context.Context, key id.Organization, accounts []id.Account) map[id.Account]string {
	names := make(map[id.Account]string, len(accounts))
	for some := range slices.Chunk(accounts, mostAccounts) {
		ask := &identityv1.GetAccountsRequest{}
		for _, account := range some {
			ask.AccountIds = append(ask.AccountIds, account.String())
		}
		answer, err := s.Accounts.GetAccounts(ctx, ask)
		if err != nil {
			s.Log.WarnContext(ctx, "names are not shown", "organization", key.String(), "accounts", len(accounts), "error", err)
			return names
		}
		for _, found := range answer.GetAccounts() {
			if account, err := id.ParseAccount(found.GetId()); err == nil {
				names[account] = clean(found.GetDisplayName())
			}
		}
	}
	var gone []id.Account
	err := s.view(ctx, key, func(q store.Queries) (err error) {
		gone, err = q.ListErased(ctx, accounts)
		return err
	})
	if err != nil {
		s.Log.WarnContext(ctx, "who is deleted is not shown", "organization", key.String(), "error", err)
	}
	for _, account := range gone {
		names[account] = store.DeletedName
	}
	return names
}
