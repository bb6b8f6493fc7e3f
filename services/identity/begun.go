package identity

import (
	"context"

	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/internal/caller"
)

// countBegun counts a sign-in that anybody may begin, and as often as they like, before there is any work for it. What comes to its end is given back by
// countFinished, so that only those count that do not.
func (s *Service) countBegun(ctx context.Context) error {
	network := session.Network(caller.From(ctx).Address)
	if _, err := s.begun.Take(network); err != nil {
		s.pace.HoldBack(ctx, s.pace.Ask(network))
		return err
	}
	return nil
}

// countFinished gives back what countBegun has counted.
func (s *Service) countFinished(ctx context.Context) {
	s.begun.GiveBack(session.Network(caller.From(ctx).Address))
}
