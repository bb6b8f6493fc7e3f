package identity

import (
	"context"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// GetMe returns the caller's account.
func (s *Service) GetMe(ctx context.Context, _ *identityv1.GetMeRequest) (*identityv1.GetMeResponse, error) {
	who := caller.From(ctx).Account
	var me account.Account
	var m account.Management
	err := s.view(ctx, postgres.In(who), func(q store.Queries) (err error) {
		if me, err = q.GetAccount(ctx, who); err == nil {
			m, err = q.GetManagement(ctx, who)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	answer := &identityv1.GetMeResponse{Account: meToProto(me)}
	answer.ManagedByOrganizationId, answer.ManagedThroughDomain = managerToProto(m)
	return answer, nil
}
