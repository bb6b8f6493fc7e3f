package membership_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// project makes a project.
func (o organization) project(name string) *membershipv1.Project {
	o.Helper()
	answer, err := o.projects.CreateProject(o.as(o.creator), &membershipv1.CreateProjectRequest{OrganizationId: o.id.String(), DisplayName: name})
	require.NoError(o, err)
	require.NotEmpty(o, answer.GetToken())
	return answer.GetProject()
}

func (o organization) engage(actor, target id.Account, project *membershipv1.Project, role string) error {
	_, err := o.projects.AddProjectMember(o.as(actor), &membershipv1.AddProjectMemberRequest{
		OrganizationId: o.id.String(), ProjectId: project.GetId(), AccountId: target.String(), Role: role})
	return err
}

func (o organization) disengage(actor, target id.Account, project *membershipv1.Project) error {
	_, err := o.projects.RemoveProjectMember(o.as(actor), &membershipv1.RemoveProjectMemberRequest{
		OrganizationId: o.id.String(), ProjectId: project.GetId(), AccountId: target.String()})
	return err
}

// in tells what decides whether somebody may do something in a project.
func (o organization) in(project *membershipv1.Project, account id.Account, permission string) membershipv1.CheckAccessResponse_Decision {
	o.Helper()
	answer, err := o.asked.CheckAccess(o.Context(), &membershipv1.CheckAccessRequest{
		OrganizationId: o.id.String(), AccountId: account.String(), Permission: permission, ProjectId: project.GetId()})
	require.NoError(o, err)
	return answer.GetDecision()
}

func TestProjects(t *testing.T) {
	t.Parallel()
	const (
		allowed  = membershipv1.CheckAccessResponse_DECISION_ALLOWED
		outsider = membershipv1.CheckAccessResponse_DECISION_NOT_A_MEMBER
		disabled = membershipv1.CheckAccessResponse_DECISION_MEMBER_DISABLED
		lacking  = membershipv1.CheckAccessResponse_DECISION_PERMISSION_MISSING
	)
	// pipelined is an organization with roles of different power, and projects.
	pipelined := func(t *testing.T) organization {
		o := newHarness(t).create(pipeline)
		o.policy(`{"projects": true, "project_guests": true}`)
		return o
	}

	t.Run("S3-21 A role in a project counts there only, for members and for groups", func(t *testing.T) {
		t.Parallel()
		o := pipelined(t)
		viewer, grouped := o.add("viewer"), o.add("viewer")
		here, there := o.project("Apollo"), o.project("Gemini")
		require.NoError(t, o.engage(o.creator, viewer, here, "developer"))
		group := o.group("Engineering")
		require.NoError(t, o.enroll(o.creator, grouped, group))
		_, err := o.groups.BindGroupRole(o.as(o.creator), &membershipv1.BindGroupRoleRequest{
			OrganizationId: o.id.String(), GroupId: group.GetId(), Role: "developer", ProjectId: here.GetId()})
		require.NoError(t, err)
		for _, who := range []id.Account{viewer, grouped} {
			require.Equal(t, allowed, o.in(here, who, "resources.write"))
			require.Equal(t, lacking, o.in(there, who, "resources.write"))
			require.Equal(t, lacking, o.decision(who, "resources.write"))
			require.Equal(t, allowed, o.in(there, who, "resources.read"), "S3-02 the role counts in all projects")
		}
		refused(t, o.engage(o.creator, viewer, here, "viewer"), errorv1.Reason_REASON_ALREADY_MEMBER)
		require.NoError(t, o.disengage(o.creator, viewer, here))
		require.Equal(t, lacking, o.in(here, viewer, "resources.write"))
		refused(t, o.disengage(o.creator, viewer, here), errorv1.Reason_REASON_MEMBER_NOT_FOUND)
	})

	t.Run("S3-20 Removal leaves direct memberships, on which nobody sits and who is in no list", func(t *testing.T) {
		t.Parallel()
		o := pipelined(t)
		member := o.add("developer")
		here, there := o.project("Apollo"), o.project("Gemini")
		require.NoError(t, o.engage(o.creator, member, here, "developer"))
		_, err := o.remove(o.creator, member)
		require.NoError(t, err)
		require.Equal(t, allowed, o.in(here, member, "resources.write"))
		require.Equal(t, lacking, o.in(here, member, "members.remove"))
		require.Equal(t, outsider, o.in(there, member, "resources.read"))
		require.Equal(t, outsider, o.decision(member, "resources.read"))
		require.Len(t, o.list(o.creator, nil).GetPeople(), 1)
		own, err := o.access.CheckAccess(o.as(member), &membershipv1.CheckAccessRequest{
			OrganizationId: o.id.String(), Permission: "resources.write", ProjectId: here.GetId()})
		require.NoError(t, err)
		require.True(t, own.GetAllowed())
		_, err = o.projects.ListProjects(o.as(member), &membershipv1.ListProjectsRequest{OrganizationId: o.id.String()})
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		listed, err := o.projects.ListProjectMembers(o.as(o.creator), &membershipv1.ListProjectMembersRequest{OrganizationId: o.id.String(), ProjectId: here.GetId()})
		require.NoError(t, err)
		require.Len(t, listed.GetMembers(), 1)
		require.True(t, listed.GetMembers()[0].GetGuest())
		require.Equal(t, "Ada Lovelace", listed.GetMembers()[0].GetDisplayName())
		o.accounts.err = errDown
		listed, err = o.projects.ListProjectMembers(o.as(o.creator), &membershipv1.ListProjectMembersRequest{OrganizationId: o.id.String(), ProjectId: here.GetId()})
		require.NoError(t, err, "the list does without their name")
		require.Empty(t, listed.GetMembers()[0].GetDisplayName())
		o.accounts.err = nil

		would := func(guests bool) (said []string) {
			answer, err := o.organizations.PreviewPolicy(o.as(o.creator), &membershipv1.PreviewPolicyRequest{
				OrganizationId: o.id.String(), Policy: &membershipv1.OrganizationPolicy{ProjectGuests: guests},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"project_guests"}}})
			require.NoError(t, err)
			for _, effect := range answer.GetEffects() {
				said = append(said, effect.GetSubject()+" "+effect.GetDescription())
			}
			return said
		}
		require.Equal(t, []string{"policy.project_guests 1 guest of projects loses access"}, would(false))
		require.Empty(t, would(true))
		o.policy(`{"project_guests": false}`)
		require.Equal(t, []string{"policy.project_guests 1 person who was removed has access to projects again"}, would(true))
		require.Equal(t, outsider, o.in(here, member, "resources.write"))
		require.NoError(t, o.addAs(member, id.NewSeat(), "viewer"))
		o.policy(`{"project_guests": true}`)
		require.Equal(t, lacking, o.in(here, member, "resources.write"), "RB23 what was dead when they came back stays dead")
		require.NoError(t, o.engage(o.creator, member, here, "developer"))
		_, err = o.remove(o.creator, member)
		require.NoError(t, err)
		require.NoError(t, o.disengage(o.creator, member, here))
		require.Equal(t, outsider, o.in(here, member, "resources.write"))
	})

	t.Run("S3-17 S3-19 Removal ends direct memberships too if asked to, and the mail names them", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(flat)
		member := o.add("member")
		here := o.project("Apollo")
		require.NoError(t, o.engage(o.creator, member, here, "member"))
		_, err := o.members.RemoveMember(o.as(o.creator), &membershipv1.RemoveMemberRequest{
			OrganizationId: o.id.String(), AccountId: member.String(), RemoveProjectMemberships: true})
		require.NoError(t, err)
		require.Equal(t, outsider, o.in(here, member, "resources.read"))
		o.sweep()
		require.Len(t, o.mails.sent, 1)
		require.Contains(t, o.mails.sent[0].Text, "Apollo")
		log := o.history()
		require.Contains(t, log[len(log)-1].Data, here.GetId())
	})

	t.Run("S3-20 Removal gives nobody access: who was disabled stays nowhere", func(t *testing.T) {
		t.Parallel()
		o := pipelined(t)
		member := o.add("developer")
		here := o.project("Apollo")
		require.NoError(t, o.engage(o.creator, member, here, "developer"))
		_, err := o.disable(o.creator, member)
		require.NoError(t, err)
		require.Equal(t, disabled, o.in(here, member, "resources.write"))
		_, err = o.remove(o.creator, member)
		require.NoError(t, err)
		require.Equal(t, outsider, o.in(here, member, "resources.write"))
	})

	t.Run("RB2 A role in a project is given by who holds there what it allows, and never to oneself", func(t *testing.T) {
		t.Parallel()
		o := pipelined(t)
		admin, lead, viewer := o.add("admin"), o.add("viewer"), o.add("viewer")
		here, there := o.project("Apollo"), o.project("Gemini")
		refused(t, o.engage(admin, admin, here, "developer"), errorv1.Reason_REASON_SELF_ACTION)
		refused(t, o.engage(admin, o.creator, here, "developer"), errorv1.Reason_REASON_OWNER_PROTECTED)
		refused(t, o.engage(admin, viewer, here, "owner"), errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		refused(t, o.engage(lead, viewer, here, "viewer"), errorv1.Reason_REASON_PERMISSION_MISSING)
		require.NoError(t, o.engage(admin, lead, here, "admin"))
		require.NoError(t, o.engage(lead, viewer, here, "developer"), "an admin of the project")
		refused(t, o.engage(lead, viewer, there, "developer"), errorv1.Reason_REASON_PERMISSION_MISSING)
		refused(t, o.changeRole(lead, viewer, "developer"), errorv1.Reason_REASON_PERMISSION_MISSING)
		refused(t, o.disengage(lead, lead, here), errorv1.Reason_REASON_SELF_ACTION)
		refused(t, o.changeRole(o.add("admin"), o.creator, "viewer"), errorv1.Reason_REASON_OWNER_PROTECTED)
	})

	t.Run("R77 Foreign projects are nowhere", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		mine, theirs := h.create(flat), h.create(flat)
		foreign, member := theirs.project("Theirs"), mine.add("member")
		refused(t, mine.engage(mine.creator, member, foreign, "member"), errorv1.Reason_REASON_PROJECT_NOT_FOUND)
		refused(t, mine.disengage(mine.creator, member, foreign), errorv1.Reason_REASON_PROJECT_NOT_FOUND)
		_, err := mine.access.CheckAccess(mine.as(member), &membershipv1.CheckAccessRequest{
			OrganizationId: mine.id.String(), Permission: "org.read", ProjectId: foreign.GetId()})
		refused(t, err, errorv1.Reason_REASON_PROJECT_NOT_FOUND)
		answer, err := mine.access.CheckAccess(mine.as(member), &membershipv1.CheckAccessRequest{
			OrganizationId: theirs.id.String(), Permission: "org.read", ProjectId: foreign.GetId()})
		require.NoError(t, err)
		require.Equal(t, outsider, answer.GetDecision())
		require.Zero(t, answer.GetRevision())
	})

	t.Run("Projects are changed and listed like everything else", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(flat)
		first := o.project("Apollo")
		_, err := o.projects.CreateProject(o.as(o.creator), &membershipv1.CreateProjectRequest{OrganizationId: o.id.String(), DisplayName: "APOLLO"})
		refused(t, err, errorv1.Reason_REASON_NAME_TAKEN)
		renamed, err := o.projects.UpdateProject(o.as(o.creator), &membershipv1.UpdateProjectRequest{
			OrganizationId: o.id.String(), ProjectId: first.GetId(), DisplayName: "Artemis", Description: "To the moon", Etag: first.GetEtag()})
		require.NoError(t, err)
		_, err = o.projects.UpdateProject(o.as(o.creator), &membershipv1.UpdateProjectRequest{
			OrganizationId: o.id.String(), ProjectId: first.GetId(), DisplayName: "Ares", Etag: first.GetEtag()})
		refused(t, err, errorv1.Reason_REASON_ETAG_MISMATCH)
		read, err := o.projects.GetProject(o.as(o.creator), &membershipv1.GetProjectRequest{OrganizationId: o.id.String(), ProjectId: first.GetId()})
		require.NoError(t, err)
		require.Equal(t, renamed.GetProject().String(), read.GetProject().String())
		want := []string{"Artemis"}
		for i := range 4 {
			name := fmt.Sprint("Project ", i)
			o.project(name)
			want = append(want, name)
		}
		var names []string
		req := &membershipv1.ListProjectsRequest{OrganizationId: o.id.String(), PageSize: 2}
		for {
			answer, err := o.projects.ListProjects(o.as(o.creator), req)
			require.NoError(t, err)
			for _, p := range answer.GetProjects() {
				names = append(names, p.GetDisplayName())
			}
			if req.PageToken = answer.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		require.Equal(t, want, names)
		_, err = o.projects.DeleteProject(o.as(o.creator), &membershipv1.DeleteProjectRequest{OrganizationId: o.id.String(), ProjectId: first.GetId()})
		require.NoError(t, err)
		_, err = o.projects.GetProject(o.as(o.creator), &membershipv1.GetProjectRequest{OrganizationId: o.id.String(), ProjectId: first.GetId()})
		refused(t, err, errorv1.Reason_REASON_PROJECT_NOT_FOUND)
		none := newHarness(t).create(portal)
		_, err = none.projects.ListProjects(none.as(none.creator), &membershipv1.ListProjectsRequest{OrganizationId: none.id.String()})
		refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
	})
}
