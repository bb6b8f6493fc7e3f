package identity

import (
	"context"
	"errors"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// CreateManagedAccount makes an account that an organization wants. Its address is a claim without proof, and the only one: with two, neither
// account would be signed in to. What the answer is for an id is kept for ever, and the password in it sealed for a day, for the operation.
func (s *Service) CreateManagedAccount(ctx context.Context, req *identityv1.CreateManagedAccountRequest) (*identityv1.CreateManagedAccountResponse, error) {
	key, org, err := managedAccount(req)
	if err != nil {
		return nil, err
	}
	// The operation stands for the request: who repeats it may have forgotten the name and the address by then.
	once := postgres.Request{ID: req.GetOperationId(), Principal: org.String(), Method: "CreateManagedAccount", Body: &identityv1.CreateManagedAccountRequest{
		AccountId: req.GetAccountId(), OrganizationId: req.GetOrganizationId(), OperationId: req.GetOperationId()}}
	answer, found, err := postgres.Replayed[*identityv1.CreateManagedAccountResponse](ctx, s.DB, postgres.In(key), once)
	if found {
		return answer, s.unlessManaged(ctx, org, key, func() { answer.Password = "" })
	}
	if err != nil {
		return nil, err
	}
	actor, err := id.ParseAccount(req.GetActorAccountId())
	if err != nil {
		return nil, err
	}
	address, err := email.ParseField("email", req.GetEmail())
	if err != nil {
		return nil, err
	}
	name, err := naming.ParseDisplayName("display_name", req.GetDisplayName())
	if err != nil {
		return nil, err
	}
	operation, err := id.ParseSeat(req.GetOperationId())
	if err != nil {
		return nil, err
	}
	text := temporaryPassword()
	hash, err := s.hash(ctx, text)
	if err != nil {
		return nil, err
	}
	from := outbox.Origin{Account: actor, Cause: eventv1.Cause_KIND_ADMIN, CauseID: org.String(), RequestID: req.GetOperationId()}.Context(ctx)
	create := func(tx *postgres.Tx) (*identityv1.CreateManagedAccountResponse, error) {
		q := store.Queries{Tx: tx}
		known, err := q.LockCreation(ctx, key, id.Any(operation), address.Key, "")
		switch {
		case err != nil:
			return nil, err
		case known.Made != nil: // and the password is forgotten
			return &identityv1.CreateManagedAccountResponse{}, nil
		case known.Refusal != nil:
			return &identityv1.CreateManagedAccountResponse{EmailTaken: true}, nil
		case known.EmailTaken, known.EmailClaimed:
			q.SaveRefusal(key, account.ErrEmailTaken)
			return &identityv1.CreateManagedAccountResponse{EmailTaken: true}, nil
		}
		made := account.Account{ID: key, DisplayName: name, Email: address.Display, CreateTime: q.Now()}
		until := q.Now().Add(account.TemporaryLifetime)
		q.ClaimEmailAlone(address, key)
		q.InsertAccount(made, org, hash)
		q.SaveTemporaryPassword(key, hash, until)
		if err := publishCreated(q, made, from); err != nil {
			return nil, err
		}
		return &identityv1.CreateManagedAccountResponse{Password: text, ExpireTime: timestamppb.New(until)},
			outbox.Publish(tx, key, q.Now(), &eventv1.AccountTemporaryPasswordIssued{Context: from, ExpireTime: timestamppb.New(until)})
	}
	answer, _, err = postgres.Once(ctx, s.DB, postgres.In(key), once, create)
	if errors.Is(err, account.ErrEmailTaken) { // somebody else was made one with the address between our look and our commit
		answer, _, err = postgres.Once(ctx, s.DB, postgres.In(key), once, create)
	}
	return answer, err
}
