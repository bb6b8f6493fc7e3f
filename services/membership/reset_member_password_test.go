package membership_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

const (
	byLink         = membershipv1.OrganizationPolicy_RESET_LINK
	byTempPassword = membershipv1.OrganizationPolicy_RESET_TEMP_PASSWORD
)

func (o organization) resetPassword(ctx context.Context, target id.Account, edit ...func(*membershipv1.ResetMemberPasswordRequest)) (*membershipv1.ResetMemberPasswordResponse, error) {
	req := &membershipv1.ResetMemberPasswordRequest{OrganizationId: o.id.String(), AccountId: target.String()}
	for _, e := range edit {
		e(req)
	}
	return o.members.ResetMemberPassword(ctx, req)
}

func resetWith(method membershipv1.OrganizationPolicy_Reset) func(*membershipv1.ResetMemberPasswordRequest) {
	return func(r *membershipv1.ResetMemberPasswordRequest) { r.Method = method }
}

func resetOnce(request string) func(*membershipv1.ResetMemberPasswordRequest) {
	return func(r *membershipv1.ResetMemberPasswordRequest) { r.RequestId = request }
}

func TestResetMemberPassword(t *testing.T) {
	t.Parallel()

	t.Run("C21 The policy says how", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		for preset, method := range map[membershipv1.Preset]membershipv1.OrganizationPolicy_Reset{portal: byLink, rbac: byTempPassword, flat: byLink} {
			o := h.create(preset)
			member := o.add("member")
			if preset == flat {
				member = o.add("member")
			}
			answer, err := o.resetPassword(o.as(o.creator), member)
			require.NoError(t, err)
			require.Equal(t, method, answer.GetMethod())
			require.Equal(t, method == byTempPassword, answer.GetTemporaryPassword() != "")
			require.NotEmpty(t, answer.GetToken())
			last := o.history()[len(o.history())-1]
			require.Contains(t, last.Type, "member.password_reset")
			require.NotContains(t, string(last.Data), "password-")
			require.Zero(t, o.due())
		}
	})

	t.Run("S2-44 A repeated request shows the same password, and another one another", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		member := o.add("member")
		first, err := o.resetPassword(o.as(o.creator), member, resetOnce("r-1"))
		require.NoError(t, err)
		again, err := o.resetPassword(o.as(o.creator), member, resetOnce("r-1"))
		require.NoError(t, err)
		require.Equal(t, first.String(), again.String())
		other, err := o.resetPassword(o.as(o.creator), member, resetOnce("r-2"))
		require.NoError(t, err)
		require.NotEqual(t, first.GetTemporaryPassword(), other.GetTemporaryPassword())
	})

	t.Run("S2-44 Whoever has lost the right since is not shown it again", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		admin, member := o.add("admin"), o.add("member")
		_, err := o.resetPassword(o.as(admin), member, resetOnce("r-1"))
		require.NoError(t, err)
		_, err = o.resetPassword(o.stale(admin), member, resetOnce("r-1"))
		refused(t, err, errorv1.Reason_REASON_STEP_UP_REQUIRED)
		require.NoError(t, o.changeRole(o.creator, admin, "member"))
		_, err = o.resetPassword(o.as(admin), member, resetOnce("r-1"))
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
	})

	t.Run("RB3 Nobody resets the password of an owner, of who may do more, or their own", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		admin, peer, member := o.add("admin"), o.add("admin"), o.add("member")
		for _, method := range []membershipv1.OrganizationPolicy_Reset{byLink, byTempPassword} {
			for _, c := range []struct {
				actor, target id.Account
				reason        errorv1.Reason
			}{
				{admin, o.creator, errorv1.Reason_REASON_OWNER_PROTECTED},
				{admin, admin, errorv1.Reason_REASON_SELF_ACTION},
				{o.creator, o.creator, errorv1.Reason_REASON_SELF_ACTION},
				{member, admin, errorv1.Reason_REASON_PERMISSION_MISSING},
				{admin, id.NewAccount(), errorv1.Reason_REASON_MEMBER_NOT_FOUND},
				{id.NewAccount(), member, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND},
			} {
				_, err := o.resetPassword(o.as(c.actor), c.target, resetWith(method))
				refused(t, err, c.reason)
			}
			for _, target := range []id.Account{peer, member} { // and the allowed pairs work
				_, err := o.resetPassword(o.as(admin), target, resetWith(method))
				require.NoError(t, err)
			}
		}
	})

	t.Run("S2-44 A temporary password takes a fresh proof of who asks, and a link none", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		member := o.add("member")
		_, err := o.resetPassword(o.stale(o.creator), member)
		refused(t, err, errorv1.Reason_REASON_STEP_UP_REQUIRED)
		require.NotContains(t, o.types(), "member.password_reset")
		_, err = o.resetPassword(o.stale(o.creator), member, resetWith(byLink))
		require.NoError(t, err)
	})

	t.Run("C21 Where the policy says link there is no temporary password", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		_, err := o.resetPassword(o.as(o.creator), o.add("member"), resetWith(byTempPassword))
		refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
	})

	t.Run("Who is disabled is enabled first", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		member := o.add("member")
		_, err := o.disable(o.creator, member)
		require.NoError(t, err)
		_, err = o.resetPassword(o.as(o.creator), member)
		refused(t, err, errorv1.Reason_REASON_STATE_CONFLICT)
	})

	t.Run("RB20 What identity refuses stays refused and is no event", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		member := o.add("member")
		o.accounts.refuse = fault.New(errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED, "Send a link.").With("method", "LINK")
		for range 2 {
			_, err := o.resetPassword(o.as(o.creator), member, resetOnce("r-1"))
			refused(t, err, errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED)
			require.Equal(t, "LINK", fault.From(err).Metadata["method"])
			o.accounts.refuse = nil
		}
		require.NotContains(t, o.types(), "member.password_reset")
		require.Zero(t, o.due())
	})

	t.Run("RULING 23 What was decided is done later when identity is away", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		member := o.add("member")
		o.accounts.err = errDown
		_, err := o.resetPassword(o.as(o.creator), member, resetOnce("r-1"))
		refused(t, err, errorv1.Reason_REASON_UNAVAILABLE)
		require.Equal(t, 1, o.due())
		o.accounts.err = nil
		o.sweep()
		require.Zero(t, o.due())
		require.Contains(t, o.types(), "member.password_reset")
		answer, err := o.resetPassword(o.as(o.creator), member, resetOnce("r-1"))
		require.NoError(t, err)
		require.NotEmpty(t, answer.GetTemporaryPassword())
		require.Len(t, o.accounts.answered, 1)
	})
}
