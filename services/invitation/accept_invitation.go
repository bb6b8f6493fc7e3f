package invitation

import (
	"cmp"
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
	"github.com/rosterhq/roster/services/invitation/internal/store"
)

// AcceptInvitation makes the caller a member. Each step is idempotent on ids that the first transaction commits, so
// the sweeper can run the same steps after a crash, and so can the same request when it is repeated.
func (s *Service) AcceptInvitation(ctx context.Context, req *invitationv1.AcceptInvitationRequest) (*invitationv1.AcceptInvitationResponse, error) {
	token, err := invite.ParseToken(req.GetLinkToken())
	if err != nil {
		return nil, err
	}
	once := acceptRequest(ctx, token, req)
	inv, err := s.begun(ctx, token, &once)
	if err != nil {
		return nil, err
	}
	repeated := inv != nil
	if !repeated {
		inv, err = s.beginAccept(ctx, token, req, once)
		if fault.ReasonOf(err) == errorv1.Reason_REASON_INVITATION_USED { // perhaps by the same request, which came twice at once
			if other, failed := s.begun(ctx, token, &once); other != nil || failed != nil {
				inv, err, repeated = other, failed, true
			}
		}
		if err != nil {
			return nil, err
		}
	}
	refused, err := s.completeAccept(ctx, inv)
	if err != nil {
		return nil, unfinished(err)
	}
	if refused != nil {
		return nil, refused
	}
	return s.acceptAnswer(ctx, req, inv, inv.NewAccount && !repeated)
}

// acceptRequest names the request, for its replay. Another password makes it another request; whoever holds the link knows the rest
// of it, and could try passwords against a plain hash.
func acceptRequest(ctx context.Context, token invite.Token, req *invitationv1.AcceptInvitationRequest) postgres.Request {
	body := proto.CloneOf(req)
	body.Password = ""
	once := answerRequest(ctx, token, req.GetRequestId(), "AcceptInvitation", body)
	once.Secret = req.GetPassword()
	return once
}

// begun returns the invitation if the same request has begun to accept it; nil if not. An acceptance that was given back
// since does not count: nothing came of it, and the next is kept under an id that follows from it.
func (s *Service) begun(ctx context.Context, token invite.Token, once *postgres.Request) (inv *invite.Invitation, err error) {
	for {
		first, found, err := postgres.Replayed[*invitationv1.AcceptInvitationResponse](ctx, s.DB, postgres.In(token.Organization), *once)
		if err != nil || !found {
			return nil, err
		}
		err = s.view(ctx, token.Organization, func(q store.Queries) error {
			inv, err = q.GetByLink(ctx, token)
			return err
		})
		if err != nil || inv.AccountID.String() == first.GetAccountId() {
			return inv, err
		}
		once.ID = first.GetAccountId()
	}
}

// beginAccept decides who accepts, and takes the invitation for them.
func (s *Service) beginAccept(ctx context.Context, token invite.Token, req *invitationv1.AcceptInvitationRequest, once postgres.Request) (*invite.Invitation, error) {
	inv, err := s.answerable(ctx, token)
	if err != nil {
		return nil, err
	}
	if err := s.stillGiven(ctx, token, inv); err != nil {
		return nil, err
	}
	acceptance, err := s.whoAccepts(ctx, req, inv)
	if err != nil {
		return nil, err
	}
	first, _, err := postgres.Once(ctx, s.DB, postgres.In(token.Organization), once, func(tx *postgres.Tx) (*invitationv1.AcceptInvitationResponse, error) {
		q := store.Queries{Tx: tx}
		now, err := q.LockByLink(ctx, token)
		if err != nil {
			return nil, err
		}
		if err := now.BeginAccept(acceptance, q.Now()); err != nil {
			return nil, err
		}
		q.Save(now)
		inv = now
		return &invitationv1.AcceptInvitationResponse{AccountId: acceptance.Account.String()}, nil
	})
	if err != nil {
		return nil, err
	}
	if inv.AccountID.String() != first.GetAccountId() { // the same request came twice at once, and the other was first
		return nil, invite.ErrBusy
	}
	return inv, nil
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

// stillGiven asks whether the inviter may still give the role, before an account or anything else is made for it; AddMember
// asks again under lock. If not, the invitation fails here.
func (s *Service) stillGiven(ctx context.Context, token invite.Token, inv *invite.Invitation) error {
	_, err := s.Admission.AuthorizeInvitation(ctx, &membershipv1.AuthorizeInvitationRequest{
		OrganizationId: inv.OrganizationID.String(),
		ActorAccountId: inv.InviterID.String(),
		Permission:     "invitations.create",
		GrantsRole:     true,
		Role:           inv.Role,
	})
	reason := errorv1.Reason_REASON_PERMISSION_MISSING
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE:
		reason = errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE
	case errorv1.Reason_REASON_PERMISSION_MISSING, errorv1.Reason_REASON_MEMBER_DISABLED, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND:
	default:
		return err
	}
	err = s.inTxOnce(ctx, token.Organization, func(q store.Queries) error {
		now, err := q.LockByLink(ctx, token)
		if err != nil {
			return err
		}
		if err := now.Answerable(q.Now()); err != nil {
			return err
		}
		before := *now
		now.Fail(reason)
		q.Save(now)
		return s.publishEnd(ctx, q, before, now, why{cause: eventv1.Cause_KIND_INVITE})
	})
	if err != nil {
		return err
	}
	s.releaseSoon(ctx, token.Organization, inv.InvitationID)
	return invite.ErrFailed.With("failureReason", fault.New(reason, "").Name())
}

// whoAccepts decides for which account the invitation is accepted: the one that is signed in, if it is the invited one,
// or a new one, if the invited address has none yet. A link alone never opens an existing account.
func (s *Service) whoAccepts(ctx context.Context, req *invitationv1.AcceptInvitationRequest, inv *invite.Invitation) (a invite.Acceptance, err error) {
	if me := caller.From(ctx).Account; !me.IsZero() {
		return invite.Acceptance{Account: me}, s.matches(ctx, inv, me)
	}
	mustSignIn, err := s.mustSignIn(ctx, inv)
	if err != nil {
		return a, err
	}
	if mustSignIn {
		return a, errSignIn
	}
	name, err := invite.ParseName(cmp.Or(strings.TrimSpace(req.GetDisplayName()), inv.DisplayName, inv.Username))
	if err != nil {
		return a, err
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

var errUnproven = fault.New(errorv1.Reason_REASON_EMAIL_UNVERIFIED, "Prove first that the mailbox of your account is yours: an admin has written its address, or had its "+
	"password made. Open the link that was mailed to you, or have it mailed again: `roster email add ADDRESS`, or POST /v1/me/emails. Then accept the invitation.")

// matches refuses an account that is unproven, as somebody else may be signed in to it, and one that is not the invited one. An invitation without
// an address is for whoever holds the link.
func (s *Service) matches(ctx context.Context, inv *invite.Invitation, me id.Account) error {
	known, err := s.Accounts.GetAccounts(ctx, &identityv1.GetAccountsRequest{AccountIds: []string{me.String()}})
	if err != nil {
		return err
	}
	for _, mine := range known.GetAccounts() {
		if mine.GetUnproven() {
			return errUnproven
		}
	}
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

// mustSignIn tells whether the invitee has to come with an account: the invited address belongs to one, or the
// invitation has neither address nor username, and a new account could not be found again.
func (s *Service) mustSignIn(ctx context.Context, inv *invite.Invitation) (bool, error) {
	if inv.EmailKey == "" {
		return inv.Username == "", nil
	}
	found, err := s.Accounts.FindAccount(ctx, &identityv1.FindAccountRequest{Email: inv.EmailKey})
	return found.GetAccount() != nil, err
}

// acceptAnswer builds the answer. signIn: with a session for the new account, which only the live call gets.
func (s *Service) acceptAnswer(ctx context.Context, req *invitationv1.AcceptInvitationRequest, inv *invite.Invitation, signIn bool) (*invitationv1.AcceptInvitationResponse, error) {
	answer := &invitationv1.AcceptInvitationResponse{AccountId: inv.AccountID.String()}
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
	if err != nil || !signIn {
		return answer, err
	}
	opened, err := s.Accounts.OpenSession(ctx, &identityv1.OpenSessionRequest{
		AccountId: answer.GetAccountId(), Delivery: req.GetDelivery(),
		UserAgent: caller.From(ctx).UserAgent, ClientAddress: caller.From(ctx).Address})
	if err != nil { // the person is a member and can sign in
		s.Log.Warn("no session after an acceptance", "account", answer.GetAccountId(), "error", err)
		return answer, nil
	}
	answer.Session = opened.GetSession()
	if req.GetDelivery() == identityv1.Delivery_DELIVERY_TOKEN {
		answer.SessionToken = opened.GetSecret()
		return answer, nil
	}
	return answer, grpc.SetHeader(ctx, metadata.Pairs("roster-session-secret", opened.GetSecret()))
}
