package membership

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/secret"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// CreateOrganizationServiceAccountKey makes a key; those that there are go on working, so that one can follow another.
func (s *Service) CreateOrganizationServiceAccountKey(ctx context.Context, req *membershipv1.CreateOrganizationServiceAccountKeyRequest) (*membershipv1.CreateOrganizationServiceAccountKeyResponse, error) {
	key, of, err := parseServiceAccount(req)
	if err != nil {
		return nil, err
	}
	answer, token, err := restructure(ctx, s, key, id.Project{}, org.ManageServiceAccounts, "CreateOrganizationServiceAccountKey", req, nil,
		func(in structure) (*membershipv1.CreateOrganizationServiceAccountKeyResponse, proto.Message, error) {
			account, live, err := in.serviceAccount(ctx, key, of)
			if err != nil {
				return nil, nil, err
			}
			made, err := in.actor.CreateKey(account, req.GetDisplayName(), req.GetScopes(), timeOf(req.GetExpireTime()), in.Now(), len(live))
			if err != nil {
				return nil, nil, err
			}
			opens := secret.New(secret.OrganizationKey, key)
			made.LastFour = opens.Text()[len(opens.Text())-4:]
			in.InsertKey(key, of, made, opens.Hash)
			return &membershipv1.CreateOrganizationServiceAccountKeyResponse{ApiKey: keyToProto(made), Secret: opens.Text()},
				&eventv1.OrganizationServiceAccountKeyCreated{Context: in.because, ServiceAccountId: of.String(), ApiKeyId: made.ID.String(),
					Scopes: made.Scopes, ExpireTime: timestamppb.New(made.ExpireTime)}, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}

// ListOrganizationServiceAccountKeys returns the keys of a service account that work, newest first.
func (s *Service) ListOrganizationServiceAccountKeys(ctx context.Context, req *membershipv1.ListOrganizationServiceAccountKeysRequest) (*membershipv1.ListOrganizationServiceAccountKeysResponse, error) {
	_, live, err := s.readServiceAccount(ctx, req)
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.ListOrganizationServiceAccountKeysResponse{}
	for _, k := range live {
		answer.ApiKeys = append(answer.ApiKeys, keyToProto(k))
	}
	return answer, nil
}

// DeleteOrganizationServiceAccountKey ends one key of a service account.
func (s *Service) DeleteOrganizationServiceAccountKey(ctx context.Context, req *membershipv1.DeleteOrganizationServiceAccountKeyRequest) (*membershipv1.DeleteOrganizationServiceAccountKeyResponse, error) {
	key, of, err := parseServiceAccount(req)
	if err != nil {
		return nil, err
	}
	ends, err := id.ParseAPIKey(req.GetApiKeyId())
	if err != nil {
		return nil, err
	}
	answer, token, err := restructure(ctx, s, key, id.Project{}, org.ManageServiceAccounts, "DeleteOrganizationServiceAccountKey", req, nil,
		func(in structure) (*membershipv1.DeleteOrganizationServiceAccountKeyResponse, proto.Message, error) {
			_, live, err := in.serviceAccount(ctx, key, of)
			if err != nil {
				return nil, nil, err
			}
			for _, k := range live {
				if k.ID == ends {
					in.DeleteKey(key, of, ends)
					return &membershipv1.DeleteOrganizationServiceAccountKeyResponse{},
						&eventv1.OrganizationServiceAccountKeyDeleted{Context: in.because, ServiceAccountId: of.String(), ApiKeyId: ends.String()}, nil
				}
			}
			return nil, nil, org.ErrNoKey
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}

// ResolveOrganizationKey tells identity whose a key is. What the service account may do by it is decided here again, with every call.
func (s *Service) ResolveOrganizationKey(ctx context.Context, req *membershipv1.ResolveOrganizationKeyRequest) (*membershipv1.ResolveOrganizationKeyResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	used, err := store.UseKey(ctx, s.DB, key, req.GetSecretHash())
	if err != nil {
		return nil, err
	}
	return &membershipv1.ResolveOrganizationKeyResponse{ServiceAccountId: used.ServiceAccount.String(), ApiKeyId: used.ID.String(),
		Scopes: used.Scopes, CreateTime: timestamppb.New(used.CreateTime), ExpireTime: timestamppb.New(used.ExpireTime)}, nil
}

// RevokeOrganizationKey ends a key that somebody has shown to a service of the platform.
func (s *Service) RevokeOrganizationKey(ctx context.Context, req *membershipv1.RevokeOrganizationKeyRequest) (*membershipv1.RevokeOrganizationKeyResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	by, err := id.ParseServiceAccount(req.GetRevokerServiceAccountId())
	if err != nil {
		return nil, err
	}
	because := outbox.Origin{ServiceAccount: by, Cause: eventv1.Cause_KIND_ADMIN}.Context(ctx)
	return &membershipv1.RevokeOrganizationKeyResponse{}, s.inTx(ctx, key, func(q store.Queries) error {
		ended, found, err := q.LockKey(ctx, key, req.GetSecretHash())
		if err != nil || !found { // others were faster, or it is none
			return err
		}
		q.DeleteKey(key, ended.ServiceAccount, ended.ID)
		return outbox.Publish(q.Tx, key, q.Now(), &eventv1.OrganizationServiceAccountKeyDeleted{Context: because,
			ServiceAccountId: ended.ServiceAccount.String(), ApiKeyId: ended.ID.String()})
	})
}

func keyToProto(k org.Key) *membershipv1.OrganizationServiceAccountKey {
	shown := &membershipv1.OrganizationServiceAccountKey{Id: k.ID.String(), DisplayName: k.DisplayName, Scopes: k.Scopes, LastFour: k.LastFour,
		CreateTime: timestamppb.New(k.CreateTime), ExpireTime: timestamppb.New(k.ExpireTime)}
	if k.LastUseTime != nil {
		shown.LastUseTime = timestamppb.New(*k.LastUseTime)
	}
	return shown
}
