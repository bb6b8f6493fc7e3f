package membership

import (
	"context"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// CreateRotation makes a duty that members take in turns.
func (s *Service) CreateRotation(ctx context.Context, req *membershipv1.CreateRotationRequest) (*membershipv1.CreateRotationResponse, error) {
	words, err := rotationOf(req)
	if err != nil {
		return nil, err
	}
	answer, token, err := reassign(ctx, s, "CreateRotation", req, words.Participants,
		func(d duties) (_ org.Rotations, was, is org.Rotation, answer *membershipv1.CreateRotationResponse, _ proto.Message, err error) {
			is = org.Rotation{ID: id.NewRotation(), RotationWords: words, Version: 1}
			after, err := d.actor.AddRotation(d.rotations, is, d.belongs)
			if err != nil {
				return nil, was, is, nil, nil, err
			}
			d.SaveRotation(d.key, is)
			return after, was, is, &membershipv1.CreateRotationResponse{Rotation: rotationToProto(is, d.Now())},
				&eventv1.OrganizationRotationCreated{Context: d.because, Rotation: rotationToEvent(is)}, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}
