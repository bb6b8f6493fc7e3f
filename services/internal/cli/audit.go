package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) auditCommand() *cobra.Command {
	return groupOf("audit", "What happened in an organization", a.auditListCommand(), a.auditExportCommand(), a.auditVerifyCommand(), a.auditCheckpointsCommand())
}

func (a *app) auditListCommand() *cobra.Command {
	var limit paging
	var between span
	var denied bool
	request := &membershipv1.ListAuditEventsRequest{}
	c := &cobra.Command{
		Use:   "list",
		Short: "List what happened, the newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			request.OrganizationId = org
			if request.StartTime, request.EndTime, err = between.read(); err != nil {
				return err
			}
			if denied {
				request.Types = append(request.Types, "access.denied")
			}
			answer := &membershipv1.ListAuditEventsResponse{}
			err = limit.each(func(size int32, token string) (int, string, error) {
				request.PageSize, request.PageToken = size, token
				page, err := call(cmd.Context(), a, c.Audit.ListAuditEvents, request)
				if err != nil {
					return 0, "", err
				}
				answer.AuditEvents = append(answer.AuditEvents, page.GetAuditEvents()...)
				answer.NextPageToken = page.GetNextPageToken()
				return len(page.GetAuditEvents()), page.GetNextPageToken(), nil
			})
			if err != nil {
				return err
			}
			defer a.noteMore(answer.GetNextPageToken())
			return a.show(answer, func(p *page) { auditTable(p, answer) })
		},
	}
	c.Flags().StringVar(&request.Actor, "actor", "", "only what this account, operator or service did")
	c.Flags().StringVar(&request.Target, "target", "", "only what was done to this account, invitation or seat")
	c.Flags().StringSliceVar(&request.Types, "type", nil, "only these types, such as member.removed")
	c.Flags().StringVar(&request.Query, "query", "", "part of a type, an id, a name or a username")
	between.flags(c)
	c.Flags().BoolVar(&denied, "denied", false, "what members were not allowed to do")
	limit.flags(c)
	return c
}

// span is a stretch of time, as flags give it.
type span struct{ start, end string }

func (s *span) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.start, "start", "", "not before this time, as 2026-03-01T09:00:00+01:00")
	c.Flags().StringVar(&s.end, "end", "", "before this time")
}

func (s *span) read() (start, end *timestamppb.Timestamp, err error) {
	if start, err = moment("start", s.start); err != nil {
		return nil, nil, err
	}
	end, err = moment("end", s.end)
	return start, end, err
}

func (a *app) auditExportCommand() *cobra.Command {
	var format, file string
	var between span
	request := &membershipv1.ExportAuditEventsRequest{}
	c := &cobra.Command{
		Use:   "export",
		Short: "Export what happened as a file, the newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			formats := map[string]membershipv1.ExportAuditEventsRequest_Format{
				"csv": membershipv1.ExportAuditEventsRequest_FORMAT_CSV, "jsonl": membershipv1.ExportAuditEventsRequest_FORMAT_JSON_LINES}
			if request.Format = formats[format]; request.GetFormat() == 0 {
				return fmt.Errorf("--format is csv or jsonl, not %q", format)
			}
			org, c, err := a.within()
			if err != nil {
				return err
			}
			request.OrganizationId = org
			if request.StartTime, request.EndTime, err = between.read(); err != nil {
				return err
			}
			stream, err := c.Audit.ExportAuditEvents(cmd.Context(), request)
			if err != nil {
				return err
			}
			first, err := stream.Recv() // before there is a file: a refusal leaves none behind
			if err != nil {
				return err
			}
			to := a.Out
			if file != "" {
				kept, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
				if err != nil {
					return err
				}
				defer kept.Close()
				to = kept
			}
			for part := first; err == nil; part, err = stream.Recv() {
				if _, err := to.Write(part.GetData()); err != nil {
					return err
				}
			}
			if !errors.Is(err, io.EOF) {
				fmt.Fprintln(a.Err, "The export is not whole.")
				return err
			}
			return nil
		},
	}
	c.Flags().StringVar(&format, "format", "csv", "csv or jsonl")
	c.Flags().StringVarP(&file, "output", "o", "", "a new file to write to, which nobody else may read")
	c.Flags().StringVar(&request.Actor, "actor", "", "only what this account, operator or service did")
	c.Flags().StringVar(&request.Target, "target", "", "only what was done to this account, invitation or seat")
	c.Flags().StringSliceVar(&request.Types, "type", nil, "only these types, such as member.removed")
	c.Flags().StringVar(&request.Query, "query", "", "part of a type, an id, a name or a username")
	between.flags(c)
	return c
}

func (a *app) auditVerifyCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Prove that the history is what was written; exit code 8 when it is not",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request := &membershipv1.VerifyAuditEventsRequest{}
			if file != "" {
				body, err := os.ReadFile(file)
				if err == nil {
					err = protojson.Unmarshal(body, request)
				}
				if err != nil {
					return usageError{fmt.Sprintf("%s: not what `roster audit checkpoints` prints: %v", file, err)}
				}
			}
			answer, err := a.verifyHistory(cmd.Context(), request)
			if err != nil {
				return err
			}
			if err := a.show(answer, func(p *page) { verdictTable(p, answer) }); err != nil {
				return err
			}
			if !answer.GetIntact() {
				return errTampered
			}
			return nil
		},
	}
	c.Flags().StringVar(&file, "checkpoint", "", "compare with these checkpoints too: a file that 'roster audit checkpoints' has printed")
	return c
}

func (a *app) auditCheckpointsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "checkpoints",
		Short: "Print the newest signatures of a history that is intact, to be kept elsewhere",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := a.verifyHistory(cmd.Context(), &membershipv1.VerifyAuditEventsRequest{})
			if err != nil {
				return err
			}
			kept := &membershipv1.VerifyAuditEventsRequest{}
			for _, verdict := range answer.GetVerdicts() {
				if verdict.GetCheckpoint() != nil {
					kept.Checkpoints = append(kept.Checkpoints, verdict.GetCheckpoint())
				}
			}
			if !answer.GetIntact() {
				a.note("The history is not what was written; see `roster audit verify`")
				return errTampered
			}
			body, err := protojson.MarshalOptions{Multiline: true}.Marshal(kept)
			if err != nil {
				return err
			}
			_, err = a.Out.Write(append(body, '\n'))
			return err
		},
	}
}

// verifyHistory verifies the whole history, part after part.
func (a *app) verifyHistory(ctx context.Context, request *membershipv1.VerifyAuditEventsRequest) (*membershipv1.VerifyAuditEventsResponse, error) {
	org, c, err := a.within()
	if err != nil {
		return nil, err
	}
	request.OrganizationId = org
	answer := &membershipv1.VerifyAuditEventsResponse{Intact: true}
	for first := true; first || request.GetPageToken() != ""; first = false {
		part, err := call(ctx, a, c.Audit.VerifyAuditEvents, request)
		if err != nil {
			return nil, err
		}
		addVerdicts(answer, part)
		request.PageToken = part.GetNextPageToken()
	}
	return answer, nil
}

// addVerdicts adds what a further part of the history brought.
func addVerdicts(all, part *membershipv1.VerifyAuditEventsResponse) {
	all.Intact = all.GetIntact() && part.GetIntact()
	for _, verdict := range part.GetVerdicts() {
		i := slices.IndexFunc(all.GetVerdicts(), func(v *membershipv1.AuditVerdict) bool { return v.GetService() == verdict.GetService() })
		if i < 0 {
			all.Verdicts = append(all.Verdicts, verdict)
			continue
		}
		before := all.GetVerdicts()[i]
		verdict.Events += before.GetEvents()
		verdict.Findings = append(before.GetFindings(), verdict.GetFindings()...)
		if before.GetCheckpoint() != nil { // a history that is complete is not looked at again
			verdict.Checkpoint, verdict.Checkpoints, verdict.PublicKey = before.GetCheckpoint(), before.GetCheckpoints(), before.GetPublicKey()
		}
		all.Verdicts[i] = verdict
	}
}

func verdictTable(p *page, answer *membershipv1.VerifyAuditEventsResponse) {
	var rows [][]string
	unsigned := false
	for _, verdict := range answer.GetVerdicts() {
		signed := "not yet"
		if c := verdict.GetCheckpoint(); c != nil {
			signed = fmt.Sprintf("%d, %s", c.GetRevision(), p.ago(c.GetTime()))
		} else {
			unsigned = true
		}
		row := []string{verdict.GetService(), strconv.FormatInt(verdict.GetEvents(), 10), signed, "intact", "", ""}
		for _, f := range verdict.GetFindings() {
			row[3], row[4] = strings.TrimPrefix(f.GetKind().String(), "KIND_"), strconv.FormatInt(f.GetRevision(), 10)
			row[5] = strings.TrimSpace(f.GetDetail() + " " + f.GetEventId())
			rows = append(rows, slices.Clone(row))
		}
		if len(verdict.GetFindings()) == 0 {
			rows = append(rows, row)
		}
	}
	p.table([]string{"SERVICE", "EVENTS", "SIGNED", "VERDICT", "REVISION", "WHAT"}, rows)
	if unsigned {
		p.line("A history is signed within some minutes of its first event.")
	}
}

func auditTable(p *page, answer *membershipv1.ListAuditEventsResponse) {
	if len(answer.GetAuditEvents()) == 0 {
		p.line("Nothing like that has happened here.")
		return
	}
	var rows [][]string
	for _, e := range answer.GetAuditEvents() {
		var targets []string
		for _, target := range e.GetTargets() {
			targets = append(targets, cmp.Or(target.GetDisplayName(), target.GetId()))
		}
		rows = append(rows, []string{
			p.ago(e.GetTime()), cmp.Or(e.GetActor().GetDisplayName(), e.GetActor().GetId()), strings.TrimSpace(e.GetType() + " " + e.GetMethod()),
			strings.Join(targets, ", "), changes(e.GetBefore(), e.GetAfter()), e.GetReason(), e.GetId(),
		})
	}
	p.table([]string{"WHEN", "WHO", "WHAT", "TO WHOM", "CHANGED", "WHY", "ID"}, rows)
}

// shown is how many changes of one event a table has room for.
const shown = 3

// silent are the fields whose change says nothing to people: versions, and ids of seats, which come and go with each state of a member.
func silent(name string) bool {
	return strings.HasSuffix(name, "etag") || strings.HasSuffix(name, "seatId")
}

// changes says in one line what differs between two states, as "role: member > admin". Whoever wants all of it takes --json.
func changes(before, after *structpb.Value) string {
	if before.GetStructValue() == nil || after.GetStructValue() == nil {
		return ""
	}
	was, is := make(map[string]string), make(map[string]string)
	flatten(was, "", before)
	flatten(is, "", after)
	var all []string
	names := maps.Clone(was)
	maps.Copy(names, is)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if was[name] != is[name] && !silent(name) {
			all = append(all, fmt.Sprintf("%s: %s > %s", name, cmp.Or(was[name], "-"), cmp.Or(is[name], "-")))
		}
	}
	if len(all) > shown {
		all = append(all[:shown], fmt.Sprintf("and %d more", len(all)-shown))
	}
	return strings.Join(all, ", ")
}

// flatten writes the values in a state, by the names that lead to them.
func flatten(into map[string]string, name string, state *structpb.Value) {
	fields := state.GetStructValue().GetFields()
	if fields == nil {
		text, err := state.MarshalJSON()
		if err == nil {
			into[name] = strings.Trim(string(text), `"`)
		}
		return
	}
	for field, value := range fields {
		flatten(into, strings.TrimPrefix(name+"."+field, "."), value)
	}
}
