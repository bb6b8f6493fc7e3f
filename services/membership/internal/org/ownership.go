package org

import (
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// offerTime is how long an offered ownership waits for an answer.
const offerTime = 72 * time.Hour

// ErrNoTransfer is the answer about an offer of ownership that does not exist, any more, or is none of the caller's business.
var ErrNoTransfer = fault.New(errorv1.Reason_REASON_TRANSFER_NOT_FOUND,
	"No offer of ownership is waiting for this. It may have been answered, taken back, or have expired.")

// ErrUnproven refuses an owner whom nobody could reach.
var ErrUnproven = fault.New(errorv1.Reason_REASON_EMAIL_UNVERIFIED,
	"An owner needs an address that is proven to be theirs. Let this person verify theirs first.")

// Transfer is an ownership that one owner offers to one member. Where there is a single owner, the other takes their place;
// where there are several, the other becomes one more. The zero Transfer is none.
type Transfer struct {
	Owner      id.Account `db:"owner_account_id"` // who offers
	Account    id.Account `db:"account_id"`       // to whom
	Ownership  Ownership  // as it was when it was offered
	OfferTime  time.Time
	ExpireTime time.Time
}

// Exists tells whether there is one, expired or not.
func (t Transfer) Exists() bool { return !t.Account.IsZero() }

// Pending tells whether it can still be answered.
func (t Transfer) Pending(now time.Time) bool { return t.Exists() && now.Before(t.ExpireTime) }

// Between tells whether the account is one of the two.
func (t Transfer) Between(account id.Account) bool {
	return t.Exists() && (account == t.Owner || account == t.Account)
}

// Owns refuses an actor who may not decide who owns the organization.
func (a Actor) Owns() error {
	if a.organization.Policy.Ownership == None {
		return SwitchedOff("ownership")
	}
	return a.Need(TransferOwnership)
}

// OfferTransfer offers the ownership to the target. pending is the offer that there is already.
func (a Actor) OfferTransfer(target Member, pending Transfer, now time.Time) (Transfer, error) {
	if err := a.Owns(); err != nil {
		return Transfer{}, err
	}
	role, _ := a.organization.Roles.ByID(target.Role)
	switch {
	case !target.Belongs():
		return Transfer{}, ErrNoMember
	case target.Account == a.Account:
		return Transfer{}, fault.New(errorv1.Reason_REASON_SELF_ACTION, "You are an owner. Choose somebody else.")
	case target.State != MemberActive:
		return Transfer{}, target.conflict("A disabled member cannot own the organization. Enable them first.")
	case role.Owner:
		return Transfer{}, target.conflict("This member is an owner already.")
	case pending.Pending(now):
		return Transfer{}, fault.New(errorv1.Reason_REASON_STATE_CONFLICT, "The ownership is offered to somebody. Take that offer back first.").
			With("state", "PENDING").With("accountId", pending.Account.String())
	}
	return Transfer{
		Owner: a.Account, Account: target.Account, Ownership: a.organization.Policy.Ownership, OfferTime: now, ExpireTime: now.Add(offerTime),
	}, nil
}

// Answers refuses everybody but the one to whom the ownership is offered, while it is.
func (a Actor) Answers(t Transfer, now time.Time) error {
	switch {
	case a.organization.Policy.Ownership == None:
		return SwitchedOff("ownership")
	case !t.Pending(now), t.Account != a.Account, t.Ownership != a.organization.Policy.Ownership:
		return ErrNoTransfer
	}
	return nil
}

// AcceptTransfer makes the actor an owner. Where there is a single one, the owner who offered it steps back, in the same
// moment; where there are several, nothing changes for them.
func (a Actor) AcceptTransfer(t Transfer, owner, self *Member, now time.Time) error {
	if err := a.Answers(t, now); err != nil {
		return err
	}
	from, _ := a.organization.Roles.ByID(owner.Role)
	if owner.Account != t.Owner || owner.State != MemberActive || !from.Owner {
		return ErrNoTransfer
	}
	if t.Ownership == Single {
		a.organization.stepBack(owner)
	}
	self.Role, self.SoleOwner = from.ID, t.Ownership == Single
	self.Version++
	return nil
}

// StepDown makes the actor one owner less, while others remain; others tells whether another active member can do everything.
func (a Actor) StepDown(self *Member, others bool) error {
	if a.organization.Policy.Ownership != Multiple {
		return SwitchedOff("ownership")
	}
	if err := a.Owns(); err != nil {
		return err
	}
	if err := a.organization.Spare(*self, Role{}, others); err != nil {
		return err
	}
	a.organization.stepBack(self)
	return nil
}

// stepBack gives an owner the role that comes next: admin, or whatever is first where there is none.
func (o Organization) stepBack(m *Member) {
	role, ok := o.Roles.ByKey("admin")
	if !ok {
		role, _ = o.Roles.find(func(r Role) bool { return !r.Owner })
	}
	m.Role, m.SoleOwner = role.ID, false
	m.Version++
}
