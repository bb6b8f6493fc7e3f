package membership

import (
	"context"

	"github.com/rosterhq/roster/pkg/fault"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// UpdateRole changes a role for everybody who holds it. The next question about access is answered by it.
func (s *Service) UpdateRole(ctx context.Context, req *membershipv1.UpdateRoleRequest) (*membershipv1.UpdateRoleResponse, error) {
	key, id, err := parseRole(req)
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	once := s.managed(ctx, key, org.UpdateRoles, req.GetRequestId(), "UpdateRole", req)
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.UpdateRoleResponse, error) {
		q := queries(tx)
		at, use, err := q.LockRole(ctx, key, me, id)
		if err != nil {
			return nil, err
		}
		actor, err := at.Organization.Admit(at.Members[me])
		if err != nil {
			return nil, err
		}
		before, known := at.Organization.Roles.ByID(id)
		if !known {
			return nil, org.ErrNoRole
		}
		words, err := changed(before.Words(), req)
		if err != nil {
			return nil, err
		}
		role, err := actor.EditRole(before, words, req.GetEtag())
		if err != nil {
			return nil, err
		}
		if err := stepUp(ctx, tx, at.Organization, role, before); err != nil {
			return nil, err
		}
		q.SaveRole(key, role)
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, RequestID: req.GetRequestId()}
		return &membershipv1.UpdateRoleResponse{Role: roleToProto(actor.Seeing(role), role), Members: use.Members},
			outbox.Publish(tx, key, tx.Now(), &eventv1.RoleUpdated{
				Context: because.Context(ctx), Before: roleToEvent(before), After: roleToEvent(role)})
	})
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(key, s.DB.Name, revision)
	return answer, nil
}

// changed is what the role's words become: those that the mask names, or without one those that are given.
func changed(words org.Words, req *membershipv1.UpdateRoleRequest) (org.Words, error) {
	paths := req.GetUpdateMask().GetPaths()
	if len(paths) == 0 {
		for path, given := range map[string]bool{
			"display_name": req.GetDisplayName() != "", "description": req.GetDescription() != "", "color": req.GetColor() != "",
			"permissions": len(req.GetPermissions()) > 0,
		} {
			if given {
				paths = append(paths, path)
			}
		}
	}
	for _, path := range paths {
		switch path {
		case "display_name":
			words.DisplayName = req.GetDisplayName()
		case "description":
			words.Description = req.GetDescription()
		case "color":
			words.Color = req.GetColor()
		case "permissions":
			words.Permissions = req.GetPermissions()
		default:
			return words, fault.Invalid("update_mask", "names a field that cannot be changed")
		}
	}
	return words, nil
}
