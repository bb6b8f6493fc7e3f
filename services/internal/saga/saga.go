// Package saga finishes what was begun. A verb that needs another service commits first what it will do, with
// the ids it will use, then does it, and commits the outcome. When a process dies in between, the row in `due`
// is still there, and the sweeper runs the very same step again. Steps are therefore idempotent.
package saga

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/failpoint"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// Either side of every step: its next try is scheduled already.
var (
	beforeStep = failpoint.New("saga.before_step")
	afterStep  = failpoint.New("saga.after_step")
)

// Grace is how long the call that began something has to finish it before the sweeper looks.
const Grace = 3 * time.Second

// Unfinished is the answer of a call that has committed what it will do and could not do it, because of err: the sweeper
// will. What another service said instead of an answer is for our log.
func Unfinished(err error) error {
	return fmt.Errorf("%w (%v)", fault.New(errorv1.Reason_REASON_UNAVAILABLE,
		"A part of the suite does not answer. What you asked for was noted and will be finished; look again in a minute.").
		WithRetry(5*time.Second), err)
}

// Task is one thing to be done: a row of `due`.
type Task struct {
	Aggregate id.Any `db:"aggregate_id"`
	Kind      string
	ID        id.Any
	Attempts  int // before this one
}

// For names a task.
func For[K, L any](aggregate id.ID[K], kind string, subject id.ID[L]) Task {
	return Task{Aggregate: id.Any(aggregate), Kind: kind, ID: id.Any(subject)}
}

// At schedules the task with the transaction, or moves it if it is scheduled already.
func (t Task) At(tx *postgres.Tx, at time.Time) {
	tx.Write(`
		INSERT INTO due (aggregate_id, kind, id, next_time) VALUES ($1, $2, $3, $4)
		ON CONFLICT (aggregate_id, kind, id) DO UPDATE SET next_time = excluded.next_time, attempts = 0`,
		t.Aggregate, t.Kind, t.ID, at)
	if !at.After(tx.Now()) {
		tx.Wake(postgres.Sweeper)
	}
}

// Done takes the task away with the transaction.
func (t Task) Done(tx *postgres.Tx) {
	tx.Write(`DELETE FROM due WHERE aggregate_id = $1 AND kind = $2 AND id = $3`, t.Aggregate, t.Kind, t.ID)
}

// Step brings a task as far as it gets. It takes the task away, or moves it, in the transaction of its outcome.
// An error, or a step that leaves the task where it was, means: try again later.
type Step func(context.Context, Task) error

// Sweeper runs the steps of tasks whose time has come. Any number of instances may run.
type Sweeper struct {
	DB    *postgres.DB
	Log   *slog.Logger
	Steps map[string]Step // by kind

	wake chan struct{}
	once sync.Once
}

// workers is how many tasks one sweeper runs at a time.
const workers = 8

// Wake makes the sweeper look now: something is due at once. It never blocks.
func (s *Sweeper) Wake() {
	select {
	case s.signal() <- struct{}{}:
	default:
	}
}

func (s *Sweeper) signal() chan struct{} {
	s.once.Do(func() { s.wake = make(chan struct{}, 1) })
	return s.wake
}

// Run sweeps until ctx ends, then waits for the steps under way.
func (s *Sweeper) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	free := make(chan struct{}, workers)
	const rest = 250 * time.Millisecond
	for {
		tasks, err := s.claim(ctx)
		if err != nil && ctx.Err() == nil {
			s.Log.Error("sweeper cannot read what is due", "error", err)
		}
		for _, task := range tasks {
			select {
			case free <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			running.Go(func() {
				defer func() { <-free }()
				s.run(ctx, task)
			})
		}
		if len(tasks) == claimed {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.signal():
		case <-time.After(rest):
		}
	}
}

// claimed is how many tasks are taken at a time.
const claimed = 32

// claim takes tasks whose time has come and moves each to its next try, so that a sweeper that dies leaves
// nothing behind: 0.5 s after the first try, then twice as long each time, 30 s at most.
func (s *Sweeper) claim(ctx context.Context) ([]Task, error) {
	kinds := make([]string, 0, len(s.Steps))
	for kind := range s.Steps {
		kinds = append(kinds, kind)
	}
	rows, err := s.DB.Pool.Query(ctx, `
		UPDATE due d
		SET attempts = d.attempts + 1,
		    next_time = now() + least(interval '30 seconds', interval '500 milliseconds' * power(2, least(d.attempts, 10)))
		FROM (
			SELECT aggregate_id, kind, id FROM due
			WHERE next_time <= now() AND kind = ANY($1)
			ORDER BY next_time
			LIMIT $2
			FOR UPDATE SKIP LOCKED
		) ripe
		WHERE d.aggregate_id = ripe.aggregate_id AND d.kind = ripe.kind AND d.id = ripe.id
		RETURNING d.aggregate_id, d.kind, d.id, d.attempts - 1 AS attempts`, kinds, claimed)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Task])
}

func (s *Sweeper) run(ctx context.Context, task Task) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	beforeStep.Hit(task.Kind)
	err := s.Steps[task.Kind](ctx, task)
	afterStep.Hit(task.Kind)
	if err != nil && !errors.Is(err, context.Canceled) {
		s.Log.Warn("a step failed and will be tried again", "kind", task.Kind, "aggregate", task.Aggregate.String(),
			"id", task.ID.String(), "attempts", task.Attempts+1, "error", err)
	}
}
