package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/page"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// ListOrganizations returns the caller's organizations, also those in which the membership is disabled.
func (s *Service) ListOrganizations(ctx context.Context, req *membershipv1.ListOrganizationsRequest) (*membershipv1.ListOrganizationsResponse, error) {
	me := caller.From(ctx).Account
	bound := []string{"organizations", me.String()}
	var after store.Cursor
	if err := page.Open(s.PageKey, req.GetPageToken(), &after, bound...); err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	var found []store.Membership
	err := s.DB.View(ctx, postgres.Across(me), func(tx *postgres.Tx) (err error) {
		found, err = queries(tx).ListMemberships(ctx, me, after, size+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.ListOrganizationsResponse{}
	if found, answer.NextPageToken, err = page.Cut(s.PageKey, found, size, store.Membership.Cursor, bound...); err != nil {
		return nil, err
	}
	for _, m := range found {
		answer.Organizations = append(answer.Organizations, organizationToProto(m.Organization, m.RoleKey, m.Allowed()))
	}
	return answer, nil
}
