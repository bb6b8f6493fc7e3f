package cli

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// answered changes whoever is named, but for the owner.
func answered(accounts []string) (results []*membershipv1.MemberResult) {
	for _, account := range accounts {
		r := &membershipv1.MemberResult{AccountId: account, Result: &membershipv1.MemberResult_Member{Member: &membershipv1.Member{
			AccountId: account, DisplayName: "Bob", Role: "developer"}}}
		if account == "acc_owner" {
			r.Result = &membershipv1.MemberResult_Error{Error: fault.New(errorv1.Reason_REASON_OWNER_PROTECTED, "Owner is reserved.").GRPCStatus().Proto()}
		}
		results = append(results, r)
	}
	return results
}

func TestManyMembers(t *testing.T) {
	t.Parallel()
	setUp := func(t *testing.T) *world {
		w := signedIn(t)
		on(w, func(_ context.Context, q *membershipv1.BulkDisableMembersRequest) (*membershipv1.BulkDisableMembersResponse, error) {
			return &membershipv1.BulkDisableMembersResponse{Results: answered(q.GetAccountIds()), Token: "token"}, nil
		})
		on(w, func(_ context.Context, q *membershipv1.BulkEnableMembersRequest) (*membershipv1.BulkEnableMembersResponse, error) {
			return &membershipv1.BulkEnableMembersResponse{Results: answered(q.GetAccountIds())}, nil
		})
		on(w, func(_ context.Context, q *membershipv1.BulkRemoveMembersRequest) (*membershipv1.BulkRemoveMembersResponse, error) {
			return &membershipv1.BulkRemoveMembersResponse{Results: answered(q.GetAccountIds())}, nil
		})
		on(w, func(_ context.Context, q *membershipv1.BulkChangeMemberRoleRequest) (*membershipv1.BulkChangeMemberRoleResponse, error) {
			return &membershipv1.BulkChangeMemberRoleResponse{Results: answered(q.GetAccountIds())}, nil
		})
		on(w, func(context.Context, *membershipv1.ListPeopleRequest) (*membershipv1.ListPeopleResponse, error) {
			return &membershipv1.ListPeopleResponse{People: []*membershipv1.Person{
				{AccountId: "acc_5", Email: "not.bob@example.com"}, {AccountId: "acc_7", Email: "bob@example.com"}}}, nil
		})
		return w
	}

	t.Run("EachIsAnsweredAndOneRefusalIsTheExitCode", func(t *testing.T) {
		t.Parallel()
		w := setUp(t)
		r := w.run("member", "disable", "acc_2", "acc_owner", "acc_2", "Bob@example.com")
		require.Equal(t, result{exitConflict, `ACCOUNT    NAME  ROLE       OUTCOME          WHY
acc_2      Bob   developer  disabled         
acc_owner  -     -          OWNER_PROTECTED  Owner is reserved.
acc_7      Bob   developer  disabled         
`, "Error: 1 of 3 were refused\n"}, r)
		sent := w.last().request.(*membershipv1.BulkDisableMembersRequest)
		require.NotEmpty(t, sent.GetRequestId())
		require.False(t, sent.GetValidateOnly())
		require.Contains(t, w.run("member", "disable", "acc_2", "acc_owner", "--json").out, `"reason": "OWNER_PROTECTED"`)
	})

	t.Run("ADryRunOnlySaysWhatWouldBe", func(t *testing.T) {
		t.Parallel()
		w := setUp(t)
		require.Contains(t, w.ok("member", "remove", "acc_2", "--dry-run", "--from-projects"), "would be removed")
		require.True(t, w.last().request.(*membershipv1.BulkRemoveMembersRequest).GetValidateOnly())
		require.True(t, w.last().request.(*membershipv1.BulkRemoveMembersRequest).GetRemoveProjectMemberships())
		require.Contains(t, w.ok("member", "change-role", "acc_2", "acc_3", "viewer", "--dry-run"), "would be changed")
		require.Equal(t, "viewer", w.last().request.(*membershipv1.BulkChangeMemberRoleRequest).GetRole())
		require.Equal(t, exitUsage, w.run("member", "change-role", "acc_2", "acc_3", "viewer", "--etag", "7").code)
	})

	t.Run("StandardInputNamesThem", func(t *testing.T) {
		t.Parallel()
		w := setUp(t)
		for i := range 150 {
			w.in += fmt.Sprintf("acc_%d\r\n\n", i+10)
		}
		require.Equal(t, 151, strings.Count(w.ok("member", "enable", "-"), "\n"))
		require.Len(t, w.last().request.(*membershipv1.BulkEnableMembersRequest).GetAccountIds(), 50, "the second call")
		require.Equal(t, exitUsage, w.run("member", "remove", "-").code, "nobody can be asked")
		require.Contains(t, w.ok("member", "remove", "-", "--yes"), "removed")
		w.in = "\n"
		require.Equal(t, exitUsage, w.run("member", "enable", "-").code)
	})

	t.Run("WhoIsNotHereIsNotFound", func(t *testing.T) {
		t.Parallel()
		r := setUp(t).run("member", "disable", "acc_2", "eve@example.com")
		require.Equal(t, exitNotFound, r.code)
		require.Contains(t, r.err, "eve@example.com")
	})

	t.Run("RemovingSeveralAsks", func(t *testing.T) {
		t.Parallel()
		w := setUp(t)
		w.interactive, w.in = true, "n\n"
		require.Equal(t, "Remove 2 members from org_1? [y/N] Error: stopped, nothing was changed\n", w.run("member", "remove", "acc_2", "acc_3").err)
		require.Empty(t, w.requests())
	})
}
