package invitation

import (
	"context"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/invitation/internal/invite"
	"github.com/rosterhq/roster/services/invitation/internal/store"
)

// completeAccept runs the steps of an acceptance: account, seat, member, outcome. A member never exists without an
// occupied seat, so the seat comes first. refused is the answer no, once it is noted; err means that the answer is
// still open.
//
// Any number of runs may be under way: the verb, sweepers, one that everybody thought dead. They agree, because every
// answer that decides is stored by whoever gave it, and given again: CreateAccount's under the account's id, OccupySeat's
// and AddMember's under the seat's. Whatever else comes back, a refusal of another kind too, is no answer and decides
// nothing. An acceptance that is complete, as a repeated request may find it, keeps its outcome.
func (s *Service) completeAccept(ctx context.Context, inv *invite.Invitation) (refused, err error) {
	switch inv.State {
	case invite.Accepted:
		return nil, nil
	case invite.Failed:
		return failure(inv), nil
	}
	if refused, err = s.settleAccount(ctx, inv); refused != nil || err != nil {
		return refused, err
	}
	self := why{actor: inv.AccountID, cause: eventv1.Cause_KIND_INVITE}
	occupied, err := s.Seats.OccupySeat(ctx, &billingv1.OccupySeatRequest{
		OrganizationId: inv.OrganizationID.String(),
		SeatId:         inv.SeatID.String(),
		AccountId:      inv.AccountID.String(),
		Origin:         self.origin(inv.InvitationID),
	})
	if err != nil {
		return nil, err
	}
	// A seat that is lost may have been the member's, who was removed since: membership knows.
	lost := occupied.GetState() != billingv1.SeatState_SEAT_STATE_OCCUPIED
	no, err := s.addMember(ctx, inv, lost)
	if err != nil {
		return nil, err
	}
	if no != nil {
		return s.failAccept(ctx, inv, no.Reason)
	}
	return nil, s.settle(ctx, inv, func(q store.Queries, now *invite.Invitation) error {
		before := *now
		now.Complete()
		q.Save(now)
		return s.publishEnd(ctx, q, before, now, self)
	})
}

// settleAccount makes the new account of the acceptance. Identity's no opens the invitation again, which is right only
// while the seat is untouched, also by a run before a crash. It is: the seat is touched after a yes alone, and an
// account's id that got a no never gets, and never got, a yes.
func (s *Service) settleAccount(ctx context.Context, inv *invite.Invitation) (refused, err error) {
	if !inv.NewAccount {
		return nil, s.releaseUsername(ctx, inv) // an existing account keeps its own
	}
	_, err = s.Accounts.CreateAccount(ctx, &identityv1.CreateAccountRequest{
		AccountId:      inv.AccountID.String(),
		InvitationId:   inv.InvitationID.String(),
		OrganizationId: inv.OrganizationID.String(),
		Email:          inv.Email,
		EmailVerified:  inv.Email != "" && !inv.LinkShown,
		DisplayName:    inv.AcceptName,
		Username:       inv.Username,
		SealedPassword: inv.SealedPassword,
	})
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_EMAIL_TAKEN:
		refused = errSignIn
	case errorv1.Reason_REASON_USERNAME_TAKEN, errorv1.Reason_REASON_PASSWORD_REFUSED:
		refused = fault.From(err)
	default:
		return nil, err
	}
	return refused, s.settle(ctx, inv, func(q store.Queries, now *invite.Invitation) error {
		now.GiveBack()
		q.Save(now)
		return nil
	})
}

// addMember asks membership; its no is an answer, not an error.
func (s *Service) addMember(ctx context.Context, inv *invite.Invitation, seatLost bool) (no *fault.Fault, err error) {
	accounts, err := s.Accounts.GetAccounts(ctx, &identityv1.GetAccountsRequest{AccountIds: []string{inv.AccountID.String()}})
	if err != nil {
		return nil, err
	}
	var profile *identityv1.Account // none: the account is gone, and so is its name
	if len(accounts.GetAccounts()) > 0 {
		profile = accounts.GetAccounts()[0]
	}
	_, err = s.Admission.AddMember(ctx, &membershipv1.AddMemberRequest{
		OrganizationId:   inv.OrganizationID.String(),
		AccountId:        inv.AccountID.String(),
		SeatId:           inv.SeatID.String(),
		Role:             inv.Role,
		InvitationId:     inv.InvitationID.String(),
		InviterAccountId: inv.InviterID.String(),
		DisplayName:      profile.GetDisplayName(),
		Email:            profile.GetEmail(),
		Username:         profile.GetUsername(),
		SeatLost:         seatLost,
	})
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_ALREADY_MEMBER, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE,
		errorv1.Reason_REASON_PERMISSION_MISSING, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND, errorv1.Reason_REASON_SEAT_LIMIT_REACHED,
		errorv1.Reason_REASON_ACCOUNT_NOT_FOUND: // which was deleted meanwhile
		return fault.From(err), nil
	}
	return nil, err
}

// failAccept ends the invitation of an acceptance that cannot be completed, and returns what the invitee is told.
func (s *Service) failAccept(ctx context.Context, inv *invite.Invitation, reason errorv1.Reason) (refused, err error) {
	err = s.settle(ctx, inv, func(q store.Queries, now *invite.Invitation) error {
		before := *now
		now.Fail(reason)
		q.Save(now)
		return s.publishEnd(ctx, q, before, now, why{actor: inv.AccountID, cause: eventv1.Cause_KIND_INVITE})
	})
	if err != nil {
		return nil, err
	}
	s.releaseSoon(ctx, inv.OrganizationID, inv.InvitationID)
	failed := *inv
	failed.Fail(reason)
	return failure(&failed), nil
}

// failure is what whoever accepted an invitation that failed is told.
func failure(inv *invite.Invitation) error {
	if inv.FailureReason == errAlreadyMember.Name() {
		return alreadyMember(inv.AccountID.String())
	}
	return invite.ErrFailed.With("failureReason", inv.FailureReason)
}

// settle commits the outcome of an acceptance, once: whoever comes second changes nothing. An acceptance is one account
// in one generation: the same person may accept again after the invitation failed and was sent again, on another seat.
func (s *Service) settle(ctx context.Context, inv *invite.Invitation, outcome func(store.Queries, *invite.Invitation) error) error {
	return s.inTx(ctx, inv.OrganizationID, func(q store.Queries) error {
		now, err := q.Lock(ctx, inv.OrganizationID, inv.InvitationID)
		if err != nil {
			return err
		}
		if now.State != invite.Accepting || now.AccountID != inv.AccountID || now.Generation != inv.Generation {
			return nil
		}
		return outcome(q, now)
	})
}
