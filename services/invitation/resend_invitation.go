package invitation

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
	"github.com/rosterhq/roster/services/invitation/internal/store"
)

// ResendInvitation sends an invitation again, the way it went out: by mail, or as a link for the caller to pass on.
func (s *Service) ResendInvitation(ctx context.Context, req *invitationv1.ResendInvitationRequest) (*invitationv1.ResendInvitationResponse, error) {
	org, key, err := parseNames(req)
	if err != nil {
		return nil, err
	}
	return s.resend(ctx, org, key, "invitations.resend", false, s.request(ctx, org, "invitations.resend", req.GetRequestId(), "ResendInvitation", req))
}

// CreateInvitationLink sends an invitation again as a link for the caller to pass on.
func (s *Service) CreateInvitationLink(ctx context.Context, req *invitationv1.CreateInvitationLinkRequest) (*invitationv1.CreateInvitationLinkResponse, error) {
	org, key, err := parseNames(req)
	if err != nil {
		return nil, err
	}
	sent, err := s.resend(ctx, org, key, "invitations.create_link", true, s.request(ctx, org, "invitations.create_link", req.GetRequestId(), "CreateInvitationLink", req))
	if err != nil {
		return nil, err
	}
	return &invitationv1.CreateInvitationLinkResponse{Invitation: sent.GetInvitation(), Link: sent.GetLink(), Token: sent.GetToken()}, nil
}

// resend begins a new generation. A pending invitation stays pending on its seat, and its mail is queued with the
// commit; an ended one goes through RESERVING as a new one does.
func (s *Service) resend(ctx context.Context, org id.Organization, key id.Invitation, permission string, byHand bool, once postgres.Request) (*invitationv1.ResendInvitationResponse, error) {
	answer, repeated, err := postgres.Replayed[*invitationv1.ResendInvitationResponse](ctx, s.DB, postgres.In(org), once)
	if err != nil {
		return nil, err
	}
	if !repeated {
		if answer, err = s.beginResend(ctx, org, key, permission, byHand, once); err != nil {
			return nil, err
		}
	}
	generation, err := strconv.ParseInt(answer.GetToken(), 10, 32)
	if err != nil {
		return nil, fmt.Errorf("generation in a stored answer: %w", err)
	}
	answer.Invitation, answer.Token, err = s.finishReserving(ctx, org, key, int32(generation))
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// beginResend commits the new generation. An invitation that ends meanwhile is given back what it held, and then sent again.
func (s *Service) beginResend(ctx context.Context, org id.Organization, key id.Invitation, permission string, byHand bool, once postgres.Request) (answer *invitationv1.ResendInvitationResponse, err error) {
	if _, err := s.authorize(ctx, org, permission); err != nil { // before anything is said about the invitation
		return nil, err
	}
	for range 3 {
		if answer, err = s.tryResend(ctx, org, key, permission, byHand, once); !errors.Is(err, invite.ErrBusy) {
			break
		}
	}
	return answer, err
}

func (s *Service) tryResend(ctx context.Context, org id.Organization, key id.Invitation, permission string, byHand bool, once postgres.Request) (*invitationv1.ResendInvitationResponse, error) {
	actor := caller.From(ctx).Account
	inv, err := s.get(ctx, org, key)
	if err != nil {
		return nil, err
	}
	if err := s.authorizeAgain(ctx, inv, permission, byHand); err != nil {
		return nil, err
	}
	if inv.Releasing { // what the last attempt held goes first
		if err := s.release(ctx, inv); err != nil {
			return nil, err
		}
	}
	words, err := s.mailWords(ctx, &invite.Invitation{
		OrganizationID: org, Role: inv.Role, InviterID: actor, Delivery: delivery(inv, byHand)})
	if err != nil {
		return nil, err
	}
	answer, _, err := mutate(ctx, s, org, once, func(tx *postgres.Tx) (*invitationv1.ResendInvitationResponse, error) {
		return s.renew(ctx, store.Queries{Tx: tx}, inv, byHand, words, once.ID)
	})
	return answer, err
}

// renew writes the new generation. Until it is answered, the token of the answer is the generation: a repeated request
// needs it to tell its own refusal from a later one.
func (s *Service) renew(ctx context.Context, q store.Queries, known *invite.Invitation, byHand bool, words mail.Invitation, requestID string) (*invitationv1.ResendInvitationResponse, error) {
	actor, org := caller.From(ctx).Account, known.OrganizationID
	var sent invite.Sent
	q.Sent(org, actor, &sent)
	inv, err := q.Lock(ctx, org, known.InvitationID)
	if err != nil {
		return nil, err
	}
	before := *inv
	if err := inv.Resend(actor, q.Now()); err != nil {
		return nil, err
	}
	if err := s.Limits.Check(sent, org, actor, q.Now()); err != nil {
		return nil, err
	}
	answer := &invitationv1.ResendInvitationResponse{
		Link:  s.newLink(inv, delivery(inv, byHand) == invite.ByHand),
		Token: strconv.Itoa(int(inv.Generation)),
	}
	if inv.State == invite.Reserving {
		err = s.clearRivals(ctx, q, org, invitee(inv))
	} else {
		err = s.queueMail(q, inv, words)
	}
	if err != nil {
		return nil, err
	}
	q.Save(inv)
	if inv.State == invite.Pending {
		err = outbox.Publish(q.Tx, org, q.Now(), &eventv1.InvitationResent{
			Context:  why{actor: actor, cause: eventv1.Cause_KIND_ADMIN, requestID: requestID}.event(ctx, inv.InvitationID),
			Before:   toEvent(before),
			After:    toEvent(*inv),
			Personal: personal(inv),
		})
	}
	q.CountSent(org, actor)
	q.SaveHand(org, actor)
	return answer, err
}

// invitee is who the invitation is for.
func invitee(inv *invite.Invitation) invite.Invitee {
	return invite.Invitee{Email: email.Address{Display: inv.Email, Key: inv.EmailKey}, Username: inv.Username, UsernameKey: inv.UsernameKey, DisplayName: inv.DisplayName}
}

// delivery is how the next link travels.
func delivery(inv *invite.Invitation, byHand bool) invite.Delivery {
	if byHand || inv.Email == "" {
		return invite.ByHand
	}
	return invite.MailQueued
}

// authorizeAgain checks that the caller may give the role, that the person has not become a member by another way, and
// that the policy allows links.
func (s *Service) authorizeAgain(ctx context.Context, inv *invite.Invitation, permission string, byHand bool) error {
	known, err := s.knownAccounts(ctx, invitee(inv))
	if err != nil {
		return err
	}
	granted, err := s.Admission.AuthorizeInvitation(ctx, &membershipv1.AuthorizeInvitationRequest{
		OrganizationId: inv.OrganizationID.String(),
		ActorAccountId: caller.From(ctx).Account.String(),
		ActorScopes:    caller.From(ctx).Scopes,
		Permission:     permission,
		GrantsRole:     true,
		Role:           inv.Role,
		AccountIds:     known,
	})
	if err != nil {
		return err
	}
	if inv.State == invite.Accepted { // better than "already a member": it says why
		return invite.ErrUsed
	}
	if members := granted.GetMemberAccountIds(); len(members) > 0 {
		return alreadyMember(members[0])
	}
	if delivery(inv, byHand) == invite.ByHand && !granted.GetLinkInvites() {
		return fault.New(errorv1.Reason_REASON_STATE_CONFLICT, "This organization does not invite by link. Send the invitation again by mail.")
	}
	return nil
}

// mailOutcome notes what the mail server said to the latest mail of an invitation.
func (s *Service) mailOutcome(ctx context.Context, tx *postgres.Tx, aggregate, reference id.Any, taken bool) error {
	q := store.Queries{Tx: tx}
	inv, err := q.LockBySend(ctx, id.Organization(aggregate), id.Mail(reference))
	if fault.ReasonOf(err) == errorv1.Reason_REASON_INVITATION_NOT_FOUND {
		return nil
	}
	if err != nil {
		return err
	}
	before := *inv
	if !inv.Delivered(id.Mail(reference), taken) {
		return nil
	}
	q.Save(inv)
	w := why{cause: eventv1.Cause_KIND_DELIVERY}
	if before.State != invite.Pending { // answered or ended meanwhile
		return nil
	}
	if !taken {
		return s.publishEnd(ctx, q, before, inv, w)
	}
	return outbox.Publish(tx, inv.OrganizationID, tx.Now(), &eventv1.InvitationSent{Context: w.event(ctx, inv.InvitationID), Invitation: toEvent(*inv)})
}
