package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// member is the detail view of a member, as somebody sees it.
func (o *organization) member(t *testing.T, by *person, account string) *membershipv1.Member {
	t.Helper()
	got, err := by.GetMember(t.Context(), &membershipv1.GetMemberRequest{OrganizationId: o.ID, AccountId: account})
	require.NoError(t, err)
	return got.GetMember()
}

// edit changes how a member is shown: what the mask names, or what is given.
func (o *organization) edit(t *testing.T, by *person, account string, to *membershipv1.UpdateMemberRequest, mask ...string) (*membershipv1.UpdateMemberResponse, error) {
	t.Helper()
	to.OrganizationId, to.AccountId = o.ID, account
	if mask != nil {
		to.UpdateMask = &fieldmaskpb.FieldMask{Paths: mask}
	}
	return by.UpdateMember(t.Context(), to)
}

// long moves what is known of a member's time into the past.
func (o *organization) long(t *testing.T, account string, ago time.Duration) {
	t.Helper()
	key, err := id.ParseAccount(account)
	require.NoError(t, err)
	tag, err := suite.owners["membership"].Exec(t.Context(), `
		UPDATE people SET join_time = join_time - $3::interval, activity_time = activity_time - $3::interval
		WHERE organization_id = $1 AND person_id = $2`, uuidOf(t, o.ID), key, ago)
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())
}

// TestProfiles holds what rows and the detail view show, and how an organization changes it.
func TestProfiles(t *testing.T) {
	t.Parallel()

	scenario(t, "S2-34 the profile has address, phone, joined and account dates, and last activity", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member := org.join(t, "member")
		_, err := org.edit(t, org.owner, member.ID, &membershipv1.UpdateMemberRequest{Phone: "+44 20 7946 0000"})
		require.NoError(t, err)
		_, err = member.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		var got *membershipv1.Member
		eventually(t, func() bool {
			got = org.member(t, org.owner, member.ID)
			return got.GetAccountCreateTime() != nil && got.GetLastActivityTime() != nil
		}, "the account's age and the activity are noted")
		require.Equal(t, []string{member.Name, member.Email, "+44 20 7946 0000"}, []string{got.GetDisplayName(), got.GetEmail(), got.GetPhone()})
		require.WithinDuration(t, time.Now(), got.GetJoinTime().AsTime(), time.Minute)
		me, err := member.GetMe(t.Context(), &identityv1.GetMeRequest{})
		require.NoError(t, err)
		require.Equal(t, me.GetAccount().GetCreateTime().AsTime(), got.GetAccountCreateTime().AsTime())
		require.Equal(t, "#0891b2", got.GetRoleColor())
	})

	scenario(t, "S2-35 who disabled a member is named, also when that person has left", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		admin, member := org.join(t, "admin"), org.join(t, "member")
		_, err := admin.DisableMember(t.Context(), &membershipv1.DisableMemberRequest{OrganizationId: org.ID, AccountId: member.ID})
		require.NoError(t, err)
		named := func() {
			t.Helper()
			got := org.member(t, org.owner, member.ID)
			require.Equal(t, []string{admin.ID, admin.Name}, []string{got.GetDisablerAccountId(), got.GetDisablerDisplayName()})
			require.WithinDuration(t, time.Now(), got.GetDisableTime().AsTime(), time.Minute)
		}
		named()
		org.remove(t, admin)
		named()
	})

	scenario(t, "S2-36 C16 an admin edits name, phone and address, for this organization only, until it is cleared", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		admin, member := org.join(t, "admin"), org.join(t, "member")
		before := org.member(t, admin, member.ID)
		to := &membershipv1.UpdateMemberRequest{DisplayName: "Amazing Grace", Phone: "12345", ContactEmail: "desk@example.org", Etag: before.GetEtag()}
		edited, err := org.edit(t, admin, member.ID, to)
		require.NoError(t, err)
		require.Equal(t, []string{"display_name", "contact_email", "phone"}, edited.GetMember().GetOverlaidFields())
		row := org.row(t, member.ID)
		require.Equal(t, []string{"Amazing Grace", "12345", "desk@example.org"}, []string{row.GetDisplayName(), row.GetPhone(), row.GetEmail()})
		_, err = org.edit(t, admin, member.ID, to)
		refused(t, err, errorv1.Reason_REASON_ETAG_MISMATCH)

		me, err := member.GetMe(t.Context(), &identityv1.GetMeRequest{})
		require.NoError(t, err)
		require.Equal(t, []string{member.Name, member.Email}, []string{me.GetAccount().GetDisplayName(), me.GetAccount().GetEmail()}, "the account is its owner's")
		signIn(t, over, member.Email)
		_, err = member.UpdateMe(t.Context(), &identityv1.UpdateMeRequest{DisplayName: "Rear Admiral Hopper"})
		require.NoError(t, err)
		_, err = org.edit(t, admin, member.ID, &membershipv1.UpdateMemberRequest{}, "display_name")
		require.NoError(t, err)
		eventually(t, func() bool { return org.row(t, member.ID).GetDisplayName() == "Rear Admiral Hopper" }, "the account's name is shown again")
		require.Equal(t, 2, org.events(t, "membership", "member.profile_changed"))

		_, err = org.edit(t, admin, member.ID, &membershipv1.UpdateMemberRequest{}, "email")
		refused(t, err, errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED)
	})

	scenario(t, "S2-37 RB6 RB7 the owner's profile is the owner's, and everybody's own is changed where the account is", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		admin := org.join(t, "admin")
		_, err := org.edit(t, admin, org.owner.ID, &membershipv1.UpdateMemberRequest{DisplayName: "Nobody"})
		refused(t, err, errorv1.Reason_REASON_OWNER_PROTECTED)
		for _, who := range []*person{admin, org.owner} {
			_, err = org.edit(t, who, who.ID, &membershipv1.UpdateMemberRequest{DisplayName: "Nobody"})
			refused(t, err, errorv1.Reason_REASON_SELF_ACTION)
		}
		require.Zero(t, org.events(t, "membership", "member.profile_changed"))
		_, err = org.owner.UpdateMe(t.Context(), &identityv1.UpdateMeRequest{DisplayName: "Countess of Lovelace"})
		require.NoError(t, err)
		eventually(t, func() bool { return org.row(t, org.owner.ID).GetDisplayName() == "Countess of Lovelace" }, "self-service reaches the list")
	})

	scenario(t, "RB19 who may not see phones, addresses and activity finds and sorts nobody by them", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		viewer, developer := org.join(t, "viewer"), org.join(t, "developer")
		_, err := org.edit(t, org.owner, developer.ID, &membershipv1.UpdateMemberRequest{Phone: "12345", ContactEmail: unique("desk") + "@secret.example"})
		require.NoError(t, err)
		find := func(by *person, query string) int {
			return len(org.people(t, by, func(req *membershipv1.ListPeopleRequest) { req.Query = query }))
		}
		require.Equal(t, 1, find(org.owner, "secret.example"))
		require.Equal(t, 1, find(developer, "secret.example"))
		require.Zero(t, find(viewer, "secret.example"))
		require.Zero(t, find(viewer, "desk"))
		seen := org.member(t, viewer, developer.ID)
		require.Empty(t, seen.GetEmail()+seen.GetPhone())
		require.Empty(t, seen.GetOverlaidFields())
		for _, by := range []*person{viewer, developer} {
			_, err := by.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID, OrderBy: membershipv1.ListPeopleRequest_ORDER_LAST_ACTIVITY_TIME})
			refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
			_, err = by.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID, InactiveSince: timestamppb.Now()})
			refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
			require.Nil(t, org.member(t, by, org.owner.ID).GetLastActivityTime())
		}
	})

	scenario(t, "RB23 who is added again is shown and available as their account says, and as nobody knows them", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member := org.join(t, "admin")
		_, err := org.edit(t, org.owner, member.ID, &membershipv1.UpdateMemberRequest{DisplayName: "Amazing Grace", Phone: "12345", ContactEmail: "desk@example.org"})
		require.NoError(t, err)
		org.override(t, member, unavailable, -time.Hour, time.Hour)
		_, err = member.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		org.remove(t, member)
		first := mailLink(t, member.Email, "/invite/")
		org.invite(t, member.Email, "member")
		_, err = member.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: newLink(t, member.Email, first)})
		require.NoError(t, err)
		got := org.member(t, org.owner, member.ID)
		require.Equal(t, []string{member.Name, member.Email, "", "member"}, []string{got.GetDisplayName(), got.GetEmail(), got.GetPhone(), got.GetRole()})
		require.Empty(t, got.GetOverlaidFields())
		require.Nil(t, got.GetLastActivityTime())
		require.Equal(t, available, org.listed(t, member).GetAvailability())
		require.Empty(t, org.people(t, org.owner, func(r *membershipv1.ListPeopleRequest) { r.Query = "amazing" }))
	})

	scenario(t, "S0-04 S1-52 last activity is shown, is absent for who was never active, and finds who is inactive", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		quiet, away := org.join(t, "viewer"), org.join(t, "viewer")
		org.long(t, quiet.ID, 100*24*time.Hour)
		org.long(t, away.ID, 100*24*time.Hour)
		require.Nil(t, org.row(t, quiet.ID).GetLastActivityTime())
		inactive := func(order membershipv1.ListPeopleRequest_Order) (ids []string) {
			for _, p := range org.people(t, org.owner, func(req *membershipv1.ListPeopleRequest) {
				req.InactiveSince, req.OrderBy = timestamppb.New(time.Now().AddDate(0, 0, -90)), order
			}) {
				ids = append(ids, p.GetAccountId())
			}
			return ids
		}
		require.ElementsMatch(t, []string{quiet.ID, away.ID}, inactive(membershipv1.ListPeopleRequest_ORDER_NAME))
		_, err := quiet.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		eventually(t, func() bool { return org.row(t, quiet.ID).GetLastActivityTime() != nil }, "the activity is noted")
		require.Equal(t, []string{away.ID}, inactive(membershipv1.ListPeopleRequest_ORDER_LAST_ACTIVITY_TIME))
	})

	scenario(t, "C24 the list goes by name, joining, last activity and role, in both directions", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		zoe, bob := org.join(t, "member"), org.join(t, "admin")
		for account, name := range map[string]string{zoe.ID: "Zoe", bob.ID: "Bob"} {
			_, err := org.edit(t, org.owner, account, &membershipv1.UpdateMemberRequest{DisplayName: name})
			require.NoError(t, err)
		}
		org.long(t, zoe.ID, 30*24*time.Hour)
		list := func(order membershipv1.ListPeopleRequest_Order) (ids []string) {
			for _, p := range org.people(t, org.owner, func(req *membershipv1.ListPeopleRequest) { req.OrderBy, req.PageSize = order, 2 }) {
				ids = append(ids, p.GetAccountId())
			}
			return ids
		}
		ada := org.owner.ID
		require.Equal(t, []string{ada, bob.ID, zoe.ID}, list(membershipv1.ListPeopleRequest_ORDER_NAME))
		require.Equal(t, []string{zoe.ID, bob.ID, ada}, list(membershipv1.ListPeopleRequest_ORDER_NAME_DESC))
		require.Equal(t, []string{zoe.ID, ada, bob.ID}, list(membershipv1.ListPeopleRequest_ORDER_JOIN_TIME))
		require.Equal(t, []string{bob.ID, ada, zoe.ID}, list(membershipv1.ListPeopleRequest_ORDER_JOIN_TIME_DESC))
		require.Equal(t, zoe.ID, list(membershipv1.ListPeopleRequest_ORDER_LAST_ACTIVITY_TIME)[0])
		require.Equal(t, []string{ada, bob.ID, zoe.ID}, list(membershipv1.ListPeopleRequest_ORDER_ROLE))
		require.Equal(t, []string{zoe.ID, bob.ID, ada}, list(membershipv1.ListPeopleRequest_ORDER_ROLE_DESC))
	})

	scenario(t, "S2-03 inviting, editing, changing roles, disabling, enabling and removing need owner or admin", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		admin, member := org.join(t, "admin"), org.join(t, "member")
		for name, call := range org.management(t, member, admin) {
			refused(t, call(), errorv1.Reason_REASON_PERMISSION_MISSING)
			t.Log(name)
		}
		for _, by := range []*person{admin, org.owner} {
			target := org.join(t, "member")
			calls := org.management(t, by, target)
			calls["change role"] = func() error {
				_, err := by.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: target.ID, Role: "admin"})
				return err
			}
			for _, name := range []string{"invite", "edit", "change role", "disable", "enable", "remove"} {
				require.NoError(t, calls[name](), name)
			}
		}
	})
}
