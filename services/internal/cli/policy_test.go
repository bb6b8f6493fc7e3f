package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func TestPolicy(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	policy := &membershipv1.OrganizationPolicy{
		Ownership: membershipv1.OrganizationPolicy_OWNERSHIP_SINGLE, DefaultInviteRole: "developer", LinkInvites: true,
		AdminAppointment: membershipv1.OrganizationPolicy_APPOINTMENT_OWNER_ONLY, GatedPermissions: []string{"a.b", "c.d"},
		InviteTtl: durationpb.New(7 * 24 * time.Hour),
	}
	gives(w, &membershipv1.GetPolicyRequest{}, &membershipv1.GetPolicyResponse{Policy: policy, Preset: membershipv1.Preset_PRESET_PIPELINE, Etag: "3"})
	shown := strings.Join(strings.Fields(w.ok("org", "policy", "show")), " ")
	for _, line := range []string{"preset: pipeline", "ownership: single", "admin-appointment: owner_only", "default-invite-role: developer",
		"gated-permissions: a.b, c.d", "groups: off", "invite-ttl: 7 days", "link-invites: on", "etag: 3"} {
		require.Contains(t, shown, line)
	}

	gives(w, &membershipv1.UpdatePolicyRequest{}, &membershipv1.UpdatePolicyResponse{Policy: policy, Etag: "4"})
	require.Contains(t, w.ok("org", "policy", "set", "org_2", "--groups", "--projects=false", "--ownership", "multiple", "--gated-permissions", "a.b,c.d",
		"--invite-ttl", "48h", "--default-invite-role", "", "--preset", "rbac", "--remap", "developer=member,viewer=member", "--owner", "acc_1", "--etag", "3"), "4")
	sent := w.last().request.(*membershipv1.UpdatePolicyRequest)
	require.True(t, proto.Equal(&membershipv1.OrganizationPolicy{Groups: true, Ownership: membershipv1.OrganizationPolicy_OWNERSHIP_MULTIPLE,
		GatedPermissions: []string{"a.b", "c.d"}, InviteTtl: durationpb.New(48 * time.Hour)}, sent.GetPolicy()))
	require.Equal(t, []string{"default_invite_role", "gated_permissions", "groups", "invite_ttl", "ownership", "projects"}, sent.GetUpdateMask().GetPaths())
	require.Equal(t, map[string]string{"developer": "member", "viewer": "member"}, sent.GetRoleRemap())
	require.Equal(t, "org_2 PRESET_RBAC acc_1 3",
		strings.Join([]string{sent.GetOrganizationId(), sent.GetPreset().String(), sent.GetOwnerAccountId(), sent.GetEtag()}, " "))
	changed := strings.Join(strings.Fields(w.ok("org", "policy", "set", "--groups=false", "--invite-ttl", "168h")), " ")
	require.Contains(t, changed, "groups: off invite-ttl: 7 days etag: 4")
	require.NotContains(t, changed, "link-invites", "only what was asked for")

	refuses(w, &membershipv1.UpdatePolicyRequest{}, &fault.Fault{Reason: errorv1.Reason_REASON_POLICY_CONFLICT, Message: "It does not fit.",
		Fields: []fault.Field{{Name: "policy.groups", Reason: "4 groups there"}, {Name: "role_remap.viewer", Reason: "held by 2 members"}}})
	r := w.run("org", "policy", "set", "--groups=false")
	require.Equal(t, exitConflict, r.code)
	require.Equal(t, "Error: It does not fit. (POLICY_CONFLICT)\n  policy.groups 4 groups there\n  role_remap.viewer held by 2 members\n", r.err)

	gives(w, &membershipv1.PreviewPolicyRequest{}, &membershipv1.PreviewPolicyResponse{
		Violations: []*membershipv1.PolicyFinding{{Subject: "policy.groups", Count: 4, Description: "4 groups there"}},
		Effects:    []*membershipv1.PolicyFinding{{Subject: "members.remove", Count: 3, Description: "3 members lose members.remove"}}})
	require.Equal(t, "In the way:\n  policy.groups: 4 groups there\nWhat follows:\n  3 members lose members.remove\n",
		w.ok("org", "policy", "preview", "--groups=false"))
	require.Equal(t, []string{"groups"}, w.last().request.(*membershipv1.PreviewPolicyRequest).GetUpdateMask().GetPaths())
	require.Contains(t, w.ok("org", "policy", "preview", "--groups=false", "--json"), `"count": "4"`)
	gives(w, &membershipv1.PreviewPolicyRequest{}, &membershipv1.PreviewPolicyResponse{})
	require.Equal(t, "Nothing is in the way.\n", w.ok("org", "policy", "preview", "--preset", "flat"))

	for _, wrong := range [][]string{{}, {"--ownership", "many"}, {"--preset", "big"}, {"--link-invites", "x", "y"}} {
		require.Equal(t, exitUsage, w.run(append([]string{"org", "policy", "set"}, wrong...)...).code, wrong)
	}
}
