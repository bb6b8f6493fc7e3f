// Command processes runs the suite as production does, on this machine: every role a process of its own, over mutual
// TLS, with certificates that it makes. It is what `make processes` starts.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
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
	if err := run(ctx, c, *mail, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "processes:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, c fleet.Config, mail string, out io.Writer) error {
	page, err := net.Listen("tcp", mail)
	if err != nil {
		return err
	}
	defer page.Close()
	f, err := fleet.Start(ctx, c)
	if err != nil {
		return err
	}
	if err := saveVerifySettings(f, c.Dir); err != nil {
		return errors.Join(err, f.Stop())
	}
	go http.Serve(page, f.Mail.Handler())
	greet(out, f, c, page.Addr())
	<-ctx.Done()
	fmt.Fprintln(out, "\nEnding.")
	return f.Stop()
}

const verifySettings = "verify.yaml"

// saveVerifySettings writes where the data is, for `rosterd verify --config`.
func saveVerifySettings(f *fleet.Fleet, dir string) error {
	certs, err := filepath.Abs(filepath.Join(dir, "certs"))
	if err != nil {
		return err
	}
	var file bytes.Buffer
	for _, service := range fleet.Services {
		fmt.Fprintf(&file, "%s-database-url: %q\n", service, f.DSN(service, service+"_owner"))
	}
	fmt.Fprintf(&file, "nats-url: %q\ntls-ca: %q\ntls-cert: %q\ntls-key: %q\n", f.NATS,
		filepath.Join(certs, "ca.pem"), filepath.Join(certs, "operator.pem"), filepath.Join(certs, "operator.key"))
	return os.WriteFile(filepath.Join(dir, verifySettings), file.Bytes(), 0o600)
}

func greet(out io.Writer, f *fleet.Fleet, c fleet.Config, mail net.Addr) {
	fmt.Fprintf(out, "\nRoster is running, each role by itself.\n\n  REST and pages  %s\n  mail            http://%s/dev/mail\n  events          %s\n",
		strings.Join(f.URLs, "  "), mail, f.NATS)
	for _, p := range f.Processes {
		fmt.Fprintf(out, "  %-14s  process %d at %s, log %s\n", p.Name, p.PID(), f.Public(p), p.LogFile())
	}
	if f.Claim != "" {
		fmt.Fprintf(out, "\n  No operator yet. Become one, once, within a day of the first start:\n\n    roster --server %s operator claim %s\n", f.Public(f.Of("identity")[0]), f.Claim)
	}
	certs := filepath.Join(c.Dir, "certs")
	fmt.Fprintf(out, "\n  Check the data, and hear what happens:\n\n    %s verify --config %s\n    roster events tail --nats %s --nats-ca %s --nats-cert %s --nats-key %s\n",
		cmp.Or(c.Rosterd, filepath.Join(c.Dir, "rosterd")), filepath.Join(c.Dir, verifySettings), f.NATS,
		filepath.Join(certs, "ca.pem"), filepath.Join(certs, "operator.pem"), filepath.Join(certs, "operator.key"))
	fmt.Fprintf(out, "\nCtrl-C stops everything; the data stays.\n\n")
}
