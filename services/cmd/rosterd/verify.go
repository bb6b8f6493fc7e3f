package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/rosterhq/roster/services/internal/config"
	"github.com/rosterhq/roster/services/internal/network"
	"github.com/rosterhq/roster/services/internal/verify"
)

// verifySettings say where the data of the suite is.
type verifySettings struct {
	Membership string `env:"MEMBERSHIP_DATABASE_URL" usage:"DSN of membership's database, as its owner"`
	Invitation string `env:"INVITATION_DATABASE_URL" usage:"DSN of invitation's database, as its owner"`
	Identity   string `env:"IDENTITY_DATABASE_URL" usage:"DSN of identity's database, as its owner"`
	Billing    string `env:"BILLING_DATABASE_URL" usage:"DSN of billing's database, as its owner"`
	NATS       string `env:"NATS_URL" usage:"NATS servers, separated by commas; the streams are checked when it is given"`
	NATSCreds  string `env:"NATS_CREDS" usage:"file with NATS credentials that may read the streams, for a NATS that does not go by certificates"`
	TLSCert    string `env:"TLS_CERT" usage:"PEM file of an operator's certificate, as rosterd certs --client operator makes it, for NATS at tls://"`
	TLSKey     string `env:"TLS_KEY" usage:"PEM file of its private key"`
	TLSCA      string `env:"TLS_CA" usage:"PEM file of the authority that signs for NATS"`
}

func (s verifySettings) dsns() (map[string]string, error) {
	dsns := map[string]string{"membership": s.Membership, "invitation": s.Invitation, "identity": s.Identity, "billing": s.Billing}
	var missing []string
	for _, service := range databaseServices {
		if dsns[service] == "" {
			missing = append(missing, "--"+service+"-database-url")
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s must be given: the services are checked together", strings.Join(missing, ", "))
	}
	return dsns, nil
}

// errInconsistent ends the program with 1 after the report has said why.
var errInconsistent = errors.New("the data is not consistent")

// verifyCommand checks the data of the whole suite.
func verifyCommand() *cobra.Command {
	var settings verifySettings
	var settled, repair, yes, asJSON, list bool
	var wait time.Duration
	var history string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that the data of all services is consistent, and repair what can be",
		Long: `Check what the services promise together: seats, members, invitations and histories agree, in all four databases and in
the streams. It only reads, in short snapshots, and may run while the suite is at work. Without --settled it checks what holds at every
instant; with it, also what holds when nothing is under way. Exit status 1 means that something is wrong; the rows are printed.

On a suite that is at work something always is under way: give --settled a --wait, and only what lasts that long is reported.

--list prints what is checked. --repair prints what could be repaired and how; with --yes it is done.`,
		Args: cobra.NoArgs,
	}
	loader := config.Bind(cmd.Flags(), &settings)
	cmd.Flags().BoolVar(&settled, "settled", false, "check also what holds when nothing is under way")
	cmd.Flags().DurationVar(&wait, "wait", 0, "check again until nothing is wrong, or something has been wrong for so long")
	cmd.Flags().StringVar(&history, "history", "", "file with what clients saw, JSON lines, to check that it happened")
	cmd.Flags().BoolVar(&repair, "repair", false, "say what could be repaired")
	cmd.Flags().BoolVar(&yes, "yes", false, "with --repair: do it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	cmd.Flags().BoolVar(&list, "list", false, "print what is checked, and check nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		out := cmd.OutOrStdout()
		if list {
			return printInvariants(out)
		}
		if yes && !repair {
			return errors.New("--yes is for --repair")
		}
		if err := loader.Load(); err != nil {
			return err
		}
		dsns, err := settings.dsns()
		if err != nil {
			return err
		}
		options := verify.Options{Settled: settled, Wait: wait}
		if history != "" {
			file, err := os.Open(history)
			if err != nil {
				return err
			}
			defer file.Close()
			if options.History, err = verify.ReadHistory(file); err != nil {
				return err
			}
		}
		if settings.NATS != "" {
			conn, err := connectNATS(settings)
			if err != nil {
				return fmt.Errorf("NATS: %w", err)
			}
			defer conn.Close()
			if options.Stream, err = jetstream.New(conn); err != nil {
				return fmt.Errorf("NATS: %w", err)
			}
		}
		checker, err := verify.Open(cmd.Context(), dsns)
		if err != nil {
			return err
		}
		defer checker.Close()
		report, err := checker.Check(cmd.Context(), options)
		if err != nil {
			return err
		}
		if asJSON {
			encoder := json.NewEncoder(out)
			encoder.SetIndent("", "  ")
			err = encoder.Encode(report)
		} else {
			err = printReport(out, report, repair)
		}
		if err != nil {
			return err
		}
		if report.OK() {
			return nil
		}
		if yes {
			err = checker.Repair(cmd.Context(), report, func(f verify.Finding, err error) {
				outcome := "done"
				if err != nil {
					outcome = err.Error()
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "%s %s %s: %s: %s\n", f.ID, f.Organization, f.Subject, f.Repair, outcome)
			})
			if err != nil {
				return err
			}
		}
		return errInconsistent
	}
	return cmd
}

// connectNATS connects as an operator, who may read the streams and nothing else.
func connectNATS(s verifySettings) (*nats.Conn, error) {
	options := []nats.Option{nats.Name("roster-verify"), nats.CustomInboxPrefix("_INBOX.operator")}
	switch {
	case s.NATSCreds != "":
		options = append(options, nats.UserCredentials(s.NATSCreds))
	case strings.HasPrefix(s.NATS, "tls://"):
		if s.TLSCert == "" || s.TLSKey == "" || s.TLSCA == "" {
			return nil, errors.New("--tls-cert, --tls-key and --tls-ca must be given for tls://, or --nats-creds")
		}
		config, err := network.TLSClient(network.TLSFiles{Cert: s.TLSCert, Key: s.TLSKey, CA: s.TLSCA}, "operator", "nats")
		if err != nil {
			return nil, err
		}
		options = append(options, nats.Secure(config))
	}
	return nats.Connect(s.NATS, options...)
}

func printReport(out io.Writer, r *verify.Report, repair bool) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range r.Findings {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", f.ID, f.Service, f.Organization, f.Subject, f.Detail)
		switch {
		case repair && f.Repair != "":
			fmt.Fprintf(table, "\t\t\t\trepair: %s\n", f.Repair)
		case repair && f.Advice != "":
			fmt.Fprintf(table, "\t\t\t\tno repair: %s\n", f.Advice)
		case repair:
			fmt.Fprintf(table, "\t\t\t\tno repair: keep the databases as they are and compare them with a backup; what is wrong here no service does\n")
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(r.Counts)) {
		if listed := len(slices.DeleteFunc(slices.Clone(r.Findings), func(f verify.Finding) bool { return f.ID != id })); listed < r.Counts[id] {
			fmt.Fprintf(out, "%s: %d of %d\n", id, listed, r.Counts[id])
		}
	}
	verdict := "Everything holds"
	if !r.OK() {
		verdict = "Something is wrong"
	}
	_, err := fmt.Fprintf(out, "%s: %d organizations, %d members, %d events, %d messages of streams, %d operations of a history.\n",
		verdict, r.Organizations, r.Members, r.Events, r.Messages, r.Operations)
	return err
}

func printInvariants(out io.Writer) error {
	for _, i := range verify.Invariants {
		if _, err := fmt.Fprintf(out, "%-4s %-8s %s\n              (%s)\n", i.ID, i.When, i.Holds, i.Reads); err != nil {
			return err
		}
	}
	return nil
}
