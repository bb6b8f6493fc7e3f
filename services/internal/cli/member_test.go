package cli

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

var bob = &membershipv1.Member{OrganizationId: "org_1", AccountId: "acc_2", DisplayName: "Bob", Email: "bob@example.com", Role: "developer",
	RoleDisplayName: "Developer", State: membershipv1.Member_STATE_DISABLED, JoinTime: away(-9 * day), DisableTime: away(-60e9), DisablerAccountId: "acc_1", Etag: "7",
	DisablerDisplayName: "Ada", AccountCreateTime: away(-10 * day), LastActivityTime: away(-3600e9), Phone: "12345", OverlaidFields: []string{"display_name", "phone"}}

func TestMember(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	gives(w, &membershipv1.GetMemberRequest{}, &membershipv1.GetMemberResponse{Member: bob})
	gives(w, &membershipv1.ChangeMemberRoleRequest{}, &membershipv1.ChangeMemberRoleResponse{Member: bob})
	gives(w, &membershipv1.DisableMemberRequest{}, &membershipv1.DisableMemberResponse{Member: bob, SeatReleased: true})
	gives(w, &membershipv1.EnableMemberRequest{}, &membershipv1.EnableMemberResponse{Member: bob})

	gives(w, &membershipv1.UpdateMemberRequest{}, &membershipv1.UpdateMemberResponse{Member: bob})
	const details = `Account:        acc_2
Name:           Bob
Email:          bob@example.com
Phone:          12345
Role:           developer
Status:         disabled
Joined:         2026-03-01 12:00 UTC (9d ago)
Account since:  2026-02-28 12:00 UTC (10d ago)
Last active:    2026-03-10 11:00 UTC (1h ago)
Disabled:       2026-03-10 11:59 UTC (1m ago)
Disabled by:    Ada acc_1
Set here:       display_name, phone
Etag:           7
`
	require.Equal(t, details, w.ok("member", "get", "acc_2"))
	require.Equal(t, details, w.ok("member", "show", "acc_2"))
	require.Equal(t, details, w.ok("member", "edit", "acc_2", "--name", "Robert", "--contact-email", "", "--etag", "7"))
	edited := w.last().request.(*membershipv1.UpdateMemberRequest)
	require.Equal(t, []string{"contact_email", "display_name"}, edited.GetUpdateMask().GetPaths())
	require.Equal(t, "acc_2 Robert  7", strings.Join([]string{edited.GetAccountId(), edited.GetDisplayName(), edited.GetContactEmail(), edited.GetEtag()}, " "))
	require.Equal(t, exitUsage, w.run("member", "edit", "acc_2").code)
	require.Equal(t, "Bob (acc_2) is now developer.\n", w.ok("member", "change-role", "acc_2", "developer", "--etag", "7"))
	sent := w.last().request.(*membershipv1.ChangeMemberRoleRequest)
	require.Equal(t, "acc_2 developer 7", sent.GetAccountId()+" "+sent.GetRole()+" "+sent.GetEtag())
	require.Equal(t, "Bob (acc_2) is disabled. The seat is free.\nTo give access back: roster member enable acc_2\n",
		w.ok("member", "disable", "acc_2"))
	require.Equal(t, "Bob (acc_2) has access again, as developer.\n", w.ok("member", "enable", "acc_2"))
}

func TestConfirmation(t *testing.T) {
	t.Parallel()
	const question = "Remove Bob (acc_2) from org_1? [y/N] "
	setUp := func(t *testing.T) *world {
		w := signedIn(t)
		gives(w, &membershipv1.GetMemberRequest{}, &membershipv1.GetMemberResponse{Member: bob})
		gives(w, &membershipv1.RemoveMemberRequest{}, &membershipv1.RemoveMemberResponse{Member: bob})
		return w
	}

	t.Run("S1-32_YesOnATerminalRemoves", func(t *testing.T) {
		t.Parallel()
		w := setUp(t)
		w.interactive, w.in = true, "y\n"
		r := w.run("member", "remove", "acc_2")
		require.Equal(t, result{exitOK, "Bob (acc_2) is removed. The seat will be free within a minute.\n", question}, r)
		require.IsType(t, &membershipv1.RemoveMemberRequest{}, w.last().request)
	})

	for _, answer := range []string{"\n", "n\n", "yeah\n", ""} {
		t.Run("S1-32_AnythingElseDoesNot"+answer, func(t *testing.T) {
			t.Parallel()
			w := setUp(t)
			w.interactive, w.in = true, answer
			r := w.run("member", "remove", "acc_2")
			require.Equal(t, result{exitFailed, "", question + "Error: stopped, nothing was changed\n"}, r)
			require.Len(t, w.requests(), 1) // the reading of the name
		})
	}

	t.Run("WithoutATerminalItIsRefused", func(t *testing.T) {
		t.Parallel()
		w := setUp(t)
		w.in = "y\n"
		r := w.run("member", "remove", "acc_2")
		require.Equal(t, exitUsage, r.code)
		require.Contains(t, r.err, "there is no terminal to ask on: say --yes")
		require.Empty(t, w.requests())
	})

	t.Run("YesInAdvanceAsksNothing", func(t *testing.T) {
		t.Parallel()
		w := setUp(t)
		require.Equal(t, "Bob (acc_2) is removed. The seat will be free within a minute.\n", w.ok("member", "remove", "acc_2", "--yes"))
		require.Len(t, w.requests(), 1)
	})

	t.Run("WhoIsNotThereIsNotAskedAbout", func(t *testing.T) {
		t.Parallel()
		w := setUp(t)
		w.interactive, w.in = true, "y\n"
		refuses(w, &membershipv1.GetMemberRequest{}, fault.New(errorv1.Reason_REASON_MEMBER_NOT_FOUND, "No such member."))
		r := w.run("member", "remove", "acc_3")
		require.Equal(t, result{exitNotFound, "", "Error: No such member. (MEMBER_NOT_FOUND)\n  People and their ids: roster people\n"}, r)
	})

	t.Run("LeavingAsksToo", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		w.interactive, w.in = true, "no\n"
		gives(w, &membershipv1.GetOrganizationRequest{}, &membershipv1.GetOrganizationResponse{Organization: analytical})
		gives(w, &membershipv1.LeaveOrganizationRequest{}, &membershipv1.LeaveOrganizationResponse{SeatReleased: true})
		r := w.run("member", "leave")
		require.Equal(t, "Leave the organization Analytical (org_1)? [y/N] Error: stopped, nothing was changed\n", r.err)
		require.Len(t, w.requests(), 1)
		require.Equal(t, "You have left org_1. The seat is free.\n", w.ok("member", "leave", "--yes"))
		require.Equal(t, "org_1", w.last().request.(*membershipv1.LeaveOrganizationRequest).GetOrganizationId())
	})

	t.Run("DeletingAnOrganizationAsksToo", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		w.interactive, w.in = true, "no\n"
		gives(w, &membershipv1.GetOrganizationRequest{}, &membershipv1.GetOrganizationResponse{Organization: analytical})
		gives(w, &membershipv1.DeleteOrganizationRequest{}, &membershipv1.DeleteOrganizationResponse{})
		r := w.run("org", "delete", "org_1")
		require.Equal(t, "Delete the organization Analytical (org_1) for everyone, for ever? [y/N] Error: stopped, nothing was changed\n", r.err)
		require.Len(t, w.requests(), 1)
		require.Equal(t, exitUsage, w.run("org", "delete").code, "never the default organization")
		w.interactive = false
		require.Equal(t, exitUsage, w.run("org", "delete", "org_1").code)
		require.Equal(t, "Organization org_1 is deleted.\n", w.ok("org", "delete", "org_1", "-y"))
	})
}
