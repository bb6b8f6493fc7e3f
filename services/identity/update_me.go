package identity

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// UpdateMe changes the caller's name. Writing the name that is there already changes nothing and tells nobody.
func (s *Service) UpdateMe(ctx context.Context, req *identityv1.UpdateMeRequest) (*identityv1.UpdateMeResponse, error) {
	who := caller.From(ctx)
	name, err := naming.ParseDisplayName("display_name", req.GetDisplayName())
	if err != nil {
		return nil, err
	}
	once := postgres.Request{ID: req.GetRequestId(), Principal: who.Account.String(), Method: "UpdateMe", Body: req}
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(who.Account), once, func(tx *postgres.Tx) (*identityv1.UpdateMeResponse, error) {
		q := store.Queries{Tx: tx}
		me, err := q.LockAccount(ctx, who.Account)
		if err != nil {
			return nil, err
		}
		if me.DisplayName != name {
			me.DisplayName = name
			q.SaveAccount(me)
			if err := outbox.Publish(q.Tx, me.ID, q.Now(), &eventv1.AccountUpdated{
				Context: origin(ctx, me.ID, req.GetRequestId()), Personal: personal(me),
			}); err != nil {
				return nil, err
			}
		}
		return &identityv1.UpdateMeResponse{Account: accountToProto(me)}, nil
	})
	return answer, err
}
