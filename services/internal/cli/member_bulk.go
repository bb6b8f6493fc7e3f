package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/client"
	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// manyHelp is what the commands for one member say of several.
const manyHelp = `

An ACCOUNT is an id or an address; - reads them from standard input, one a line. Several are answered for one by one: whoever is
refused does not stand in the way of the others. --dry-run only says what would become of them.`

// mostAtOnce is how many members a call takes.
const mostAtOnce = 100

// bulkAnswer is that of a call about many members.
type bulkAnswer interface {
	proto.Message
	GetResults() []*membershipv1.MemberResult
}

// accounts are the members that a command names.
func (a *app) accounts(ctx context.Context, c *client.Client, org string, args []string) (ids []string, err error) {
	for i, arg := range args {
		if arg != "-" {
			continue
		}
		var read []string
		for {
			line, err := a.lines.read(ctx)
			if text := strings.TrimSpace(line); text != "" {
				read = append(read, text)
			}
			if err == errStopped {
				return nil, err
			}
			if err != nil {
				break
			}
		}
		args = slices.Replace(slices.Clone(args), i, i+1, read...)
		break
	}
	for _, arg := range args {
		if strings.Contains(arg, "@") {
			if arg, err = findMember(ctx, a, c, org, arg); err != nil {
				return nil, err
			}
		}
		if !slices.Contains(ids, arg) {
			ids = append(ids, arg)
		}
	}
	if len(ids) == 0 {
		return nil, usageError{"standard input names nobody"}
	}
	return ids, nil
}

// member is the account that an argument names, by its id or by the member's address here, and the organization that the command is about.
func (a *app) member(ctx context.Context, arg string) (org, account string, c *client.Client, err error) {
	if org, c, err = a.within(); err != nil {
		return "", "", nil, err
	}
	if !strings.Contains(arg, "@") {
		return org, arg, c, nil
	}
	account, err = findMember(ctx, a, c, org, arg)
	return org, account, c, err
}

// findMember returns the account of the member who has the address here.
func findMember(ctx context.Context, a *app, c *client.Client, org, email string) (string, error) {
	request := &membershipv1.ListPeopleRequest{OrganizationId: org, Query: email, View: membershipv1.ListPeopleRequest_VIEW_MEMBERS}
	for {
		page, err := call(ctx, a, c.Members.ListPeople, request)
		if err != nil {
			return "", err
		}
		for _, person := range page.GetPeople() {
			if strings.EqualFold(person.GetEmail(), email) {
				return person.GetAccountId(), nil
			}
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			return "", fault.Newf(errorv1.Reason_REASON_MEMBER_NOT_FOUND, "Nobody here has the address %s.", email)
		}
	}
}

func dryRunFlag(c *cobra.Command, dryRun *bool) {
	c.Flags().BoolVar(dryRun, "dry-run", false, "only say what would become of them")
}

// refusedRows is the end of a command that was refused for some.
type refusedRows struct {
	refused, of int
	first       codes.Code
}

func (e refusedRows) Error() string {
	return fmt.Sprintf("%d of %d were refused", e.refused, e.of)
}

// many makes a call about members, 100 at a time, and shows what became of each, in one table or document. become is what they
// are when it is done.
func many[A bulkAnswer](a *app, accounts []string, dryRun bool, become string, do func(accounts []string) (A, error)) error {
	var all A
	var failed error // of a later call: what the calls before have done is shown all the same
	for chunk := range slices.Chunk(accounts, mostAtOnce) {
		answer, err := do(chunk)
		if err != nil {
			failed = err
			break
		}
		if all.ProtoReflect().IsValid() {
			proto.Merge(all, answer)
		} else {
			all = answer
		}
	}
	if len(all.GetResults()) == 0 {
		return failed
	}
	refusals := refusedRows{of: len(all.GetResults())}
	var rows [][]string
	for _, r := range all.GetResults() {
		row := []string{r.GetAccountId(), r.GetMember().GetDisplayName(), r.GetMember().GetRole(), become, ""}
		if dryRun {
			row[3] = "would be " + become
		}
		if r.GetError() != nil {
			said := status.FromProto(r.GetError())
			row[3], row[4] = said.Code().String(), said.Message()
			if f := fault.From(said.Err()); f != nil { // else a reason that this version does not know
				row[3] = f.Name()
			}
			if refusals.refused++; refusals.first == codes.OK {
				refusals.first = said.Code()
			}
		}
		rows = append(rows, row)
	}
	if err := a.show(all, func(p *page) { p.table([]string{"ACCOUNT", "NAME", "ROLE", "OUTCOME", "WHY"}, rows) }); err != nil {
		return err
	}
	if failed == nil && refusals.refused > 0 {
		return refusals
	}
	return failed
}
