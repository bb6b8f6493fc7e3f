package identity

import (
	"context"
	"errors"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// EndSessions signs an account out everywhere because the organization that manages it wants that.
func (s *Service) EndSessions(ctx context.Context, req *identityv1.EndSessionsRequest) (*identityv1.EndSessionsResponse, error) {
	key, org, err := managedAccount(req)
	if err != nil {
		return nil, err
	}
	actor, err := id.ParseAccount(req.GetActorAccountId())
	if err != nil {
		return nil, err
	}
	once := postgres.Request{ID: req.GetOperationId(), Principal: caller.From(ctx).Service, Method: "EndSessions", Body: req}
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*identityv1.EndSessionsResponse, error) {
		q := store.Queries{Tx: tx}
		m, err := q.LockManagement(ctx, key)
		if errors.Is(err, account.ErrNotFound) || err == nil && !m.By(org) {
			return &identityv1.EndSessionsResponse{}, nil
		}
		if err != nil {
			return nil, err
		}
		live, err := q.ListSessions(ctx, key)
		if err != nil {
			return nil, err
		}
		q.VoidAdditions(key)
		from := outbox.Origin{Account: actor, Cause: eventv1.Cause_KIND_ADMIN, CauseID: org.String(), RequestID: req.GetOperationId()}
		return &identityv1.EndSessionsResponse{Managed: true}, endSessions(q, live, id.Session{}, from.Context(ctx))
	})
	return answer, err
}
