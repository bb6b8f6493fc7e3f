package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// ListOverrides returns a member's overrides that have not ended.
func (s *Service) ListOverrides(ctx context.Context, req *membershipv1.ListOverridesRequest) (*membershipv1.ListOverridesResponse, error) {
	now, p, err := s.seePlan(ctx, req)
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.ListOverridesResponse{}
	notes := p.actor.SeesNotes(p.target)
	for _, o := range p.schedule.Overrides {
		if over := o.Over(); over == nil || over.After(now) {
			answer.Overrides = append(answer.Overrides, overrideToProto(o, notes))
		}
	}
	return answer, nil
}
