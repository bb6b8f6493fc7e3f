package identity

import (
	"context"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// ListSessions returns the caller's live sessions.
func (s *Service) ListSessions(ctx context.Context, _ *identityv1.ListSessionsRequest) (*identityv1.ListSessionsResponse, error) {
	who := caller.From(ctx)
	var live []session.Session
	err := s.view(ctx, postgres.In(who.Account), func(q store.Queries) (err error) {
		live, err = q.ListSessions(ctx, who.Account)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.ListSessionsResponse{Sessions: sessionsToProto(live, who.Session)}, nil
}

// sessionsToProto shows the sessions that somebody is signed in with.
func sessionsToProto(live []session.Session, current id.Session) (shown []*identityv1.Session) {
	for _, one := range live {
		if one.Stage == session.Challenge { // nobody is signed in with it
			continue
		}
		shown = append(shown, sessionToProto(one, current))
	}
	return shown
}
