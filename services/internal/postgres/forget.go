package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

const (
	forgetPeriod = time.Minute
	forgotten    = 1000 // answers deleted at a time
)

// Forgets deletes stored answers that have expired, until ctx ends. Nobody asks for them any more, but they were committed
// with every mutation, so without it the database grows for ever. db is opened as RelayRole; any number of instances may do it.
func (db *DB) Forgets(ctx context.Context, log *slog.Logger) error {
	for {
		deleted, err := db.Forget(ctx)
		if err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "expired answers are not deleted, trying on", "error", err)
		}
		if err == nil && deleted >= forgotten {
			continue
		}
		if pause(ctx, forgetPeriod) != nil {
			return nil
		}
	}
}

// Forget deletes some of the answers that have expired, the oldest first, and returns how many.
func (db *DB) Forget(ctx context.Context) (deleted int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	tag, err := db.Pool.Exec(ctx, `
		DELETE FROM idempotency WHERE expire_time <= coalesce(
			(SELECT expire_time FROM idempotency WHERE expire_time < now() - interval '1 hour' ORDER BY expire_time OFFSET $1 LIMIT 1),
			now() - interval '1 hour')`, forgotten)
	if err != nil {
		return 0, fmt.Errorf("forget answers: %w", err)
	}
	return tag.RowsAffected(), nil
}
