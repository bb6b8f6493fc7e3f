package membership_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// policy changes fields of the policy, given as JSON.
func (o organization) policy(fields string) {
	o.Helper()
	_, err := o.owner().Exec(o.Context(), `UPDATE organizations SET policy = policy || $2 WHERE organization_id = $1`, o.id, fields)
	require.NoError(o, err)
}

// group makes a group.
func (o organization) group(name string, edit ...func(*membershipv1.CreateGroupRequest)) *membershipv1.Group {
	o.Helper()
	req := &membershipv1.CreateGroupRequest{OrganizationId: o.id.String(), DisplayName: name}
	for _, e := range edit {
		e(req)
	}
	answer, err := o.groups.CreateGroup(o.as(o.creator), req)
	require.NoError(o, err)
	require.NotEmpty(o, answer.GetToken())
	return answer.GetGroup()
}

func (o organization) bind(actor id.Account, group *membershipv1.Group, role string) error {
	_, err := o.groups.BindGroupRole(o.as(actor), &membershipv1.BindGroupRoleRequest{OrganizationId: o.id.String(), GroupId: group.GetId(), Role: role})
	return err
}

func (o organization) enroll(actor, target id.Account, group *membershipv1.Group) error {
	_, err := o.groups.AddGroupMember(o.as(actor), &membershipv1.AddGroupMemberRequest{
		OrganizationId: o.id.String(), GroupId: group.GetId(), AccountId: target.String()})
	return err
}

func (o organization) withdraw(actor, target id.Account, group *membershipv1.Group) error {
	_, err := o.groups.RemoveGroupMember(o.as(actor), &membershipv1.RemoveGroupMemberRequest{
		OrganizationId: o.id.String(), GroupId: group.GetId(), AccountId: target.String()})
	return err
}

func TestGroups(t *testing.T) {
	t.Parallel()
	const (
		allowed = membershipv1.CheckAccessResponse_DECISION_ALLOWED
		lacking = membershipv1.CheckAccessResponse_DECISION_PERMISSION_MISSING
		closed  = membershipv1.CheckAccessResponse_DECISION_GATE_CLOSED
	)

	t.Run("C23 What a group gives counts at once, and what its parent gives too", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		viewer := o.add("viewer")
		outer := o.group("Engineering")
		inner := o.group("Compilers", func(r *membershipv1.CreateGroupRequest) { r.ParentGroupId = outer.GetId() })
		require.NoError(t, o.enroll(o.creator, viewer, inner))
		require.Equal(t, lacking, o.decision(viewer, "resources.write"))
		require.NoError(t, o.bind(o.creator, outer, "developer"))
		require.Equal(t, allowed, o.decision(viewer, "resources.write"))
		_, err := o.groups.UnbindGroupRole(o.as(o.creator), &membershipv1.UnbindGroupRoleRequest{
			OrganizationId: o.id.String(), GroupId: outer.GetId(), Role: "developer"})
		require.NoError(t, err)
		require.Equal(t, lacking, o.decision(viewer, "resources.write"))
		require.NoError(t, o.bind(o.creator, inner, "admin"))
		require.Equal(t, allowed, o.decision(viewer, "members.remove"))
		member := o.add("viewer")
		_, err = o.remove(viewer, member)
		require.NoError(t, err, "the verbs ask the same")
		require.NoError(t, o.withdraw(o.creator, viewer, inner))
		require.Equal(t, lacking, o.decision(viewer, "members.remove"))
		require.Subset(t, o.types(), []string{"group.created", "group.member_added", "group.role_bound", "group.role_unbound", "group.member_removed"})
	})

	t.Run("S0-30 S0-31 A gate closes to those whose groups do not open it", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		member := o.add("developer")
		require.Equal(t, allowed, o.decision(member, "products.use"))
		o.policy(`{"gated_permissions": ["products.use"]}`)
		require.Equal(t, closed, o.decision(member, "products.use"))
		users := o.group("Users", func(r *membershipv1.CreateGroupRequest) { r.Opens = []string{"products.use"} })
		require.NoError(t, o.enroll(o.creator, o.creator, users))
		require.NoError(t, o.enroll(o.creator, member, users))
		require.Equal(t, allowed, o.decision(member, "products.use"))
		shown, err := o.organizations.GetOrganization(o.as(member), &membershipv1.GetOrganizationRequest{OrganizationId: o.id.String()})
		require.NoError(t, err)
		require.Contains(t, shown.GetOrganization().GetMyPermissions(), "products.use")
		require.NoError(t, o.withdraw(o.creator, member, users))
		require.Equal(t, closed, o.decision(member, "products.use"))
		o.policy(`{"groups": false}`)
		require.Equal(t, allowed, o.decision(member, "products.use"))
	})

	t.Run("RB23 Who comes back is in no group", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		member := o.add("viewer")
		group := o.group("Engineering")
		require.NoError(t, o.bind(o.creator, group, "developer"))
		require.NoError(t, o.enroll(o.creator, member, group))
		_, err := o.remove(o.creator, member)
		require.NoError(t, err)
		require.NoError(t, o.addAs(member, id.NewSeat(), "viewer"))
		require.Equal(t, lacking, o.decision(member, "resources.write"))
		require.NoError(t, o.enroll(o.creator, member, group))
		require.Equal(t, allowed, o.decision(member, "resources.write"))
	})

	t.Run("Names are unique whatever their case, and changes name the etag they were made on", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		first := o.group("Engineering", func(r *membershipv1.CreateGroupRequest) {
			r.Description, r.Opens = "Makes things", []string{"products.use"}
		})
		_, err := o.groups.CreateGroup(o.as(o.creator), &membershipv1.CreateGroupRequest{OrganizationId: o.id.String(), DisplayName: "ENGINEERING "})
		refused(t, err, errorv1.Reason_REASON_NAME_TAKEN)
		update := func(req *membershipv1.UpdateGroupRequest) (*membershipv1.Group, error) {
			req.OrganizationId, req.GroupId = o.id.String(), first.GetId()
			answer, err := o.groups.UpdateGroup(o.as(o.creator), req)
			return answer.GetGroup(), err
		}
		renamed, err := update(&membershipv1.UpdateGroupRequest{DisplayName: "Builders", Etag: first.GetEtag()})
		require.NoError(t, err)
		require.Equal(t, "Builders", renamed.GetDisplayName())
		require.Equal(t, "Makes things", renamed.GetDescription())
		require.Equal(t, []string{"products.use"}, renamed.GetOpens())
		_, err = update(&membershipv1.UpdateGroupRequest{DisplayName: "Makers", Etag: first.GetEtag()})
		refused(t, err, errorv1.Reason_REASON_ETAG_MISMATCH)
		emptied, err := update(&membershipv1.UpdateGroupRequest{UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description", "opens"}}})
		require.NoError(t, err)
		require.Empty(t, emptied.GetDescription())
		require.Empty(t, emptied.GetOpens())
		_, err = update(&membershipv1.UpdateGroupRequest{UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"bindings"}}})
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		read, err := o.groups.GetGroup(o.as(o.creator), &membershipv1.GetGroupRequest{OrganizationId: o.id.String(), GroupId: first.GetId()})
		require.NoError(t, err)
		require.Equal(t, emptied.GetEtag(), read.GetGroup().GetEtag())
		require.Equal(t, "Builders", read.GetGroup().GetDisplayName())
	})

	t.Run("Who is in a group is listed in pages, and a group that is deleted gives nothing", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		group := o.group("Engineering")
		require.NoError(t, o.bind(o.creator, group, "developer"))
		reader := o.add("viewer")
		var in []string
		var last id.Account
		for range 5 {
			last = o.add("viewer")
			require.NoError(t, o.enroll(o.creator, last, group))
			in = append(in, last.String())
		}
		refused(t, o.enroll(o.creator, last, group), errorv1.Reason_REASON_ALREADY_MEMBER)
		var listed []string
		req := &membershipv1.ListGroupMembersRequest{OrganizationId: o.id.String(), GroupId: group.GetId(), PageSize: 2}
		for pages := 1; ; pages++ {
			answer, err := o.groups.ListGroupMembers(o.as(reader), req)
			require.NoError(t, err)
			for _, m := range answer.GetMembers() {
				require.Empty(t, m.GetEmail(), "a viewer sees no addresses")
				listed = append(listed, m.GetAccountId())
			}
			if req.PageToken = answer.GetNextPageToken(); req.PageToken == "" {
				require.Equal(t, 3, pages)
				break
			}
		}
		require.ElementsMatch(t, in, listed)
		_, err := o.groups.DeleteGroup(o.as(o.creator), &membershipv1.DeleteGroupRequest{OrganizationId: o.id.String(), GroupId: group.GetId()})
		require.NoError(t, err)
		require.Equal(t, lacking, o.decision(last, "resources.write"))
		all, err := o.groups.ListGroups(o.as(last), &membershipv1.ListGroupsRequest{OrganizationId: o.id.String()})
		require.NoError(t, err)
		require.Empty(t, all.GetGroups())
		refused(t, o.withdraw(o.creator, last, group), errorv1.Reason_REASON_GROUP_NOT_FOUND)
	})

	t.Run("R77 Foreign groups and members are nobody's, and nothing is heard of it", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		mine, theirs := h.create(pipeline), h.create(pipeline)
		group, foreign := mine.group("Ours"), theirs.group("Theirs")
		member, stranger := mine.add("viewer"), theirs.add("viewer")
		before, after := mine.types(), theirs.types()
		refused(t, mine.enroll(mine.creator, member, foreign), errorv1.Reason_REASON_GROUP_NOT_FOUND)
		refused(t, mine.enroll(mine.creator, stranger, group), errorv1.Reason_REASON_MEMBER_NOT_FOUND)
		refused(t, mine.bind(mine.creator, foreign, "viewer"), errorv1.Reason_REASON_GROUP_NOT_FOUND)
		_, err := mine.groups.BindGroupRole(mine.as(mine.creator), &membershipv1.BindGroupRoleRequest{
			OrganizationId: mine.id.String(), GroupId: group.GetId(), Role: "viewer", ProjectId: id.NewProject().String()})
		refused(t, err, errorv1.Reason_REASON_PROJECT_NOT_FOUND)
		_, err = mine.groups.UpdateGroup(mine.as(mine.creator), &membershipv1.UpdateGroupRequest{
			OrganizationId: mine.id.String(), GroupId: group.GetId(), ParentGroupId: foreign.GetId()})
		refused(t, err, errorv1.Reason_REASON_GROUP_NOT_FOUND)
		_, err = mine.groups.ListGroups(mine.as(stranger), &membershipv1.ListGroupsRequest{OrganizationId: mine.id.String()})
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		require.Equal(t, before, mine.types())
		require.Equal(t, after, theirs.types())
	})

	t.Run("RB17 Who loses the right while acting does not act", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		admin, target := o.add("viewer"), o.add("viewer")
		power := o.group("Power")
		require.NoError(t, o.bind(o.creator, power, "admin"))
		require.NoError(t, o.enroll(o.creator, admin, power))
		ctx, cancel := context.WithCancel(o.Context())
		defer cancel()
		var acting sync.WaitGroup
		acting.Go(func() {
			for roles := []string{"developer", "viewer"}; ctx.Err() == nil; roles[0], roles[1] = roles[1], roles[0] {
				_ = o.changeRole(admin, target, roles[0])
			}
		})
		require.NoError(t, o.withdraw(o.creator, admin, power))
		from := len(o.types())
		refused(t, o.changeRole(admin, target, "developer"), errorv1.Reason_REASON_PERMISSION_MISSING)
		cancel()
		acting.Wait()
		require.Len(t, o.types(), from, "nothing happened after the withdrawal")
	})

	t.Run("RB25 Two changes of one group meet, and one is told", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		group := o.group("Engineering")
		results := make(chan error, 8)
		for i := range cap(results) {
			go func() {
				_, err := o.groups.UpdateGroup(o.as(o.creator), &membershipv1.UpdateGroupRequest{
					OrganizationId: o.id.String(), GroupId: group.GetId(), DisplayName: fmt.Sprint("Engineering ", i), Etag: group.GetEtag()})
				results <- err
			}()
		}
		won := 0
		for range cap(results) {
			if err := <-results; err == nil {
				won++
			} else {
				refused(t, err, errorv1.Reason_REASON_ETAG_MISMATCH)
			}
		}
		require.Equal(t, 1, won)
	})
}
