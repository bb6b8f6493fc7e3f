package identity

import (
	"context"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/naming"
)

// RenameFactor changes what the caller calls a factor. The name that is there already changes nothing and tells nobody.
func (s *Service) RenameFactor(ctx context.Context, req *identityv1.RenameFactorRequest) (*identityv1.RenameFactorResponse, error) {
	name, err := naming.ParseDisplayName("display_name", req.GetDisplayName())
	if err != nil {
		return nil, err
	}
	return changeFactor(ctx, s, req, "RenameFactor", func(q store.Queries, has store.Factors, i int) (*identityv1.RenameFactorResponse, error) {
		all := has.Active()
		if all[i].DisplayName != name {
			all[i].DisplayName = name
			q.SaveFactor(has.Account.ID, all[i])
			if err := s.publishMfa(ctx, q, has.Account, all, all, origin(ctx, has.Account.ID, req.GetRequestId())); err != nil {
				return nil, err
			}
		}
		return &identityv1.RenameFactorResponse{Factor: factorToProto(all[i])}, nil
	})
}
