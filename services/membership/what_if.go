package membership

import (
	"context"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// WhatIf runs the rules that the change itself would run, on what is there now, and compares what members may do then and now.
func (s *Service) WhatIf(ctx context.Context, req *membershipv1.WhatIfRequest) (*membershipv1.WhatIfResponse, error) {
	about, err := parseChange(req)
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	var at store.Standing
	var groups org.Groups
	var inside bool
	var now time.Time
	err = s.view(ctx, about.key, func(q store.Queries) (err error) {
		at, groups, inside, err = q.GetWorld(ctx, about.key, me, about.account, about.group)
		now = q.Now()
		return err
	})
	if err != nil {
		return nil, err
	}
	actor, err := at.Organization.Admit(at.Members[me])
	if err != nil {
		return nil, err
	}
	s.activity.note(about.key, me)
	for _, permission := range []string{org.ReadMembers, org.ReadRoles, org.ReadGroups} {
		if err := actor.Need(permission); err != nil {
			return nil, err
		}
	}
	target, world := at.Members[about.account], org.World{Organization: at.Organization, Groups: groups}
	if err := about.find(req, world, target); err != nil {
		return nil, err
	}
	thought, err := propose(org.Propose{Actor: actor, World: world}, req, about, target, at.OthersFull, inside, now)
	if err != nil {
		return nil, err
	}
	var classes []org.Class
	err = s.view(ctx, about.key, func(q store.Queries) (err error) {
		classes, err = q.ListClasses(ctx, about.key, thought.Whom, thought.Accounts)
		return err
	})
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.WhatIfResponse{Allowed: thought.Refusal == nil}
	if f := fault.From(thought.Refusal); f != nil {
		answer.RefusalReason, answer.Refusal = f.Name(), f.Message
	}
	for _, e := range thought.Effects(world, classes) {
		answer.Effects = append(answer.Effects, &membershipv1.WhatIfResponse_Effect{
			Permission: e.Permission, Gain: e.Gain, Lose: e.Lose, Gainers: texts(e.Gainers), Losers: texts(e.Losers)})
	}
	return answer, nil
}

// change is what a proposed change names.
type change struct {
	key     id.Organization
	account id.Account
	group   id.Group
	role    id.Role
}

// named are the fields that each change is about.
var named = map[membershipv1.WhatIfRequest_Change][]string{
	membershipv1.WhatIfRequest_CHANGE_MEMBER_ROLE:      {"account_id", "role"},
	membershipv1.WhatIfRequest_CHANGE_DISABLE:          {"account_id"},
	membershipv1.WhatIfRequest_CHANGE_REMOVE:           {"account_id"},
	membershipv1.WhatIfRequest_CHANGE_JOIN_GROUP:       {"account_id", "group_id"},
	membershipv1.WhatIfRequest_CHANGE_LEAVE_GROUP:      {"account_id", "group_id"},
	membershipv1.WhatIfRequest_CHANGE_ROLE_PERMISSIONS: {"role_id"},
	membershipv1.WhatIfRequest_CHANGE_BIND_ROLE:        {"group_id", "role"},
	membershipv1.WhatIfRequest_CHANGE_UNBIND_ROLE:      {"group_id", "role"},
}

// parseChange reads the ids of what a proposed change names.
func parseChange(req *membershipv1.WhatIfRequest) (c change, err error) {
	if c.key, err = id.ParseOrganization(req.GetOrganizationId()); err != nil {
		return c, err
	}
	if req.GetAccountId() != "" {
		c.account, err = id.ParseAccount(req.GetAccountId())
	}
	if req.GetGroupId() != "" && err == nil {
		c.group, err = id.ParseGroup(req.GetGroupId())
	}
	if req.GetRoleId() != "" && err == nil {
		c.role, err = id.ParseRole(req.GetRoleId())
	}
	return c, err
}

// find refuses what the change names and is not there, whether the change needs it or not, and then a change that lacks something.
func (c change) find(req *membershipv1.WhatIfRequest, world org.World, target org.Member) error {
	if !c.account.IsZero() && !target.Belongs() {
		return org.ErrNoMember
	}
	if !c.group.IsZero() {
		if _, err := world.Groups.ByID(c.group); err != nil {
			return err
		}
	}
	if _, known := world.Organization.Roles.ByID(c.role); !known && !c.role.IsZero() {
		return org.ErrNoRole
	}
	fields, known := named[req.GetChange()]
	if !known {
		return fault.Invalid("change", "must be given")
	}
	given := map[string]string{"account_id": req.GetAccountId(), "role": req.GetRole(), "group_id": req.GetGroupId(), "role_id": req.GetRoleId()}
	for _, field := range fields {
		if given[field] == "" {
			return fault.Invalid(field, "must be given for this change")
		}
	}
	return nil
}

// propose thinks of the change.
func propose(p org.Propose, req *membershipv1.WhatIfRequest, about change, target org.Member, others, inside bool, now time.Time) (org.Proposal, error) {
	switch req.GetChange() {
	case membershipv1.WhatIfRequest_CHANGE_MEMBER_ROLE:
		return p.ChangeRole(target, req.GetRole(), others)
	case membershipv1.WhatIfRequest_CHANGE_DISABLE:
		return p.Disable(target, others, now), nil
	case membershipv1.WhatIfRequest_CHANGE_REMOVE:
		return p.Remove(target, others), nil
	case membershipv1.WhatIfRequest_CHANGE_JOIN_GROUP:
		return p.Join(target, about.group, inside)
	case membershipv1.WhatIfRequest_CHANGE_LEAVE_GROUP:
		return p.Leave(target, about.group, inside)
	case membershipv1.WhatIfRequest_CHANGE_ROLE_PERMISSIONS:
		return p.EditRole(about.role, req.GetPermissions())
	case membershipv1.WhatIfRequest_CHANGE_BIND_ROLE:
		return p.Bind(about.group, req.GetRole())
	default:
		return p.Unbind(about.group, req.GetRole())
	}
}
