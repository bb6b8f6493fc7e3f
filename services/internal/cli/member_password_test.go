package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func TestMemberResetPassword(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	answer := &membershipv1.ResetMemberPasswordResponse{TemporaryPassword: "abcde-fghij", ExpireTime: away(3 * day)}
	gives(w, &membershipv1.ResetMemberPasswordRequest{}, answer)
	out := w.ok("member", "reset-password", "acc_2")
	require.Contains(t, out, "Temporary password, shown only now: abcde-fghij\n")
	require.Contains(t, out, "2026-03-13 12:00 UTC")
	sent := w.last().request.(*membershipv1.ResetMemberPasswordRequest)
	require.Equal(t, "acc_2", sent.GetAccountId())
	require.Zero(t, sent.GetMethod(), "as the policy says")

	gives(w, &membershipv1.ResetMemberPasswordRequest{}, &membershipv1.ResetMemberPasswordResponse{ExpireTime: away(day)})
	require.Contains(t, w.ok("member", "reset-password", "acc_2", "--method", "link"), "on its way")
	require.Equal(t, membershipv1.OrganizationPolicy_RESET_LINK, w.last().request.(*membershipv1.ResetMemberPasswordRequest).GetMethod())
	gives(w, &membershipv1.ResetMemberPasswordRequest{}, &membershipv1.ResetMemberPasswordResponse{ResetUrl: "https://roster.example.com/reset/tok"})
	require.Contains(t, w.ok("member", "reset-password", "acc_2"), "https://roster.example.com/reset/tok\n")
	require.Equal(t, exitUsage, w.run("member", "reset-password", "acc_2", "--method", "mail").code)
}

func TestTemporaryPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.in = "temporary\n"
	gives(w, &identityv1.CreateSessionRequest{}, &identityv1.CreateSessionResponse{
		Session: signIn.GetSession(), Token: "half-token", PasswordChangeRequired: true})
	require.Contains(t, w.ok("login", "ada@example.com", "--password-stdin"), "roster password change")
	w.in = "temporary\nmy own\n"
	gives(w, &identityv1.ChangePasswordRequest{}, &identityv1.ChangePasswordResponse{Session: signIn.GetSession(), Token: "whole-token"})
	w.ok("password", "change", "--password-stdin")
	require.Equal(t, "Bearer half-token", w.last().authorization)
	gives(w, &identityv1.GetMeRequest{}, me)
	w.ok("me")
	require.Equal(t, "Bearer whole-token", w.last().authorization)
}
