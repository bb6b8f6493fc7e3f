package membership

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// DeleteRole deletes a role and gives its holders another, all in one transaction and with one event, however many they are.
// The invitation service hears of it and moves the invitations that are open; what it has not moved yet, or makes at
// this moment, AddMember moves.
func (s *Service) DeleteRole(ctx context.Context, req *membershipv1.DeleteRoleRequest) (*membershipv1.DeleteRoleResponse, error) {
	key, id, err := parseRole(req)
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	once := s.managed(ctx, key, org.DeleteRoles, req.GetRequestId(), "DeleteRole", req)
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.DeleteRoleResponse, error) {
		q := queries(tx)
		at, use, err := q.LockRole(ctx, key, me, id)
		if err != nil {
			return nil, err
		}
		actor, err := at.Organization.Admit(at.Members[me])
		if err != nil {
			return nil, err
		}
		role, known := at.Organization.Roles.ByID(id)
		if !known {
			return nil, org.ErrNoRole
		}
		replacement, err := actor.DeleteRole(role, use, req.GetReplacement(), req.GetEtag())
		if err != nil {
			return nil, err
		}
		answer := &membershipv1.DeleteRoleResponse{Members: use.Members, Invitations: use.Invitations}
		if req.GetValidateOnly() {
			return answer, nil
		}
		if use.Members > 0 {
			if err := q.MoveMembers(ctx, key, role, replacement); err != nil {
				return nil, err
			}
		}
		q.DeleteRole(key, role, replacement)
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, RequestID: req.GetRequestId()}
		return answer, outbox.Publish(tx, key, tx.Now(), &eventv1.RoleDeleted{
			Context: because.Context(ctx), Before: roleToEvent(role), Replacement: replacement.Key, Members: use.Members})
	})
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(key, s.DB.Name, revision)
	return answer, nil
}
