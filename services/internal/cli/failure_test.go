package cli

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	for err, want := range map[error]int{
		fault.Invalid("email", "must be an address"):                          exitUsage,
		fault.New(errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE, "No such role."): exitUsage,
		unauthenticated: exitUnauthenticated,
		fault.New(errorv1.Reason_REASON_PERMISSION_MISSING, "You may not."):                   exitDenied,
		fault.New(errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND, "No such organization."):      exitNotFound,
		fault.New(errorv1.Reason_REASON_ALREADY_MEMBER, "A member already."):                  exitConflict,
		fault.New(errorv1.Reason_REASON_MEMBER_DISABLED, "You are disabled here."):            exitConflict,
		fault.New(errorv1.Reason_REASON_ETAG_MISMATCH, "It was changed."):                     exitConflict,
		fault.New(errorv1.Reason_REASON_SEAT_LIMIT_REACHED, "No seat is free."):               exitSeatLimit,
		fault.New(errorv1.Reason_REASON_INTERNAL, "Internal error."):                          exitFailed,
		fault.New(errorv1.Reason_REASON_DEADLINE_EXCEEDED, "It took too long."):               exitFailed,
		status.Error(codes.FailedPrecondition, "a reason that only a later version knows of"): exitConflict,
		status.Error(codes.Unknown, "what"):                                                   exitFailed,
	} {
		refuses(w, &invitationv1.CreateInvitationRequest{}, err)
		r := w.run("invite", "create", "ada@example.com")
		require.Equal(t, want, r.code, r.err)
		require.Empty(t, r.out)
	}
	require.Contains(t, w.ok("help", "exit-codes"), "7  No seat is free.")

	t.Run("WrongCommandLinesAreTwo", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		for _, args := range [][]string{
			{"nonsense"}, {"org", "nonsense"}, {"me", "too much"}, {"me", "--nonsense"}, {"member", "get"},
			{"people", "--limit", "many"}, {"people", "--limit", "0"}, {"people", "--limit", "3", "--all"}, {"people", "--status", "gone"},
			{"people", "--view", "nonsense"}, {"org", "create", "Team"}, {"org", "create", "Team", "--preset", "nonsense"}, {"org", "update"},
			{"invite", "list", "--status", "gone"}, {"operator", "seat-limit", "org_1", "0", "--reason", "x"},
			{"operator", "seat-limit", "org_1", "5"}, {"events", "tail", "--type", "member.nonsense"}, {"events", "tail", "--since", "yesterday"},
		} {
			r := w.run(args...)
			require.Equal(t, exitUsage, r.code, "%v: %s", args, r.err)
			require.Contains(t, r.err, "Error: ", args)
			require.Contains(t, r.err, " --help\n", args)
		}
		require.Empty(t, w.requests())
		require.Contains(t, w.run("org", "delet").err, "did you mean delete?")
	})
}

func TestFailures(t *testing.T) {
	t.Parallel()

	t.Run("SayWhatTheServerSaysAndWhatHelps", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		refuses(w, &invitationv1.CreateInvitationRequest{}, fault.New(errorv1.Reason_REASON_SEAT_LIMIT_REACHED, "No seat is free.").
			With("used", "5").With("total", "5").WithHelp("https://roster.example.com/upgrade"))
		require.Equal(t, `Error: No seat is free. (SEAT_LIMIT_REACHED)
  total: 5
  used: 5
  What to do: https://roster.example.com/upgrade
  Who holds the seats: roster seats, roster people
`, w.run("invite", "create", "ada@example.com").err)

		refuses(w, &invitationv1.CreateInvitationRequest{}, fault.New(errorv1.Reason_REASON_INVITATION_PENDING, "Invited already.").With("invitationId", "inv_1"))
		require.Equal(t, `Error: Invited already. (INVITATION_PENDING)
  invitationId: inv_1
  To send it again: roster invite resend inv_1
`, w.run("invite", "create", "ada@example.com").err)

		refuses(w, &membershipv1.DeleteRoleRequest{}, fault.New(errorv1.Reason_REASON_ROLE_IN_USE, "Two have it.").With("members", "2"))
		require.Equal(t, `Error: Two have it. (ROLE_IN_USE)
  members: 2
  To give those who have it another one: --replacement ROLE
`, w.run("role", "delete", "rol_1").err)

		refuses(w, &invitationv1.CreateInvitationRequest{}, fault.Invalid("email", "must be an address"))
		require.Equal(t, "Error: The request is not valid: email must be an address. (VALIDATION_FAILED)\n",
			w.run("invite", "create", "ada").err)
	})

	t.Run("AnOperatorIsNotToldToSignIn", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		refuses(w, &billingv1.SetSeatLimitRequest{}, unauthenticated)
		r := w.run("operator", "seat-limit", "org_1", "5", "--reason", "ticket 7")
		require.Equal(t, exitUnauthenticated, r.code)
		require.Equal(t, "Error: You have no operator's key for "+w.address+`. (UNAUTHENTICATED)
  With the token that an empty deployment prints: roster operator claim TOKEN
`, r.err)
	})

	t.Run("WhatOthersHaveTypedCannotActOnTheTerminal", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		refuses(w, &billingv1.GetSeatUsageRequest{}, fault.New(errorv1.Reason_REASON_STATE_CONFLICT, "It is \x1b[31mred\u202e\nreally."))
		require.Equal(t, "Error: It is \uFFFD[31mred\uFFFD really. (STATE_CONFLICT)\n", w.run("seats").err)
	})
}
