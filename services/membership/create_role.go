package membership

import (
	"cmp"
	"context"
	"time"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// CreateRole makes a role of the organization's own.
func (s *Service) CreateRole(ctx context.Context, req *membershipv1.CreateRoleRequest) (*membershipv1.CreateRoleResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	words := org.Words{DisplayName: req.GetDisplayName(), Description: req.GetDescription(), Color: req.GetColor(), Permissions: req.GetPermissions()}
	once := s.managed(ctx, key, org.CreateRoles, req.GetRequestId(), "CreateRole", req)
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.CreateRoleResponse, error) {
		q := queries(tx)
		at, gone, err := q.LockRoles(ctx, key, me, cmp.Or(req.GetKey(), org.KeyFor(req.GetDisplayName())))
		if err != nil {
			return nil, err
		}
		actor, err := at.Organization.Admit(at.Members[me])
		if err != nil {
			return nil, err
		}
		role, err := actor.CreateRole(words, req.GetKey(), gone)
		if err != nil {
			return nil, err
		}
		if err := stepUp(ctx, tx, at.Organization, role, org.Role{}); err != nil {
			return nil, err
		}
		q.InsertRoles(key, role)
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, RequestID: req.GetRequestId()}
		return &membershipv1.CreateRoleResponse{Role: roleToProto(actor.Seeing(role), role)},
			outbox.Publish(tx, key, tx.Now(), &eventv1.RoleCreated{Context: because.Context(ctx), Role: roleToEvent(role)})
	})
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(key, s.DB.Name, revision)
	return answer, nil
}

// stepUp asks who gives a role more power than it had before to have proven just now who they are.
func stepUp(ctx context.Context, tx *postgres.Tx, o org.Organization, role, before org.Role) error {
	if !o.Widens(role, before) {
		return nil
	}
	return caller.From(ctx).StepUp(tx.Now(), 10*time.Minute)
}
