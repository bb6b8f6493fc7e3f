package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func TestMemberCreate(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	member := &membershipv1.Member{AccountId: "acc_2", DisplayName: "Grace Hopper", Role: "member"}
	gives(w, &membershipv1.CreateMemberRequest{}, &membershipv1.CreateMemberResponse{Member: member, TemporaryPassword: "abcde-fghij", ExpireTime: away(3 * day)})
	out := w.ok("member", "create", "grace@example.com", "--name", "Grace Hopper", "--role", "member")
	require.Contains(t, out, "Grace Hopper (acc_2) is now a member, as member.\nTemporary password, shown only now: abcde-fghij\n")
	require.Contains(t, out, "2026-03-13 12:00 UTC")
	sent := w.last().request.(*membershipv1.CreateMemberRequest)
	require.Equal(t, []string{"grace@example.com", "Grace Hopper", "member"}, []string{sent.GetEmail(), sent.GetDisplayName(), sent.GetRole()})

	gives(w, &membershipv1.CreateMemberRequest{}, &membershipv1.CreateMemberResponse{Member: member})
	out = w.ok("member", "create", "grace@example.com", "--name", "Grace Hopper")
	require.Contains(t, out, "sign in as before")
	require.NotContains(t, out, "password")
	require.Equal(t, exitUsage, w.run("member", "create", "grace@example.com").code)
}
