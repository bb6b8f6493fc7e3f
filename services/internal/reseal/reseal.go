// Package reseal seals anew, with the first key, what others of a service's keys have sealed, while the service is at work: so an
// older key can go. It knows of what stays in the database; links, tokens and stored answers run out instead. deploy/keys.md tells
// operators how to turn a key.
package reseal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/seal"
)

// Column is a column of sealed values. Beside it the table has sealed_by, the beginning of the value, which names the key.
type Column struct {
	Table, Column string
	Row           []string // columns that name a row
	Also          []string // columns that Bound needs beside these
	Key           *seal.Key
	Bound         func(row []any) Bound // row: the values of Row and Also
}

// Bound is what the value of a row is bound to.
type Bound struct {
	Scope   postgres.Scope // whose the row is
	Context []string
	Older   []string // before values named their key; nil: the same
}

// Resealer seals anew. Every instance of a service has one.
type Resealer struct {
	DB      *postgres.DB
	Relay   *postgres.DB // as postgres.RelayRole: it sees of all tenants which rows there are, and no values
	Key     *seal.Key
	Columns []Column
	Log     *slog.Logger
	Every   time.Duration // how often it looks; 10 s by default
}

// batch is how many rows are looked up at a time.
const batch = 100

var older, _ = otel.Meter("github.com/rosterhq/roster/services/internal/reseal").Int64Gauge("roster.sealed.older",
	metric.WithDescription("Values in the database that another key than the first has sealed.")) // it fails for a wrong name only

// Begin refuses to work with a database that holds what no key opens, and makes the first key that which values are sealed anew with.
func (r *Resealer) Begin(ctx context.Context) error {
	for _, c := range r.Columns {
		if err := r.check(ctx, c); err != nil {
			return err
		}
	}
	return r.DB.InTx(ctx, postgres.Scope{}, func(tx *postgres.Tx) error {
		tx.Write(`INSERT INTO sealing (head) VALUES ($1) ON CONFLICT (one) DO UPDATE SET head = excluded.head`, r.Key.Head())
		return nil
	})
}

// check looks for values of keys that we do not have. Of those that name none one is tried: they are all of one key.
func (r *Resealer) check(ctx context.Context, c Column) error {
	const advice = "put its line back into the key file, below the first; deploy/keys.md says what to do if it is lost"
	table := pgx.Identifier{c.Table}.Sanitize()
	rows, err := r.Relay.Pool.Query(ctx, `SELECT sealed_by, count(*) FROM `+table+` WHERE sealed_by >= '\x02' AND sealed_by <> ALL($1) GROUP BY 1 LIMIT 1`, r.Key.Heads())
	if err != nil {
		return fmt.Errorf("look for sealed values: %w", err)
	}
	type unknown struct {
		By    []byte
		Count int
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[unknown])
	if err != nil {
		return fmt.Errorf("look for sealed values: %w", err)
	}
	for _, u := range found {
		return fmt.Errorf("%d values of %s.%s are sealed with the key %x, which the key file does not have: %s", u.Count, c.Table, c.Column, u.By[1:], advice)
	}
	unnamed, err := r.list(ctx, c, `sealed_by < '\x02'`, nil, 1)
	if err != nil {
		return err
	}
	for _, row := range unnamed {
		if err := r.reseal(ctx, c, row, true); errors.Is(err, seal.ErrOpen) {
			return fmt.Errorf("values of %s.%s are sealed with a key that the key file does not have: %s", c.Table, c.Column, advice)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Run seals anew until ctx ends.
func (r *Resealer) Run(ctx context.Context) error {
	if r.Every == 0 {
		r.Every = 10 * time.Second
	}
	before, problem := -1, false
	for {
		left, err := r.Pass(ctx)
		switch {
		case err != nil && ctx.Err() == nil && !problem:
			r.Log.ErrorContext(ctx, "what an older key has sealed is not sealed anew, trying on", "error", err)
		case err == nil && left != before && left == 0:
			r.Log.InfoContext(ctx, "all that stays is sealed with the first key", "key", fmt.Sprintf("%x", r.Key.Head()[1:]))
		case err == nil && left != before:
			r.Log.InfoContext(ctx, "other keys have sealed some of what stays", "values", left)
		}
		if problem = err != nil; err == nil {
			before = left
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(r.Every):
		}
	}
}

// Pass seals anew what there is, unless an instance that was started later has another first key, and returns how many values of
// other keys are left.
func (r *Resealer) Pass(ctx context.Context) (left int, err error) {
	var target []byte
	if err := r.DB.Pool.QueryRow(ctx, `SELECT head FROM sealing`).Scan(&target); err != nil {
		return 0, fmt.Errorf("read which key seals: %w", err)
	}
	var wrong []error
	for _, c := range r.Columns {
		count := func() (n int, err error) {
			err = r.Relay.Pool.QueryRow(ctx, `SELECT count(*) FROM `+pgx.Identifier{c.Table}.Sanitize()+` WHERE `+others, r.Key.Head()).Scan(&n)
			return n, err
		}
		n, err := count()
		if err == nil && n > 0 && bytes.Equal(target, r.Key.Head()) {
			if err = r.column(ctx, c); err != nil {
				wrong = append(wrong, err)
			}
			n, err = count()
		}
		if err != nil {
			return left, errors.Join(append(wrong, fmt.Errorf("count sealed values: %w", err))...)
		}
		older.Record(ctx, int64(n), metric.WithAttributes(attribute.String("service", r.DB.Name), attribute.String("table", c.Table)))
		left += n
	}
	return left, errors.Join(wrong...)
}

// others are the rows of other keys than the first, in two ranges of an index.
const others = `(sealed_by < $1 OR sealed_by > $1)`

// column seals the values of a column anew, row by row: each may be somebody else's. One that does not open keeps none of the others from it.
func (r *Resealer) column(ctx context.Context, c Column) error {
	var last []any
	var wrong error
	failed := 0
	for {
		rows, err := r.list(ctx, c, others, last, batch, r.Key.Head())
		if err != nil {
			return errors.Join(wrong, err)
		}
		for _, row := range rows {
			if err := r.reseal(ctx, c, row, false); err != nil {
				if failed++; wrong == nil {
					wrong = err
				}
			}
			last = row[:len(c.Row)]
		}
		if len(rows) < batch || ctx.Err() != nil {
			break
		}
	}
	if wrong != nil {
		return fmt.Errorf("%d values of %s.%s, one of them: %w", failed, c.Table, c.Column, wrong)
	}
	return nil
}

// list returns rows in their order, behind the last one.
func (r *Resealer) list(ctx context.Context, c Column, where string, last []any, limit int, args ...any) ([][]any, error) {
	row := columns(c.Row)
	if last != nil {
		where += ` AND (` + row + `) > (` + parameters(len(args), len(last)) + `)`
		args = append(args, last...)
	}
	rows, err := r.Relay.Pool.Query(ctx, `SELECT `+columns(append(c.Row[:len(c.Row):len(c.Row)], c.Also...))+` FROM `+pgx.Identifier{c.Table}.Sanitize()+
		` WHERE `+where+` ORDER BY `+row+fmt.Sprintf(` LIMIT %d`, limit), args...)
	if err != nil {
		return nil, fmt.Errorf("list sealed values: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
	if err != nil {
		return nil, fmt.Errorf("list sealed values: %w", err)
	}
	return found, nil
}

// reseal seals the value of a row anew, or only tries whether it opens. A row that somebody else holds is left for the next time.
func (r *Resealer) reseal(ctx context.Context, c Column, row []any, try bool) error {
	bound, table, column := c.Bound(row), pgx.Identifier{c.Table}.Sanitize(), pgx.Identifier{c.Column}.Sanitize()
	if bound.Older == nil {
		bound.Older = bound.Context
	}
	key := row[:len(c.Row):len(c.Row)]
	where := ` WHERE (` + columns(c.Row) + `) = (` + parameters(0, len(key)) + `)`
	return r.DB.InTx(ctx, bound.Scope, func(tx *postgres.Tx) error {
		var value struct{ Sealed []byte }
		var found bool
		tx.Read(`SELECT `+column+` AS sealed FROM `+table+where+` FOR UPDATE SKIP LOCKED`, key, postgres.One(&value, &found))
		if err := tx.Fetch(ctx); err != nil || !found || value.Sealed == nil || bytes.HasPrefix(value.Sealed, r.Key.Head()) {
			return err
		}
		plain, err := c.Key.OpenOlder(value.Sealed, bound.Older, bound.Context...)
		if err != nil || try {
			return err
		}
		tx.Write(`UPDATE `+table+` SET `+column+fmt.Sprintf(` = $%d`, len(key)+1)+where+` AND `+column+fmt.Sprintf(` = $%d`, len(key)+2),
			append(key, c.Key.Seal(plain, bound.Context...), value.Sealed)...)
		return nil
	})
}

func columns(names []string) string {
	var quoted []string
	for _, name := range names {
		quoted = append(quoted, pgx.Identifier{name}.Sanitize())
	}
	return strings.Join(quoted, ", ")
}

// parameters writes count parameters, of which there are some before.
func parameters(before, count int) string {
	var list []string
	for i := range count {
		list = append(list, fmt.Sprintf("$%d", before+i+1))
	}
	return strings.Join(list, ", ")
}
