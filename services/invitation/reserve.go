package invitation

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/seats"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
	"github.com/rosterhq/roster/services/invitation/internal/store"
)

// reviewTime is when billing may ask whether a reserved seat is still wanted, after the invitation's own expiry.
const reviewTime = time.Hour

// reserve holds the username and the seat of this attempt, then opens the invitation, or notes that it got neither.
func (s *Service) reserve(ctx context.Context, inv *invite.Invitation) error {
	taken, err := s.holdUsername(ctx, inv)
	if err != nil {
		return err
	}
	if taken {
		return s.refuse(ctx, inv, errorv1.Reason_REASON_USERNAME_TAKEN)
	}
	var reserved *billingv1.ReserveSeatsResponse
	var words mail.Invitation
	together, asking := errgroup.WithContext(ctx)
	together.Go(func() (err error) {
		reserved, err = s.askSeat(asking, inv)
		return err
	})
	together.Go(func() (err error) {
		words, err = s.mailWords(asking, inv)
		return err
	})
	err = together.Wait()
	switch reason := fault.ReasonOf(err); {
	case reason == errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND, reason == errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE:
		return s.refuse(ctx, inv, reason) // gone since the caller was allowed to invite
	case err != nil:
		return err
	case reserved.GetState() != billingv1.SeatState_SEAT_STATE_RESERVED:
		return s.refuse(ctx, inv, errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
	}
	return s.inTx(ctx, inv.OrganizationID, func(q store.Queries) error {
		now, err := q.Lock(ctx, inv.OrganizationID, inv.InvitationID)
		if err != nil {
			return err
		}
		if now.State != invite.Reserving || now.Generation != inv.Generation { // somebody else was faster
			return nil
		}
		return s.open(ctx, q, now, words)
	})
}

// holdUsername keeps the username for the invitee, and tells whether it is somebody else's. The invitee's own account
// may have it already: an account keeps its username when it accepts.
func (s *Service) holdUsername(ctx context.Context, inv *invite.Invitation) (taken bool, err error) {
	if inv.Username == "" {
		return false, nil
	}
	hold := func() error {
		_, err := s.Accounts.HoldUsername(ctx, &identityv1.HoldUsernameRequest{
			InvitationId: inv.InvitationID.String(), Generation: inv.Generation, Username: inv.Username})
		return err
	}
	err = hold()
	if fault.ReasonOf(err) == errorv1.Reason_REASON_USERNAME_TAKEN {
		freed, failed := s.freeUsername(ctx, inv)
		switch {
		case failed != nil:
			return false, failed
		case freed:
			err = hold()
		}
	}
	if fault.ReasonOf(err) != errorv1.Reason_REASON_USERNAME_TAKEN {
		return false, err
	}
	if inv.EmailKey == "" {
		return true, nil
	}
	byName, err := s.Accounts.FindAccount(ctx, &identityv1.FindAccountRequest{Username: inv.Username})
	if err != nil {
		return false, err
	}
	byEmail, err := s.Accounts.FindAccount(ctx, &identityv1.FindAccountRequest{Email: inv.EmailKey})
	if err != nil {
		return false, err
	}
	return byName.GetAccount() == nil || byName.GetAccount().GetId() != byEmail.GetAccount().GetId(), nil
}

// freeUsername gives back what ended invitations of the organization for the same username still hold, as askSeat does
// with their seats: an ended invitation that nobody has swept yet stands in nobody's way.
func (s *Service) freeUsername(ctx context.Context, inv *invite.Invitation) (freed bool, err error) {
	var ended []invite.Invitation
	err = s.view(ctx, inv.OrganizationID, func(q store.Queries) (err error) {
		ended, err = q.ListReleasingUsername(ctx, inv.OrganizationID, inv.UsernameKey)
		return err
	})
	for i := range ended {
		if err == nil {
			err = s.release(ctx, &ended[i])
		}
	}
	return len(ended) > 0, err
}

// askSeat reserves the seat of this attempt. Seats that ended invitations still hold are freed in the same
// transaction of billing, so that they never stand in the way.
func (s *Service) askSeat(ctx context.Context, inv *invite.Invitation) (*billingv1.ReserveSeatsResponse, error) {
	var ended []string
	var expiry time.Time
	err := s.view(ctx, inv.OrganizationID, func(q store.Queries) (err error) {
		ended, err = q.ListReleasing(ctx, inv.OrganizationID, 100)
		expiry = q.Now().Add(inv.TTL)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.Seats.ReserveSeats(ctx, &billingv1.ReserveSeatsRequest{
		OrganizationId: inv.OrganizationID.String(),
		Seats: []*billingv1.ReserveSeatsRequest_Ask{{
			SeatId:     inv.SeatID.String(),
			OwnerKind:  billingv1.OwnerKind_OWNER_KIND_INVITATION,
			OwnerId:    inv.InvitationID.String(),
			ReviewTime: timestamppb.New(expiry.Add(reviewTime)),
		}},
		ReleaseSeatIds: ended,
		Origin:         why{actor: inv.InviterID, cause: eventv1.Cause_KIND_INVITE}.origin(inv.InvitationID),
	})
}

// open makes the invitation pending: its event, and its mail if it goes by mail, are committed with it.
func (s *Service) open(ctx context.Context, q store.Queries, inv *invite.Invitation, words mail.Invitation) error {
	first := !inv.Announced
	before := *inv
	before.State, before.FailureReason, before.Generation = inv.PriorState, inv.PriorFailure, inv.Generation-1
	inv.Grant(q.Now())
	if err := s.queueMail(q, inv, words); err != nil {
		return err
	}
	q.Save(inv)
	origin := why{actor: inv.InviterID, cause: eventv1.Cause_KIND_ADMIN}.event(ctx, inv.InvitationID)
	if first {
		return outbox.Publish(q.Tx, inv.OrganizationID, q.Now(), &eventv1.InvitationCreated{
			Context: origin, Invitation: toEvent(*inv), Personal: personal(inv)})
	}
	return outbox.Publish(q.Tx, inv.OrganizationID, q.Now(), &eventv1.InvitationResent{
		Context: origin, Before: toEvent(before), After: toEvent(*inv), Personal: personal(inv)})
}

// queueMail queues the mail with the sealed link, which the row then forgets.
func (s *Service) queueMail(q store.Queries, inv *invite.Invitation, words mail.Invitation) error {
	if inv.Delivery != invite.MailQueued || inv.SealedToken == nil {
		return nil
	}
	token, err := s.linkKey.OpenOlder(inv.SealedToken, linkBoundBefore(inv.InvitationID), linkBound(inv.OrganizationID, inv.InvitationID)...)
	if err != nil {
		return fmt.Errorf("open link: %w", err)
	}
	inv.SealedToken = nil
	words.Link, words.Expires = s.url(string(token)), inv.ExpireTime
	return mail.Add(s.Mail, q.Tx, inv.OrganizationID, inv.SendID, invitee(inv).Email.Mailbox(), words)
}

// mailWords asks for the names in the mail. An inviter who is gone leaves a gap, not an error.
func (s *Service) mailWords(ctx context.Context, inv *invite.Invitation) (words mail.Invitation, err error) {
	if inv.Delivery == invite.ByHand {
		return words, nil
	}
	facts, err := s.Admission.AuthorizeInvitation(ctx, &membershipv1.AuthorizeInvitationRequest{
		OrganizationId: inv.OrganizationID.String(), GrantsRole: true, Role: inv.Role})
	if err != nil {
		return words, err
	}
	accounts, err := s.Accounts.GetAccounts(ctx, &identityv1.GetAccountsRequest{AccountIds: []string{inv.InviterID.String()}})
	if err != nil {
		return words, err
	}
	words = mail.Invitation{Organization: facts.GetOrganizationDisplayName(), Role: facts.GetRoleDisplayName(), FullAccess: facts.GetFullAccess()}
	if len(accounts.GetAccounts()) > 0 {
		words.Inviter = accounts.GetAccounts()[0].GetDisplayName()
	}
	return words, nil
}

// refuse ends an attempt that got no seat or no username. Nobody hears of a first attempt.
func (s *Service) refuse(ctx context.Context, inv *invite.Invitation, reason errorv1.Reason) error {
	return s.inTx(ctx, inv.OrganizationID, func(q store.Queries) error {
		now, err := q.Lock(ctx, inv.OrganizationID, inv.InvitationID)
		if err != nil {
			return err
		}
		if now.State != invite.Reserving || now.Generation != inv.Generation {
			return nil
		}
		now.Refuse(reason)
		q.Save(now)
		return nil
	})
}

// finishReserving drives an invitation out of RESERVING, and answers with what became of it or why the attempt that
// began this generation was refused. Of an attempt before the latest only the invitation can be told.
func (s *Service) finishReserving(ctx context.Context, org id.Organization, key id.Invitation, generation int32) (*invitationv1.Invitation, string, error) {
	inv, err := s.get(ctx, org, key)
	if err != nil {
		return nil, "", err
	}
	if inv.State == invite.Reserving {
		if err := s.reserve(ctx, inv); err != nil {
			return nil, "", unfinished(err)
		}
	}
	var revision int64
	var answer *invitationv1.Invitation
	err = s.view(ctx, org, func(q store.Queries) error {
		q.Revision(org, &revision)
		if inv, err = q.Get(ctx, org, key); err != nil {
			return err
		}
		answer = toProto(inv, q.Now())
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	if inv.RefusedReason != "" && inv.Generation == generation {
		if inv.Releasing {
			s.releaseSoon(ctx, org, key)
		}
		return nil, "", s.refusal(ctx, inv)
	}
	return answer, outbox.Token(org, "invitation", revision), nil
}

// refusal says why an attempt was refused. Asked again, billing gives the same answer, with today's numbers.
func (s *Service) refusal(ctx context.Context, inv *invite.Invitation) error {
	switch inv.RefusedReason {
	case "USERNAME_TAKEN":
		return fault.New(errorv1.Reason_REASON_USERNAME_TAKEN, "This username is taken. Choose another.").With("username", inv.Username)
	case "ROLE_NOT_ASSIGNABLE":
		return fault.New(errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE, "This role does not exist in this organization any more.").With("role", inv.Role)
	case "ORGANIZATION_NOT_FOUND":
		return fault.New(errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND, "There is no such organization.")
	}
	reserved, err := s.askSeat(ctx, inv)
	if err != nil {
		return unfinished(err)
	}
	return seats.LimitReached(s.PublicURL, inv.OrganizationID, reserved.GetUsage())
}
