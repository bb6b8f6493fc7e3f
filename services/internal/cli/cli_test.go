package cli

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// Scripts rely on these names.
func TestCommandTree(t *testing.T) {
	t.Parallel()
	var tree []string
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		require.NotEmpty(t, c.Short, c.CommandPath())
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			kind, _ := pflag.UnquoteUsage(f)
			require.NotContains(t, kind, " ", "%s --%s: what stands in backticks is taken for its kind", c.CommandPath(), f.Name)
		})
		if !c.HasSubCommands() && c.Runnable() {
			tree = append(tree, strings.TrimPrefix(c.CommandPath(), "roster "))
		}
		for _, child := range c.Commands() {
			walk(child)
		}
	}
	walk(newApp(Console{In: strings.NewReader("")}).root())
	require.Equal(t, strings.Fields(`
		access/check access/explain access/list-mine access/what-if access/who account/avatar/remove account/avatar/set account/delete account/export account/providers/list account/providers/unlink account/update audit/checkpoints audit/export audit/list audit/verify
		availability/hours availability/override/add availability/override/list availability/override/remove
		availability/rotation/create availability/rotation/delete availability/rotation/list availability/rotation/update availability/show
		domain/add domain/get domain/list domain/remove domain/verify domain/waiting
		email/add email/list email/primary email/remove events/dlq/list events/dlq/retry events/dlq/skip events/republish events/tail
		group/add group/bind group/create group/delete group/get group/list group/members group/remove group/unbind group/update
		invite/accept invite/create invite/decline invite/get invite/list invite/new-link invite/preview invite/resend invite/revoke
		keys/create keys/delete keys/list login login-activity logout me
		member/change-email member/change-role member/create member/disable member/edit member/enable member/get member/leave member/login-activity member/remove member/reset-mfa member/reset-password member/revoke-sessions member/sessions
		mfa/disable mfa/enable mfa/recovery-codes mfa/rename mfa/status
		operator/accounts/delete operator/claim operator/permissions/apply operator/permissions/list
		operator/providers/create operator/providers/delete operator/providers/list operator/providers/update operator/seat-limit
		operator/service-accounts/create operator/service-accounts/create-key operator/service-accounts/delete operator/service-accounts/delete-key
		operator/service-accounts/list operator/service-accounts/show
		org/create org/delete org/get org/list org/policy/preview org/policy/set org/policy/show org/step-down
		org/transfer/accept org/transfer/cancel org/transfer/decline org/transfer/offer org/transfer/show org/update org/use
		password/change password/forgot password/reset people permissions
		project/add project/create project/delete project/get project/list project/members project/remove project/update
		reauth role/create role/delete role/list role/update seats
		service-accounts/create service-accounts/delete service-accounts/keys/create service-accounts/keys/delete service-accounts/keys/list service-accounts/list service-accounts/update
		sessions/list sessions/revoke sessions/revoke-others signup sso/create sso/delete sso/list sso/update verify`),
		strings.Fields(strings.ReplaceAll(strings.Join(tree, "\n"), " ", "/")))
}

func TestHelp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	require.Contains(t, w.ok(), "roster signup you@example.com")
	require.Contains(t, w.ok("invite"), "new-link")
	require.Contains(t, w.ok("completion", "bash"), "bash completion")
	require.Contains(t, w.ok("--version"), "roster version ")
	require.Contains(t, w.ok("__complete", "org", "create", "Team", "--preset", ""), "pipeline\nportal\nrbac\nflat\n")
}

func TestTimes(t *testing.T) {
	t.Parallel()
	p := &page{now: noon}
	for size, want := range map[time.Duration]string{
		0: "now", -20 * time.Second: "now", 31 * time.Second: "in 1m", -89 * time.Second: "1m ago", -59 * time.Minute: "59m ago",
		-59*time.Minute - 45*time.Second: "1h ago", 7*day - time.Second: "in 7d", -47 * time.Hour: "47h ago", 29 * day: "in 29d", -30 * day: "2026-02-08",
	} {
		require.Equal(t, want, p.ago(away(size)), size)
	}
	require.Empty(t, p.ago(nil))
	require.Empty(t, p.at(nil))
}

func TestCtrlCWhileAsking(t *testing.T) {
	t.Parallel()
	never, writer := io.Pipe()
	defer writer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	a := newApp(Console{In: never, Err: cancelling{cancel}, Interactive: true})
	_, err := a.ask(ctx, "", "EMAIL", "Email")
	require.ErrorIs(t, err, errStopped)
}

// cancelling is a person who ends the program when asked.
type cancelling struct{ cancel func() }

func (c cancelling) Write(question []byte) (int, error) {
	c.cancel()
	return len(question), nil
}
