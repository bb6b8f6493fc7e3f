package invitation

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/invitation/internal/invite"
	"github.com/rosterhq/roster/services/invitation/internal/store"
)

// DeclineInvitation says no. The link dies with the commit; the seat follows.
func (s *Service) DeclineInvitation(ctx context.Context, req *invitationv1.DeclineInvitationRequest) (*invitationv1.DeclineInvitationResponse, error) {
	token, err := invite.ParseToken(req.GetLinkToken())
	if err != nil {
		return nil, err
	}
	var inv *invite.Invitation
	err = s.inTxOnce(ctx, token.Organization, func(q store.Queries) error {
		now, err := q.LockByLink(ctx, token)
		if err != nil {
			return err
		}
		before := *now
		if err := now.Decline(q.Now()); err != nil {
			return err
		}
		q.Save(now)
		inv = now
		return s.publishEnd(ctx, q, before, now, why{cause: eventv1.Cause_KIND_SELF})
	})
	if err != nil {
		return nil, err
	}
	s.releaseSoon(ctx, token.Organization, inv.InvitationID)
	return &invitationv1.DeclineInvitationResponse{State: stateToProto(inv.State)}, nil
}
