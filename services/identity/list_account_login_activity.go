package identity

import (
	"context"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// ListAccountLoginActivity returns what was tried with an account that the organization manages. The caller has checked who asks.
func (s *Service) ListAccountLoginActivity(ctx context.Context, req *identityv1.ListAccountLoginActivityRequest) (*identityv1.ListAccountLoginActivityResponse, error) {
	key, org, err := accountOf(req)
	if err != nil {
		return nil, err
	}
	var managed bool
	var found []session.Attempt
	err = s.view(ctx, postgres.In(key), func(q store.Queries) (err error) {
		q.Manages(org, key, &managed)
		found, err = q.ListAttempts(ctx, key)
		return err
	})
	if err != nil || !managed {
		return &identityv1.ListAccountLoginActivityResponse{}, err
	}
	return &identityv1.ListAccountLoginActivityResponse{Managed: true, Activity: activityToProto(found)}, nil
}
