package membership

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/page"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// ListPeople returns members and pending invitations. Neither the order nor what is found depends on what the caller may
// not see.
func (s *Service) ListPeople(ctx context.Context, req *membershipv1.ListPeopleRequest) (*membershipv1.ListPeopleResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	asked, err := outbox.ParseToken(req.GetToken(), key)
	if err != nil {
		return nil, err
	}
	filter, group, err := filterOf(req)
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	bound := slices.Concat([]string{"people", me.String(), key.String(), filter.Kind, filter.Query, req.GetOrderBy().String(), string(filter.Show),
		filter.InactiveSince.Format(time.RFC3339Nano), group.String(), filter.Project.String(), strconv.Itoa(len(filter.States))}, filter.States, filter.Roles)
	var after store.Cursor
	if err := page.Open(s.PageKey, req.GetPageToken(), &after, bound...); err != nil {
		return nil, err
	}
	seen, actor, err := s.await(ctx, key, asked)
	if err != nil {
		return nil, err
	}
	if filter.Show != "" {
		if err := seen.at.Organization.UsesAvailability(); err != nil {
			return nil, err
		}
	}
	if filter.Order == store.ByActivityTime || !filter.InactiveSince.IsZero() {
		if err := actor.Need(org.ReadActivity); err != nil {
			return nil, err
		}
	}
	if !group.IsZero() {
		_, groups, err := s.readGroups(ctx, key)
		if err != nil {
			return nil, err
		}
		if filter.Groups, err = groups.Inside(group); err != nil {
			return nil, err
		}
	}
	if !filter.Project.IsZero() { // whoever may not see it learns nothing of who is in it
		if _, _, err := s.getProject(ctx, key, filter.Project); err != nil {
			return nil, err
		}
	}
	filter.People = int(seen.total(""))
	filter.Contacts = actor.May(org.ReadContacts)
	for _, role := range seen.at.Organization.Roles {
		filter.RoleOrder = append(filter.RoleOrder, role.Key)
	}
	var found []store.Entry
	var next *store.Cursor
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		found, next, err = q.ListPeople(ctx, key, filter, after, page.Size(req.GetPageSize()))
		return err
	})
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.ListPeopleResponse{TotalSize: seen.total(filter.Kind), Token: seen.positions.Token(key)}
	if next != nil {
		if answer.NextPageToken, err = page.Next(s.PageKey, next, bound...); err != nil {
			return nil, err
		}
	}
	for _, e := range found {
		answer.People = append(answer.People, personToProto(seen.at.Organization.Roles, actor, e))
	}
	return answer, nil
}

var kinds = map[membershipv1.ListPeopleRequest_View]string{
	membershipv1.ListPeopleRequest_VIEW_MEMBERS:     store.KindMember,
	membershipv1.ListPeopleRequest_VIEW_INVITATIONS: store.KindInvitation,
}

var orders = map[membershipv1.ListPeopleRequest_Order]struct {
	order      store.Order
	descending bool
}{
	membershipv1.ListPeopleRequest_ORDER_NAME_DESC:               {store.ByName, true},
	membershipv1.ListPeopleRequest_ORDER_JOIN_TIME:               {store.ByJoinTime, false},
	membershipv1.ListPeopleRequest_ORDER_JOIN_TIME_DESC:          {store.ByJoinTime, true},
	membershipv1.ListPeopleRequest_ORDER_LAST_ACTIVITY_TIME:      {store.ByActivityTime, false},
	membershipv1.ListPeopleRequest_ORDER_LAST_ACTIVITY_TIME_DESC: {store.ByActivityTime, true},
	membershipv1.ListPeopleRequest_ORDER_ROLE:                    {store.ByRole, false},
	membershipv1.ListPeopleRequest_ORDER_ROLE_DESC:               {store.ByRole, true},
}

var shows = map[membershipv1.ListPeopleRequest_Show]org.Availability{
	membershipv1.ListPeopleRequest_SHOW_AVAILABLE:   org.Available,
	membershipv1.ListPeopleRequest_SHOW_UNAVAILABLE: org.Unavailable,
}

// filterOf reads what is wanted, and the group, of which only the organization tells what is inside of it.
func filterOf(req *membershipv1.ListPeopleRequest) (f store.Filter, group id.Group, err error) {
	f = store.Filter{Kind: kinds[req.GetView()], Show: shows[req.GetAvailability()], Query: req.GetQuery(), Roles: slices.Compact(slices.Sorted(slices.Values(req.GetRoles())))}
	f.Order, f.Descending = orders[req.GetOrderBy()].order, orders[req.GetOrderBy()].descending
	if since := req.GetInactiveSince(); since != nil {
		if err := since.CheckValid(); err != nil {
			return f, group, fault.Invalid("inactive_since", "must be a time")
		}
		f.InactiveSince = since.AsTime()
	}
	for _, state := range req.GetStates() {
		if state == membershipv1.Person_STATE_UNSPECIFIED {
			continue
		}
		f.States = append(f.States, strings.TrimPrefix(state.String(), "STATE_"))
	}
	slices.Sort(f.States)
	f.States = slices.Compact(f.States)
	if req.GetProjectId() != "" {
		if f.Project, err = id.ParseProject(req.GetProjectId()); err != nil {
			return f, group, err
		}
	}
	if req.GetGroupId() != "" {
		group, err = id.ParseGroup(req.GetGroupId())
	}
	return f, group, err
}

func personToProto(roles org.Roles, actor org.Actor, e store.Entry) *membershipv1.Person {
	role, _ := roles.ByKey(e.Role)
	p := &membershipv1.Person{
		DisplayName:     e.Shown().DisplayName,
		Username:        e.Username,
		AvatarUrl:       e.AvatarURL,
		Role:            e.Role,
		RoleDisplayName: role.DisplayName,
		RoleColor:       role.Color,
		State:           membershipv1.Person_State(membershipv1.Person_State_value["STATE_"+e.State]),
		JoinTime:        stamp(&e.JoinTime),
		ExpireTime:      stamp(e.ExpireTime),
	}
	if e.Kind == store.KindMember {
		p.AccountId = id.Account(e.ID).String()
	} else {
		p.InvitationId = id.Invitation(e.ID).String()
	}
	if e.Kind == store.KindMember && e.State == string(org.MemberActive) && actor.SeesAvailability() {
		p.Availability, p.AvailabilityChangeTime = stateToProto(e.Availability), stamp(e.NextChangeTime)
	}
	if actor.May(org.ReadContacts) {
		p.Email, p.Phone = e.Shown().Email, e.Phone
	}
	if actor.May(org.ReadActivity) {
		p.LastActivityTime = stamp(e.ActivityTime)
	}
	return p
}

// seen is what a list includes at least: it was read before the page.
type seen struct {
	at        store.Standing
	counts    store.Counts
	positions outbox.Positions
}

func (s seen) total(kind string) int32 {
	switch kind {
	case store.KindMember:
		return s.counts.Members
	case store.KindInvitation:
		return s.counts.Invitations
	}
	return s.counts.Members + s.counts.Invitations
}

// has tells whether what a token asks for is included. Only these two services feed the list; of its own history the
// primary always has everything.
func (s seen) has(asked outbox.Positions) bool {
	return s.positions["invitation"] >= asked["invitation"] && s.positions["identity"] >= asked["identity"]
}

// How long a list waits for what its token asks for, and how often it looks whether another replica has it.
const (
	tokenWait = time.Second
	tokenPoll = 100 * time.Millisecond
)

// await admits the caller and waits until the list includes what is asked for, or long enough.
func (s *Service) await(ctx context.Context, key id.Organization, asked outbox.Positions) (seen, org.Actor, error) {
	now, actor, err := s.look(ctx, key)
	if err != nil || now.has(asked) {
		return now, actor, err
	}
	arrived, stop := s.arrivals.wait(key)
	defer stop()
	deadline := time.After(tokenWait)
	for {
		if now, actor, err = s.look(ctx, key); err != nil || now.has(asked) {
			return now, actor, err
		}
		select {
		case <-ctx.Done():
			return now, actor, ctx.Err()
		case <-deadline:
			return now, actor, nil
		case <-arrived:
		case <-time.After(tokenPoll):
		}
	}
}

// look admits the caller and reads how far the list has come.
func (s *Service) look(ctx context.Context, key id.Organization) (seen, org.Actor, error) {
	me := caller.From(ctx).Account
	now := seen{positions: make(outbox.Positions)}
	err := s.view(ctx, key, func(q store.Queries) (err error) {
		q.Positions(key, now.positions)
		q.Count(key, &now.counts)
		now.at, err = q.Get(ctx, key, me)
		return err
	})
	if err != nil {
		return now, org.Actor{}, err
	}
	now.positions[s.DB.Name] = now.at.Revision
	actor, err := now.at.Organization.Admit(now.at.Members[me])
	if err != nil {
		return now, actor, err
	}
	s.activity.note(key, me)
	return now, actor, actor.Need(org.ReadMembers)
}
