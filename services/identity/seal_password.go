package identity

import (
	"context"

	"github.com/rosterhq/roster/pkg/fault"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/internal/id"
)

// SealPassword hashes the password of an account that is about to be made. Only CreateAccount can open the answer, for
// that account: whoever keeps it meanwhile holds nothing to guess at.
func (s *Service) SealPassword(ctx context.Context, req *identityv1.SealPasswordRequest) (*identityv1.SealPasswordResponse, error) {
	owner, err := id.ParseAccount(req.GetAccountId())
	if err != nil {
		return nil, err
	}
	if len(req.GetPassword()) > 1024 {
		return nil, fault.Invalid("password", "must have at most 1024 bytes")
	}
	plain, err := account.ParsePassword(req.GetPassword(), req.GetContextWords()...)
	if err != nil {
		return nil, err
	}
	hash, err := s.hash(ctx, plain)
	if err != nil {
		return nil, err
	}
	return &identityv1.SealPasswordResponse{SealedPassword: s.Key.Seal([]byte(hash), passwordSeal, owner.String())}, nil
}

// passwordSeal is the purpose of a sealed password; its account is the rest of the context.
const passwordSeal = "password"
