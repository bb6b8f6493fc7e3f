package identity

import (
	"context"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// ListAccountSessions returns the live sessions of an account that the organization manages. The caller has checked who asks.
func (s *Service) ListAccountSessions(ctx context.Context, req *identityv1.ListAccountSessionsRequest) (*identityv1.ListAccountSessionsResponse, error) {
	key, org, err := accountOf(req)
	if err != nil {
		return nil, err
	}
	var managed bool
	var live []session.Session
	err = s.view(ctx, postgres.In(key), func(q store.Queries) (err error) {
		q.Manages(org, key, &managed)
		live, err = q.ListSessions(ctx, key)
		return err
	})
	if err != nil || !managed {
		return &identityv1.ListAccountSessionsResponse{}, err
	}
	return &identityv1.ListAccountSessionsResponse{Managed: true, Sessions: sessionsToProto(live, id.Session{})}, nil
}

// accountOf reads the account and the organization that asks about it.
func accountOf(req interface {
	GetAccountId() string
	GetOrganizationId() string
}) (key id.Account, org id.Organization, err error) {
	if key, err = id.ParseAccount(req.GetAccountId()); err != nil {
		return key, org, err
	}
	org, err = id.ParseOrganization(req.GetOrganizationId())
	return key, org, err
}
