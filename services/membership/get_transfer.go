package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// GetTransfer shows the offer of ownership to owners and to whom it is made.
func (s *Service) GetTransfer(ctx context.Context, req *membershipv1.GetTransferRequest) (*membershipv1.GetTransferResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	var answer *membershipv1.GetTransferResponse
	err = s.view(ctx, key, func(q store.Queries) error {
		at, err := q.GetTransfer(ctx, key, me)
		if err != nil {
			return err
		}
		actor, err := at.Organization.Admit(at.Members[me])
		if err != nil {
			return err
		}
		if !at.Transfer.Pending(q.Now()) || at.Transfer.Account != me && !actor.May(org.TransferOwnership) {
			return org.ErrNoTransfer
		}
		answer = &membershipv1.GetTransferResponse{Transfer: transferToProto(at.Transfer)}
		return nil
	})
	return answer, err
}
