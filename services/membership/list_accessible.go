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

// ListAccessible looks for people where the permission is given, and decides about each as CheckAccess does. Whoever may not
// after all makes the page shorter.
func (s *Service) ListAccessible(ctx context.Context, req *membershipv1.ListAccessibleRequest) (*membershipv1.ListAccessibleResponse, error) {
	key, project, err := parsePlace(req)
	if err != nil {
		return nil, err
	}
	permission := req.GetPermission()
	who := caller.From(ctx)
	me := who.Account
	bound := []string{"accessible", me.String() + who.ServiceAccount.String(), key.String(), permission, project.String()}
	var after id.Account
	if err := page.Open(s.PageKey, req.GetPageToken(), &after, bound...); err != nil {
		return nil, err
	}
	holders, actor, err := s.holders(ctx, key, permission, project)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	var found []store.Candidate
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		found, err = q.ListCandidates(ctx, key, holders, after, size+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.ListAccessibleResponse{}
	if found, answer.NextPageToken, err = page.Cut(s.PageKey, found, size, func(c store.Candidate) id.Account { return c.Account }, bound...); err != nil {
		return nil, err
	}
	accounts := make([]id.Account, len(found))
	for i, c := range found {
		accounts[i] = c.Account
	}
	a, err := store.GetAccess(ctx, s.DB, key, accounts, project)
	if err != nil {
		return nil, err
	}
	answer.Revision = a.Revision
	for _, c := range found {
		member := a.Members[c.Account]
		if by := a.Organization.Sources(member, permission, project); len(by) > 0 {
			for i := range by {
				if c.Account != me && !who.Platform() {
					by[i] = actor.Sees(by[i])
				}
			}
			answer.Holders = append(answer.Holders, &membershipv1.ListAccessibleResponse_Holder{
				AccountId: c.Account.String(), DisplayName: c.DisplayName, Guest: !member.Belongs(), Lines: linesToProto(by)})
		}
	}
	return answer, nil
}

// holders says where to look for those who may do something, to who sees people, there.
func (s *Service) holders(ctx context.Context, key id.Organization, permission string, project id.Project) (org.Holders, org.Actor, error) {
	me := caller.From(ctx).Account
	var at store.Standing
	var groups org.Groups
	var in org.Project
	err := s.view(ctx, key, func(q store.Queries) (err error) {
		if !project.IsZero() {
			q.Project(key, project, &in)
		}
		at, groups, err = q.Groups(ctx, key, me)
		return err
	})
	if err != nil {
		return org.Holders{}, org.Actor{}, err
	}
	actor, err := s.mayList(ctx, key, at, me, project)
	if err != nil {
		return org.Holders{}, org.Actor{}, err
	}
	if err := at.Organization.Registry.Known(permission); err != nil {
		return org.Holders{}, org.Actor{}, err
	}
	if !project.IsZero() && in.ID.IsZero() {
		return org.Holders{}, org.Actor{}, org.ErrNoProject
	}
	return at.Organization.Holders(groups, permission, project), actor, nil
}

// mayList refuses who does not see people there. A service account of the deployment sees them everywhere.
func (s *Service) mayList(ctx context.Context, key id.Organization, at store.Standing, me id.Account, project id.Project) (org.Actor, error) {
	if caller.From(ctx).Platform() {
		if at.Organization.State != org.Active {
			return org.Actor{}, org.ErrNotFound
		}
		return org.Actor{}, nil
	}
	actor, err := at.Organization.Admit(at.Members[me])
	if err != nil {
		return org.Actor{}, err
	}
	s.activity.note(key, me)
	return actor, actor.In(project).Need(org.ReadMembers)
}
