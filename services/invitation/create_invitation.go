package invitation

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
	"github.com/rosterhq/roster/services/invitation/internal/store"
)

// CreateInvitation invites one person. The first transaction commits the invitation with its seat id and its link;
// then the seat is reserved and the invitation opened, by this call or, after a crash, by the sweeper.
func (s *Service) CreateInvitation(ctx context.Context, req *invitationv1.CreateInvitationRequest) (*invitationv1.CreateInvitationResponse, error) {
	org, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	who, err := invite.ParseInvitee(req.GetEmail(), req.GetUsername(), req.GetDisplayName())
	if err != nil {
		return nil, err
	}
	once := s.request(ctx, org, "invitations.create", req.GetRequestId(), "CreateInvitation", req)
	answer, repeated, err := postgres.Replayed[*invitationv1.CreateInvitationResponse](ctx, s.DB, postgres.In(org), once)
	if err != nil {
		return nil, err
	}
	if !repeated {
		inv, err := s.decideInvitation(ctx, req, org, who)
		if err != nil {
			return nil, err
		}
		answer, _, err = mutate(ctx, s, org, once, func(tx *postgres.Tx) (*invitationv1.CreateInvitationResponse, error) {
			return s.insert(ctx, store.Queries{Tx: tx}, inv, who)
		})
		if err != nil {
			return nil, err
		}
	}
	inv, err := id.ParseInvitation(answer.GetInvitation().GetId())
	if err != nil {
		return nil, err
	}
	answer.Invitation, answer.Token, err = s.finishReserving(ctx, org, inv, 1)
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// decideInvitation asks the services that know whether the caller may invite this person, and returns the invitation
// that the policy makes of the request.
func (s *Service) decideInvitation(ctx context.Context, req *invitationv1.CreateInvitationRequest, org id.Organization, who invite.Invitee) (*invite.Invitation, error) {
	actor := caller.From(ctx).Account
	known, err := s.knownAccounts(ctx, who)
	if err != nil {
		return nil, err
	}
	granted, err := s.Admission.AuthorizeInvitation(ctx, &membershipv1.AuthorizeInvitationRequest{
		OrganizationId: org.String(),
		ActorAccountId: actor.String(),
		ActorScopes:    caller.From(ctx).Scopes,
		Permission:     "invitations.create",
		GrantsRole:     true,
		Role:           req.GetRole(),
		AccountIds:     known,
	})
	if err != nil {
		return nil, err
	}
	rules := invite.Rules{Username: need[granted.GetUsername()], Email: need[granted.GetEmail()], LinkInvites: granted.GetLinkInvites()}
	if err := who.Check(rules); err != nil {
		return nil, err
	}
	if members := granted.GetMemberAccountIds(); len(members) > 0 {
		return nil, alreadyMember(members[0])
	}
	return &invite.Invitation{
		OrganizationID: org,
		InvitationID:   id.NewInvitation(),
		SeatID:         id.NewSeat(),
		Email:          who.Email.Display,
		EmailKey:       who.Email.Key,
		Username:       who.Username,
		UsernameKey:    who.UsernameKey,
		DisplayName:    who.DisplayName,
		Role:           granted.GetRole(),
		State:          invite.Reserving,
		Generation:     1,
		InviterID:      actor,
		TTL:            granted.GetInviteTtl().AsDuration(),
	}, nil
}

// knownAccounts returns the accounts that the address and the username belong to.
func (s *Service) knownAccounts(ctx context.Context, who invite.Invitee) (known []string, err error) {
	var lookups []*identityv1.FindAccountRequest
	if who.Email.Key != "" {
		lookups = append(lookups, &identityv1.FindAccountRequest{Email: who.Email.Key})
	}
	if who.Username != "" {
		lookups = append(lookups, &identityv1.FindAccountRequest{Username: who.Username})
	}
	for _, lookup := range lookups {
		found, err := s.Accounts.FindAccount(ctx, lookup)
		if err != nil {
			return nil, err
		}
		if account := found.GetAccount(); account != nil {
			known = append(known, account.GetId())
		}
	}
	return known, nil
}

var errAlreadyMember = fault.New(errorv1.Reason_REASON_ALREADY_MEMBER, "This person is a member of the organization already. No invitation is needed.")

func alreadyMember(account string) error { return errAlreadyMember.With("accountId", account) }

// insert writes the invitation, after it has tidied away overdue ones that stand in its way.
func (s *Service) insert(ctx context.Context, q store.Queries, draft *invite.Invitation, who invite.Invitee) (*invitationv1.CreateInvitationResponse, error) {
	var sent invite.Sent
	q.Sent(draft.OrganizationID, draft.InviterID, &sent)
	if err := s.clearRivals(ctx, q, draft.OrganizationID, who); err != nil {
		return nil, err
	}
	if err := s.Limits.Check(sent, draft.OrganizationID, draft.InviterID, q.Now()); err != nil {
		return nil, err
	}
	inv := *draft
	inv.CreateTime, inv.SendTime, inv.ExpireTime = q.Now(), q.Now(), q.Now().Add(inv.TTL)
	link := s.newLink(&inv, inv.Email == "")
	q.Insert(&inv)
	q.CountSent(inv.OrganizationID, inv.InviterID)
	q.SaveHand(inv.OrganizationID, inv.InviterID)
	return &invitationv1.CreateInvitationResponse{Invitation: &invitationv1.Invitation{Id: inv.InvitationID.String()}, Link: link}, nil
}

// clearRivals refuses when another invitation for the same person is live, and ends overdue ones.
func (s *Service) clearRivals(ctx context.Context, q store.Queries, org id.Organization, who invite.Invitee) error {
	rivals, err := q.LockRivals(ctx, org, who)
	if err != nil {
		return err
	}
	if len(rivals.Live) > 0 {
		return invite.ErrPending.With("invitationId", rivals.Live[0].InvitationID.String())
	}
	for i := range rivals.Overdue {
		if err := s.expire(ctx, q, &rivals.Overdue[i]); err != nil {
			return err
		}
	}
	return nil
}

// newLink gives the invitation a new link, and returns it if it is to be handed over by whoever asked for it.
func (s *Service) newLink(inv *invite.Invitation, byHand bool) string {
	token := invite.NewToken(inv.OrganizationID)
	inv.Link(token, s.linkKey.Seal([]byte(token.String()), linkBound(inv.OrganizationID, inv.InvitationID)...), byHand)
	if byHand {
		return s.url(token.String())
	}
	return ""
}

func (s *Service) url(token string) string { return s.PublicURL + "/invite/" + token }

// expire ends an overdue invitation, with its event.
func (s *Service) expire(ctx context.Context, q store.Queries, inv *invite.Invitation) error {
	before := *inv
	inv.Expire()
	q.Save(inv)
	return s.publishEnd(ctx, q, before, inv, why{cause: eventv1.Cause_KIND_EXPIRY})
}
