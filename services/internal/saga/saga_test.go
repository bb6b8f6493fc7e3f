package saga_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestSweeper(t *testing.T) {
	t.Parallel()

	t.Run("RunsWhatIsDueAndNothingElse", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		due, later, other := h.schedule("work", -time.Second), h.schedule("work", time.Hour), h.schedule("others", -time.Second)
		h.sweep(map[string]saga.Step{"work": h.finish})
		h.wait(func() bool { return len(h.left()) == 2 })
		require.Equal(t, []id.Any{due.ID}, h.ran())
		require.ElementsMatch(t, []id.Any{later.ID, other.ID}, h.left())
	})

	t.Run("TriesAgainAfterAnError", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.schedule("work", -time.Second)
		var attempts []int
		h.sweep(map[string]saga.Step{"work": func(ctx context.Context, task saga.Task) error {
			attempts = append(attempts, task.Attempts)
			if len(attempts) < 3 {
				return errors.New("not now")
			}
			return h.finish(ctx, task)
		}})
		h.wait(func() bool { return len(h.left()) == 0 })
		require.Equal(t, []int{0, 1, 2}, attempts)
	})

	t.Run("AStepThatLeavesItsTaskRunsAgain", func(t *testing.T) { // as after a crash in the middle
		t.Parallel()
		h := newHarness(t)
		h.schedule("work", -time.Second)
		first := true
		h.sweep(map[string]saga.Step{"work": func(ctx context.Context, task saga.Task) error {
			if first {
				first = false
				return nil
			}
			return h.finish(ctx, task)
		}})
		h.wait(func() bool { return len(h.left()) == 0 })
		require.Len(t, h.ran(), 1)
	})

	t.Run("TwoSweepersShareTheWork", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		for range 100 {
			h.schedule("work", -time.Second)
		}
		h.sweep(map[string]saga.Step{"work": h.finish})
		h.sweep(map[string]saga.Step{"work": h.finish})
		h.wait(func() bool { return len(h.left()) == 0 })
		require.Len(t, h.ran(), 100, "each once")
	})

	t.Run("ScheduleAgainMovesTheTask", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		task := h.schedule("work", -time.Second)
		h.inTx(func(tx *postgres.Tx) { task.At(tx, time.Now().Add(time.Hour)) })
		h.sweep(map[string]saga.Step{"work": h.finish})
		h.inTx(func(tx *postgres.Tx) { task.At(tx, time.Now()) })
		h.wait(func() bool { return len(h.ran()) == 1 })
	})
}

type harness struct {
	t   *testing.T
	db  *postgres.DB
	org id.Organization

	mu   sync.Mutex
	done []id.Any
}

func newHarness(t *testing.T) *harness {
	return &harness{t: t, db: testkit.Open(t, "saga", nil), org: id.NewOrganization()}
}

func (h *harness) inTx(fn func(*postgres.Tx)) {
	h.t.Helper()
	require.NoError(h.t, h.db.InTx(context.Background(), postgres.In(h.org), func(tx *postgres.Tx) error { fn(tx); return nil }))
}

func (h *harness) schedule(kind string, in time.Duration) saga.Task {
	h.t.Helper()
	task := saga.For(h.org, kind, id.NewSeat())
	h.inTx(func(tx *postgres.Tx) { task.At(tx, time.Now().Add(in)) })
	return task
}

// finish is a step that notes that it ran, and ends the task.
func (h *harness) finish(ctx context.Context, task saga.Task) error {
	h.mu.Lock()
	h.done = append(h.done, task.ID)
	h.mu.Unlock()
	return h.db.InTx(ctx, postgres.In(h.org), func(tx *postgres.Tx) error { task.Done(tx); return nil })
}

func (h *harness) ran() []id.Any {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]id.Any(nil), h.done...)
}

func (h *harness) left() (ids []id.Any) {
	h.t.Helper()
	rows, err := h.db.Pool.Query(context.Background(), `SELECT id FROM due`)
	require.NoError(h.t, err)
	for rows.Next() {
		var next id.Any
		require.NoError(h.t, rows.Scan(&next))
		ids = append(ids, next)
	}
	require.NoError(h.t, rows.Err())
	return ids
}

// sweep runs a sweeper until the test ends.
func (h *harness) sweep(steps map[string]saga.Step) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	sweeper := &saga.Sweeper{DB: h.db, Log: slog.New(slog.DiscardHandler), Steps: steps}
	go func() { ended <- sweeper.Run(ctx) }()
	h.t.Cleanup(func() {
		stop()
		require.NoError(h.t, <-ended)
	})
}

func (h *harness) wait(holds func() bool) {
	h.t.Helper()
	require.Eventually(h.t, holds, 20*time.Second, 5*time.Millisecond)
}
