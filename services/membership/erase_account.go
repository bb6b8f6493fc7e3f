package membership

import (
	"context"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// eraseTask is the kind of the task that erases what is kept of an account that was deleted. Its id is the account's.
const eraseTask = "erase"

// eraseAfter is when that begins: the transactions that did not know yet that the account is deleted have ended by then.
const eraseAfter = 5 * time.Second

// beginErasing notes that an account was deleted. From here on nobody adds it, and nothing personal of it is written to the audit view.
func beginErasing(q store.Queries, account id.Account) {
	q.LockErased(account)
	q.InsertErased(id.Any(account))
	q.SaveFactors(account, nil)
	q.SaveUnproven(account, false)
	saga.For(account, eraseTask, account).At(q.Tx, q.Now().Add(eraseAfter))
}

// eraseAccount takes what is personal of an account out of every organization that it has belonged to, where it is nothing any more after that.
func (s *Service) eraseAccount(ctx context.Context, t saga.Task) error {
	account := id.Account(t.ID)
	keys, err := s.memberships(ctx, account)
	if err != nil {
		return err
	}
	for _, key := range keys {
		_, err := s.depart(ctx, key, account, outbox.Origin{Account: account, Cause: eventv1.Cause_KIND_SELF})
		if fault.ReasonOf(err) == errorv1.Reason_REASON_LAST_OWNER { // one that it was just creating
			err = s.dissolveFor(ctx, key, account)
		}
		if err != nil {
			return err
		}
		err = s.inTx(ctx, key, func(q store.Queries) error {
			invitations, err := q.ListAcceptedBy(ctx, key, account)
			if err != nil {
				return err
			}
			q.EraseAccount(key, account, invitations)
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

// dissolveFor ends an organization that nobody is left to look after.
func (s *Service) dissolveFor(ctx context.Context, key id.Organization, account id.Account) error {
	return s.inTx(ctx, key, func(q store.Queries) error {
		at, err := q.LockEverybody(ctx, key, account)
		if err != nil || !at.Members[account].Belongs() {
			return err
		}
		return dissolve(ctx, q, at.Organization, account, "")
	})
}
