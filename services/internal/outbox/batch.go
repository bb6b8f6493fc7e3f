package outbox

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// publishBatch publishes rows as one, in their order, and returns the sequence of the last: JetStream stores all of them, or none. A batch is refused as a
// whole when it holds one message that is there already, so after any error they are published one by one: the same
// batch might be refused for ever. See NATS's ADR-50; nats.go has no call for it.
func (r *Relay) publishBatch(ctx context.Context, rows []row) (sequence uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, ackTime)
	defer cancel()
	batch := rand.Text()
	for i, q := range rows {
		msg, err := q.Message(r.db.Name)
		if err != nil {
			return 0, err
		}
		msg.Header.Set("Nats-Batch-Id", batch)
		msg.Header.Set("Nats-Batch-Sequence", strconv.Itoa(i+1))
		last := i == len(rows)-1
		if last {
			msg.Header.Set("Nats-Batch-Commit", "1")
		}
		if i > 0 && !last {
			if err := r.js.Conn().PublishMsg(msg); err != nil {
				return 0, err
			}
			continue
		}
		// The first is answered too, and says whether batches are taken at all.
		reply, err := r.js.Conn().RequestMsgWithContext(ctx, msg)
		if err != nil {
			return 0, err
		}
		if sequence, err = confirmation(reply.Data, last, len(rows)); err != nil {
			return 0, err
		}
	}
	return sequence, nil
}

// confirmation reads an answer to a message of a batch. Only the last is confirmed in words.
func confirmation(reply []byte, last bool, size int) (sequence uint64, err error) {
	if len(reply) == 0 && !last {
		return 0, nil
	}
	var answer struct {
		Error    *jetstream.APIError `json:"error"`
		Stream   string              `json:"stream"`
		Sequence uint64              `json:"seq"`
		Count    int                 `json:"count"`
	}
	if err := json.Unmarshal(reply, &answer); err != nil {
		return 0, fmt.Errorf("answer to a batch: %w", err)
	}
	if answer.Error != nil {
		return 0, answer.Error
	}
	if last && (answer.Stream == "" || answer.Count != size) {
		return 0, errors.New("the batch was not confirmed whole")
	}
	return answer.Sequence, nil
}
