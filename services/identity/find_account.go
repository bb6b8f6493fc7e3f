package identity

import (
	"context"

	"github.com/rosterhq/roster/pkg/fault"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// FindAccount returns the account that has proven an address, or that a username belongs to. An address that an account
// merely claims, and a username that an invitation holds, find nobody.
func (s *Service) FindAccount(ctx context.Context, req *identityv1.FindAccountRequest) (*identityv1.FindAccountResponse, error) {
	if (req.GetEmail() == "") == (req.GetUsername() == "") {
		return nil, fault.Invalid("email", "or username must be given, and not both")
	}
	answer := &identityv1.FindAccountResponse{}
	err := s.view(ctx, postgres.Scope{}, func(q store.Queries) error {
		a, found, err := find(ctx, q, req)
		if found {
			answer.Account = accountToProto(a)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

func find(ctx context.Context, q store.Queries, req *identityv1.FindAccountRequest) (a account.Account, found bool, err error) {
	if req.GetEmail() != "" {
		address, err := email.ParseField("email", req.GetEmail())
		if err != nil {
			return a, false, err
		}
		return q.FindAccountByEmail(ctx, address.Key)
	}
	username, err := naming.ParseUsername("username", req.GetUsername())
	if err != nil {
		return a, false, err
	}
	return q.FindAccountByUsername(ctx, username.Key)
}
