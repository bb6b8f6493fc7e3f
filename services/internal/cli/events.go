package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/rosterhq/roster/pkg/events"
)

const defaultNATS = "nats://localhost:4222"

func (a *app) eventsCommand() *cobra.Command {
	return groupOf("events", "What happens in Roster", a.eventsTailCommand(), a.eventsRepublishCommand(), a.eventsDeadLettersCommand())
}

func (a *app) eventsTailCommand() *cobra.Command {
	var broker brokerFlags
	var since string
	var types []string
	c := &cobra.Command{
		Use:   "tail",
		Short: "Show events as they happen, until Ctrl-C",
		Long: `Show events as they happen, until Ctrl-C: when, what, about which organization or account, which revision, and
who did it to whom. With --json every line is the CloudEvent as it was published.

It listens on NATS and so needs to reach it. The default organization does not count here, only --org does.`,
		Example: "  roster events tail --type 'member.*' --type invitation.accepted --since 1h",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config := events.Config{Organization: a.org, Types: types, Start: events.Latest}
			if err := checkTypes(types); err != nil {
				return err
			}
			if since != "" {
				begin, err := a.time("since", since)
				if err != nil {
					return err
				}
				config.Start = events.Since(begin)
			}
			js, closed, err := a.broker(broker)
			if err != nil {
				return err
			}
			defer closed()
			err = events.Tail(cmd.Context(), js, config, a.showEvent)
			if errors.Is(err, context.Canceled) {
				return nil // that is how it ends
			}
			return err
		},
	}
	broker.register(c)
	c.Flags().StringSliceVar(&types, "type", nil, "only these, such as member.removed or 'member.*'")
	c.Flags().StringVar(&since, "since", "", "begin there: 15m, 24h, or a time such as 2026-03-01T12:00:00Z (default now)")
	c.RegisterFlagCompletionFunc("type", cobra.FixedCompletions(events.Types(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

// brokerFlags say where NATS is, and who we are there.
type brokerFlags struct{ address, cert, key, ca string }

func (b *brokerFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&b.address, "nats", "", "NATS, or ROSTER_NATS (default "+defaultNATS+")")
	c.Flags().StringVar(&b.cert, "nats-cert", "", "certificate of an operator, of 'rosterd certs --client operator', or ROSTER_NATS_CERT")
	c.Flags().StringVar(&b.key, "nats-key", "", "its private key, or ROSTER_NATS_KEY")
	c.Flags().StringVar(&b.ca, "nats-ca", "", "authority that signed NATS's certificate, or ROSTER_NATS_CA")
}

// broker connects to NATS.
func (a *app) broker(b brokerFlags) (js jetstream.JetStream, closed func(), err error) {
	address := cmp.Or(a.setting(b.address, "ROSTER_NATS"), defaultNATS)
	options := []nats.Option{nats.Name("roster events")}
	if cert := a.setting(b.cert, "ROSTER_NATS_CERT"); cert != "" {
		options = append(options, nats.ClientCert(cert, a.setting(b.key, "ROSTER_NATS_KEY")),
			nats.CustomInboxPrefix("_INBOX.operator")) // where nobody else can listen
	}
	if ca := a.setting(b.ca, "ROSTER_NATS_CA"); ca != "" {
		options = append(options, nats.RootCAs(ca))
	}
	conn, err := nats.Connect(address, options...)
	if err != nil {
		return nil, nil, fmt.Errorf("NATS at %s: %w", redacted(address), err)
	}
	if js, err = jetstream.New(conn); err != nil {
		conn.Close()
		return nil, nil, err
	}
	return js, conn.Close, nil
}

// checkTypes refuses a type that does not exist: it would never come. A wildcard may stand for the verb.
func checkTypes(types []string) error {
	known := events.Types()
	for _, t := range types {
		noun, verb, _ := strings.Cut(t, ".")
		every := verb == "" || verb == "*" || verb == ">"
		if !slices.ContainsFunc(known, func(k string) bool { return k == t || every && strings.HasPrefix(k, noun+".") }) {
			return usageError{fmt.Sprintf("--type %q: must be one of %s; 'member.*' is all about members", t, strings.Join(known, ", "))}
		}
	}
	return nil
}

// time reads a moment, or how long ago it was.
func (a *app) time(flag, text string) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil {
		return a.Now().Add(-ago.Abs()), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, usageError{fmt.Sprintf("--%s %q: must be how long ago, such as 15m, or a time such as 2026-03-01T12:00:00Z", flag, text)}
	}
	return at, nil
}

// redacted is an address without the password or token in it.
func redacted(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return "the given address"
	}
	parsed.User = nil
	return parsed.String()
}

func (a *app) showEvent(e events.Event) error {
	if a.json {
		line, err := cloudEvent(e)
		if err != nil {
			return err
		}
		_, err = a.Out.Write(line)
		return err
	}
	actor, target := origin(e)
	_, err := fmt.Fprintf(a.Out, "%s  %-24s  %s  #%d  %s -> %s\n", e.Time.In(a.Now().Location()).Format(time.DateTime),
		clean(e.Type), clean(e.Aggregate), e.Revision, clean(actor), clean(target))
	return err
}

// origin says who caused the event, and whom or what it is about. It reads the JSON, not the message, because
// what comes may be newer than this program.
func origin(e events.Event) (actor, target string) {
	var fields map[string]json.RawMessage
	var context struct{ Actor struct{ ID string } }
	var seats []struct{ SeatID string }
	var session string
	json.Unmarshal(e.Data, &fields) // what cannot be read is not shown
	json.Unmarshal(fields["context"], &context)
	json.Unmarshal(fields["seats"], &seats)
	json.Unmarshal(fields["sessionId"], &session)
	for _, name := range []string{"after", "before", "member", "invitation", "account"} {
		var subject struct{ AccountID, InvitationID string }
		json.Unmarshal(fields[name], &subject)
		target = cmp.Or(target, subject.InvitationID, subject.AccountID) // an accepted invitation has both
	}
	if len(seats) > 0 {
		target = seats[0].SeatID
	}
	if len(seats) > 1 {
		target += " +" + strconv.Itoa(len(seats)-1)
	}
	return cmp.Or(context.Actor.ID, "?"), cmp.Or(target, session, e.Aggregate)
}

// cloudEvent is the event as it was published, and a line break.
func cloudEvent(e events.Event) ([]byte, error) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(struct {
		SpecVersion     string          `json:"specversion"`
		ID              string          `json:"id"`
		Source          string          `json:"source"`
		Type            string          `json:"type"`
		Time            string          `json:"time"`
		DataContentType string          `json:"datacontenttype"`
		Aggregate       string          `json:"aggregate"`
		Revision        string          `json:"revision"`
		Epoch           string          `json:"epoch"`
		PrevHash        string          `json:"prevhash"`
		Hash            string          `json:"hash"`
		TraceID         string          `json:"traceid,omitempty"`
		Data            json.RawMessage `json:"data"`
	}{
		"1.0", e.ID, "/roster/" + e.Service, events.Root + e.Type, e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"),
		"application/json", e.Aggregate, strconv.FormatInt(e.Revision, 10), strconv.FormatInt(e.Epoch, 10),
		e.PrevHash, e.Hash, e.TraceID, e.Data,
	})
	return line.Bytes(), err
}
