package cli

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

// Exit codes. Scripts rely on them.
const (
	exitOK = iota
	exitFailed
	exitUsage
	exitUnauthenticated
	exitDenied
	exitNotFound
	exitConflict
	exitSeatLimit
	exitTampered
)

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit code of a command says",
		Long: `The exit code says what class of thing went wrong; the reason on standard error says what exactly.

  0  It worked.
  1  Something failed that is not about the request: Roster or a part of it
     is unavailable or too slow, has an error inside, or you have stopped
     the command.
  2  The command line or the request is not valid.
  3  Nobody is signed in, or the credential or password is wrong.
  4  You may not do this. 'roster access check': the answer is no.
  5  There is no such thing, or it is not yours to see.
  6  It conflicts with how things are: it exists already, it was changed
     meanwhile, or its state does not allow this.
  7  No seat is free.
  8  'roster audit verify': the history is not what was written.`,
	}
}

// usageError says that the command line is wrong.
type usageError struct{ message string }

func (e usageError) Error() string { return e.message }

// errDenied is the no of `roster access check`. The answer itself was shown already.
var errDenied = errors.New("denied")

// errTampered is the no of `roster audit verify`. What is wrong was shown already.
var errTampered = errors.New("tampered")

// report tells what went wrong, in one line and then what helps, and returns the exit code.
func (a *app) report(ran *cobra.Command, err error) int {
	var usage usageError
	var rows refusedRows
	switch f := fault.From(err); {
	case errors.Is(err, errDenied):
		return exitDenied
	case errors.Is(err, errTampered):
		return exitTampered
	case errors.As(err, &rows): // the table says why
		a.note("Error: %s", err.Error())
		return exitCode(rows.first)
	case errors.As(err, &usage):
		a.note("Error: %s", usage.message)
		a.note("  Usage: %s", ran.UseLine())
		a.note("  More:  %s --help", ran.CommandPath())
		return exitUsage
	case f != nil:
		a.note("Error: %s (%s)", f.Message, f.Name())
		for _, hint := range a.hints(f, err) {
			a.note("  %s", hint)
		}
		return exitCode(f.Code())
	}
	if said, ok := status.FromError(err); ok { // a refusal that this version has no words for
		a.note("Error: %s (%s)", said.Message(), said.Code().String())
		return exitCode(said.Code())
	}
	a.note("Error: %s", err.Error())
	return exitFailed
}

func exitCode(code codes.Code) int {
	switch code {
	case codes.InvalidArgument, codes.OutOfRange:
		return exitUsage
	case codes.Unauthenticated:
		return exitUnauthenticated
	case codes.PermissionDenied:
		return exitDenied
	case codes.NotFound:
		return exitNotFound
	case codes.AlreadyExists, codes.FailedPrecondition, codes.Aborted:
		return exitConflict
	case codes.ResourceExhausted:
		return exitSeatLimit
	}
	return exitFailed
}

// hints are what the fault says beside its message, and what to do about it.
func (a *app) hints(f *fault.Fault, err error) (hints []string) {
	for _, field := range f.Fields {
		if !strings.Contains(f.Message, field.Reason) {
			hints = append(hints, strings.TrimSpace(field.Name+" "+field.Reason))
		}
		if field.Name == "display_name" {
			hints = append(hints, "display_name is --name here")
		}
	}
	for _, key := range slices.Sorted(maps.Keys(f.Metadata)) {
		hints = append(hints, key+": "+f.Metadata[key])
	}
	if f.Help != "" {
		hints = append(hints, "What to do: "+f.Help)
	}
	if f.Retry > 0 {
		hints = append(hints, fmt.Sprintf("Try again in %s.", f.Retry))
	}
	if both, ok := err.(interface{ Unwrap() []error }); ok && f.Reason == errorv1.Reason_REASON_UNAVAILABLE { // as pkg/client joins them
		for _, cause := range both.Unwrap()[1:] {
			hints = append(hints, "Cause: "+status.Convert(cause).Message())
		}
	}
	if todo := a.remedy(f); todo != "" {
		hints = append(hints, todo)
	}
	return hints
}

// remedy is the command that helps.
func (a *app) remedy(f *fault.Fault) string {
	switch f.Reason {
	case errorv1.Reason_REASON_UNAUTHENTICATED:
		if a.as == operator {
			return "With the token that an empty deployment prints: roster operator claim TOKEN"
		}
		return "Sign in: roster login"
	case errorv1.Reason_REASON_STEP_UP_REQUIRED:
		return "Prove it: roster reauth"
	case errorv1.Reason_REASON_FACTOR_NOT_FOUND:
		return "Your second factors: roster mfa status"
	case errorv1.Reason_REASON_SIGN_IN_REQUIRED:
		return "Sign in, then accept again: roster login"
	case errorv1.Reason_REASON_INVITATION_MISMATCH:
		return "You are signed in as somebody else: roster login, or --new-account to make an account."
	case errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND:
		return "Your organizations: roster org list"
	case errorv1.Reason_REASON_MEMBER_NOT_FOUND:
		return "People and their ids: roster people"
	case errorv1.Reason_REASON_INVITATION_NOT_FOUND:
		return "Invitations and their ids: roster invite list"
	case errorv1.Reason_REASON_INVITATION_PENDING:
		return "To send it again: roster invite resend " + cmp.Or(f.Metadata["invitationId"], "INVITATION")
	case errorv1.Reason_REASON_SESSION_NOT_FOUND:
		return "Your sessions: roster sessions list"
	case errorv1.Reason_REASON_API_KEY_NOT_FOUND:
		return "Your keys: roster keys list"
	case errorv1.Reason_REASON_EMAIL_NOT_FOUND:
		return "Your addresses: roster email list"
	case errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE:
		return "Roles that you may give: roster role list"
	case errorv1.Reason_REASON_ROLE_IN_USE:
		return "To give those who have it another one: --replacement ROLE"
	case errorv1.Reason_REASON_SEAT_LIMIT_REACHED:
		return "Who holds the seats: roster seats, roster people"
	}
	return ""
}
