package invitation

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"
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
	"github.com/rosterhq/roster/services/invitation/internal/invite"
	"github.com/rosterhq/roster/services/invitation/internal/store"
)

// drive brings an invitation as far as it gets: out of RESERVING and ACCEPTING, past its expiry, and through giving
// back what it held. Every call to another service is idempotent on an id of the row, so it does not matter how often
// this runs, or whether the verb that began the step or the sweeper runs it.
func (s *Service) drive(ctx context.Context, org id.Organization, key id.Invitation) error {
	inv, err := s.get(ctx, org, key)
	if err != nil {
		return err
	}
	switch {
	case inv.State == invite.Reserving:
		return s.reserve(ctx, inv)
	case inv.State == invite.Accepting:
		return s.completeAccept(ctx, inv)
	case inv.Releasing:
		return s.release(ctx, inv)
	}
	return s.inTx(ctx, org, func(q store.Queries) error {
		inv, err := q.Lock(ctx, org, key)
		if err != nil {
			return err
		}
		if inv.Overdue(q.Now()) {
			return s.expire(ctx, q, inv)
		}
		return nil
	})
}

func (s *Service) get(ctx context.Context, org id.Organization, key id.Invitation) (inv *invite.Invitation, err error) {
	err = s.view(ctx, org, func(q store.Queries) error {
		inv, err = q.Get(ctx, org, key)
		return err
	})
	return inv, err
}

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
	if err := together.Wait(); err != nil {
		return err
	}
	if state := reserved.GetState(); state != billingv1.SeatState_SEAT_STATE_RESERVED && state != billingv1.SeatState_SEAT_STATE_OCCUPIED {
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
	_, err = s.Accounts.HoldUsername(ctx, &identityv1.HoldUsernameRequest{
		InvitationId: inv.InvitationID.String(), Generation: inv.Generation, Username: inv.Username})
	if fault.ReasonOf(err) != errorv1.Reason_REASON_USERNAME_TAKEN || inv.EmailKey == "" {
		return fault.ReasonOf(err) == errorv1.Reason_REASON_USERNAME_TAKEN, ignore(err, errorv1.Reason_REASON_USERNAME_TAKEN)
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

// ignore drops a refusal that has become an answer.
func ignore(err error, reason errorv1.Reason) error {
	if fault.ReasonOf(err) == reason {
		return nil
	}
	return err
}

// askSeat reserves the seat of this attempt. Seats that ended invitations still hold are freed in the same
// transaction of billing, so that they never stand in the way.
func (s *Service) askSeat(ctx context.Context, inv *invite.Invitation) (*billingv1.ReserveSeatsResponse, error) {
	var ended []string
	err := s.view(ctx, inv.OrganizationID, func(q store.Queries) (err error) {
		ended, err = q.ListReleasing(ctx, inv.OrganizationID, 100)
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
			ReviewTime: timestamppb.New(inv.ExpireTime.Add(reviewTime)),
		}},
		ReleaseSeatIds: ended,
		Origin:         why{actor: inv.InviterID, cause: eventv1.Cause_KIND_INVITE}.origin(inv.InvitationID),
	})
}

// open makes the invitation pending: its event, and its mail if it goes by mail, are committed with it.
func (s *Service) open(ctx context.Context, q store.Queries, inv *invite.Invitation, words mail.Invitation) error {
	first := !inv.Announced
	before := *inv
	before.State, before.FailureReason = inv.PriorState, inv.PriorFailure
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
	token, err := s.linkKey.Open(inv.SealedToken, inv.InvitationID.String())
	if err != nil {
		return fmt.Errorf("open link: %w", err)
	}
	inv.SealedToken = nil
	words.Link, words.Expires = s.url(string(token)), inv.ExpireTime
	return mail.Add(s.Mail, q.Tx, inv.OrganizationID, inv.SendID, inv.Email, words)
}

// mailWords asks for the names in the mail. An inviter or a role that is gone by now leaves a gap, not an error: the
// invitation fails when it is accepted.
func (s *Service) mailWords(ctx context.Context, inv *invite.Invitation) (words mail.Invitation, err error) {
	if inv.Delivery == invite.ByHand {
		return words, nil
	}
	facts, err := s.Admission.AuthorizeInvitation(ctx, &membershipv1.AuthorizeInvitationRequest{
		OrganizationId: inv.OrganizationID.String(), GrantsRole: true, Role: inv.Role})
	if err != nil && fault.From(err) == nil {
		return words, err
	}
	if fault.ReasonOf(err) == errorv1.Reason_REASON_UNAVAILABLE {
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

// release gives the seat and the username back.
func (s *Service) release(ctx context.Context, inv *invite.Invitation) error {
	_, err := s.Seats.ReleaseSeats(ctx, &billingv1.ReleaseSeatsRequest{
		OrganizationId: inv.OrganizationID.String(),
		SeatIds:        []string{inv.SeatID.String()},
		Origin:         why{cause: releaseCause[inv.State]}.origin(inv.InvitationID),
	})
	if err != nil {
		return err
	}
	if err := s.releaseUsername(ctx, inv); err != nil {
		return err
	}
	return s.inTx(ctx, inv.OrganizationID, func(q store.Queries) error {
		now, err := q.Lock(ctx, inv.OrganizationID, inv.InvitationID)
		if err != nil {
			return err
		}
		if !now.Releasing || now.SeatID != inv.SeatID {
			return nil
		}
		now.Released()
		q.Save(now)
		return nil
	})
}

var releaseCause = map[invite.State]eventv1.Cause_Kind{
	invite.Declined: eventv1.Cause_KIND_SELF,
	invite.Revoked:  eventv1.Cause_KIND_ADMIN,
	invite.Expired:  eventv1.Cause_KIND_EXPIRY,
	invite.Failed:   eventv1.Cause_KIND_INVITE,
}

func (s *Service) releaseUsername(ctx context.Context, inv *invite.Invitation) error {
	if inv.Username == "" {
		return nil
	}
	_, err := s.Accounts.ReleaseUsername(ctx, &identityv1.ReleaseUsernameRequest{
		InvitationId: inv.InvitationID.String(), Generation: inv.Generation})
	return err
}

// releaseSoon gives back what an ended invitation held, within a second, and says whether it is done. If billing does
// not answer, the sweeper goes on.
func (s *Service) releaseSoon(ctx context.Context, org id.Organization, key id.Invitation) bool {
	ctx, cancel := context.WithTimeout(ctx, releaseTime)
	defer cancel()
	if err := s.drive(ctx, org, key); err != nil {
		s.Log.Warn("a seat is given back later", "organization", org.String(), "invitation", key.String(), "error", err)
		return false
	}
	return true
}

// finishReserving drives an invitation out of RESERVING and answers with what became of it.
func (s *Service) finishReserving(ctx context.Context, org id.Organization, key id.Invitation) (*invitationv1.Invitation, string, error) {
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
	if inv.RefusedReason != "" {
		if inv.Releasing {
			s.releaseSoon(ctx, org, key)
		}
		return nil, "", s.refusal(ctx, inv)
	}
	return answer, outbox.Token(org, "invitation", revision), nil
}

// refusal says why an attempt got no seat. Asked again, billing gives the same answer, with today's numbers.
func (s *Service) refusal(ctx context.Context, inv *invite.Invitation) error {
	if inv.RefusedReason == "USERNAME_TAKEN" {
		return fault.New(errorv1.Reason_REASON_USERNAME_TAKEN, "This username is taken. Choose another.").With("username", inv.Username)
	}
	reserved, err := s.askSeat(ctx, inv)
	if err != nil {
		return unfinished(err)
	}
	usage := reserved.GetUsage()
	return fault.Newf(errorv1.Reason_REASON_SEAT_LIMIT_REACHED,
		"All %d seats are in use. Remove a member, revoke a pending invitation, or get more seats.", usage.GetTotal()).
		With("subject", "organizations/"+inv.OrganizationID.String()).
		With("used", strconv.Itoa(int(usage.GetUsed()))).
		With("total", strconv.Itoa(int(usage.GetTotal()))).
		With("available", strconv.Itoa(int(usage.GetAvailable()))).
		With("requested", "1").
		WithHelp(s.PublicURL + "/organizations/" + inv.OrganizationID.String() + "/seats")
}

// unfinished is the answer when another service did not answer in time: what was begun will be finished.
func unfinished(err error) error {
	if f := fault.From(err); f != nil && f.Reason != errorv1.Reason_REASON_INTERNAL {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w (%w)", fault.New(errorv1.Reason_REASON_UNAVAILABLE,
		"A part of the suite does not answer. What you asked for was noted and will be finished; look again in a minute.").WithRetry(5*time.Second), err)
}

// publishEnd publishes the event of an invitation's end.
func (s *Service) publishEnd(ctx context.Context, q store.Queries, before invite.Invitation, inv *invite.Invitation, w why) error {
	origin, was, is := w.event(ctx, inv.InvitationID), toEvent(before), toEvent(*inv)
	var event proto.Message
	switch inv.State {
	case invite.Accepted:
		event = &eventv1.InvitationAccepted{Context: origin, Before: was, After: is}
	case invite.Declined:
		event = &eventv1.InvitationDeclined{Context: origin, Before: was, After: is}
	case invite.Revoked:
		event = &eventv1.InvitationRevoked{Context: origin, Before: was, After: is}
	case invite.Expired:
		event = &eventv1.InvitationExpired{Context: origin, Before: was, After: is}
	default:
		event = &eventv1.InvitationFailed{Context: origin, Before: was, After: is}
	}
	return outbox.Publish(q.Tx, inv.OrganizationID, q.Now(), event)
}
