package chain

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
)

// Signer signs where histories stand, a while after they have grown. Any number may run.
type Signer struct {
	Server   *Server
	Every    time.Duration // how long a history that grows goes without a checkpoint
	Replicas int           // of the stream
	Log      *slog.Logger
}

// claimed is how many histories are signed in a turn.
const claimed = 32

// Run signs until ctx ends.
func (s *Signer) Run(ctx context.Context) error {
	made, problem := false, false
	for {
		signed, err := 0, error(nil)
		if !made {
			_, err = s.Server.JS.CreateOrUpdateStream(ctx, stream(s.Server.DB.Name, s.Replicas))
			if err == nil {
				err = s.Server.vouch(ctx)
			}
			made = err == nil
		}
		if made {
			signed, err = s.turn(ctx)
		}
		if err != nil && ctx.Err() == nil && !problem {
			s.Log.ErrorContext(ctx, "cannot sign where histories stand, trying on", "error", err)
		}
		problem = err != nil
		if signed == claimed && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(s.Every, 10*time.Second)):
		}
	}
}

// turn signs some of the histories that have waited longest, and returns how many it has looked at. One that cannot be signed waits
// again.
func (s *Signer) turn(ctx context.Context) (int, error) {
	rows, err := s.Server.DB.Pool.Query(ctx, `
		UPDATE unsigned SET since = now() WHERE aggregate_id IN (
			SELECT aggregate_id FROM unsigned WHERE since <= now() - $1::interval ORDER BY since LIMIT $2 FOR UPDATE SKIP LOCKED)
		RETURNING aggregate_id`, s.Every, claimed)
	if err != nil {
		return 0, err
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[id.Organization])
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		finding, signErr := s.sign(ctx, key)
		if finding != nil {
			s.Log.ErrorContext(ctx, "a history is not what was written, and is not signed", "organization", key.String(),
				"finding", finding.GetKind().String(), "revision", finding.GetRevision(), "detail", finding.GetDetail())
		}
		if signErr != nil {
			err = signErr
		}
	}
	return len(keys), err
}

// sign signs where a history stands, if it goes on from where it stood the last time: who has rewritten it must not
// get a signature for that.
func (s *Signer) sign(ctx context.Context, key id.Organization) (*membershipv1.AuditFinding, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	l := log{s.Server.DB, key}
	epoch, err := l.epoch(ctx)
	if err != nil {
		return nil, err
	}
	all, err := s.Server.kept(ctx, key)
	if err != nil {
		return nil, err
	}
	var before kept // in this epoch
	if i := slices.IndexFunc(all, func(k kept) bool { return k.subject == subject(s.Server.DB.Name, key, epoch) }); i >= 0 {
		before = all[i]
	}
	at := outbox.Begin(id.Any(key))
	if before.AuditCheckpoint != nil {
		if finding, err := s.Server.compare(ctx, l, before.GetRevision(), before.AuditCheckpoint); finding != nil || err != nil {
			return finding, err
		}
		at.Revision, at.Hash = before.GetRevision(), before.GetHash()
	}
	for complete := false; !complete; {
		p, err := l.verify(ctx, at, mostEvents)
		if err != nil || p.finding != nil {
			return p.finding, err
		}
		at, complete = p.end, p.complete
	}
	if at.Revision > before.GetRevision() {
		if err := s.Server.keep(ctx, s.Server.sign(key, epoch, at.Revision, at.Hash), key, before); err != nil {
			return nil, err
		}
	}
	if _, err := s.Server.DB.Pool.Exec(ctx, `DELETE FROM unsigned WHERE aggregate_id = $1 AND revision <= $2`, key, at.Revision); err != nil {
		return nil, fmt.Errorf("note the checkpoint of %s: %w", key, err)
	}
	return nil, nil
}
