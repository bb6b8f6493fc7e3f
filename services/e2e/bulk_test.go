package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/status"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// reasons are those of the results of a bulk call, by how the members are called here; empty for who was changed.
func reasons(t *testing.T, asked []*person, results []*membershipv1.MemberResult) (all []string) {
	t.Helper()
	require.Len(t, results, len(asked))
	for i, result := range results {
		require.Equal(t, asked[i].ID, result.GetAccountId(), "in the order asked")
		reason := ""
		if f := fault.From(status.FromProto(result.GetError()).Err()); f != nil {
			reason = f.Name()
		}
		require.Equal(t, reason == "", result.GetMember() != nil)
		all = append(all, reason)
	}
	return all
}

func idsOf(people []*person) (ids []string) {
	for _, p := range people {
		ids = append(ids, p.ID)
	}
	return ids
}

// TestBulk holds what is done to many members at once.
func TestBulk(t *testing.T) {
	t.Parallel()

	scenario(t, "RB3 RB6 RB7 S1-17 S1-21 an admin's selection is decided about one by one, as alone", func(t *testing.T, over string) {
		org, other := create(t, over, portal), create(t, over, portal)
		admin, peer, one, two := org.join(t, "admin"), org.join(t, "admin"), org.join(t, "member"), org.join(t, "member")
		stranger := other.join(t, "member")
		asked := []*person{org.owner, one, admin, peer, stranger, two}
		want := []string{"OWNER_PROTECTED", "", "SELF_ACTION", "PERMISSION_MISSING", "MEMBER_NOT_FOUND", ""}
		history, used := org.revision(t, "membership"), org.seats(t).GetUsed()

		said, err := admin.BulkDisableMembers(t.Context(), &membershipv1.BulkDisableMembersRequest{
			OrganizationId: org.ID, AccountIds: idsOf(asked), ValidateOnly: true})
		require.NoError(t, err)
		require.Equal(t, want, reasons(t, asked, said.GetResults()))
		require.Equal(t, membershipv1.Member_STATE_DISABLED, said.GetResults()[1].GetMember().GetState(), "as it would be")
		require.Equal(t, history, org.revision(t, "membership"), "nothing has happened")
		require.Equal(t, used, org.seats(t).GetUsed())
		require.True(t, org.can(t, one, "org.read"))

		request := &membershipv1.BulkDisableMembersRequest{OrganizationId: org.ID, AccountIds: idsOf(asked), RequestId: unique("request")}
		done, err := admin.BulkDisableMembers(t.Context(), request)
		require.NoError(t, err)
		require.Equal(t, want, reasons(t, asked, done.GetResults()))
		require.False(t, org.can(t, one, "org.read"))
		require.True(t, org.can(t, peer, "org.read"))
		require.True(t, other.can(t, stranger, "org.read"))
		require.Equal(t, 2, org.events(t, "membership", "member.disabled"))
		require.Len(t, org.people(t, org.owner, including(done.GetToken())), 5)
		eventually(t, func() bool { return org.seats(t).GetUsed() == used-2 }, "the seats are free")

		again, err := admin.BulkDisableMembers(t.Context(), request)
		require.NoError(t, err)
		require.Equal(t, want, reasons(t, asked, again.GetResults()), "a repeated request is answered as before")
		require.Equal(t, 2, org.events(t, "membership", "member.disabled"), "and does nothing")
		request.AccountIds = request.GetAccountIds()[:2]
		_, err = admin.BulkDisableMembers(t.Context(), request)
		refused(t, err, errorv1.Reason_REASON_REQUEST_ID_REUSED)

		enabled, err := admin.BulkEnableMembers(t.Context(), &membershipv1.BulkEnableMembersRequest{OrganizationId: org.ID, AccountIds: idsOf(asked)})
		require.NoError(t, err)
		require.Equal(t, want, reasons(t, asked, enabled.GetResults()))
		require.True(t, org.can(t, one, "org.read"))
		require.Equal(t, used, org.seats(t).GetUsed())

		removed, err := admin.BulkRemoveMembers(t.Context(), &membershipv1.BulkRemoveMembersRequest{OrganizationId: org.ID, AccountIds: idsOf(asked)})
		require.NoError(t, err)
		require.Equal(t, want, reasons(t, asked, removed.GetResults()))
		require.Equal(t, 2, org.events(t, "membership", "member.removed"))
	})

	scenario(t, "RB2 RB4 a role is given to many as it is given to one", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		admin, one, two := org.join(t, "admin"), org.join(t, "viewer"), org.join(t, "viewer")
		asked := []*person{one, org.owner, admin, two}
		change := func(by *person, role string, validateOnly bool) ([]string, error) {
			answer, err := by.BulkChangeMemberRole(t.Context(), &membershipv1.BulkChangeMemberRoleRequest{
				OrganizationId: org.ID, AccountIds: idsOf(asked), Role: role, ValidateOnly: validateOnly})
			if err != nil {
				return nil, err
			}
			return reasons(t, asked, answer.GetResults()), nil
		}
		for _, validateOnly := range []bool{true, false} {
			got, err := change(admin, "owner", validateOnly)
			require.NoError(t, err)
			require.Equal(t, []string{"ROLE_NOT_ASSIGNABLE", "OWNER_PROTECTED", "SELF_ACTION", "ROLE_NOT_ASSIGNABLE"}, got)
			_, err = change(one, "developer", validateOnly)
			refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
			got, err = change(admin, "developer", validateOnly)
			require.NoError(t, err)
			require.Equal(t, []string{"", "OWNER_PROTECTED", "SELF_ACTION", ""}, got)
			require.Equal(t, !validateOnly, org.can(t, one, "resources.write"))
		}
		require.Equal(t, 2, org.events(t, "membership", "member.role_changed"))
	})

	scenario(t, "T16 of many who are enabled, the first get the seats that there are", func(t *testing.T, over string) {
		org := create(t, over, portal)
		asked := []*person{org.join(t, "member"), org.join(t, "member"), org.join(t, "member")}
		_, err := org.owner.BulkDisableMembers(t.Context(), &membershipv1.BulkDisableMembersRequest{OrganizationId: org.ID, AccountIds: idsOf(asked)})
		require.NoError(t, err)
		eventually(t, func() bool { return org.seats(t).GetUsed() == 1 }, "the seats are free")
		org.limit(t, 3)
		for _, validateOnly := range []bool{true, false} {
			answer, err := org.owner.BulkEnableMembers(t.Context(), &membershipv1.BulkEnableMembersRequest{
				OrganizationId: org.ID, AccountIds: idsOf(asked), ValidateOnly: validateOnly})
			require.NoError(t, err)
			require.Equal(t, []string{"", "", "SEAT_LIMIT_REACHED"}, reasons(t, asked, answer.GetResults()))
			last := fault.From(status.FromProto(answer.GetResults()[2].GetError()).Err())
			require.Equal(t, []string{"3", "3", "0"}, []string{last.Metadata["used"], last.Metadata["total"], last.Metadata["available"]})
		}
		require.EqualValues(t, 3, org.seats(t).GetUsed())
	})

	scenario(t, "RB17 RB21 two who disable everybody else at once leave one, who can do everything", func(t *testing.T, over string) {
		org := create(t, over, flat)
		everybody := []*person{org.owner, org.join(t, "member"), org.join(t, "member"), org.join(t, "member")}
		for _, err := range atOnce(2, func(i int) error {
			var targets []*person
			for j, p := range everybody {
				if j != i {
					targets = append(targets, p)
				}
			}
			_, err := everybody[i].BulkDisableMembers(t.Context(), &membershipv1.BulkDisableMembersRequest{OrganizationId: org.ID, AccountIds: idsOf(targets)})
			return err
		}) {
			if err != nil { // the other was faster from the beginning
				refused(t, err, errorv1.Reason_REASON_MEMBER_DISABLED)
			}
		}
		left := 0
		for _, p := range everybody {
			if _, err := p.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID}); err == nil {
				left++
			}
		}
		require.Equal(t, 1, left)
		require.Equal(t, 3, org.events(t, "membership", "member.disabled"))
	})

	scenario(t, "RB17 two who demote all admins at once: who was demoted demotes nobody more", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		var admins []*person
		for range 4 {
			admins = append(admins, org.join(t, "admin"))
		}
		for _, err := range atOnce(2, func(i int) error {
			_, err := admins[i].BulkChangeMemberRole(t.Context(), &membershipv1.BulkChangeMemberRoleRequest{
				OrganizationId: org.ID, AccountIds: idsOf(admins), Role: "viewer"})
			return err
		}) {
			if err != nil { // the other was faster from the beginning
				refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
			}
		}
		left := 0
		for _, p := range admins {
			if org.can(t, p, "members.assign_role") {
				left++
			}
		}
		require.Equal(t, 1, left, "nobody demotes themselves, and one of the two is demoted first")
		require.Equal(t, 3, org.events(t, "membership", "member.role_changed"))
	})

	scenario(t, "S3-16 whole selections are well-formed, or refused as a whole", func(t *testing.T, over string) {
		org := create(t, over, flat)
		one := org.join(t, "member")
		for _, ids := range [][]string{nil, {one.ID, one.ID}, {one.ID, org.ID}, {one.ID, ""}, make([]string, 101)} {
			_, err := org.owner.BulkRemoveMembers(t.Context(), &membershipv1.BulkRemoveMembersRequest{OrganizationId: org.ID, AccountIds: ids})
			refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		}
		require.Len(t, org.people(t, org.owner), 2)
		done, err := org.owner.BulkRemoveMembers(t.Context(), &membershipv1.BulkRemoveMembersRequest{OrganizationId: org.ID, AccountIds: []string{one.ID}})
		require.NoError(t, err)
		require.Equal(t, []string{""}, reasons(t, []*person{one}, done.GetResults()))
		require.Len(t, org.people(t, org.owner), 1)
	})
}
