package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/pkg/fault"

	"github.com/rosterhq/roster/services/dev"
)

// startSuite runs the suite that the demo fills.
func startSuite(t *testing.T) dev.Addresses {
	t.Helper()
	data, err := os.MkdirTemp("", "roster-demo-*")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(data) })
	require.NoError(t, os.Chmod(data, 0o711)) // PostgreSQL's user has to pass through
	ctx, stop := context.WithCancel(context.Background())
	started, ended := make(chan dev.Addresses, 1), make(chan error, 1)
	go func() {
		ended <- dev.Run(ctx, dev.Config{
			Data: data, HTTP: "127.0.0.1:0", GRPC: "127.0.0.1:0", NATS: "127.0.0.1:0",
			Log: slog.New(slog.DiscardHandler), Started: func(a dev.Addresses) { started <- a },
		})
	}()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	select {
	case a := <-started:
		return a
	case err := <-ended:
		ended <- nil
		require.NoError(t, err)
		panic("unreachable")
	}
}

// An interrupted run, one that finishes it, and one that finds all there: the same people, once each.
func TestDemo(t *testing.T) {
	t.Parallel()
	a := startSuite(t)
	ctx := t.Context()
	d := demo{grpc: a.GRPC, url: a.URL, out: io.Discard}
	defer d.close()
	var err error
	d.anybody, err = d.dial("")
	require.NoError(t, err)

	interrupted := cast[0]
	interrupted.parts = slices.Clone(interrupted.parts[:5])
	for i := range interrupted.parts {
		interrupted.parts[i].end = pending
	}
	require.NoError(t, d.stage(ctx, interrupted))

	perform := func(args ...string) string {
		var out strings.Builder
		require.NoError(t, run(ctx, append([]string{"--grpc", a.GRPC, "--url", a.URL}, args...), &out))
		return out.String()
	}
	first := perform("--claim", a.Claim)
	require.Contains(t, first, "Bilbis Pipelines: found, and 9 people added.")
	require.Contains(t, first, "Northwind Portal: all 6 seats are taken.")
	second := perform("--claim", a.Claim)
	require.Contains(t, second, "The operator token is used")
	require.Equal(t, len(cast), strings.Count(second, "found as it should be"), second)

	for _, o := range cast {
		owner, err := d.signIn(ctx, o.founder)
		require.NoError(t, err)
		id, found, err := d.organization(ctx, owner, o)
		require.NoError(t, err)
		require.True(t, found)
		s := scene{demo: &d, organization: o, id: id, owner: owner}
		require.NoError(t, s.look(ctx))
		require.Len(t, s.invitations, len(o.parts), o.name)
		for _, p := range o.parts {
			s.verify(t, p)
		}
		if o.full {
			usage, err := owner.SeatUsage.GetSeatUsage(ctx, &billingv1.GetSeatUsageRequest{OrganizationId: id})
			require.NoError(t, err)
			require.Equal(t, billingv1.SeatUsage_STATE_AT, usage.GetUsage().GetState())
		}
	}
}

var ends = map[end]invitationv1.Invitation_State{
	joins: invitationv1.Invitation_STATE_ACCEPTED, disabled: invitationv1.Invitation_STATE_ACCEPTED,
	pending: invitationv1.Invitation_STATE_PENDING, declined: invitationv1.Invitation_STATE_DECLINED, revoked: invitationv1.Invitation_STATE_REVOKED,
}

// verify compares somebody with the cast, and signs in as them.
func (s scene) verify(t *testing.T, p part) {
	t.Helper()
	at := slices.IndexFunc(s.invitations, func(i *invitationv1.Invitation) bool { return p.is(i.GetEmail(), i.GetUsername()) })
	require.Equal(t, ends[p.end], s.invitations[at].GetState(), p.name)
	at = slices.IndexFunc(s.people, func(m *membershipv1.Person) bool { return p.is(m.GetEmail(), m.GetUsername()) })
	if p.end != joins && p.end != disabled {
		require.Negative(t, at, p.name)
		return
	}
	require.Equal(t, p.role, s.people[at].GetRole())
	require.Equal(t, p.name, s.people[at].GetDisplayName())
	c, err := s.signIn(t.Context(), p.person)
	if p.end == disabled && s.preset == membershipv1.Preset_PRESET_RBAC {
		require.Equal(t, errorv1.Reason_REASON_CREDENTIALS_INVALID, fault.ReasonOf(err), "%s does not sign in: %v", p.name, err)
		return
	}
	require.NoError(t, err, p.name)
	_, err = c.Accounts.GetMe(t.Context(), &identityv1.GetMeRequest{})
	require.NoError(t, err)
	state := membershipv1.Person_STATE_ACTIVE
	if p.end == disabled {
		state = membershipv1.Person_STATE_DISABLED
	}
	require.Equal(t, state, s.people[at].GetState(), p.name)
}

func TestDemoNeedsASuite(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), []string{"--grpc", "localhost:1"}, io.Discard)
	require.ErrorContains(t, err, "Roster at localhost:1 does not answer")
	require.ErrorContains(t, run(t.Context(), []string{"fill"}, io.Discard), "fill")
}
