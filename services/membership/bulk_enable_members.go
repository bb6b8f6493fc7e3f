package membership

import (
	"context"
	"time"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// BulkEnableMembers is EnableMember for many. Who comes first gets the seats that there are.
func (s *Service) BulkEnableMembers(ctx context.Context, req *membershipv1.BulkEnableMembersRequest) (*membershipv1.BulkEnableMembersResponse, error) {
	results, token, err := s.inBulk(ctx, req, bulk{
		method: "BulkEnableMembers", permission: org.EnableMembers,
		do: s.enable,
		decide: func(a org.Actor, target *org.Member, _ bool, _ time.Time) error {
			if err := a.MayEnable(*target); err != nil {
				return err
			}
			return target.Enable(id.NewSeat())
		},
		after: func(ctx context.Context, key id.Organization, target id.Account, done memberChange) (seatReleased bool) {
			if done.follows {
				s.tellSignInSoon(ctx, key, target)
			}
			return false
		},
		takesSeats: true,
	})
	if err != nil {
		return nil, err
	}
	return &membershipv1.BulkEnableMembersResponse{Results: results, Token: token}, nil
}
