package identity

import (
	"context"

	"github.com/rosterhq/roster/pkg/fault"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// HoldUsername keeps a username for one generation of an invitation. An invitation holds one name; a newer generation
// may ask for another and gives the first back. A request that arrives after its generation has ended changes nothing.
func (s *Service) HoldUsername(ctx context.Context, req *identityv1.HoldUsernameRequest) (*identityv1.HoldUsernameResponse, error) {
	invitation, err := id.ParseInvitation(req.GetInvitationId())
	if err != nil {
		return nil, err
	}
	if req.GetGeneration() < 1 {
		return nil, fault.Invalid("generation", "must be at least 1")
	}
	username, err := naming.ParseUsername("username", req.GetUsername())
	if err != nil {
		return nil, err
	}
	wanted := store.Hold{Username: username.Key, Generation: req.GetGeneration()}
	err = s.inTx(ctx, postgres.Scope{}, func(q store.Queries) error {
		released, held, taken, err := q.LockHold(ctx, invitation, wanted.Username)
		switch {
		case err != nil:
			return err
		case wanted.Generation <= released, taken:
			return account.ErrUsernameTaken
		case held.Username == wanted.Username:
			q.SaveHold(invitation, store.Hold{Username: held.Username, Generation: max(held.Generation, wanted.Generation)})
			return nil
		case held.Username != "" && wanted.Generation <= held.Generation:
			return account.ErrUsernameTaken
		}
		q.DeleteHold(invitation, held.Generation)
		q.InsertHold(invitation, wanted)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.HoldUsernameResponse{}, nil
}
