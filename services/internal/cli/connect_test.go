package cli

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

var (
	unavailable = fault.New(errorv1.Reason_REASON_UNAVAILABLE, "A part of Roster does not answer.")
	busy        = fault.New(errorv1.Reason_REASON_BUSY, "Too much at once.").WithRetry(2 * time.Second)
)

// failing answers with the errors in turn, and then with the answer.
func failing[Q, A proto.Message](w *world, _ Q, answer A, errs ...error) {
	on(w, func(context.Context, Q) (A, error) {
		if len(errs) == 0 {
			return answer, nil
		}
		err := errs[0]
		errs = errs[1:]
		var none A
		return none, err
	})
}

func requestIDs(w *world) (ids []string) {
	for _, r := range w.requests() {
		ids = append(ids, r.(interface{ GetRequestId() string }).GetRequestId())
	}
	return ids
}

func TestRetries(t *testing.T) {
	t.Parallel()

	t.Run("AMutationIsRepeatedWithTheSameRequestID", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		failing(w, &membershipv1.DisableMemberRequest{}, &membershipv1.DisableMemberResponse{}, unavailable, busy, unavailable)
		w.ok("member", "disable", "acc_2")
		ids := requestIDs(w)
		require.Len(t, ids, 4)
		require.NoError(t, uuid.Validate(ids[0]))
		require.Equal(t, []string{ids[0], ids[0], ids[0], ids[0]}, ids)
		require.Equal(t, []time.Duration{200 * time.Millisecond, 2 * time.Second, 800 * time.Millisecond}, w.paused)

		w.ok("member", "disable", "acc_2")
		require.NotEqual(t, ids[0], requestIDs(w)[4], "another run is another request")
	})

	t.Run("ItGivesUpAfterThree", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		refuses(w, &membershipv1.RemoveMemberRequest{}, unavailable)
		r := w.run("member", "remove", "acc_2", "--yes")
		require.Equal(t, exitFailed, r.code)
		require.Equal(t, "Error: A part of Roster does not answer. (UNAVAILABLE)\n", r.err)
		require.Len(t, w.requests(), 4)
	})

	t.Run("ReadsAreRepeated", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		failing(w, &billingv1.GetSeatUsageRequest{}, &billingv1.GetSeatUsageResponse{}, unavailable)
		w.ok("seats")
		require.Len(t, w.requests(), 2)
	})

	t.Run("WhatHasNoRequestIDIsNot", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.in = "a long password"
		refuses(w, &identityv1.CreateSessionRequest{}, busy)
		r := w.run("login", "ada", "--password-stdin")
		require.Equal(t, exitFailed, r.code)
		require.Equal(t, "Error: Too much at once. (BUSY)\n  Try again in 2s.\n", r.err)
		require.Len(t, w.requests(), 1)
	})

	t.Run("OtherRefusalsAreNot", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		refuses(w, &membershipv1.DisableMemberRequest{}, fault.New(errorv1.Reason_REASON_INTERNAL, "Internal error."))
		require.Equal(t, exitFailed, w.run("member", "disable", "acc_2").code)
		require.Len(t, w.requests(), 1)
	})

	t.Run("AServerThatIsAwayIsSaidToBe", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		r := w.run("me", "--server", "127.0.0.1:1")
		require.Equal(t, exitFailed, r.code)
		require.Contains(t, r.err, "Error: Roster at 127.0.0.1:1 does not answer. (UNAVAILABLE)\n  Cause: ")
		require.Contains(t, r.err, "connection refused")
	})
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"":                        "localhost:9090",
		"Roster.example.com":      "roster.example.com:9090",
		"roster.example.com:443":  "roster.example.com:443",
		"::1":                     "[::1]:9090",
		"[::1]":                   "[::1]:9090",
		"[::1]:9091":              "[::1]:9091",
		"https://roster.example/": "https://roster.example/",
	} {
		a := newApp(Console{Getenv: func(string) string { return "" }})
		a.server = given
		require.Equal(t, want, a.address())
	}
	w := signedIn(t)
	r := w.run("me", "--server", "https://roster.example/")
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.err, "must be host:port")
}

func TestOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env["ROSTER_TOKEN"] = "session-token"
	gives(w, &billingv1.GetSeatUsageRequest{}, &billingv1.GetSeatUsageResponse{})
	gives(w, &membershipv1.GetOrganizationRequest{}, &membershipv1.GetOrganizationResponse{
		Organization: &membershipv1.Organization{Id: "org_saved", DisplayName: "Analytical"}})
	asked := func() string { return w.last().request.(*billingv1.GetSeatUsageRequest).GetOrganizationId() }

	r := w.run("seats")
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.err, "which organization? Name it with --org or ROSTER_ORG, or save one: roster org use ORGANIZATION")
	require.Equal(t, "Commands are now about Analytical (org_saved).\n", w.ok("org", "use", "org_saved"))
	w.ok("seats")
	require.Equal(t, "org_saved", asked())
	w.env["ROSTER_ORG"] = "org_environment"
	w.ok("seats")
	require.Equal(t, "org_environment", asked())
	w.ok("seats", "--org", "org_flag")
	require.Equal(t, "org_flag", asked())
}
