package role

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

// What is away is waited for; what an event cannot be handled for is parked.
func TestAway(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"NoConnectionToTheDatabase":   {&net.OpError{Op: "dial", Err: errors.New("refused")}, true},
		"DatabaseShutsDown":           {fmt.Errorf("apply: %w", &pgconn.PgError{Code: "57P01"}), true},
		"DatabaseIsAStandby":          {&pgconn.PgError{Code: "25006"}, true},
		"LockIsTaken":                 {&pgconn.PgError{Code: "55P03"}, true},
		"ServiceIsUnavailable":        {status.Error(codes.Unavailable, "x"), true},
		"ServiceSaysUnavailable":      {fault.New(errorv1.Reason_REASON_UNAVAILABLE, "x"), true},
		"ServiceTakesTooLong":         {context.DeadlineExceeded, true},
		"RowIsNotValid":               {&pgconn.PgError{Code: "23514"}, false},
		"RequestIsNotValid":           {fault.Invalid("role", "must be a role"), false},
		"EventCannotBeRead":           {errors.New("data of member.added: syntax error"), false},
		"EventIsHandled":              {nil, false},
		"ServiceDoesNotKnowTheMethod": {status.Error(codes.Unimplemented, "x"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, away(test.err))
		})
	}
}
