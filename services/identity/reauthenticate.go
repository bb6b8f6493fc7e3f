package identity

import (
	"context"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
)

// Reauthenticate proves again who is calling, with all that the account has. The session gets another id and another secret: who has read the old one has
// nothing of it.
func (s *Service) Reauthenticate(ctx context.Context, req *identityv1.ReauthenticateRequest) (*identityv1.ReauthenticateResponse, error) {
	who := caller.From(ctx)
	proven, err := s.checkPassword(ctx, session.Reauthenticate, store.Identifier{Account: who.Account}, req.GetPassword())
	if err != nil {
		return nil, err
	}
	if req.GetCode() != "" {
		if err := s.checkCode(ctx, who.Account, id.Session{}, req.GetCode()); err != nil {
			return nil, err
		}
	}
	opened, key, err := s.openSession(ctx, session.Session{
		AccountID: who.Account, UserAgent: who.UserAgent, Address: who.Address,
	}, proof{again: true, password: &proven, code: req.GetCode() != ""}, who.Session)
	if err != nil {
		return nil, err
	}
	token, err := deliver(ctx, opened, key)
	return &identityv1.ReauthenticateResponse{Session: sessionToProto(opened, opened.ID), Token: token}, err
}
