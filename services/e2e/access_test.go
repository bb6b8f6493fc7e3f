package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (o *organization) explain(t *testing.T, by, who *person, permission string) *membershipv1.ExplainAccessResponse {
	t.Helper()
	answer, err := by.ExplainAccess(t.Context(), &membershipv1.ExplainAccessRequest{OrganizationId: o.ID, AccountId: who.ID, Permission: permission})
	require.NoError(t, err)
	require.Equal(t, o.decides(t, who, permission), answer.GetDecision(), "it decides as CheckAccess does")
	return answer
}

// TestAccess holds the questions about access.
func TestAccess(t *testing.T) {
	t.Parallel()

	scenario(t, "S0-34 whoever lost access through a group is told which group gives it", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		member := org.join(t, "viewer")
		outer := org.group(t, "Engineering")
		made, err := org.owner.CreateGroup(t.Context(), &membershipv1.CreateGroupRequest{
			OrganizationId: org.ID, DisplayName: "Compilers", ParentGroupId: outer.GetId()})
		require.NoError(t, err)
		inner := made.GetGroup()
		users := org.group(t, "Users", "resources.read")
		org.bind(t, outer, "developer")

		org.enroll(t, inner, member)
		given := org.explain(t, member, member, "resources.write")
		require.True(t, given.GetAllowed())
		require.Equal(t, membershipv1.ExplainAccessResponse_Line_SOURCE_GROUP, given.GetLine().GetSource())
		require.Equal(t, outer.GetId(), given.GetLine().GetGroupId())
		require.Equal(t, "Engineering", given.GetLine().GetDisplayName())
		require.Equal(t, "developer", given.GetLine().GetRole())
		require.Empty(t, given.GetRoles())

		org.withdraw(t, inner, member)
		lost := org.explain(t, org.owner, member, "resources.write")
		require.False(t, lost.GetAllowed())
		require.Nil(t, lost.GetLine())
		require.Equal(t, []string{"admin", "developer"}, lost.GetRoles())
		require.ElementsMatch(t, []string{outer.GetId(), inner.GetId()}, []string{lost.GetGroups()[0].GetGroupId(), lost.GetGroups()[1].GetGroupId()})

		org.amend(t, `{"gated_permissions": ["resources.read"]}`)
		gated := org.explain(t, org.owner, member, "resources.read")
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_GATE_CLOSED, gated.GetDecision())
		require.Equal(t, membershipv1.ExplainAccessResponse_Line_SOURCE_ROLE, gated.GetLine().GetSource())
		require.Empty(t, gated.GetRoles(), "no role opens a gate")
		require.Len(t, gated.GetGroups(), 1)
		require.Equal(t, users.GetId(), gated.GetGroups()[0].GetGroupId())
		org.enroll(t, users, member)
		require.True(t, org.explain(t, org.owner, member, "resources.read").GetAllowed(), "what it said")
	})

	scenario(t, "RB24 one call answers what a console has to know before it shows anything", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		admin, viewer := org.join(t, "admin"), org.join(t, "viewer")
		stranger := signUp(t, over)
		ask := func(by *person, questions ...*membershipv1.BatchCheckAccessRequest_Question) (*membershipv1.BatchCheckAccessResponse, error) {
			return by.BatchCheckAccess(t.Context(), &membershipv1.BatchCheckAccessRequest{OrganizationId: org.ID, Questions: questions})
		}
		about := func(who *person, permission string) *membershipv1.BatchCheckAccessRequest_Question {
			return &membershipv1.BatchCheckAccessRequest_Question{AccountId: who.ID, Permission: permission}
		}
		answer, err := ask(viewer, about(viewer, "members.read"), about(viewer, "members.remove"), about(admin, "members.remove"), about(stranger, "org.read"))
		require.NoError(t, err)
		var decisions []membershipv1.CheckAccessResponse_Decision
		for _, a := range answer.GetAnswers() {
			require.Equal(t, a.GetDecision() == membershipv1.CheckAccessResponse_DECISION_ALLOWED, a.GetAllowed())
			decisions = append(decisions, a.GetDecision())
		}
		require.Equal(t, []membershipv1.CheckAccessResponse_Decision{
			membershipv1.CheckAccessResponse_DECISION_ALLOWED, membershipv1.CheckAccessResponse_DECISION_PERMISSION_MISSING,
			membershipv1.CheckAccessResponse_DECISION_ALLOWED, membershipv1.CheckAccessResponse_DECISION_NOT_A_MEMBER}, decisions)
		require.Positive(t, answer.GetRevision())

		own, err := ask(stranger, about(stranger, "org.read"))
		require.NoError(t, err)
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_NOT_A_MEMBER, own.GetAnswers()[0].GetDecision())
		require.Zero(t, own.GetRevision(), "an outsider learns nothing")
		_, err = ask(stranger, about(stranger, "org.read"), about(admin, "org.read"))
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		_, err = stranger.ExplainAccess(t.Context(), &membershipv1.ExplainAccessRequest{OrganizationId: org.ID, AccountId: admin.ID, Permission: "org.read"})
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		_, err = ask(viewer, about(viewer, "members.read"), about(viewer, "members.fly"))
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		many := make([]*membershipv1.BatchCheckAccessRequest_Question, 1000)
		for i := range many {
			many[i] = about(viewer, "members.read")
		}
		all, err := ask(viewer, many...)
		require.NoError(t, err)
		require.Len(t, all.GetAnswers(), 1000)
		_, err = ask(viewer, append(many, about(viewer, "members.read"))...)
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
	})

	scenario(t, "RB24 S0-34 everybody lists what they may do with what gives it, and who may do a thing is listed the same way", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		admin, viewer := org.join(t, "admin"), org.join(t, "viewer")
		group := org.group(t, "Engineering")
		org.bind(t, group, "developer")
		held := func(by *person) map[string][]*membershipv1.ExplainAccessResponse_Line {
			answer, err := by.ListMyPermissions(t.Context(), &membershipv1.ListMyPermissionsRequest{OrganizationId: org.ID})
			require.NoError(t, err)
			lines := make(map[string][]*membershipv1.ExplainAccessResponse_Line)
			for _, held := range answer.GetPermissions() {
				lines[held.GetPermission()] = held.GetLines()
			}
			return lines
		}
		who := func(by *person, permission string) (accounts []string) {
			for token := ""; ; {
				answer, err := by.ListAccessible(t.Context(), &membershipv1.ListAccessibleRequest{
					OrganizationId: org.ID, Permission: permission, PageSize: 1, PageToken: token})
				require.NoError(t, err)
				for _, holder := range answer.GetHolders() {
					require.NotEmpty(t, holder.GetDisplayName())
					require.NotEmpty(t, holder.GetLines())
					accounts = append(accounts, holder.GetAccountId())
				}
				if token = answer.GetNextPageToken(); token == "" {
					return accounts
				}
			}
		}
		require.NotContains(t, held(viewer), "resources.write")
		require.ElementsMatch(t, []string{org.owner.ID, admin.ID}, who(viewer, "resources.write"))
		org.enroll(t, group, viewer)
		require.ElementsMatch(t, []string{org.owner.ID, admin.ID, viewer.ID}, who(viewer, "resources.write"))
		lines := held(viewer)
		require.Len(t, lines["resources.write"], 1)
		require.Equal(t, "Engineering", lines["resources.write"][0].GetDisplayName())
		require.Len(t, lines["resources.read"], 2, "the role gives it, and the group too")

		listed, err := viewer.ListOrganizations(t.Context(), &membershipv1.ListOrganizationsRequest{})
		require.NoError(t, err)
		require.Contains(t, listed.GetOrganizations()[0].GetMyPermissions(), "resources.write")

		org.disable(t, admin)
		require.ElementsMatch(t, []string{org.owner.ID, viewer.ID}, who(viewer, "resources.write"))
		_, err = admin.ListMyPermissions(t.Context(), &membershipv1.ListMyPermissionsRequest{OrganizationId: org.ID})
		refused(t, err, errorv1.Reason_REASON_MEMBER_DISABLED)
		_, err = signUp(t, over).ListAccessible(t.Context(), &membershipv1.ListAccessibleRequest{OrganizationId: org.ID, Permission: "org.read"})
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
	})

	scenario(t, "S0-34 what a change would do is known before it is made", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		admin, viewer := org.join(t, "admin"), org.join(t, "viewer")
		group := org.group(t, "Engineering")
		org.bind(t, group, "developer")
		ask := func(by *person, change membershipv1.WhatIfRequest_Change, fill func(*membershipv1.WhatIfRequest)) *membershipv1.WhatIfResponse {
			req := &membershipv1.WhatIfRequest{OrganizationId: org.ID, Change: change}
			fill(req)
			answer, err := by.WhatIf(t.Context(), req)
			require.NoError(t, err)
			return answer
		}
		gains := func(answer *membershipv1.WhatIfResponse, permission string) []string {
			for _, e := range answer.GetEffects() {
				if e.GetPermission() == permission {
					return e.GetGainers()
				}
			}
			return nil
		}
		joins := func(req *membershipv1.WhatIfRequest) { req.AccountId, req.GroupId = viewer.ID, group.GetId() }
		answer := ask(admin, membershipv1.WhatIfRequest_CHANGE_JOIN_GROUP, joins)
		require.True(t, answer.GetAllowed())
		require.Equal(t, []string{viewer.ID}, gains(answer, "resources.write"))
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_PERMISSION_MISSING, org.decides(t, viewer, "resources.write"), "nothing was done")
		answer = ask(viewer, membershipv1.WhatIfRequest_CHANGE_JOIN_GROUP, joins)
		require.False(t, answer.GetAllowed())
		require.Equal(t, "PERMISSION_MISSING", answer.GetRefusalReason())
		require.Equal(t, []string{viewer.ID}, gains(answer, "resources.write"), "it is told all the same")
		org.enroll(t, group, viewer)
		answer = ask(admin, membershipv1.WhatIfRequest_CHANGE_UNBIND_ROLE, func(req *membershipv1.WhatIfRequest) {
			req.GroupId, req.Role = group.GetId(), "developer"
		})
		require.True(t, answer.GetAllowed())
		require.Empty(t, gains(answer, "resources.write"))
		require.NotEmpty(t, answer.GetEffects())
	})
}
