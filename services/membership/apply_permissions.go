package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// ApplyPermissions writes one row, whatever changes: roles are read with what is registered, see org.Registry.
func (s *Service) ApplyPermissions(ctx context.Context, req *membershipv1.ApplyPermissionsRequest) (*membershipv1.ApplyPermissionsResponse, error) {
	var file []org.Registered
	for _, p := range req.GetPermissions() {
		file = append(file, org.Registered{
			Name: p.GetName(), DisplayName: p.GetDisplayName(), Description: p.GetDescription(), Dangerous: p.GetDangerous(), HeldBy: p.GetHeldBy()})
	}
	operator := caller.From(ctx).Operator
	once := postgres.Request{ID: req.GetRequestId(), Principal: operator.String(), Method: "ApplyPermissions", Body: req}
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(operator), once, func(tx *postgres.Tx) (*membershipv1.ApplyPermissionsResponse, error) {
		q := queries(tx)
		var before org.Registry
		q.Registry(&before)
		if err := q.Fetch(ctx); err != nil {
			return nil, err
		}
		after, change, err := before.Replace(file)
		if err != nil {
			return nil, err
		}
		if !change.Empty() && !req.GetValidateOnly() {
			q.InsertRegistry(after, operator)
		}
		return &membershipv1.ApplyPermissionsResponse{
			Permissions: registeredToProto(after), Added: change.Added, Changed: change.Changed, Retired: change.Retired}, nil
	})
	if err != nil {
		return nil, err
	}
	s.Log.InfoContext(ctx, "permissions applied", "operator", operator, "validate_only", req.GetValidateOnly(),
		"added", answer.GetAdded(), "changed", answer.GetChanged(), "retired", answer.GetRetired())
	return answer, nil
}

// ListRegisteredPermissions returns what ApplyPermissions left.
func (s *Service) ListRegisteredPermissions(ctx context.Context, _ *membershipv1.ListRegisteredPermissionsRequest) (*membershipv1.ListRegisteredPermissionsResponse, error) {
	registry, err := s.registry(ctx)
	return &membershipv1.ListRegisteredPermissionsResponse{Permissions: registeredToProto(registry)}, err
}

// registry reads what is registered.
func (s *Service) registry(ctx context.Context) (registry org.Registry, err error) {
	err = s.DB.View(ctx, postgres.Scope{}, func(tx *postgres.Tx) error {
		q := queries(tx)
		q.Registry(&registry)
		return q.Fetch(ctx)
	})
	return registry, err
}

func registeredToProto(r org.Registry) (all []*membershipv1.RegisteredPermission) {
	for _, p := range r.Permissions {
		all = append(all, &membershipv1.RegisteredPermission{
			Name: p.Name, DisplayName: p.DisplayName, Description: p.Description, Dangerous: p.Dangerous, HeldBy: p.HeldBy, Retired: p.Retired})
	}
	return all
}
