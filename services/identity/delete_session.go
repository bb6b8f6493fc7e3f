package identity

import (
	"context"
	"errors"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
)

// DeleteSession ends one of the caller's sessions. Another person's is not found.
func (s *Service) DeleteSession(ctx context.Context, req *identityv1.DeleteSessionRequest) (*identityv1.DeleteSessionResponse, error) {
	key, err := id.ParseSession(req.GetSessionId())
	if err != nil {
		return nil, session.ErrNotFound
	}
	if err := s.signOut(ctx, caller.From(ctx).Account, key); err != nil {
		return nil, err
	}
	return &identityv1.DeleteSessionResponse{}, nil
}

// signOut ends a live session because its owner wants it.
func (s *Service) signOut(ctx context.Context, owner id.Account, key id.Session) error {
	return s.inTxOnce(ctx, postgres.In(owner), func(q store.Queries) error {
		ended, err := q.LockSession(ctx, owner, key)
		if err != nil {
			return err
		}
		if !ended.Live(q.Now()) {
			return session.ErrNotFound // the sweeper will say that it ended, and why
		}
		q.InsertAttempt(owner, attempt(ctx, session.SignOut, "", ""))
		return endSession(q, ended, origin(ctx, owner, ""))
	})
}

// endSession ends a session with the transaction.
func endSession(q store.Queries, ended session.Session, origin *eventv1.Context) error {
	q.DeleteSession(ended)
	saga.For(ended.AccountID, sessionTask, ended.ID).Done(q.Tx)
	return outbox.Publish(q.Tx, ended.AccountID, q.Now(), &eventv1.SessionEnded{Context: origin, SessionId: ended.ID.String()})
}

// endSessions ends the sessions but the one that is kept.
func endSessions(q store.Queries, live []session.Session, kept id.Session, from *eventv1.Context) error {
	for _, one := range live {
		if one.ID == kept {
			continue
		}
		if err := endSession(q, one, from); err != nil {
			return err
		}
	}
	return nil
}

// expireSession ends a session that was not used for too long or is too old, and looks again later at one that was.
func (s *Service) expireSession(ctx context.Context, task saga.Task) error {
	owner := id.Account(task.Aggregate)
	return s.inTx(ctx, postgres.In(owner), func(q store.Queries) error {
		found, err := q.LockSession(ctx, owner, id.Session(task.ID))
		switch {
		case errors.Is(err, session.ErrNotFound):
			task.Done(q.Tx)
			return nil
		case err != nil:
			return err
		case found.Live(q.Now()):
			task.At(q.Tx, found.EndTime())
			return nil
		}
		return endSession(q, found, outbox.Origin{Service: s.DB.Name, Cause: eventv1.Cause_KIND_EXPIRY}.Context(ctx))
	})
}
