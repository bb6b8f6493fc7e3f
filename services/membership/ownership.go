package membership

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// transferTask is the kind of the task that ends an offer of ownership when its time has come. Its id is the organization's.
const transferTask = "transfer"

// expireTransfer is the sweeper's step that ends an offer of ownership.
func (s *Service) expireTransfer(ctx context.Context, key id.Organization) error {
	return s.inTx(ctx, key, func(q store.Queries) error {
		at, err := q.LockTransfer(ctx, key)
		if err != nil {
			return err
		}
		if at.Transfer.Pending(q.Now()) { // another one, by now
			saga.For(key, transferTask, key).At(q.Tx, at.Transfer.ExpireTime)
			return nil
		}
		saga.For(key, transferTask, key).Done(q.Tx)
		return expired(ctx, q, key, at.Transfer)
	})
}

// expired ends an offer of ownership whose time has come, if there is one.
func expired(ctx context.Context, q store.Queries, key id.Organization, t org.Transfer) error {
	if !t.Exists() {
		return nil
	}
	q.DeleteTransfer(key)
	because := outbox.Origin{Service: "membership", Cause: eventv1.Cause_KIND_EXPIRY}
	return outbox.Publish(q.Tx, key, q.Now(), &eventv1.OrganizationTransferExpired{Context: because.Context(ctx), Transfer: transferToEvent(t)})
}

// endTransfer ends the offer of ownership: its story goes on, if it does, without the sweeper.
func endTransfer(q store.Queries, key id.Organization) {
	q.DeleteTransfer(key)
	saga.For(key, transferTask, key).Done(q.Tx)
}

// cancelTransfer takes the offer back, because of what has just happened to one of the two.
func cancelTransfer(ctx context.Context, q store.Queries, key id.Organization, t org.Transfer, because outbox.Origin) error {
	endTransfer(q, key)
	return outbox.Publish(q.Tx, key, q.Now(), &eventv1.OrganizationTransferCancelled{Context: because.Context(ctx), Transfer: transferToEvent(t)})
}

// followMember ends what a change of a member ends beside it: the offer of ownership that they are part of, unless they are
// what they were for it, and their being an owner.
func followMember(ctx context.Context, q store.Queries, at store.Standing, before, after org.Member, because outbox.Origin) error {
	o := at.Organization
	was, _ := o.Roles.ByID(before.Role)
	is, _ := o.Roles.ByID(after.Role)
	ended := !after.Belongs() || !is.Owner
	if at.Transfer.Between(after.Account) && (after.State != org.MemberActive || was.Owner && ended) {
		if err := cancelTransfer(ctx, q, o.ID, at.Transfer, because); err != nil {
			return err
		}
	}
	if was.Owner && ended {
		return outbox.Publish(q.Tx, o.ID, q.Now(), &eventv1.OrganizationOwnerChanged{
			Context: because.Context(ctx), BeforeAccountId: before.Account.String()})
	}
	return nil
}

// equals asks whoever decides about another owner, where there are several, to have proven just now who they are: nobody who got
// hold of one owner's session gets rid of the others by it.
func equals(ctx context.Context, now time.Time, o org.Organization, target org.Member) error {
	if role, _ := o.Roles.ByID(target.Role); !role.Owner {
		return nil
	}
	return caller.From(ctx).StepUp(now, 10*time.Minute)
}

// reachable returns the address that identity knows to be the account's; ErrUnproven when there is none.
func (s *Service) reachable(ctx context.Context, account id.Account) (string, error) {
	who, domain, err := s.proven(ctx, account)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w (%v)", fault.New(errorv1.Reason_REASON_UNAVAILABLE,
			"A part of the suite does not answer. Try again.").WithRetry(5*time.Second), err)
	case domain == "":
		return "", org.ErrUnproven
	}
	return who.Email, nil
}

func transferToProto(t org.Transfer) *membershipv1.Transfer {
	return &membershipv1.Transfer{
		OwnerAccountId: t.Owner.String(), AccountId: t.Account.String(), ReplacesOwner: t.Ownership == org.Single,
		OfferTime: timestamppb.New(t.OfferTime), ExpireTime: timestamppb.New(t.ExpireTime),
	}
}

func transferToEvent(t org.Transfer) *eventv1.Transfer {
	return &eventv1.Transfer{
		OwnerAccountId: t.Owner.String(), AccountId: t.Account.String(), ReplacesOwner: t.Ownership == org.Single,
		ExpireTime: timestamppb.New(t.ExpireTime),
	}
}
