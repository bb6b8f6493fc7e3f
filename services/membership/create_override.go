package membership

import (
	"context"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// CreateOverride says how a member is available for a time. The list shows it before the call returns.
func (s *Service) CreateOverride(ctx context.Context, req *membershipv1.CreateOverrideRequest) (*membershipv1.CreateOverrideResponse, error) {
	wanted, err := overrideOf(req)
	if err != nil {
		return nil, err
	}
	answer, token, err := replan(ctx, s, "CreateOverride", req, func(p *plan) (*membershipv1.CreateOverrideResponse, proto.Message, error) {
		o := wanted
		o.ID, o.Account = id.NewOverride(), p.target.Account
		if err := p.actor.AddOverride(p.target, &p.schedule, o, p.Now()); err != nil {
			return nil, nil, err
		}
		p.InsertOverride(p.key, o)
		return &membershipv1.CreateOverrideResponse{
			Override: overrideToProto(o, true), Availability: availabilityToProto(p.target, p.schedule, p.Now()),
		}, &eventv1.MemberOverrideAdded{Context: p.because, Override: overrideToEvent(o)}, nil
	})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}

// overrideOf reads what an override is made of.
func overrideOf(req *membershipv1.CreateOverrideRequest) (o org.Override, err error) {
	o.State = stateOf(req.GetState())
	if o.Start, err = instant("start_time", req.GetStartTime()); err != nil {
		return o, err
	}
	if o.End, err = instant("end_time", req.GetEndTime()); err != nil {
		return o, err
	}
	if o.Note, err = naming.ParseLine("note", req.GetNote(), 0, 200); err != nil || req.GetRepeat() == nil {
		return o, err
	}
	o.Repeat.Days = daysOf(req.GetRepeat().GetEvery())
	if o.Repeat.Zone, err = zoneOf(req.GetRepeat().GetTimeZone()); err != nil {
		return o, err
	}
	o.Repeat.Until, err = ending("repeat.until_time", req.GetRepeat().GetUntilTime())
	return o, err
}
