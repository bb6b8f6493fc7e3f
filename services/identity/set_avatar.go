package identity

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/avatar"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// SetAvatar gives the caller a picture, drawn anew.
func (s *Service) SetAvatar(ctx context.Context, req *identityv1.SetAvatarRequest) (*identityv1.SetAvatarResponse, error) {
	who := caller.From(ctx).Account
	drawn, err := s.draw(ctx, req.GetContent())
	if err != nil {
		return nil, err
	}
	fresh := avatar.NewID()
	once := s.ownRequest(ctx, req.GetRequestId(), "SetAvatar", req)
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(who), once, func(tx *postgres.Tx) (*identityv1.SetAvatarResponse, error) {
		q := store.Queries{Tx: tx}
		me, _, err := q.LockProfile(ctx, who)
		if err != nil {
			return nil, err
		}
		me.AvatarID = fresh
		q.SaveAvatar(who, fresh, drawn)
		return &identityv1.SetAvatarResponse{Account: meToProto(me)}, outbox.Publish(tx, who, q.Now(), &eventv1.AccountUpdated{
			Context: origin(ctx, who, req.GetRequestId()), Personal: personal(me)})
	})
	return answer, err
}

// draw is avatar.Draw, for one at a time: what is unpacked may take a hundred megabytes.
func (s *Service) draw(ctx context.Context, content []byte) ([]byte, error) {
	select {
	case s.drawing <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.drawing }()
	return avatar.Draw(content)
}
