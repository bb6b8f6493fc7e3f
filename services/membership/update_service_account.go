package membership

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// UpdateOrganizationServiceAccount changes a service account. The next call with a key of it is decided by what it is then.
func (s *Service) UpdateOrganizationServiceAccount(ctx context.Context, req *membershipv1.UpdateOrganizationServiceAccountRequest) (*membershipv1.UpdateOrganizationServiceAccountResponse, error) {
	key, of, err := parseServiceAccount(req)
	if err != nil {
		return nil, err
	}
	change, err := serviceAccountChange(req)
	if err != nil {
		return nil, err
	}
	answer, token, err := restructure(ctx, s, key, id.Project{}, org.ManageServiceAccounts, "UpdateOrganizationServiceAccount", req, nil,
		func(in structure) (*membershipv1.UpdateOrganizationServiceAccountResponse, proto.Message, error) {
			if err := in.actor.Need(org.ManageServiceAccounts); err != nil {
				return nil, nil, err
			}
			found, _, err := in.GetServiceAccount(ctx, key, of)
			if err != nil {
				return nil, nil, err
			}
			before := found.ServiceAccount
			after, given, err := in.actor.ChangeServiceAccount(before, change)
			if err != nil {
				return nil, nil, err
			}
			if len(given) > 0 {
				if err := caller.From(ctx).StepUp(in.Now(), 10*time.Minute); err != nil {
					return nil, nil, err
				}
			}
			in.SaveServiceAccount(key, after)
			found.ServiceAccount = after
			return &membershipv1.UpdateOrganizationServiceAccountResponse{ServiceAccount: serviceAccountToProto(found)},
				&eventv1.OrganizationServiceAccountUpdated{Context: in.because, Before: serviceAccountToEvent(before), After: serviceAccountToEvent(after)}, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}

// serviceAccountChange is what the request changes: what its mask names, or without one what is given.
func serviceAccountChange(req *membershipv1.UpdateOrganizationServiceAccountRequest) (change org.ServiceAccountChange, err error) {
	paths := req.GetUpdateMask().GetPaths()
	if len(paths) == 0 {
		for path, given := range map[string]bool{
			"display_name": req.GetDisplayName() != "", "permissions": len(req.GetPermissions()) > 0, "disabled": req.Disabled != nil,
		} {
			if given {
				paths = append(paths, path)
			}
		}
	}
	for _, path := range paths {
		switch path {
		case "display_name":
			change.DisplayName = new(req.GetDisplayName())
		case "permissions":
			change.Permissions = new(req.GetPermissions())
		case "disabled":
			change.Disabled = new(req.GetDisabled())
		default:
			return change, fault.Invalid("update_mask", "names a field that cannot be changed")
		}
	}
	return change, nil
}
