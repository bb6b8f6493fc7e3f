package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/failpoint"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/reseal"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/internal/seal"
)

// TaskKind is the kind of the sweeper's task that delivers a mail.
const TaskKind = "mail"

// The mail server has answered, and nobody has noted it.
var afterSend = failpoint.New("mail.after_send")

// Sender hands a message to a mail server; ErrPermanent says that it will never take it.
type Sender interface {
	Send(context.Context, Message) error
}

// Queue delivers mails that were committed together with what they tell of: none is sent for a change that
// did not happen, none is lost. A crash between the mail server's answer and our commit sends the same mail,
// with the same Message-ID and the same link, again.
type Queue struct {
	DB     *postgres.DB
	Sender Sender
	Key    *seal.Key

	// Outcome, if set, hears in the transaction of the outcome that the mail about reference was taken by the mail
	// server, or refused for good.
	Outcome func(ctx context.Context, tx *postgres.Tx, aggregate, reference id.Any, sent bool) error
}

// Add queues a mail with the transaction. reference is what it is about.
func Add[K, L any](q *Queue, tx *postgres.Tx, aggregate id.ID[K], reference id.ID[L], to string, t Template) error {
	message, err := Render(t)
	if err != nil {
		return err
	}
	key := id.NewMail()
	message.ID, message.To = key.String(), to
	plain, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("queue mail: %w", err)
	}
	tx.Write(`
		INSERT INTO mails (aggregate_id, id, kind, reference, payload, state, create_time)
		VALUES ($1, $2, $3, $4, $5, 'QUEUED', now())`,
		aggregate, key, fmt.Sprintf("%T", t), reference, q.Key.Seal(plain, bound(id.Any(aggregate), key)...))
	saga.For(aggregate, TaskKind, key).At(tx, tx.Now())
	return nil
}

// bound is what a mail is bound to, and boundBefore what it was before values named their key.
func bound(aggregate id.Any, key id.Mail) []string {
	return append(boundBefore(key), aggregate.String())
}
func boundBefore(key id.Mail) []string { return []string{"mail", key.String()} }

// Sealed is where mails wait.
func (q *Queue) Sealed() reseal.Column {
	return reseal.Column{Table: "mails", Column: "payload", Row: []string{"aggregate_id", "id"}, Key: q.Key, Bound: func(row []any) reseal.Bound {
		aggregate, key := id.Any(row[0].([16]byte)), id.Mail(row[1].([16]byte))
		return reseal.Bound{Scope: postgres.In(aggregate), Context: bound(aggregate, key), Older: boundBefore(key)}
	}}
}

// Deliver is the sweeper's step: it sends one mail and records the outcome.
func (q *Queue) Deliver(ctx context.Context, task saga.Task) error {
	key := id.Mail(task.ID)
	var payload []byte
	var reference id.Any
	err := q.DB.InTx(ctx, postgres.In(task.Aggregate), func(tx *postgres.Tx) error {
		payload = nil
		tx.Read(`SELECT payload, reference FROM mails WHERE aggregate_id = $1 AND id = $2 AND state = 'QUEUED'`,
			[]any{task.Aggregate, key}, func(rows pgx.Rows) error {
				for rows.Next() {
					if err := rows.Scan(&payload, &reference); err != nil {
						return err
					}
				}
				return nil
			})
		if err := tx.Fetch(ctx); err != nil {
			return err
		}
		if payload == nil {
			task.Done(tx)
		}
		return nil
	})
	if err != nil || payload == nil {
		return err
	}
	plain, err := q.Key.OpenOlder(payload, boundBefore(key), bound(task.Aggregate, key)...)
	if err != nil {
		return fmt.Errorf("open mail: %w", err)
	}
	var message Message
	if err := json.Unmarshal(plain, &message); err != nil {
		return fmt.Errorf("read mail: %w", err)
	}
	err = q.Sender.Send(ctx, message)
	afterSend.Hit("")
	if err != nil && !errors.Is(err, ErrPermanent) {
		return err
	}
	state := "SENT"
	if err != nil {
		state = "REFUSED"
	}
	return q.DB.InTx(ctx, postgres.In(task.Aggregate), func(tx *postgres.Tx) error {
		tx.Write(`UPDATE mails SET state = $3, payload = NULL WHERE aggregate_id = $1 AND id = $2`, task.Aggregate, key, state)
		task.Done(tx)
		if q.Outcome == nil || reference.IsZero() {
			return nil
		}
		return q.Outcome(ctx, tx, task.Aggregate, reference, state == "SENT")
	})
}
