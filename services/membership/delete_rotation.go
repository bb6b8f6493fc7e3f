package membership

import (
	"context"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// DeleteRotation ends a rotation. Whoever was on call by it is not any more before the call returns.
func (s *Service) DeleteRotation(ctx context.Context, req *membershipv1.DeleteRotationRequest) (*membershipv1.DeleteRotationResponse, error) {
	rotation, err := id.ParseRotation(req.GetRotationId())
	if err != nil {
		return nil, err
	}
	answer, token, err := reassign(ctx, s, "DeleteRotation", req, nil,
		func(d duties) (_ org.Rotations, was, is org.Rotation, answer *membershipv1.DeleteRotationResponse, _ proto.Message, err error) {
			after, was, err := d.actor.DeleteRotation(d.rotations, rotation, req.GetEtag())
			if err != nil {
				return nil, was, is, nil, nil, err
			}
			d.Queries.DeleteRotation(d.key, rotation)
			return after, was, is, &membershipv1.DeleteRotationResponse{},
				&eventv1.OrganizationRotationDeleted{Context: d.because, Before: rotationToEvent(was)}, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}
