package membership_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func (o organization) revokeSessions(actor, target id.Account) error {
	_, err := o.signedIn.RevokeMemberSessions(o.as(actor), &membershipv1.RevokeMemberSessionsRequest{OrganizationId: o.id.String(), AccountId: target.String()})
	return err
}

func (o organization) sessionsOf(actor, target id.Account) (*membershipv1.ListMemberSessionsResponse, error) {
	return o.signedIn.ListMemberSessions(o.as(actor), &membershipv1.ListMemberSessionsRequest{OrganizationId: o.id.String(), AccountId: target.String()})
}

func (o organization) activityOf(actor, target id.Account) (*membershipv1.ListMemberLoginActivityResponse, error) {
	return o.signedIn.ListMemberLoginActivity(o.as(actor), &membershipv1.ListMemberLoginActivityRequest{OrganizationId: o.id.String(), AccountId: target.String()})
}

func TestMemberSessions(t *testing.T) {
	t.Parallel()

	t.Run("R46 S2-46 Of a managed account all is shown, of another nothing, and that is said", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		admin, account := o.add("admin"), o.add("member")
		for _, managed := range []bool{true, false} {
			o.accounts.managed = managed
			sessions, err := o.sessionsOf(admin, account)
			require.NoError(t, err)
			activity, err := o.activityOf(admin, account)
			require.NoError(t, err)
			require.Equal(t, []bool{managed, managed}, []bool{sessions.GetManaged(), activity.GetManaged()})
			if managed {
				require.Equal(t, account.String(), sessions.GetSessions()[0].GetAccountId())
				require.Equal(t, account.String(), activity.GetActivity()[0].GetUserAgent())
			} else {
				require.Empty(t, sessions.GetSessions())
				require.Empty(t, activity.GetActivity())
			}
		}
	})
	t.Run("R46 R81 Who may see it, and of whom", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		admin, member := o.add("admin"), o.add("member")
		o.accounts.managed = true
		for _, c := range []struct {
			actor, target id.Account
			want          errorv1.Reason
		}{
			{member, admin, errorv1.Reason_REASON_PERMISSION_MISSING},
			{admin, id.NewAccount(), errorv1.Reason_REASON_MEMBER_NOT_FOUND},
			{id.NewAccount(), member, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND},
		} {
			_, err := o.sessionsOf(c.actor, c.target)
			refused(t, err, c.want)
			_, err = o.activityOf(c.actor, c.target)
			refused(t, err, c.want)
		}
	})
	t.Run("RULING 23 Sessions end by an operation, once for a repeated request", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		account := o.add("member")
		o.accounts.managed = true
		req := &membershipv1.RevokeMemberSessionsRequest{OrganizationId: o.id.String(), AccountId: account.String(), RequestId: "once"}
		answer, err := o.signedIn.RevokeMemberSessions(o.as(o.creator), req)
		require.NoError(t, err)
		again, err := o.signedIn.RevokeMemberSessions(o.as(o.creator), req)
		require.NoError(t, err)
		require.True(t, proto.Equal(answer, again))
		require.Len(t, o.accounts.ended, 1)
		asked := o.accounts.ended[0]
		require.Equal(t, []string{account.String(), o.id.String(), o.creator.String()},
			[]string{asked.GetAccountId(), asked.GetOrganizationId(), asked.GetActorAccountId()})
		require.Equal(t, "member.sessions_revoked", o.types()[len(o.types())-1])
		require.Zero(t, o.due())
	})
	t.Run("RULING 23 What was begun is finished by the sweeper when identity is back", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		account := o.add("member")
		o.accounts.managed, o.accounts.err = true, status.Error(codes.Unavailable, "identity is away")
		refused(t, o.revokeSessions(o.creator, account), errorv1.Reason_REASON_UNAVAILABLE)
		require.Equal(t, 1, o.due())
		o.accounts.err = nil
		o.sweep()
		require.Equal(t, "member.sessions_revoked", o.types()[len(o.types())-1])
		require.Equal(t, o.accounts.ended[0].GetOperationId(), o.accounts.ended[1].GetOperationId())
		require.Zero(t, o.due())
	})
	t.Run("RB20 R81 Whose account is their own stays signed in", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		account := o.add("member")
		refused(t, o.revokeSessions(o.creator, account), errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED)
		require.NotContains(t, o.types(), "member.sessions_revoked")
		require.Zero(t, o.due())
	})
	t.Run("RB3 RB6 RB7 Who may, and whose: it gives nobody power", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		admin, member := o.add("admin"), o.add("member")
		o.accounts.managed = true
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
			refused(t, o.revokeSessions(c.actor, c.target), c.want)
		}
		require.Empty(t, o.accounts.ended)
		o.disable(o.creator, member)
		require.NoError(t, o.revokeSessions(admin, member))
	})
}
