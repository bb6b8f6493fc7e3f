package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/page"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// ListGroupMembers returns who is in a group itself. Who is in a group may be seen by who sees groups and people.
func (s *Service) ListGroupMembers(ctx context.Context, req *membershipv1.ListGroupMembersRequest) (*membershipv1.ListGroupMembersResponse, error) {
	key, group, err := parseGroup(req)
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	bound := []string{"group_members", me.String(), key.String(), group.String()}
	var after id.Account
	if err := page.Open(s.PageKey, req.GetPageToken(), &after, bound...); err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	at, groups, err := s.readGroups(ctx, key)
	if err != nil {
		return nil, err
	}
	actor, err := at.Organization.Admit(at.Members[me])
	if err != nil {
		return nil, err
	}
	if err := actor.Need(org.ReadMembers); err != nil {
		return nil, err
	}
	if _, err := groups.ByID(group); err != nil {
		return nil, err
	}
	var found []store.Entry
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		found, err = q.ListGroupMembers(ctx, key, group, after, size+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.ListGroupMembersResponse{}
	if found, answer.NextPageToken, err = page.Cut(s.PageKey, found, size, func(e store.Entry) id.Any { return e.ID }, bound...); err != nil {
		return nil, err
	}
	for _, e := range found {
		answer.Members = append(answer.Members, personToProto(at.Organization.Roles, actor, e))
	}
	return answer, nil
}
