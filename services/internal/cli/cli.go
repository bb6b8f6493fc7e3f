// Package cli is the command-line client: it turns words into calls and answers into tables. It holds no rule of
// its own: what is allowed, the services say.
package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rosterhq/roster/pkg/client"
)

// Console is where the commands read and write.
type Console struct {
	In       io.Reader
	Out, Err io.Writer
	// Interactive says that somebody sits there and can be asked.
	Interactive bool
	// ReadSecret reads a line that is not shown. It is called only when Interactive.
	ReadSecret func(context.Context) (string, error)
	Getenv     func(string) string
	// ConfigDir is where credentials are kept.
	ConfigDir string
	Now       func() time.Time
}

// Run runs one command and returns the exit code of the process, as `roster help exit-codes` tells.
func Run(ctx context.Context, console Console, args []string) int {
	return newApp(console).run(ctx, args)
}

// app is one run of the program.
type app struct {
	Console
	pause func(context.Context, time.Duration) error // between two attempts

	server, token, org string // as given with flags
	json               bool

	started bool // a command's own code has begun: the command line was understood
	as      identity
	clients []*client.Client
	lines   *lines
}

func newApp(console Console) *app {
	a := &app{Console: console, pause: pause}
	a.lines = newLines(console.In)
	return a
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	ran, err := root.ExecuteContextC(ctx)
	for _, c := range a.clients {
		c.Close()
	}
	if err == nil {
		return exitOK
	}
	if !a.started { // the flags, the arguments or the command are wrong
		err = usageError{err.Error()}
	}
	return a.report(ran, err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "roster",
		Short: "Organizations, members, invitations and seats on the command line",
		Long: `Organizations, members, invitations and seats on the command line.

Begin with:
  roster signup you@example.com --name "Your Name"
  roster verify TOKEN                (of the mail)
  roster login you@example.com
  roster org create "Your Team" --preset pipeline
  roster org use ORGANIZATION
  roster invite create ada@example.com --role developer`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          group,
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	flags := root.PersistentFlags()
	flags.StringVar(&a.server, "server", "", "gRPC edge as host:port, or ROSTER_SERVER (default "+client.DefaultAddress+")")
	flags.StringVar(&a.token, "token", "", "session token or API key; better in ROSTER_TOKEN, where other users do not see it")
	flags.StringVar(&a.org, "org", "", "organization, or ROSTER_ORG, or what 'roster org use' has saved")
	flags.BoolVar(&a.json, "json", false, "answer with one JSON document")
	root.AddCommand(
		a.signupCommand(), a.verifyCommand(), a.loginCommand(), a.reauthCommand(), a.passwordCommand(), a.logoutCommand(), a.meCommand(), a.sessionsCommand(), a.loginActivityCommand(), a.accountCommand(), a.emailCommand(), a.keysCommand(), a.mfaCommand(),
		a.orgCommand(), a.roleCommand(), a.permissionsCommand(),
		a.inviteCommand(), a.peopleCommand(), a.availabilityCommand(), a.memberCommand(), a.groupCommand(), a.projectCommand(), a.serviceAccountsCommand(), a.domainCommand(), a.ssoCommand(), a.seatsCommand(), a.accessCommand(), a.auditCommand(),
		a.eventsCommand(), a.operatorCommand(), exitCodesTopic(),
	)
	a.watch(root)
	return root
}

// watch notes when a command begins, so that what went wrong before is known to be the command line.
func (a *app) watch(command *cobra.Command) {
	if run := command.RunE; run != nil && !command.HasSubCommands() {
		command.RunE = func(command *cobra.Command, args []string) error {
			a.started = true
			return run(command, args)
		}
	}
	for _, child := range command.Commands() {
		a.watch(child)
	}
}

// groupOf is a command that only holds others.
func groupOf(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, RunE: group}
	g.AddCommand(commands...)
	return g
}

// group shows the help of a command without an action of its own, and refuses what it does not know: by default
// cobra would take `roster org delet` for a request for help, and succeed.
func group(command *cobra.Command, args []string) error {
	if len(args) == 0 {
		return command.Help()
	}
	said := fmt.Sprintf("unknown command %q for %q", args[0], command.CommandPath())
	if command.SuggestionsMinimumDistance <= 0 {
		command.SuggestionsMinimumDistance = 2
	}
	if similar := command.SuggestionsFor(args[0]); len(similar) > 0 {
		said += ", did you mean " + strings.Join(similar, " or ") + "?"
	}
	return usageError{said}
}

// version is the module's version, or the commit that the program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision := ""
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			revision = setting.Value
		}
	}
	if tagged := info.Main.Version; tagged != "" && tagged != "(devel)" {
		return tagged
	}
	return cmp.Or(revision, "devel")
}

// setting is a flag's value, or the environment's.
func (a *app) setting(flag, variable string) string { return cmp.Or(flag, a.Getenv(variable)) }
