// Command processes runs the suite as production does, on this machine: every role a process of its own, over mutual
// TLS, with certificates that it makes. It is what `make processes` starts.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/rosterhq/roster/services/internal/fleet"
)

func main() {
	var c fleet.Config
	flag.StringVar(&c.Dir, "data", ".roster/processes", "folder of all data")
	flag.StringVar(&c.Rosterd, "rosterd", "", "the binary; built when empty")
	flag.StringVar(&c.HTTP, "http", "localhost:8080", "address of REST and pages, of the first gateway")
	flag.IntVar(&c.Copies, "copies", 1, "processes of each role")
	mail := flag.String("mail", "localhost:8025", "address of the page that shows the mail")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, c, *mail); err != nil {
		fmt.Fprintln(os.Stderr, "processes:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c fleet.Config, mail string) error {
	page, err := net.Listen("tcp", mail)
	if err != nil {
		return err
	}
	defer page.Close()
	f, err := fleet.Start(ctx, c)
	if err != nil {
		return err
	}
	go http.Serve(page, f.Mail.Handler())
	greet(f, mail)
	<-ctx.Done()
	fmt.Println("\nEnding.")
	return f.Stop()
}

func greet(f *fleet.Fleet, mail string) {
	fmt.Printf("\nRoster is running, each role by itself.\n\n  REST and pages  %s\n  mail            http://%s/dev/mail\n  events          %s\n",
		strings.Join(f.URLs, "  "), mail, f.NATS)
	for _, p := range f.Processes {
		fmt.Printf("  %-14s  process %d at %s, log %s\n", p.Name, p.PID(), f.Public(p), p.LogFile())
	}
	if f.Claim != "" {
		fmt.Printf("\n  No operator yet. Become one, once, within a day:\n\n    roster --server %s operator claim %s\n", f.Public(f.Of("identity")[0]), f.Claim)
	}
	fmt.Printf("\nCtrl-C stops everything; the data stays.\n\n")
}
