package identity

import (
	"context"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/apikey"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// ListApiKeys returns the caller's keys that work.
func (s *Service) ListApiKeys(ctx context.Context, _ *identityv1.ListApiKeysRequest) (*identityv1.ListApiKeysResponse, error) {
	owner := caller.From(ctx).Account
	var live []apikey.Key
	err := s.view(ctx, postgres.In(owner), func(q store.Queries) (err error) {
		live, err = q.ListAPIKeys(ctx, owner)
		return err
	})
	if err != nil {
		return nil, err
	}
	answer := &identityv1.ListApiKeysResponse{}
	for _, key := range live {
		answer.ApiKeys = append(answer.ApiKeys, apiKeyToProto(key))
	}
	return answer, nil
}
