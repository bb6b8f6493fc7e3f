package invitation

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
	"github.com/rosterhq/roster/services/invitation/internal/store"
)

// DeclineInvitation says no. The link dies with the commit; the seat follows.
func (s *Service) DeclineInvitation(ctx context.Context, req *invitationv1.DeclineInvitationRequest) (*invitationv1.DeclineInvitationResponse, error) {
	token, err := invite.ParseToken(req.GetLinkToken())
	if err != nil {
		return nil, err
	}
	var declined id.Invitation
	once := answerRequest(ctx, token, req.GetRequestId(), "DeclineInvitation", req)
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(token.Organization), once, func(tx *postgres.Tx) (*invitationv1.DeclineInvitationResponse, error) {
		q := store.Queries{Tx: tx}
		inv, err := q.LockByLink(ctx, token)
		if err != nil {
			return nil, err
		}
		before := *inv
		if err := inv.Decline(q.Now()); err != nil {
			return nil, err
		}
		q.Save(inv)
		declined = inv.InvitationID
		err = s.publishEnd(ctx, q, before, inv, why{cause: eventv1.Cause_KIND_SELF}) // without the request id: nobody's name goes with it
		return &invitationv1.DeclineInvitationResponse{State: stateToProto(inv.State)}, err
	})
	if err != nil {
		return nil, err
	}
	if !declined.IsZero() { // by this call, not by the one that it repeats
		s.releaseSoon(ctx, token.Organization, declined)
	}
	return answer, nil
}
