package membership

import (
	"cmp"
	"context"
	"fmt"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// profileTask is the kind of the task that reads a new member's profile once more. Its id is the account's.
//
// Whoever is added comes with a profile that was read before. If it changed in between, identity's event may have been
// heard when there was nobody to rename. A change after the member is there finds them, so it takes one more look.
const profileTask = "profile"

// list puts a member on the list of people.
func list(q store.Queries, key id.Organization, m org.Member, role org.Role, p org.Person) {
	q.SavePerson(key, m, role.Key, p)
	saga.For(key, profileTask, m.Account).At(q.Tx, q.Now())
}

// refreshProfile gives a listed member the name and the address that identity knows, and the time when the account was made. What was changed while it asked stays, and it asks
// again.
func (s *Service) refreshProfile(ctx context.Context, key id.Organization, account id.Account) error {
	var before store.Standing
	err := s.view(ctx, key, func(q store.Queries) (err error) {
		before, err = q.Get(ctx, key, account)
		return err
	})
	if err != nil {
		return err
	}
	answer, err := s.Accounts.GetAccounts(ctx, &identityv1.GetAccountsRequest{AccountIds: []string{account.String()}})
	if err != nil {
		return fmt.Errorf("read the profile: %w", err)
	}
	return s.DB.InTx(ctx, postgres.In(key), func(tx *postgres.Tx) error {
		q := queries(tx)
		now, err := q.LockPerson(ctx, key, account)
		if err != nil || now.Person != before.People[account].Person {
			return err
		}
		for _, profile := range answer.GetAccounts() { // none: the account is gone
			fresh := org.Person{DisplayName: profile.GetDisplayName(), Email: cmp.Or(profile.GetEmail(), now.Email), Username: profile.GetUsername(), AvatarURL: clean(profile.GetAvatarUrl())}
			if fresh != now.Person {
				q.Rename(account, fresh)
			}
			q.SaveAccountTime(key, account, profile.GetCreateTime().AsTime())
		}
		saga.For(key, profileTask, account).Done(tx)
		return nil
	})
}
