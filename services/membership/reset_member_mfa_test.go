package membership_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func (o organization) resetMfa(actor, target id.Account) (*membershipv1.ResetMemberMfaResponse, error) {
	return o.members.ResetMemberMfa(o.as(actor), &membershipv1.ResetMemberMfaRequest{OrganizationId: o.id.String(), AccountId: target.String()})
}

func TestResetMemberMfa(t *testing.T) {
	t.Parallel()

	t.Run("R37 RULING 23 Identity is asked by the operation, once for a repeated request", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		account := o.add("member")
		o.accounts.reset = &identityv1.ResetMfaResponse{Managed: true, Reset_: true}
		req := &membershipv1.ResetMemberMfaRequest{OrganizationId: o.id.String(), AccountId: account.String(), RequestId: "once"}
		answer, err := o.members.ResetMemberMfa(o.as(o.creator), req)
		require.NoError(t, err)
		again, err := o.members.ResetMemberMfa(o.as(o.creator), req)
		require.NoError(t, err)
		require.True(t, proto.Equal(answer, again))
		require.Len(t, o.accounts.resets, 1)
		asked := o.accounts.resets[0]
		require.Equal(t, []string{account.String(), o.id.String(), o.creator.String()},
			[]string{asked.GetAccountId(), asked.GetOrganizationId(), asked.GetActorAccountId()})
		require.NotEmpty(t, asked.GetOperationId())
		require.NotEmpty(t, asked.GetOrganizationDisplayName())
		require.Equal(t, "member.mfa_reset", o.types()[len(o.types())-1])
		require.Zero(t, o.due())
	})
	t.Run("R37 What was begun is finished by the sweeper when identity is back", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		account := o.add("member")
		_, err := o.resetMfa(o.creator, account)
		refused(t, err, errorv1.Reason_REASON_UNAVAILABLE)
		require.Equal(t, 1, o.due())
		o.accounts.reset = &identityv1.ResetMfaResponse{Managed: true, Reset_: true}
		o.sweep()
		require.Equal(t, "member.mfa_reset", o.types()[len(o.types())-1])
		require.Equal(t, o.accounts.resets[0].GetOperationId(), o.accounts.resets[1].GetOperationId())
		require.Zero(t, o.due())
	})
	t.Run("RB20 Whose account is their own keeps its factors", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		account := o.add("member")
		o.accounts.reset = &identityv1.ResetMfaResponse{}
		_, err := o.resetMfa(o.creator, account)
		refused(t, err, errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED)
		require.NotContains(t, o.types(), "member.mfa_reset")
		require.Zero(t, o.due())
	})
	t.Run("S2-40 There must be a factor", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		account := o.add("member")
		o.accounts.reset = &identityv1.ResetMfaResponse{Managed: true}
		_, err := o.resetMfa(o.creator, account)
		require.Equal(t, "DISABLED", refused(t, err, errorv1.Reason_REASON_STATE_CONFLICT).Metadata["state"])
	})
	t.Run("RB3 RB7 RB16 Who may, and whose", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		admin, member := o.add("admin"), o.add("member")
		for _, c := range []struct {
			actor, target id.Account
			want          errorv1.Reason
		}{
			{member, admin, errorv1.Reason_REASON_PERMISSION_MISSING},
			{admin, o.creator, errorv1.Reason_REASON_OWNER_PROTECTED},
			{admin, admin, errorv1.Reason_REASON_SELF_ACTION},
			{admin, id.NewAccount(), errorv1.Reason_REASON_MEMBER_NOT_FOUND},
			{id.NewAccount(), member, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND},
		} {
			_, err := o.resetMfa(c.actor, c.target)
			refused(t, err, c.want)
		}
		ctx := metadata.AppendToOutgoingContext(context.WithoutCancel(t.Context()), "authorization", "Bearer "+signedInLongAgo+o.creator.String())
		_, err := o.members.ResetMemberMfa(ctx, &membershipv1.ResetMemberMfaRequest{OrganizationId: o.id.String(), AccountId: member.String()})
		refused(t, err, errorv1.Reason_REASON_STEP_UP_REQUIRED)
		require.Empty(t, o.accounts.resets)
	})
}
