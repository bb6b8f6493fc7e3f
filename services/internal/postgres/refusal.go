package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

// refusals maps the name of a constraint to what its violation means.
var refusals sync.Map

// Refusal says what a violation of a constraint means, so that losing a race and failing a check give the
// same answer. Stores call it when they are loaded.
func Refusal(constraint string, f *fault.Fault) { refusals.Store(constraint, f) }

func faultOf(refused *pgconn.PgError, err error) error {
	if f, ok := refusals.Load(refused.ConstraintName); ok && refused.ConstraintName != "" {
		return f.(*fault.Fault)
	}
	switch refused.Code {
	case "55P03", "57014", "40001", "40P01": // lock timeout, statement timeout, serialization failure, deadlock
		return fault.New(errorv1.Reason_REASON_BUSY, "Many changes meet here at once. Try again.").WithRetry(time.Second)
	}
	return err
}

// Away tells whether err is the database's own trouble, and not that of what was asked of it: it cannot be reached, is
// going down or coming up, or has no room left. Then nobody knows what became of a commit that was under way.
func Away(err error) bool {
	var connect *pgconn.ConnectError
	var lost net.Error
	var said *pgconn.PgError
	switch {
	case errors.As(err, &said):
		return strings.HasPrefix(said.Code, "08") || strings.HasPrefix(said.Code, "53") || strings.HasPrefix(said.Code, "57P")
	case errors.As(err, &connect), errors.Is(err, io.ErrUnexpectedEOF):
		return true
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled): // the caller's
		return false
	}
	return errors.As(err, &lost) || pgconn.SafeToRetry(err)
}

// IsViolation tells whether err is a violation of the constraint.
func IsViolation(err error, constraint string) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.ConstraintName == constraint
}

// One collects the one row of a query into dst, and leaves found false when there is none.
func One[T any](dst *T, found *bool) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		row, err := pgx.CollectOneRow(rows, pgx.RowToStructByName[T])
		if errors.Is(err, pgx.ErrNoRows) {
			*found = false
			return nil
		}
		if err != nil {
			return err
		}
		*dst, *found = row, true
		return nil
	}
}

// All collects the rows of a query into dst.
func All[T any](dst *[]T) func(pgx.Rows) error {
	return func(rows pgx.Rows) (err error) {
		*dst, err = pgx.CollectRows(rows, pgx.RowToStructByName[T])
		return err
	}
}
