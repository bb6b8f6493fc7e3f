package identity

import (
	"context"
	"errors"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/internal/caller"
)

// SignOut ends the session that the call is made with. A token of a session outlives it by up to a minute: who still
// calls with one is not signed in.
func (s *Service) SignOut(ctx context.Context, _ *identityv1.SignOutRequest) (*identityv1.SignOutResponse, error) {
	who := caller.From(ctx)
	err := s.signOut(ctx, who.Account, who.Session)
	if errors.Is(err, session.ErrNotFound) {
		return nil, session.ErrUnauthenticated
	}
	if err != nil {
		return nil, err
	}
	return &identityv1.SignOutResponse{}, nil
}
