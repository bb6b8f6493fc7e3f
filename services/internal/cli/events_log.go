package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/rosterhq/roster/pkg/events"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

func (a *app) eventsRepublishCommand() *cobra.Command {
	var dsn, aggregate string
	var since time.Duration
	var from int64
	c := &cobra.Command{
		Use:   "republish SERVICE --database-url DSN (--since DURATION | --aggregate ID [--from-revision N])",
		Short: "Publish events of the log again; duplicates harm no consumer",
		Long: `Publish events of a service's log again, from its database, which this command must reach as the service does. A stream
that was lost comes back by itself; this is for consumers that must hear again what they got wrong, or slept through.

The events are queued for the running service, which publishes them. Whoever stops this half way has lost nothing, and can do
it again. Consumers that know what they applied drop what they had.`,
		Example: "  roster events republish membership --database-url postgres://membership@db/membership --since 48h\n" +
			"  roster events republish billing --database-url postgres://billing@db/billing --aggregate org_... --from-revision 120",
		Args:      cobra.ExactArgs(1),
		ValidArgs: events.Services(),
		RunE: func(cmd *cobra.Command, args []string) error {
			service := args[0]
			what := outbox.Again{From: from}
			switch dsn = a.setting(dsn, "ROSTER_DATABASE_URL"); {
			case !slices.Contains(events.Services(), service):
				return usageError{fmt.Sprintf("%q: must be one of %s", service, strings.Join(events.Services(), ", "))}
			case dsn == "":
				return usageError{"--database-url is missing, the one that the service has"}
			case (aggregate == "") == (since <= 0):
				return usageError{"either --since or --aggregate: what is to be published again?"}
			case aggregate == "" && cmd.Flags().Changed("from-revision"):
				return usageError{"--from-revision goes with --aggregate: every aggregate has revisions of its own"}
			case aggregate == "":
				what = outbox.Again{Since: a.Now().Add(-since)}
			default:
				var err error
				if what.Aggregate, err = aggregateOf(aggregate); err != nil {
					return err
				}
			}
			db, err := postgres.Open(cmd.Context(), service, dsn, nil, postgres.Options{Role: postgres.RelayRole, Conns: 1})
			if err != nil {
				return err
			}
			defer db.Close()
			queued, err := outbox.Republish(cmd.Context(), db, what)
			if err != nil {
				return fmt.Errorf("%d events were queued, then: %w", queued, err)
			}
			return a.show(document(map[string]any{"queued": queued}), func(p *page) {
				p.line("%d events are queued; the %s service publishes them.", queued, service)
			})
		},
	}
	c.Flags().StringVar(&dsn, "database-url", "", "DSN of the service's database, or ROSTER_DATABASE_URL")
	c.Flags().DurationVar(&since, "since", 0, "what is not older, such as 48h")
	c.Flags().StringVar(&aggregate, "aggregate", "", "of one organization; in identity, one account")
	c.Flags().Int64Var(&from, "from-revision", 1, "from there on")
	return c
}

func aggregateOf(text string) (id.Any, error) {
	if org, err := id.ParseOrganization(text); err == nil {
		return id.Any(org), nil
	}
	account, err := id.ParseAccount(text)
	if err != nil {
		return id.Any{}, usageError{fmt.Sprintf("--aggregate %q: must be org_..., or acc_... in identity", text)}
	}
	return id.Any(account), nil
}

func (a *app) eventsDeadLettersCommand() *cobra.Command {
	return groupOf("dlq", "Events that a consumer could not handle, and what waits behind them",
		a.deadLettersListCommand(), a.deadLettersRetryCommand(), a.deadLettersSkipCommand())
}

func (a *app) deadLettersListCommand() *cobra.Command {
	var broker brokerFlags
	c := &cobra.Command{
		Use:   "list",
		Short: "Show what is parked: for which consumer, which event was refused, why, and how many wait",
		Long: `Show what is parked: for which consumer, which event was refused, why, and how many wait.

What is neither retried nor skipped expires with the events in their streams, after 14 days, and the consumer goes on behind it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			js, closed, err := a.broker(broker)
			if err != nil {
				return err
			}
			defer closed()
			parked, err := events.ListParked(cmd.Context(), js)
			if err != nil {
				return err
			}
			rows, items := [][]string{}, []any{}
			for _, k := range parked {
				rows = append(rows, []string{k.Consumer, k.Service, k.Aggregate, fmt.Sprintf("%s #%d", k.First.Type, k.First.Revision), k.Reason,
					strconv.FormatUint(k.Events, 10), k.Since.In(a.Now().Location()).Format(time.DateTime)})
				items = append(items, map[string]any{
					"consumer": k.Consumer, "service": k.Service, "aggregate": k.Aggregate, "eventId": k.First.ID, "type": k.First.Type,
					"revision": strconv.FormatInt(k.First.Revision, 10), "reason": k.Reason, "count": k.Events, "since": k.Since.UTC().Format(time.RFC3339),
				})
			}
			return a.show(document(map[string]any{"parked": items}), func(p *page) {
				if len(rows) == 0 {
					p.line("Nothing is parked.")
					return
				}
				p.table([]string{"CONSUMER", "SERVICE", "AGGREGATE", "FIRST EVENT", "REASON", "COUNT", "SINCE"}, rows)
			})
		},
	}
	broker.register(c)
	return c
}

func (a *app) deadLettersRetryCommand() *cobra.Command {
	var broker brokerFlags
	var patience time.Duration
	c := &cobra.Command{
		Use:   "retry CONSUMER SERVICE AGGREGATE",
		Short: "Have the consumer handle the parked events again, in order; when all went well it goes on by itself",
		Long: `Have the consumer handle the parked events again, in order; when all went well it goes on by itself.

The consumer reads them again from the service's stream. If one is there no longer, 'roster events republish' brings it back.`,
		Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			js, closed, err := a.broker(broker)
			if err != nil {
				return err
			}
			defer closed()
			ctx, cancel := context.WithTimeout(cmd.Context(), patience)
			defer cancel()
			if err := events.Retry(ctx, js, args[0], args[1], args[2]); err != nil {
				return fmt.Errorf("%s of %s: %w", args[2], args[0], err)
			}
			return a.show(document(map[string]any{"retried": true}), func(p *page) {
				p.line("All is handled: %s is parked no longer for %s.", args[2], args[0])
			})
		},
	}
	broker.register(c)
	c.Flags().DurationVar(&patience, "timeout", time.Minute, "how long to wait for the consumer, which goes on all the same")
	return c
}

func (a *app) deadLettersSkipCommand() *cobra.Command {
	var broker brokerFlags
	c := &cobra.Command{
		Use:   "skip CONSUMER SERVICE AGGREGATE",
		Short: "Drop the first parked event, for good; the consumer never handles it",
		Args:  cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			js, closed, err := a.broker(broker)
			if err != nil {
				return err
			}
			defer closed()
			e, err := events.Skip(cmd.Context(), js, args[0], args[1], args[2])
			if err != nil {
				return fmt.Errorf("%s of %s: %w", args[2], args[0], err)
			}
			return a.show(document(map[string]any{"eventId": e.ID, "type": e.Type, "revision": strconv.FormatInt(e.Revision, 10)}), func(p *page) {
				p.line("Dropped %s, %s, revision %d of %s: %s will not handle it.", e.ID, e.Type, e.Revision, args[2], args[0])
				p.line("What waits behind it: roster events dlq retry %s %s %s", args[0], args[1], args[2])
			})
		},
	}
	broker.register(c)
	return c
}

// document is an answer that no proto message describes.
func document(fields map[string]any) *structpb.Struct {
	made, err := structpb.NewStruct(fields)
	if err != nil {
		panic(err) // plain strings and numbers
	}
	return made
}
