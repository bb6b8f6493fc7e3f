package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// GetAvailability returns how a member is available now, and the weekly hours.
func (s *Service) GetAvailability(ctx context.Context, req *membershipv1.GetAvailabilityRequest) (*membershipv1.GetAvailabilityResponse, error) {
	now, p, err := s.seePlan(ctx, req)
	if err != nil {
		return nil, err
	}
	return &membershipv1.GetAvailabilityResponse{Availability: availabilityToProto(p.target, p.schedule, now)}, nil
}
