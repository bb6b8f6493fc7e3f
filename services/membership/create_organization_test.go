package membership_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

const (
	pipeline = membershipv1.Preset_PRESET_PIPELINE
	portal   = membershipv1.Preset_PRESET_PORTAL
	rbac     = membershipv1.Preset_PRESET_RBAC
	flat     = membershipv1.Preset_PRESET_FLAT
)

func TestCreateOrganization(t *testing.T) {
	t.Parallel()

	t.Run("S1-12 S1-41 The creator is the one owner and takes a seat", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		me := id.NewAccount()
		answer, err := h.organizations.CreateOrganization(h.as(me), &membershipv1.CreateOrganizationRequest{DisplayName: " Zoë\u0308 & Co ", Preset: portal})
		require.NoError(t, err)
		made := answer.GetOrganization()
		require.Equal(t, "Zoë\u0308 & Co", made.GetDisplayName())
		require.Equal(t, portal, made.GetPreset())
		require.Equal(t, "owner", made.GetMyRole())
		require.Contains(t, made.GetMyPermissions(), "org.transfer_ownership")
		require.NotEmpty(t, answer.GetToken())
		require.Len(t, h.seats.occupied(), 1)
		require.Zero(t, h.due())

		got, err := h.organizations.GetOrganization(h.as(me), &membershipv1.GetOrganizationRequest{OrganizationId: made.GetId()})
		require.NoError(t, err)
		require.True(t, proto.Equal(made, got.GetOrganization()), "%v\n%v", made, got.GetOrganization())

		key, err := id.ParseOrganization(made.GetId())
		require.NoError(t, err)
		o := organization{h, key, me}
		require.Equal(t, []string{"organization.created", "member.added"}, o.types())
		member, err := o.get(me, me)
		require.NoError(t, err)
		require.Equal(t, "Ada Lovelace", member.GetDisplayName())
		require.Equal(t, "ada@example.com", member.GetEmail())
		require.Equal(t, int32(1), o.list(me, nil).GetTotalSize())
	})

	t.Run("S3-03 Every preset begins with its own roles", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		for preset, want := range map[membershipv1.Preset][]string{
			pipeline: {"owner", "admin", "developer", "viewer"},
			portal:   {"owner", "admin", "member"},
			rbac:     {"owner", "admin", "member"},
			flat:     {"member"},
		} {
			o := h.create(preset)
			answer, err := h.roles.ListRoles(h.as(o.creator), &membershipv1.ListRolesRequest{OrganizationId: o.id.String()})
			require.NoError(t, err)
			var keys []string
			for _, role := range answer.GetRoles() {
				keys = append(keys, role.GetKey())
			}
			require.Equal(t, want, keys)
			policy, err := h.organizations.GetPolicy(h.as(o.creator), &membershipv1.GetPolicyRequest{OrganizationId: o.id.String()})
			require.NoError(t, err)
			require.Equal(t, preset == flat, policy.GetPolicy().GetOwnership() == membershipv1.OrganizationPolicy_OWNERSHIP_NONE)
			require.Equal(t, 168.0, policy.GetPolicy().GetInviteTtl().AsDuration().Hours())
		}
	})

	t.Run("D9 A repeated request makes one organization", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		me := h.as(id.NewAccount())
		req := &membershipv1.CreateOrganizationRequest{DisplayName: "Acme", Preset: rbac, RequestId: "once"}
		first, err := h.organizations.CreateOrganization(me, req)
		require.NoError(t, err)
		again, err := h.organizations.CreateOrganization(me, req)
		require.NoError(t, err)
		require.True(t, proto.Equal(first, again), "%v\n%v", first, again)
		require.Len(t, h.seats.occupied(), 1)

		_, err = h.organizations.CreateOrganization(me, &membershipv1.CreateOrganizationRequest{DisplayName: "Other", Preset: rbac, RequestId: "once"})
		refused(t, err, errorv1.Reason_REASON_REQUEST_ID_REUSED)
		other, err := h.organizations.CreateOrganization(h.as(id.NewAccount()), req)
		require.NoError(t, err)
		require.NotEqual(t, first.GetOrganization().GetId(), other.GetOrganization().GetId(), "request ids are the caller's own")
	})

	t.Run("D9 Parallel repetitions make one organization", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		me := h.as(id.NewAccount())
		ids := make([]string, 8)
		together(len(ids), func(i int) {
			answer, err := h.organizations.CreateOrganization(me, &membershipv1.CreateOrganizationRequest{DisplayName: "Acme", Preset: rbac, RequestId: "once"})
			if err == nil {
				ids[i] = answer.GetOrganization().GetId()
			}
		})
		for _, key := range ids {
			require.Equal(t, ids[0], key)
		}
		require.NotEmpty(t, ids[0])
		require.Len(t, h.seats.occupied(), 1)
	})

	t.Run("NamesAreOneVisibleLine", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		for _, name := range []string{"", "   ", "a\nb", "a\x00b", "\u200b"} {
			_, err := h.organizations.CreateOrganization(h.as(id.NewAccount()), &membershipv1.CreateOrganizationRequest{DisplayName: name, Preset: rbac})
			refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		}
	})

	t.Run("WithoutASeatThereIsNoOrganization", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.create(rbac)
		h.seats.limit = 1
		me := h.as(id.NewAccount())
		req := &membershipv1.CreateOrganizationRequest{DisplayName: "Acme", Preset: rbac, RequestId: "once"}
		for range 2 { // asked again, the answer is the same, also when there is room by now
			_, err := h.organizations.CreateOrganization(me, req)
			f := refused(t, err, errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
			require.Equal(t, "1", f.Metadata["total"])
			require.Equal(t, "0", f.Metadata["available"])
			require.True(t, strings.HasSuffix(f.Help, "/seats"), f.Help)
			h.seats.limit = 0
		}
		mine, err := h.organizations.ListOrganizations(me, &membershipv1.ListOrganizationsRequest{})
		require.NoError(t, err)
		require.Empty(t, mine.GetOrganizations())
		require.Zero(t, h.due())
		require.Len(t, h.seats.occupied(), 1)
	})

	t.Run("WithoutIdentityNothingBegins", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.accounts.err = errDown
		_, err := h.organizations.CreateOrganization(h.as(id.NewAccount()), &membershipv1.CreateOrganizationRequest{DisplayName: "Acme", Preset: rbac})
		refused(t, err, errorv1.Reason_REASON_UNAVAILABLE)
		require.Zero(t, h.due())
	})
}

// TestCreateOrganizationCrashes stops the verb at each call to billing, before and after its effect, and lets the sweeper
// finish.
func TestCreateOrganizationCrashes(t *testing.T) {
	t.Parallel()
	for _, point := range crashPoints("ReserveSeats", "OccupySeat") {
		t.Run(point.String(), func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			me := id.NewAccount()
			req := &membershipv1.CreateOrganizationRequest{DisplayName: "Acme", Preset: pipeline, RequestId: "once"}
			point.arm(h.seats)
			_, err := h.organizations.CreateOrganization(h.as(me), req)
			refused(t, err, errorv1.Reason_REASON_UNAVAILABLE)
			mine, err := h.organizations.ListOrganizations(h.as(me), &membershipv1.ListOrganizationsRequest{})
			require.NoError(t, err)
			require.Empty(t, mine.GetOrganizations(), "an organization that is being created is nobody's")

			point.disarm(h.seats)
			h.sweep()
			h.sweep()
			require.Zero(t, h.due())
			mine, err = h.organizations.ListOrganizations(h.as(me), &membershipv1.ListOrganizationsRequest{})
			require.NoError(t, err)
			require.Len(t, mine.GetOrganizations(), 1)
			answer, err := h.organizations.CreateOrganization(h.as(me), req)
			require.NoError(t, err)
			require.Equal(t, mine.GetOrganizations()[0].GetId(), answer.GetOrganization().GetId())
			require.Len(t, h.seats.occupied(), 1)
		})
	}
}
