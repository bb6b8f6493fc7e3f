package identity

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/apikey"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// CreateServiceAccount makes a service account of the deployment.
func (s *Service) CreateServiceAccount(ctx context.Context, req *identityv1.CreateServiceAccountRequest) (*identityv1.CreateServiceAccountResponse, error) {
	name, err := naming.ParseDisplayName("display_name", req.GetDisplayName())
	if err != nil {
		return nil, err
	}
	scopes, err := apikey.ParseScopes(req.GetScopes())
	if err != nil {
		return nil, err
	}
	made := apikey.ServiceAccount{ID: id.NewServiceAccount(), DisplayName: name, Scopes: scopes}
	return asOperator(ctx, s, req, "CreateServiceAccount", func(q store.Queries) (*identityv1.CreateServiceAccountResponse, error) {
		others, err := q.ListServiceAccounts(ctx)
		if err != nil {
			return nil, err
		}
		if len(others) >= apikey.MostServiceAccounts {
			return nil, apikey.ErrTooManyServiceAccounts
		}
		made.CreateTime = q.Now()
		q.InsertServiceAccount(made)
		return &identityv1.CreateServiceAccountResponse{ServiceAccount: serviceAccountToProto(made)},
			publishOf(ctx, q, made.ID, &eventv1.AccountServiceAccountCreated{Context: byOperator(ctx, req.GetRequestId()), ServiceAccount: serviceAccountToEvent(made)})
	})
}

// ListServiceAccounts returns the service accounts of the deployment.
func (s *Service) ListServiceAccounts(ctx context.Context, _ *identityv1.ListServiceAccountsRequest) (*identityv1.ListServiceAccountsResponse, error) {
	var all []apikey.ServiceAccount
	err := s.view(ctx, postgres.Scope{}, func(q store.Queries) (err error) {
		all, err = q.ListServiceAccounts(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	answer := &identityv1.ListServiceAccountsResponse{}
	for _, one := range all {
		answer.ServiceAccounts = append(answer.ServiceAccounts, serviceAccountToProto(one))
	}
	return answer, nil
}

// GetServiceAccount returns a service account.
func (s *Service) GetServiceAccount(ctx context.Context, req *identityv1.GetServiceAccountRequest) (*identityv1.GetServiceAccountResponse, error) {
	found, _, err := s.serviceAccount(ctx, req.GetServiceAccountId())
	if err != nil {
		return nil, err
	}
	return &identityv1.GetServiceAccountResponse{ServiceAccount: serviceAccountToProto(found)}, nil
}

// DeleteServiceAccount ends a service account. What it used to prove who it is ends with the same commit.
func (s *Service) DeleteServiceAccount(ctx context.Context, req *identityv1.DeleteServiceAccountRequest) (*identityv1.DeleteServiceAccountResponse, error) {
	key, err := id.ParseServiceAccount(req.GetServiceAccountId())
	if err != nil {
		return nil, apikey.ErrNoServiceAccount
	}
	err = s.inTxOnce(ctx, postgres.In(key), func(q store.Queries) error {
		found, _, err := q.LockServiceAccount(ctx, key)
		if err != nil {
			return err
		}
		q.DeleteServiceAccount(key)
		if err := endAPIKeys(ctx, q, found.Account(), byOperator(ctx, "")); err != nil {
			return err
		}
		return outbox.Publish(q.Tx, key, q.Now(), &eventv1.AccountServiceAccountDeleted{Context: byOperator(ctx, ""), Before: serviceAccountToEvent(found)})
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.DeleteServiceAccountResponse{}, nil
}

// serviceAccount returns a service account and its keys that work.
func (s *Service) serviceAccount(ctx context.Context, text string) (found apikey.ServiceAccount, live []apikey.Key, err error) {
	key, err := id.ParseServiceAccount(text)
	if err != nil {
		return found, nil, apikey.ErrNoServiceAccount
	}
	err = s.view(ctx, postgres.In(key), func(q store.Queries) (err error) {
		found, live, err = q.GetServiceAccount(ctx, key)
		return err
	})
	return found, live, err
}

// byOperator is what an event says that an operator has caused.
func byOperator(ctx context.Context, requestID string) *eventv1.Context {
	return outbox.Origin{Operator: caller.From(ctx).Operator, Cause: eventv1.Cause_KIND_OPERATOR, RequestID: requestID}.Context(ctx)
}

func serviceAccountToProto(a apikey.ServiceAccount) *identityv1.ServiceAccount {
	return &identityv1.ServiceAccount{Id: a.ID.String(), DisplayName: a.DisplayName, Scopes: a.Scopes, CreateTime: timestamppb.New(a.CreateTime)}
}

func serviceAccountToEvent(a apikey.ServiceAccount) *eventv1.ServiceAccount {
	return &eventv1.ServiceAccount{ServiceAccountId: a.ID.String(), DisplayName: a.DisplayName, Permissions: a.Scopes}
}
