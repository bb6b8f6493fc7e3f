// Command demo fills a running suite with people to look at: one organization of each preset, members in every state,
// invitations with every answer. It uses the public gRPC API, as any client does, and reads the links of mails in the
// development inbox of `rosterd dev`. What is there already it leaves as it is, so it may run again.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/rosterhq/roster/pkg/client"
	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	d := demo{out: out}
	flags.StringVar(&d.grpc, "grpc", cmp.Or(os.Getenv("ROSTER_SERVER"), client.DefaultAddress), "gRPC address of the suite (ROSTER_SERVER)")
	flags.StringVar(&d.url, "url", cmp.Or(os.Getenv("ROSTER_PUBLIC_URL"), "http://localhost:8080"), "where its pages and its inbox are (ROSTER_PUBLIC_URL)")
	key := flags.String("operator-key", os.Getenv("ROSTER_OPERATOR_KEY"), "an operator's API key, to set a seat limit (ROSTER_OPERATOR_KEY)")
	claim := flags.String("claim", os.Getenv("ROSTER_CLAIM"), "or the one-time token that rosterd dev prints, to become the operator (ROSTER_CLAIM)")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "Fill a running suite (rosterd dev) with people to look at. What is there already stays as it is.")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("there is nothing to do about %q", flags.Arg(0))
	}
	d.url = strings.TrimSuffix(d.url, "/")
	defer d.close()

	anybody, err := d.dial("")
	if err != nil {
		return err
	}
	d.anybody = anybody
	if err := d.becomeOperator(ctx, *key, *claim); err != nil {
		return err
	}
	for _, o := range cast {
		switch err := d.stage(ctx, o); {
		case fault.ReasonOf(err) == errorv1.Reason_REASON_UNAVAILABLE:
			return fmt.Errorf("is rosterd dev running? %w", err)
		case err != nil:
			return fmt.Errorf("%s: %w", o.name, err)
		}
	}
	d.programme()
	return nil
}

// demo fills one suite.
type demo struct {
	grpc, url string
	out       io.Writer

	anybody  *client.Client
	operator *client.Client // nil: none
	opened   []*client.Client
}

// dial returns a client with a session or a key.
func (d *demo) dial(token string) (*client.Client, error) {
	c, err := client.Dial(client.Config{Address: d.grpc, Token: token, UserAgent: "roster-demo"})
	if err == nil {
		d.opened = append(d.opened, c)
	}
	return c, err
}

func (d *demo) close() {
	for _, c := range d.opened {
		c.Close()
	}
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// becomeOperator takes the key that is given, or claims one. Without either the demo lacks a seat limit, nothing more.
func (d *demo) becomeOperator(ctx context.Context, key, claim string) (err error) {
	if key == "" && claim != "" {
		claimed, err := d.anybody.Operators.ClaimOperator(ctx, &identityv1.ClaimOperatorRequest{Token: claim, DisplayName: "Demo operator"})
		switch {
		case fault.ReasonOf(err) == errorv1.Reason_REASON_LINK_INVALID:
			d.say("The operator token is used or too old. Whoever used it has a key: give that as --operator-key.")
		case err != nil:
			return fmt.Errorf("become operator: %w", err)
		default:
			key = claimed.GetApiKey()
			d.say("You are the operator now. The API key, shown this once: %s", key)
		}
	}
	if key != "" {
		d.operator, err = d.dial(key)
	}
	return err
}
