package identity

import (
	"context"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/internal/id"
)

// OpenSession signs in an account that an accepted invitation has just made. The caller has checked that it has.
func (s *Service) OpenSession(ctx context.Context, req *identityv1.OpenSessionRequest) (*identityv1.OpenSessionResponse, error) {
	owner, err := id.ParseAccount(req.GetAccountId())
	if err != nil {
		return nil, err
	}
	opened, key, err := s.openSession(ctx, session.Session{
		AccountID: owner, Delivery: deliveryFromProto(req.GetDelivery()), UserAgent: req.GetUserAgent(), Address: req.GetClientAddress(),
	}, proof{}, id.Session{})
	if err != nil {
		return nil, err
	}
	return &identityv1.OpenSessionResponse{Session: sessionToProto(opened, opened.ID), Secret: key.Text()}, nil
}
