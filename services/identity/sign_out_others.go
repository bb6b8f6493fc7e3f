package identity

import (
	"context"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// SignOutOthers ends the caller's sessions but the one that the call is made with. Challenges that wait for a code end too, and so
// do links that would add an address: somebody else may have asked for them.
func (s *Service) SignOutOthers(ctx context.Context, _ *identityv1.SignOutOthersRequest) (*identityv1.SignOutOthersResponse, error) {
	who := caller.From(ctx)
	answer := &identityv1.SignOutOthersResponse{}
	err := s.inTxOnce(ctx, postgres.In(who.Account), func(q store.Queries) error {
		in, err := q.LockSignIn(ctx, who.Account)
		if err != nil {
			return err
		}
		answer.Ended = 0
		for _, one := range in.Live {
			if one.ID != who.Session && one.Stage != session.Challenge {
				answer.Ended++
			}
		}
		if err := endSessions(q, in.Live, who.Session, origin(ctx, who.Account, "")); err != nil {
			return err
		}
		q.VoidAdditions(who.Account)
		if answer.Ended > 0 {
			q.InsertAttempt(who.Account, attempt(ctx, session.SignOut, "", ""))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}
