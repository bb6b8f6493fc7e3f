package membership

import (
	"context"
	"fmt"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// signInTask is the kind of the task that tells identity whether a member may sign in. Its id is the account's.
const signInTask = "sign_in"

// followSignIn makes identity hear of a member's change with the transaction, where the policy says that disabled members
// of managed accounts do not sign in, and tells whether it does.
func followSignIn(q store.Queries, o org.Organization, account id.Account) (follows bool) {
	if o.Policy.DisableBlocksSignIn {
		saga.For(o.ID, signInTask, account).At(q.Tx, q.Now().Add(saga.Grace))
	}
	return o.Policy.DisableBlocksSignIn
}

// tellSignIn tells identity what follows from the member as it is now. It says so with the revision that it has read, so
// that of two that run at once the newer counts; it does not matter how often it runs.
func (s *Service) tellSignIn(ctx context.Context, key id.Organization, account id.Account) error {
	var at store.Standing
	err := s.view(ctx, key, func(q store.Queries) (err error) {
		at, err = q.Get(ctx, key, account)
		return err
	})
	if err != nil {
		return err
	}
	_, err = s.Accounts.SetSignIn(ctx, &identityv1.SetSignInRequest{
		AccountId:      account.String(),
		OrganizationId: key.String(),
		Allowed:        at.Members[account].State != org.MemberDisabled || !at.Organization.Policy.DisableBlocksSignIn,
		Revision:       at.Revision,
	})
	if err != nil {
		return fmt.Errorf("set sign-in: %w", err)
	}
	return s.inTx(ctx, key, func(q store.Queries) error {
		now, err := q.LockMembers(ctx, key, account, account)
		if err != nil || now.Members[account].Version != at.Members[account].Version || now.Organization.Version != at.Organization.Version {
			return err // changed meanwhile: this runs once more
		}
		saga.For(key, signInTask, account).Done(q.Tx)
		return nil
	})
}

// tellSignInSoon does it within the call, if identity answers in time. The sweeper does what it does not.
func (s *Service) tellSignInSoon(ctx context.Context, key id.Organization, account id.Account) {
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	if err := s.tellSignIn(ctx, key, account); err != nil {
		s.Log.WarnContext(ctx, "identity hears of a member later", "organization", key.String(), "account", account.String(), "error", err)
	}
}
