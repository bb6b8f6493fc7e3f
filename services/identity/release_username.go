package identity

import (
	"context"

	"github.com/rosterhq/roster/pkg/fault"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// ReleaseUsername gives back what an invitation holds, and sees to it that a request to hold that is still on its way
// comes too late.
func (s *Service) ReleaseUsername(ctx context.Context, req *identityv1.ReleaseUsernameRequest) (*identityv1.ReleaseUsernameResponse, error) {
	invitation, err := id.ParseInvitation(req.GetInvitationId())
	if err != nil {
		return nil, err
	}
	if req.GetGeneration() < 1 {
		return nil, fault.Invalid("generation", "must be at least 1")
	}
	err = s.inTx(ctx, postgres.Scope{}, func(q store.Queries) error {
		q.SaveFence(invitation, req.GetGeneration())
		q.DeleteHold(invitation, req.GetGeneration())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.ReleaseUsernameResponse{}, nil
}
