package identity

import (
	"context"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
)

// Reauthenticate proves again who is calling, with all that the account has, or with a passkey, which is two factors in one. The session gets another
// id and another secret: who has read the old one has nothing of it.
func (s *Service) Reauthenticate(ctx context.Context, req *identityv1.ReauthenticateRequest) (*identityv1.ReauthenticateResponse, error) {
	proven, err := s.proveAgain(ctx, req)
	if err != nil {
		return nil, err
	}
	opened, token, err := s.goOn(ctx, proven)
	if err != nil {
		return nil, err
	}
	return &identityv1.ReauthenticateResponse{Session: sessionToProto(opened, opened.ID), Token: token}, nil
}

func (s *Service) proveAgain(ctx context.Context, req *identityv1.ReauthenticateRequest) (proof, error) {
	me := caller.From(ctx).Account
	by := trial{to: session.Reauthenticate, by: session.BySecondFactor, owner: me}
	if req.GetPasskey() != "" {
		by.by = session.ByPasskey
		return proof{again: true, passkey: true}, s.checkPasskey(ctx, by, req.GetPasskey())
	}
	right, err := s.checkPassword(ctx, session.Reauthenticate, store.Identifier{Account: me}, req.GetPassword())
	if err == nil && req.GetCode() != "" {
		err = s.checkCode(ctx, by, req.GetCode())
	}
	return proof{again: true, password: &right, code: req.GetCode() != ""}, err
}
