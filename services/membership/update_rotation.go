package membership

import (
	"context"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// UpdateRotation replaces a rotation.
func (s *Service) UpdateRotation(ctx context.Context, req *membershipv1.UpdateRotationRequest) (*membershipv1.UpdateRotationResponse, error) {
	rotation, err := id.ParseRotation(req.GetRotationId())
	if err != nil {
		return nil, err
	}
	words, err := rotationOf(req)
	if err != nil {
		return nil, err
	}
	answer, token, err := reassign(ctx, s, "UpdateRotation", req, words.Participants,
		func(d duties) (_ org.Rotations, was, is org.Rotation, answer *membershipv1.UpdateRotationResponse, _ proto.Message, err error) {
			after, was, is, err := d.actor.ChangeRotation(d.rotations, rotation, words, req.GetEtag(), d.belongs)
			if err != nil {
				return nil, was, is, nil, nil, err
			}
			d.SaveRotation(d.key, is)
			return after, was, is, &membershipv1.UpdateRotationResponse{Rotation: rotationToProto(is, d.Now())},
				&eventv1.OrganizationRotationUpdated{Context: d.because, Before: rotationToEvent(was), After: rotationToEvent(is)}, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}
