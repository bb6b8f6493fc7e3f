package identity

import (
	"context"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// GetAvatar returns a picture to the page that shows it: knowing the id is all that it takes.
func (s *Service) GetAvatar(ctx context.Context, req *identityv1.GetAvatarRequest) (*identityv1.GetAvatarResponse, error) {
	answer := &identityv1.GetAvatarResponse{}
	err := s.view(ctx, postgres.Scope{}, func(q store.Queries) (err error) {
		answer.Content, err = q.GetAvatar(ctx, req.GetAvatarId())
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}
