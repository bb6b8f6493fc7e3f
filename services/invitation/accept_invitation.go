package invitation

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
	"github.com/rosterhq/roster/services/invitation/internal/store"
)

// AcceptInvitation makes the caller a member. Each step is idempotent on ids that the first transaction commits, so
// the sweeper can run the same steps after a crash.
func (s *Service) AcceptInvitation(ctx context.Context, req *invitationv1.AcceptInvitationRequest) (*invitationv1.AcceptInvitationResponse, error) {
	token, err := invite.ParseToken(req.GetLinkToken())
	if err != nil {
		return nil, err
	}
	inv, err := s.answerable(ctx, token)
	if err != nil {
		return nil, err
	}
	acceptance, err := s.whoAccepts(ctx, req, inv)
	if err != nil {
		return nil, err
	}
	err = s.inTx(ctx, token.Organization, func(q store.Queries) error {
		if inv, err = q.LockByLink(ctx, token); err != nil {
			return err
		}
		if err := inv.BeginAccept(acceptance, q.Now()); err != nil {
			return err
		}
		q.Save(inv)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.completeAccept(ctx, inv); err != nil {
		return nil, unfinished(err)
	}
	return s.acceptAnswer(ctx, req, inv, acceptance)
}

// answerable returns the invitation of a link that can be answered now.
func (s *Service) answerable(ctx context.Context, token invite.Token) (inv *invite.Invitation, err error) {
	err = s.view(ctx, token.Organization, func(q store.Queries) error {
		if inv, err = q.GetByLink(ctx, token); err != nil {
			return err
		}
		return inv.Answerable(q.Now())
	})
	return inv, err
}

// whoAccepts decides for which account the invitation is accepted: the one that is signed in, if it is the invited one,
// or a new one, if the invited address has none yet. A link alone never opens an existing account.
func (s *Service) whoAccepts(ctx context.Context, req *invitationv1.AcceptInvitationRequest, inv *invite.Invitation) (a invite.Acceptance, err error) {
	if me := caller.From(ctx).Account; !me.IsZero() {
		return invite.Acceptance{Account: me}, s.matches(ctx, inv, me)
	}
	taken, err := s.hasAccount(ctx, inv)
	if err != nil {
		return a, err
	}
	if taken {
		return a, errSignIn
	}
	name, err := invite.ParseName(req.GetDisplayName())
	if err != nil {
		return a, err
	}
	if name == "" {
		name = firstOf(inv.DisplayName, inv.Username)
	}
	switch {
	case req.GetPassword() == "":
		return a, fault.Invalid("password", "is required for the new account; if you have an account, sign in first")
	case name == "":
		return a, fault.Invalid("display_name", "is required for the new account")
	case req.GetDelivery() != identityv1.Delivery_DELIVERY_TOKEN && caller.From(ctx).Service != "gateway":
		return a, fault.Invalid("delivery", "must be DELIVERY_TOKEN outside of browsers")
	}
	account := id.NewAccount()
	sealed, err := s.Accounts.SealPassword(ctx, &identityv1.SealPasswordRequest{
		AccountId:    account.String(),
		Password:     req.GetPassword(),
		ContextWords: []string{inv.Email, inv.Username, name},
	})
	if err != nil {
		return a, err
	}
	return invite.Acceptance{Account: account, New: true, SealedPassword: sealed.GetSealedPassword(), DisplayName: name}, nil
}

var errSignIn = fault.New(errorv1.Reason_REASON_SIGN_IN_REQUIRED, "You have an account already. Sign in to it, then accept the invitation.")

// matches refuses an account that is not the invited one. An invitation without an address is for whoever holds the link.
func (s *Service) matches(ctx context.Context, inv *invite.Invitation, me id.Account) error {
	if inv.EmailKey == "" {
		return nil
	}
	found, err := s.Accounts.FindAccount(ctx, &identityv1.FindAccountRequest{Email: inv.EmailKey})
	if err != nil {
		return err
	}
	if found.GetAccount().GetId() != me.String() {
		return fault.Newf(errorv1.Reason_REASON_INVITATION_MISMATCH,
			"This invitation is for %s. Sign in with the account that has this address, or confirm the address in your account first.", masked(inv)).
			With("maskedEmail", masked(inv))
	}
	return nil
}

// hasAccount tells whether the invited address belongs to an account.
func (s *Service) hasAccount(ctx context.Context, inv *invite.Invitation) (bool, error) {
	if inv.EmailKey == "" {
		return false, nil
	}
	found, err := s.Accounts.FindAccount(ctx, &identityv1.FindAccountRequest{Email: inv.EmailKey})
	return found.GetAccount() != nil, err
}

// completeAccept runs the steps of an acceptance: account, seat, member, outcome. A member never exists without an
// occupied seat, so the seat comes first.
func (s *Service) completeAccept(ctx context.Context, inv *invite.Invitation) error {
	if inv.NewAccount {
		_, err := s.Accounts.CreateAccount(ctx, &identityv1.CreateAccountRequest{
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
		case errorv1.Reason_REASON_EMAIL_TAKEN, errorv1.Reason_REASON_USERNAME_TAKEN: // final: no seat was touched yet
			if undo := s.settle(ctx, inv, func(q store.Queries, now *invite.Invitation) error {
				now.GiveBack()
				q.Save(now)
				return nil
			}); undo != nil {
				return undo
			}
			if fault.ReasonOf(err) == errorv1.Reason_REASON_EMAIL_TAKEN {
				return errSignIn
			}
			return err
		}
		if err != nil {
			return err
		}
	} else if err := s.releaseUsername(ctx, inv); err != nil { // an existing account keeps its own username
		return err
	}
	self := why{actor: inv.AccountID, cause: eventv1.Cause_KIND_INVITE}
	occupied, err := s.Seats.OccupySeat(ctx, &billingv1.OccupySeatRequest{
		OrganizationId: inv.OrganizationID.String(),
		SeatId:         inv.SeatID.String(),
		AccountId:      inv.AccountID.String(),
		Origin:         self.origin(inv.InvitationID),
	})
	if err != nil {
		return err
	}
	if occupied.GetState() != billingv1.SeatState_SEAT_STATE_OCCUPIED {
		return s.failAccept(ctx, inv, errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
	}
	member, err := s.addMember(ctx, inv)
	if err != nil {
		return err
	}
	if member != nil {
		return s.failAccept(ctx, inv, member.Reason)
	}
	return s.settle(ctx, inv, func(q store.Queries, now *invite.Invitation) error {
		before := *now
		now.Complete()
		q.Save(now)
		return s.publishEnd(ctx, q, before, now, self)
	})
}

// addMember asks membership; its no is an answer, not an error.
func (s *Service) addMember(ctx context.Context, inv *invite.Invitation) (*fault.Fault, error) {
	accounts, err := s.Accounts.GetAccounts(ctx, &identityv1.GetAccountsRequest{AccountIds: []string{inv.AccountID.String()}})
	if err != nil {
		return nil, err
	}
	var profile *identityv1.Account
	for _, profile = range accounts.GetAccounts() {
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
	})
	switch f := fault.From(err); fault.ReasonOf(err) {
	case errorv1.Reason_REASON_ALREADY_MEMBER, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE,
		errorv1.Reason_REASON_PERMISSION_MISSING, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND:
		return f, nil
	}
	return nil, err
}

// failAccept ends the invitation of an acceptance that cannot be completed.
func (s *Service) failAccept(ctx context.Context, inv *invite.Invitation, reason errorv1.Reason) error {
	err := s.settle(ctx, inv, func(q store.Queries, now *invite.Invitation) error {
		before := *now
		now.Fail(reason)
		q.Save(now)
		return s.publishEnd(ctx, q, before, now, why{actor: inv.AccountID, cause: eventv1.Cause_KIND_INVITE})
	})
	if err != nil {
		return err
	}
	s.releaseSoon(ctx, inv.OrganizationID, inv.InvitationID)
	if reason == errorv1.Reason_REASON_ALREADY_MEMBER {
		return alreadyMember(inv.AccountID.String())
	}
	return invite.ErrFailed.With("failureReason", fault.New(reason, "").Name())
}

// settle commits the outcome of an acceptance, once: whoever comes second, the verb or the sweeper, changes nothing.
func (s *Service) settle(ctx context.Context, inv *invite.Invitation, outcome func(store.Queries, *invite.Invitation) error) error {
	return s.inTx(ctx, inv.OrganizationID, func(q store.Queries) error {
		now, err := q.Lock(ctx, inv.OrganizationID, inv.InvitationID)
		if err != nil {
			return err
		}
		if now.State != invite.Accepting || now.AccountID != inv.AccountID {
			return nil
		}
		return outcome(q, now)
	})
}

// acceptAnswer builds the answer. Only the live call gets the session of a new account; a repeated one finds the link used.
func (s *Service) acceptAnswer(ctx context.Context, req *invitationv1.AcceptInvitationRequest, inv *invite.Invitation, a invite.Acceptance) (*invitationv1.AcceptInvitationResponse, error) {
	answer := &invitationv1.AcceptInvitationResponse{AccountId: a.Account.String()}
	err := s.view(ctx, inv.OrganizationID, func(q store.Queries) error {
		var revision int64
		q.Revision(inv.OrganizationID, &revision)
		now, err := q.Get(ctx, inv.OrganizationID, inv.InvitationID)
		if err != nil {
			return err
		}
		answer.Invitation = toProto(now, q.Now())
		answer.Token = outbox.Token(inv.OrganizationID, "invitation", revision)
		return nil
	})
	if err != nil || !a.New {
		return answer, err
	}
	opened, err := s.Accounts.OpenSession(ctx, &identityv1.OpenSessionRequest{
		AccountId: a.Account.String(), Delivery: req.GetDelivery(), UserAgent: caller.From(ctx).UserAgent})
	if err != nil { // the person is a member and can sign in
		s.Log.Warn("no session after an acceptance", "account", a.Account.String(), "error", err)
		return answer, nil
	}
	answer.Session = opened.GetSession()
	if req.GetDelivery() == identityv1.Delivery_DELIVERY_TOKEN {
		answer.SessionToken = opened.GetSecret()
		return answer, nil
	}
	return answer, grpc.SetHeader(ctx, metadata.Pairs("roster-session-secret", opened.GetSecret()))
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
