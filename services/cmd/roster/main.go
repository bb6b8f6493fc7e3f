// Command roster is Roster on the command line: for people who belong to organizations, and for the operators of
// a deployment. It talks to the gRPC edge like any other client; `roster help` lists what it can do.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/rosterhq/roster/services/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	os.Exit(cli.Run(ctx, cli.Terminal(), os.Args[1:]))
}
