package membership

import (
	"context"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// DeleteOverride takes an override back. The list shows it before the call returns.
func (s *Service) DeleteOverride(ctx context.Context, req *membershipv1.DeleteOverrideRequest) (*membershipv1.DeleteOverrideResponse, error) {
	override, err := id.ParseOverride(req.GetOverrideId())
	if err != nil {
		return nil, err
	}
	answer, token, err := replan(ctx, s, "DeleteOverride", req, func(p *plan) (*membershipv1.DeleteOverrideResponse, proto.Message, error) {
		removed, err := p.actor.RemoveOverride(p.target, &p.schedule, override)
		if err != nil {
			return nil, nil, err
		}
		p.Queries.DeleteOverride(p.key, override)
		return &membershipv1.DeleteOverrideResponse{Availability: availabilityToProto(p.target, p.schedule, p.Now())},
			&eventv1.MemberOverrideRemoved{Context: p.because, Before: overrideToEvent(removed)}, nil
	})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}
