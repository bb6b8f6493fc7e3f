package membership_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// allowed is what everybody may do, as CheckAccess says: the accounts in order, by permission.
func (o organization) allowed(accounts []id.Account) map[string][]string {
	o.Helper()
	by := make(map[string][]string)
	for _, account := range slices.SortedFunc(slices.Values(accounts), func(a, b id.Account) int { return slices.Compare(a[:], b[:]) }) {
		ask := &membershipv1.BatchCheckAccessRequest{OrganizationId: o.id.String()}
		for _, p := range org.Catalogue() {
			ask.Questions = append(ask.Questions, &membershipv1.BatchCheckAccessRequest_Question{AccountId: account.String(), Permission: p.Name})
		}
		answer, err := o.asked.BatchCheckAccess(o.Context(), ask)
		require.NoError(o, err)
		for i, a := range answer.GetAnswers() {
			if a.GetAllowed() {
				by[ask.Questions[i].GetPermission()] = append(by[ask.Questions[i].GetPermission()], account.String())
			}
		}
	}
	return by
}

// without are the accounts that the other list lacks.
func without(accounts, others []string) (rest []string) {
	for _, account := range accounts {
		if !slices.Contains(others, account) {
			rest = append(rest, account)
		}
	}
	return rest
}

// make makes a change that somebody has thought of.
func (o organization) make(by id.Account, what *membershipv1.WhatIfRequest) (err error) {
	ctx, key := o.as(by), o.id.String()
	switch what.GetChange() {
	case membershipv1.WhatIfRequest_CHANGE_MEMBER_ROLE:
		_, err = o.members.ChangeMemberRole(ctx, &membershipv1.ChangeMemberRoleRequest{OrganizationId: key, AccountId: what.GetAccountId(), Role: what.GetRole()})
	case membershipv1.WhatIfRequest_CHANGE_DISABLE:
		_, err = o.members.DisableMember(ctx, &membershipv1.DisableMemberRequest{OrganizationId: key, AccountId: what.GetAccountId()})
	case membershipv1.WhatIfRequest_CHANGE_REMOVE:
		_, err = o.members.RemoveMember(ctx, &membershipv1.RemoveMemberRequest{OrganizationId: key, AccountId: what.GetAccountId()})
	case membershipv1.WhatIfRequest_CHANGE_JOIN_GROUP:
		_, err = o.groups.AddGroupMember(ctx, &membershipv1.AddGroupMemberRequest{OrganizationId: key, GroupId: what.GetGroupId(), AccountId: what.GetAccountId()})
	case membershipv1.WhatIfRequest_CHANGE_LEAVE_GROUP:
		_, err = o.groups.RemoveGroupMember(ctx, &membershipv1.RemoveGroupMemberRequest{OrganizationId: key, GroupId: what.GetGroupId(), AccountId: what.GetAccountId()})
	case membershipv1.WhatIfRequest_CHANGE_ROLE_PERMISSIONS:
		_, err = o.roles.UpdateRole(ctx, &membershipv1.UpdateRoleRequest{OrganizationId: key, RoleId: what.GetRoleId(), Permissions: what.GetPermissions()})
	case membershipv1.WhatIfRequest_CHANGE_BIND_ROLE:
		_, err = o.groups.BindGroupRole(ctx, &membershipv1.BindGroupRoleRequest{OrganizationId: key, GroupId: what.GetGroupId(), Role: what.GetRole()})
	case membershipv1.WhatIfRequest_CHANGE_UNBIND_ROLE:
		_, err = o.groups.UnbindGroupRole(ctx, &membershipv1.UnbindGroupRoleRequest{OrganizationId: key, GroupId: what.GetGroupId(), Role: what.GetRole()})
	}
	return err
}

func TestWhatIf(t *testing.T) {
	t.Parallel()

	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("S0-34 What is said of a change is what the change does, or how it is refused (%d)", seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 13))
			o := newHarness(t).create(pipeline)
			accounts, _ := o.scatter(random)
			o.policy(`{"custom_roles": true}`)
			own := o.role(o.creator, "Helper", "org.read", "members.read")
			_, err := o.owner().Exec(t.Context(), `
				UPDATE members m SET role_id = r.role_id FROM roles r, roles was
				WHERE m.organization_id = $1 AND r.organization_id = $1 AND r.key = 'helper'
				  AND was.role_id = m.role_id AND was.organization_id = $1 AND was.key = 'viewer'`, o.id)
			require.NoError(t, err)
			listed, _ := o.groups.ListGroups(o.as(o.creator), &membershipv1.ListGroupsRequest{OrganizationId: o.id.String()})
			done, refusals := 0, 0
			for range 60 {
				what := &membershipv1.WhatIfRequest{
					OrganizationId: o.id.String(), Change: membershipv1.WhatIfRequest_Change(1 + random.IntN(8)),
					AccountId: accounts[random.IntN(len(accounts))].String(), Role: []string{"admin", "developer", "viewer", "helper"}[random.IntN(4)],
					RoleId: own.GetId(),
				}
				if groups := listed.GetGroups(); len(groups) > 0 { // the policy may have no use for them
					what.GroupId = groups[random.IntN(len(groups))].GetId()
				}
				for _, p := range org.Catalogue() {
					if !p.Reserved && random.IntN(6) == 0 {
						what.Permissions = append(what.Permissions, p.Name)
					}
				}
				by := accounts[random.IntN(2)*random.IntN(len(accounts))]
				said, err := o.access.WhatIf(o.as(by), what)
				if err != nil { // who asks may not look, or what it names is not there
					continue
				}
				before := o.allowed(accounts)
				err = o.make(by, what)
				if !said.GetAllowed() {
					require.Equal(t, said.GetRefusalReason(), fault.From(err).Name(), "%v: %v", what, err)
					require.Equal(t, said.GetRefusal(), fault.From(err).Message)
					refusals++
					continue
				}
				require.NoError(t, err, "%v", what)
				done++
				after := o.allowed(accounts)
				of := make(map[string]*membershipv1.WhatIfResponse_Effect)
				for _, e := range said.GetEffects() {
					of[e.GetPermission()] = e
				}
				for _, p := range org.Catalogue() {
					gain, lose := without(after[p.Name], before[p.Name]), without(before[p.Name], after[p.Name])
					require.Equal(t, gain, of[p.Name].GetGainers(), "%s by %v", p.Name, what)
					require.Equal(t, lose, of[p.Name].GetLosers(), "%s by %v", p.Name, what)
					require.EqualValues(t, len(gain), of[p.Name].GetGain())
					require.EqualValues(t, len(lose), of[p.Name].GetLose())
					require.Equal(t, len(gain)+len(lose) > 0, of[p.Name] != nil, "only what changes is told")
				}
			}
			require.Positive(t, done)
			require.Positive(t, refusals)
		})
	}

	t.Run("S0-34 A change that is refused is told all the same, and nothing is done", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		admin, viewer := o.add("admin"), o.add("viewer")
		said, err := o.access.WhatIf(o.as(admin), &membershipv1.WhatIfRequest{
			OrganizationId: o.id.String(), Change: membershipv1.WhatIfRequest_CHANGE_DISABLE, AccountId: admin.String()})
		require.NoError(t, err)
		require.False(t, said.GetAllowed())
		require.Equal(t, "SELF_ACTION", said.GetRefusalReason())
		require.NotEmpty(t, said.GetEffects())
		count := len(o.types())
		said, err = o.access.WhatIf(o.as(admin), &membershipv1.WhatIfRequest{
			OrganizationId: o.id.String(), Change: membershipv1.WhatIfRequest_CHANGE_MEMBER_ROLE, AccountId: viewer.String(), Role: "developer"})
		require.NoError(t, err)
		require.True(t, said.GetAllowed())
		require.Len(t, o.types(), count)
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_PERMISSION_MISSING, o.decision(viewer, "resources.write"))
	})

	t.Run("RB19 Who may not see people and groups is told nothing, and a request that lacks something says what", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		viewer := o.add("viewer")
		ask := func(by id.Account, change membershipv1.WhatIfRequest_Change, fill ...func(*membershipv1.WhatIfRequest)) error {
			req := &membershipv1.WhatIfRequest{OrganizationId: o.id.String(), Change: change}
			for _, f := range fill {
				f(req)
			}
			_, err := o.access.WhatIf(o.as(by), req)
			return err
		}
		_, err := o.owner().Exec(t.Context(), `UPDATE roles SET permissions = array_remove(permissions, 'groups.read') WHERE organization_id = $1 AND key = 'viewer'`, o.id)
		require.NoError(t, err)
		refused(t, ask(viewer, membershipv1.WhatIfRequest_CHANGE_DISABLE), errorv1.Reason_REASON_PERMISSION_MISSING)
		for change, field := range map[membershipv1.WhatIfRequest_Change]string{
			membershipv1.WhatIfRequest_CHANGE_UNSPECIFIED: "change", membershipv1.WhatIfRequest_CHANGE_DISABLE: "account_id",
			membershipv1.WhatIfRequest_CHANGE_JOIN_GROUP: "account_id", membershipv1.WhatIfRequest_CHANGE_ROLE_PERMISSIONS: "role_id",
			membershipv1.WhatIfRequest_CHANGE_BIND_ROLE: "group_id",
		} {
			require.Equal(t, field, refused(t, ask(o.creator, change), errorv1.Reason_REASON_VALIDATION_FAILED).Fields[0].Name)
		}
		refused(t, ask(o.creator, membershipv1.WhatIfRequest_CHANGE_MEMBER_ROLE, func(req *membershipv1.WhatIfRequest) {
			req.AccountId, req.Role = viewer.String(), "owner"
		}), errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
	})
}
