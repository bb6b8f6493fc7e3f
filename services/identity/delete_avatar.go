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
func (s *Service) DeleteAvatar(ctx context.Context, _ *identityv1.DeleteAvatarRequest) (*identityv1.DeleteAvatarResponse, error) {
	who := caller.From(ctx).Account
	err := s.inTx(ctx, postgres.In(who), func(q store.Queries) error {
		me, _, err := q.LockProfile(ctx, who)
		if err != nil || me.AvatarID == "" {
			return err
		}
		me.AvatarID = ""
		q.DeleteAvatar(who)
		return outbox.Publish(q.Tx, who, q.Now(), &eventv1.AccountUpdated{Context: origin(ctx, who, ""), Personal: personal(me)})
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.DeleteAvatarResponse{}, nil
}
