package membership

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/fault"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/membership/internal/org"
)

// GetAvailabilityAt returns how a member is available at another time, as it is planned by now.
func (s *Service) GetAvailabilityAt(ctx context.Context, req *membershipv1.GetAvailabilityAtRequest) (*membershipv1.GetAvailabilityAtResponse, error) {
	from, err := instant("start_time", req.GetStartTime())
	if err != nil {
		return nil, err
	}
	to, err := ending("end_time", req.GetEndTime())
	if err != nil {
		return nil, err
	}
	now, p, err := s.seePlan(ctx, req)
	if err != nil {
		return nil, err
	}
	if from.IsZero() {
		from = now
	}
	if to != nil && (!from.Before(*to) || to.Sub(from) > org.Horizon) {
		return nil, fault.Invalid("end_time", "must be after the start, and 31 days at most")
	}
	answer := &membershipv1.GetAvailabilityAtResponse{}
	if p.target.State != org.MemberActive {
		return answer, nil
	}
	state, next := p.schedule.At(from)
	answer.State, answer.NextChangeTime = stateToProto(state), stamp(next)
	if to != nil {
		for _, period := range p.schedule.Periods(from, *to) {
			answer.Periods = append(answer.Periods, &membershipv1.GetAvailabilityAtResponse_Period{
				State: stateToProto(period.State), StartTime: timestamppb.New(period.Start), EndTime: timestamppb.New(period.End)})
		}
	}
	return answer, nil
}
