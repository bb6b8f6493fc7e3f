package membership

import (
	"context"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// SetWeeklyHours replaces a member's weekly hours. To set what is set already changes nothing and makes no event.
func (s *Service) SetWeeklyHours(ctx context.Context, req *membershipv1.SetWeeklyHoursRequest) (*membershipv1.SetWeeklyHoursResponse, error) {
	answer, token, err := replan(ctx, s, "SetWeeklyHours", req, func(p *plan) (*membershipv1.SetWeeklyHoursResponse, proto.Message, error) {
		before := p.schedule.Hours
		err := p.actor.SetHours(p.target, &p.schedule.Hours, req.GetWeeklyHours().GetTimeZone(), intervalsOf(req.GetWeeklyHours()), req.GetEtag())
		if err != nil {
			return nil, nil, err
		}
		answer := &membershipv1.SetWeeklyHoursResponse{Availability: availabilityToProto(p.target, p.schedule, p.Now())}
		if p.schedule.Hours.Same(before) {
			return answer, nil, nil
		}
		p.SaveHours(p.key, p.target.Account, p.schedule.Hours)
		return answer, &eventv1.MemberHoursChanged{
			Context: p.because, AccountId: p.target.Account.String(), Before: hoursToEvent(before), After: hoursToEvent(p.schedule.Hours)}, nil
	})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}
