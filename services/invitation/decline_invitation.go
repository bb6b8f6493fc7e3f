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
	err = s.inTx(ctx, token.Organization, func(q store.Queries) error {
		if inv, err = q.LockByLink(ctx, token); err != nil {
			return err
		}
		before := *inv
		if err := inv.Decline(q.Now()); err != nil {
			return err
		}
		q.Save(inv)
		return s.publishEnd(ctx, q, before, inv, why{cause: eventv1.Cause_KIND_SELF})
	})
	if err != nil {
		return nil, err
	}
	s.releaseSoon(ctx, token.Organization, inv.InvitationID)
	return &invitationv1.DeclineInvitationResponse{State: stateToProto(inv.State)}, nil
}
