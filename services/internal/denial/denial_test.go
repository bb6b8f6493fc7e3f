package denial_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/denial"
	"github.com/rosterhq/roster/services/internal/id"
)

func TestOf(t *testing.T) {
	t.Parallel()
	const method = "/roster.membership.v1.MemberService/DisableMember"
	organization, ada, bob := id.NewOrganization().String(), id.NewAccount(), id.NewAccount().String()
	who := caller.Caller{Account: ada, Address: "192.0.2.7"}
	missing := fault.New(errorv1.Reason_REASON_PERMISSION_MISSING, "No.").With("permission", "members.disable")
	request := &membershipv1.DisableMemberRequest{OrganizationId: organization, AccountId: bob, RequestId: "once"}

	t.Run("R82 it says who, what, to whom, why and from where", func(t *testing.T) {
		t.Parallel()
		d := denial.Of(t.Context(), who, method, request, missing, time.Now())
		require.Equal(t, []string{organization, ada.String(), "membership", "DisableMember", "PERMISSION_MISSING", "members.disable", "192.0.2.7", "once"},
			[]string{d.GetOrganizationId(), d.GetAccountId(), d.GetService(), d.GetMethod(), d.GetReason(), d.GetPermission(), d.GetClientAddress(), d.GetRequestId()})
		require.Equal(t, []string{bob}, d.GetTargetIds())
	})

	t.Run("R84 what nobody has checked is left out", func(t *testing.T) {
		t.Parallel()
		d := denial.Of(t.Context(), who, method, &membershipv1.DisableMemberRequest{
			OrganizationId: organization, AccountId: "acc_\x1b[31m\nfake", RequestId: "a\r\nb"}, missing, time.Now())
		require.Empty(t, d.GetTargetIds())
		require.Empty(t, d.GetRequestId())
	})

	t.Run("what is no denial of a person in an organization is none", func(t *testing.T) {
		t.Parallel()
		gone := fault.New(errorv1.Reason_REASON_MEMBER_NOT_FOUND, "No.")
		for name, d := range map[string]*membershipv1.Denial{
			"another reason":  denial.Of(t.Context(), who, method, request, gone, time.Now()),
			"nobody":          denial.Of(t.Context(), caller.Caller{Service: "invitation"}, method, request, missing, time.Now()),
			"an operator":     denial.Of(t.Context(), caller.Caller{Operator: id.NewOperator()}, method, request, missing, time.Now()),
			"no organization": denial.Of(t.Context(), who, method, &membershipv1.DisableMemberRequest{OrganizationId: "x"}, missing, time.Now()),
			"no tenant":       denial.Of(t.Context(), who, method, &membershipv1.ListPermissionsRequest{}, missing, time.Now()),
			"no request":      denial.Of(t.Context(), who, method, nil, missing, time.Now()),
		} {
			require.Nil(t, d, name)
		}
	})
}

func TestOfEach(t *testing.T) {
	t.Parallel()
	const method = "/roster.membership.v1.BulkMemberService/BulkDisableMembers"
	organization, bob, eve := id.NewOrganization().String(), id.NewAccount().String(), id.NewAccount().String()
	who := caller.Caller{Account: id.NewAccount()}
	request := &membershipv1.BulkDisableMembersRequest{OrganizationId: organization, AccountIds: []string{bob, eve}}
	answer := &membershipv1.BulkDisableMembersResponse{Results: []*membershipv1.MemberResult{
		{AccountId: bob, Result: &membershipv1.MemberResult_Member{Member: &membershipv1.Member{}}},
		{AccountId: eve, Result: &membershipv1.MemberResult_Error{
			Error: fault.New(errorv1.Reason_REASON_OWNER_PROTECTED, "Never.").GRPCStatus().Proto()}},
	}}

	t.Run("R82 of many members those are told who were refused", func(t *testing.T) {
		t.Parallel()
		denials := denial.OfEach(t.Context(), who, method, request, answer, time.Now())
		require.Len(t, denials, 1)
		require.Equal(t, []string{eve}, denials[0].GetTargetIds())
		require.Equal(t, []string{"BulkDisableMembers", "OWNER_PROTECTED"}, []string{denials[0].GetMethod(), denials[0].GetReason()})
	})
	t.Run("a rehearsal denies nothing", func(t *testing.T) {
		t.Parallel()
		rehearsal := &membershipv1.BulkDisableMembersRequest{OrganizationId: organization, ValidateOnly: true}
		require.Empty(t, denial.OfEach(t.Context(), who, method, rehearsal, answer, time.Now()))
	})
	t.Run("other answers have no members", func(t *testing.T) {
		t.Parallel()
		require.Empty(t, denial.OfEach(t.Context(), who, method, request, &membershipv1.DisableMemberResponse{}, time.Now()))
	})
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	told := make(chan *membershipv1.RecordDenialsRequest, 10)
	var fails error
	r := denial.NewRecorder(func(_ context.Context, req *membershipv1.RecordDenialsRequest) error {
		told <- req
		return fails
	}, slog.New(slog.DiscardHandler))
	r.Flush(t.Context())
	require.Empty(t, told, "there is nothing to tell")

	for range 100 {
		r.Add(&membershipv1.Denial{AccountId: "loud", OrganizationId: "here"})
	}
	r.Add(&membershipv1.Denial{AccountId: "loud", OrganizationId: "there"})
	r.Add(&membershipv1.Denial{AccountId: "quiet", OrganizationId: "here"})
	fails = errors.New("away")
	r.Flush(t.Context())
	batch := (<-told).GetDenials()
	require.Len(t, batch, 61, "one account has no more than its part")
	require.Equal(t, int64(40), batch[0].GetOmitted())
	require.Equal(t, "quiet", batch[60].GetAccountId())
	r.Flush(t.Context())
	require.Empty(t, told, "what was lost is not told again")

	for range 5000 {
		r.Add(&membershipv1.Denial{AccountId: id.NewAccount().String()})
	}
	ctx, end := context.WithCancel(t.Context())
	end()
	require.NoError(t, r.Run(ctx))
	require.Len(t, (<-told).GetDenials(), 1000, "it keeps no more than fits into a request, and tells it at the end")
}
