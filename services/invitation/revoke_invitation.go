package invitation

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/invitation/internal/store"
)

// RevokeInvitation takes a pending invitation back. The link dies with the commit; the seat follows within the call
// if billing answers in time.
func (s *Service) RevokeInvitation(ctx context.Context, req *invitationv1.RevokeInvitationRequest) (*invitationv1.RevokeInvitationResponse, error) {
	org, key, err := parseNames(req)
	if err != nil {
		return nil, err
	}
	actor := caller.From(ctx).Account
	if _, err := s.authorize(ctx, org, "invitations.revoke"); err != nil {
		return nil, err
	}
	once := s.request(ctx, org, "invitations.revoke", req.GetRequestId(), "RevokeInvitation", req)
	answer, revision, err := mutate(ctx, s, org, once, func(tx *postgres.Tx) (*invitationv1.RevokeInvitationResponse, error) {
		q := store.Queries{Tx: tx}
		inv, err := q.Lock(ctx, org, key)
		if err != nil {
			return nil, err
		}
		before := *inv
		if err := inv.Revoke(tx.Now()); err != nil {
			return nil, err
		}
		q.Save(inv)
		err = s.publishEnd(ctx, q, before, inv, why{actor: actor, cause: eventv1.Cause_KIND_ADMIN, requestID: req.GetRequestId()})
		q.SaveHand(org, actor)
		return &invitationv1.RevokeInvitationResponse{Invitation: toProto(inv, tx.Now())}, err
	})
	if err != nil {
		return nil, err
	}
	answer.SeatReleased = s.releaseSoon(ctx, org, key)
	answer.Token = outbox.Token(org, "invitation", revision)
	return answer, nil
}

// names is a request that names an invitation of an organization.
type names interface {
	GetOrganizationId() string
	GetInvitationId() string
}

func parseNames(req names) (org id.Organization, key id.Invitation, err error) {
	if org, err = id.ParseOrganization(req.GetOrganizationId()); err != nil {
		return org, key, err
	}
	key, err = id.ParseInvitation(req.GetInvitationId())
	return org, key, err
}

// authorize asks membership whether the caller has the permission in the organization.
func (s *Service) authorize(ctx context.Context, org id.Organization, permission string) (*membershipv1.AuthorizeInvitationResponse, error) {
	return s.Admission.AuthorizeInvitation(ctx, &membershipv1.AuthorizeInvitationRequest{
		OrganizationId: org.String(),
		ActorAccountId: caller.From(ctx).Account.String(),
		ActorScopes:    caller.From(ctx).Scopes,
		Permission:     permission,
	})
}
