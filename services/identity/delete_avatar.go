package identity

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// DeleteAvatar takes the caller's picture away. Where there is none, there is none afterwards, and nobody is told.
func (s *Service) DeleteAvatar(ctx context.Context, req *identityv1.DeleteAvatarRequest) (*identityv1.DeleteAvatarResponse, error) {
	who := caller.From(ctx).Account
	once := s.ownRequest(ctx, req.GetRequestId(), "DeleteAvatar", req)
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(who), once, func(tx *postgres.Tx) (*identityv1.DeleteAvatarResponse, error) {
		q := store.Queries{Tx: tx}
		me, _, err := q.LockProfile(ctx, who)
		if err != nil || me.AvatarID == "" {
			return &identityv1.DeleteAvatarResponse{}, err
		}
		me.AvatarID = ""
		q.DeleteAvatar(who)
		return &identityv1.DeleteAvatarResponse{}, outbox.Publish(tx, who, q.Now(), &eventv1.AccountUpdated{
			Context: origin(ctx, who, req.GetRequestId()), Personal: personal(me)})
	})
	return answer, err
}
