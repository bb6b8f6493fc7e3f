package membership_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestListOrganizations(t *testing.T) {
	t.Parallel()

	t.Run("i11 Mine, by name, page by page", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		me := id.NewAccount()
		for _, name := range []string{"Érable", "zebra", "Acme", "acme"} {
			_, err := h.organizations.CreateOrganization(h.as(me), &membershipv1.CreateOrganizationRequest{DisplayName: name, Preset: rbac})
			require.NoError(t, err)
		}
		other := h.create(flat)
		require.NoError(t, other.addAs(me, id.NewSeat(), "member"))
		h.create(portal) // nobody's but its creator's

		var names, roles []string
		for token := ""; ; {
			answer, err := h.organizations.ListOrganizations(h.as(me), &membershipv1.ListOrganizationsRequest{PageSize: 2, PageToken: token})
			require.NoError(t, err)
			for _, o := range answer.GetOrganizations() {
				names, roles = append(names, o.GetDisplayName()), append(roles, o.GetMyRole())
				require.NotEmpty(t, o.GetMyPermissions())
				require.True(t, slices.IsSorted(o.GetMyPermissions()))
			}
			if token = answer.GetNextPageToken(); token == "" {
				break
			}
			_, err = h.organizations.ListOrganizations(h.as(other.creator), &membershipv1.ListOrganizationsRequest{PageToken: token})
			refused(t, err, errorv1.Reason_REASON_PAGE_TOKEN_INVALID)
		}
		require.Len(t, names, 5)
		require.ElementsMatch(t, []string{"Acme", "acme", "Acme"}, names[:3])
		require.Equal(t, []string{"Érable", "zebra"}, names[3:])
		require.ElementsMatch(t, []string{"owner", "owner", "member", "owner", "owner"}, roles)
	})

	t.Run("R81 A disabled membership is listed without rights, a removed one is not", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		one, other := h.create(rbac), h.create(rbac)
		me := one.add("member")
		require.NoError(t, other.addAs(me, id.NewSeat(), "member"))
		_, err := one.disable(one.creator, me)
		require.NoError(t, err)
		_, err = other.remove(other.creator, me)
		require.NoError(t, err)
		answer, err := h.organizations.ListOrganizations(h.as(me), &membershipv1.ListOrganizationsRequest{})
		require.NoError(t, err)
		require.Len(t, answer.GetOrganizations(), 1)
		require.Equal(t, one.id.String(), answer.GetOrganizations()[0].GetId())
		require.Empty(t, answer.GetOrganizations()[0].GetMyPermissions())
	})
}

func TestUpdateOrganization(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	o := h.create(pipeline)
	admin, viewer := o.add("admin"), o.add("viewer")
	update := func(who id.Account, name, etag string) (*membershipv1.UpdateOrganizationResponse, error) {
		return h.organizations.UpdateOrganization(h.as(who), &membershipv1.UpdateOrganizationRequest{
			OrganizationId: o.id.String(), DisplayName: name, Etag: etag})
	}
	answer, err := update(admin, "Apex", "1")
	require.NoError(t, err)
	require.Equal(t, "Apex", answer.GetOrganization().GetDisplayName())
	require.Equal(t, "2", answer.GetOrganization().GetEtag())
	got, err := h.organizations.GetOrganization(h.as(admin), &membershipv1.GetOrganizationRequest{OrganizationId: o.id.String()})
	require.NoError(t, err)
	require.True(t, proto.Equal(answer.GetOrganization(), got.GetOrganization()))
	last := o.history()[4]
	require.Equal(t, "organization.updated", last.Type)
	require.Contains(t, last.Data, `"before":{"displayName":"Acme","preset":"pipeline"},"after":{"displayName":"Apex","preset":"pipeline"}`)

	refused(t, second(update(admin, "Zenith", "1")), errorv1.Reason_REASON_ETAG_MISMATCH)
	refused(t, second(update(viewer, "Zenith", "")), errorv1.Reason_REASON_PERMISSION_MISSING)
	refused(t, second(update(id.NewAccount(), "Zenith", "")), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
	for _, name := range []string{"a\tb", " ", "\u200d", "Acme\u202egpj"} {
		refused(t, second(update(admin, name, "")), errorv1.Reason_REASON_VALIDATION_FAILED)
	}
	_, err = o.disable(o.creator, viewer)
	require.NoError(t, err)
	refused(t, second(update(viewer, "Zenith", "")), errorv1.Reason_REASON_MEMBER_DISABLED)
}

func TestDeleteOrganization(t *testing.T) {
	t.Parallel()

	t.Run("S1-16 S1-20 The owner deletes, an admin does not", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		admin := o.add("admin")
		req := &membershipv1.DeleteOrganizationRequest{OrganizationId: o.id.String(), RequestId: "once"}
		_, err := h.organizations.DeleteOrganization(h.as(admin), req)
		require.Equal(t, "org.delete", refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"])
		_, err = h.organizations.DeleteOrganization(h.as(id.NewAccount()), req)
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		answer, err := h.organizations.DeleteOrganization(h.as(o.creator), req)
		require.NoError(t, err)
		again, err := h.organizations.DeleteOrganization(h.as(o.creator), req)
		require.NoError(t, err)
		require.True(t, proto.Equal(answer, again))
		require.Equal(t, "organization.deleted", o.types()[3])

		for _, who := range []id.Account{o.creator, admin} {
			_, err = h.organizations.GetOrganization(h.as(who), &membershipv1.GetOrganizationRequest{OrganizationId: o.id.String()})
			refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
			mine, err := h.organizations.ListOrganizations(h.as(who), &membershipv1.ListOrganizationsRequest{})
			require.NoError(t, err)
			require.Empty(t, mine.GetOrganizations())
		}
		refused(t, second(o.disable(o.creator, admin)), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
	})

	t.Run("Nothing follows the deletion, however additions meet it", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(flat)
		members := []id.Account{o.add("member"), o.add("member")}
		together(9, func(i int) {
			switch {
			case i == 4:
				_, err := o.organizations.DeleteOrganization(o.as(o.creator), &membershipv1.DeleteOrganizationRequest{OrganizationId: o.id.String()})
				if err != nil {
					panic(err)
				}
			case i%2 == 0:
				_ = o.addAs(id.NewAccount(), id.NewSeat(), "member")
			default:
				_, _ = o.disable(members[0], members[1])
			}
		})
		types := o.types()
		require.Equal(t, len(types)-1, slices.Index(types, "organization.deleted"), "%v", types)
		var left int
		require.NoError(t, o.owner().QueryRow(t.Context(), `
			SELECT (SELECT count(*) FROM members WHERE state <> 'REMOVED') + (SELECT count(*) FROM people) + (SELECT members FROM people_counts)`).Scan(&left))
		require.Zero(t, left)
	})
}

func TestListRoles(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	assignable := func(o organization, who id.Account) (keys []string) {
		answer, err := h.roles.ListRoles(h.as(who), &membershipv1.ListRolesRequest{OrganizationId: o.id.String()})
		require.NoError(t, err)
		for _, r := range answer.GetRoles() {
			require.NotEmpty(t, r.GetPermissions())
			require.NotEmpty(t, r.GetColor(), "S2-28")
			if r.GetAssignable() {
				keys = append(keys, r.GetKey())
			}
		}
		return keys
	}
	o := h.create(pipeline)
	require.Equal(t, []string{"admin", "developer", "viewer"}, assignable(o, o.creator), "S0-19")
	require.Equal(t, []string{"admin", "developer", "viewer"}, assignable(o, o.add("admin")))
	require.Empty(t, assignable(o, o.add("viewer")), "S0-07")
	p := h.create(portal)
	require.Equal(t, []string{"admin", "member"}, assignable(p, p.creator), "S1-07")
	require.Equal(t, []string{"member"}, assignable(p, p.add("admin")), "S1-50")
	f := h.create(flat)
	require.Equal(t, []string{"member"}, assignable(f, f.creator), "S3-05")

	answer, err := h.roles.ListPermissions(h.as(id.NewAccount()), &membershipv1.ListPermissionsRequest{})
	require.NoError(t, err)
	require.True(t, slices.IsSortedFunc(answer.GetPermissions(), func(a, b *membershipv1.Permission) int {
		return slices.Compare([]byte(a.GetName()), []byte(b.GetName()))
	}))
	_, err = h.roles.ListRoles(h.as(id.NewAccount()), &membershipv1.ListRolesRequest{OrganizationId: o.id.String()})
	refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
	_, err = h.organizations.GetPolicy(h.as(id.NewAccount()), &membershipv1.GetPolicyRequest{OrganizationId: o.id.String()})
	refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
}
