package membership

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// CreateOrganizationServiceAccount makes a service account of the organization.
func (s *Service) CreateOrganizationServiceAccount(ctx context.Context, req *membershipv1.CreateOrganizationServiceAccountRequest) (*membershipv1.CreateOrganizationServiceAccountResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	answer, token, err := restructure(ctx, s, key, id.Project{}, org.ManageServiceAccounts, "CreateOrganizationServiceAccount", req, nil,
		func(in structure) (*membershipv1.CreateOrganizationServiceAccountResponse, proto.Message, error) {
			var there int64
			in.CountServiceAccounts(key, &there)
			if err := in.Fetch(ctx); err != nil {
				return nil, nil, err
			}
			made, err := in.actor.CreateServiceAccount(req.GetDisplayName(), req.GetPermissions(), there)
			if err != nil {
				return nil, nil, err
			}
			made.CreateTime = in.Now()
			in.InsertServiceAccount(key, made)
			return &membershipv1.CreateOrganizationServiceAccountResponse{ServiceAccount: serviceAccountToProto(store.ListedServiceAccount{ServiceAccount: made})},
				&eventv1.OrganizationServiceAccountCreated{Context: in.because, ServiceAccount: serviceAccountToEvent(made)}, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}

// ListOrganizationServiceAccounts returns the service accounts, oldest first.
func (s *Service) ListOrganizationServiceAccounts(ctx context.Context, req *membershipv1.ListOrganizationServiceAccountsRequest) (*membershipv1.ListOrganizationServiceAccountsResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	if _, _, err := s.admit(ctx, key, org.ReadServiceAccounts); err != nil {
		return nil, err
	}
	var all []store.ListedServiceAccount
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		all, err = q.ListServiceAccounts(ctx, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.ListOrganizationServiceAccountsResponse{}
	for _, one := range all {
		answer.ServiceAccounts = append(answer.ServiceAccounts, serviceAccountToProto(one))
	}
	return answer, nil
}

// GetOrganizationServiceAccount returns a service account.
func (s *Service) GetOrganizationServiceAccount(ctx context.Context, req *membershipv1.GetOrganizationServiceAccountRequest) (*membershipv1.GetOrganizationServiceAccountResponse, error) {
	found, _, err := s.readServiceAccount(ctx, req)
	if err != nil {
		return nil, err
	}
	return &membershipv1.GetOrganizationServiceAccountResponse{ServiceAccount: serviceAccountToProto(found)}, nil
}

// DeleteOrganizationServiceAccount ends a service account, and its keys with the same commit.
func (s *Service) DeleteOrganizationServiceAccount(ctx context.Context, req *membershipv1.DeleteOrganizationServiceAccountRequest) (*membershipv1.DeleteOrganizationServiceAccountResponse, error) {
	key, of, err := parseServiceAccount(req)
	if err != nil {
		return nil, err
	}
	answer, token, err := restructure(ctx, s, key, id.Project{}, org.ManageServiceAccounts, "DeleteOrganizationServiceAccount", req, nil,
		func(in structure) (*membershipv1.DeleteOrganizationServiceAccountResponse, proto.Message, error) {
			before, live, err := in.serviceAccount(ctx, key, of)
			if err != nil {
				return nil, nil, err
			}
			in.DeleteServiceAccount(key, of)
			event := &eventv1.OrganizationServiceAccountDeleted{Context: in.because, Before: serviceAccountToEvent(before)}
			for _, k := range live {
				event.ApiKeyIds = append(event.ApiKeyIds, k.ID.String())
			}
			return &membershipv1.DeleteOrganizationServiceAccountResponse{}, event, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}

// serviceAccount returns a service account and its keys that work, to an actor who may look after them.
func (in structure) serviceAccount(ctx context.Context, key id.Organization, of id.ServiceAccount) (org.ServiceAccount, []org.Key, error) {
	if err := in.actor.Need(org.ManageServiceAccounts); err != nil {
		return org.ServiceAccount{}, nil, err
	}
	found, live, err := in.GetServiceAccount(ctx, key, of)
	return found.ServiceAccount, live, err
}

// readServiceAccount is the same for a caller who may see them.
func (s *Service) readServiceAccount(ctx context.Context, req serviceAccountNamed) (found store.ListedServiceAccount, live []org.Key, err error) {
	key, of, err := parseServiceAccount(req)
	if err != nil {
		return found, nil, err
	}
	if _, _, err := s.admit(ctx, key, org.ReadServiceAccounts); err != nil {
		return found, nil, err
	}
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		found, live, err = q.GetServiceAccount(ctx, key, of)
		return err
	})
	return found, live, err
}

type serviceAccountNamed interface {
	GetOrganizationId() string
	GetServiceAccountId() string
}

func parseServiceAccount(req serviceAccountNamed) (key id.Organization, of id.ServiceAccount, err error) {
	if key, err = id.ParseOrganization(req.GetOrganizationId()); err != nil {
		return key, of, err
	}
	of, err = id.ParseServiceAccount(req.GetServiceAccountId())
	return key, of, err
}

func serviceAccountToProto(a store.ListedServiceAccount) *membershipv1.OrganizationServiceAccount {
	shown := &membershipv1.OrganizationServiceAccount{
		Id: a.ID.String(), DisplayName: a.DisplayName, Permissions: a.Permissions, CreatorAccountId: a.Creator.String(),
		CreatorLeft: a.CreatorLeft, Disabled: a.Disabled, CreateTime: timestamppb.New(a.CreateTime)}
	if a.LastUseTime != nil {
		shown.LastUseTime = timestamppb.New(*a.LastUseTime)
	}
	return shown
}

func serviceAccountToEvent(a org.ServiceAccount) *eventv1.ServiceAccount {
	return &eventv1.ServiceAccount{ServiceAccountId: a.ID.String(), DisplayName: a.DisplayName, Permissions: a.Permissions, Disabled: a.Disabled}
}
