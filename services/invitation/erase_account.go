package invitation

import (
	"context"
	"errors"
	"time"

	"github.com/rosterhq/roster/pkg/events"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/invitation/internal/store"
)

// eraseTask is the kind of the task that erases what is kept of an account that was deleted. Its id is the account's.
const eraseTask = "erase"

// eraseAfter is when that begins: the calls that its person has made have ended by then.
const eraseAfter = 5 * time.Second

// errAccepting says that it is too early.
var errAccepting = errors.New("an acceptance is under way")

// AccountDeleted notes that what is kept of an account is to be erased. Hearing it again erases nothing more.
func (s *Service) AccountDeleted(ctx context.Context, e events.Event) error {
	account, err := id.ParseAccount(e.Aggregate)
	if err != nil {
		return err
	}
	return s.DB.InTx(ctx, postgres.In(account), func(tx *postgres.Tx) error {
		if err := tx.Fetch(ctx); err != nil { // for the time
			return err
		}
		saga.For(account, eraseTask, account).At(tx, tx.Now().Add(eraseAfter))
		return nil
	})
}

// eraseAccount takes what is personal of an account out of every organization that it has accepted an invitation of, or has had a hand in those of others. Who
// was invited and has not accepted is nobody's account: what an organization says of them goes as it does for everybody.
func (s *Service) eraseAccount(ctx context.Context, t saga.Task) error {
	account := id.Account(t.ID)
	var keys []id.Organization
	err := s.DB.View(ctx, postgres.Across(account), func(tx *postgres.Tx) (err error) {
		keys, err = store.Queries{Tx: tx}.ListOrganizationsOf(ctx, account)
		return err
	})
	if err != nil {
		return err
	}
	for _, org := range keys {
		err := s.inTx(ctx, org, func(q store.Queries) error {
			invitations, open, err := q.LockAcceptedBy(ctx, org, account)
			if err != nil {
				return err
			}
			if open {
				return errAccepting
			}
			q.EraseAccount(org, account, invitations)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return s.DB.InTx(ctx, postgres.In(account), func(tx *postgres.Tx) error {
		t.Done(tx)
		return nil
	})
}
