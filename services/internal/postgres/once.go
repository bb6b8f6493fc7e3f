package postgres

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// replayTime is how long a repeated request gets the first answer. deploy/keys.md tells operators.
const replayTime = 24 * time.Hour

// Request names a mutation, so that a repeated one changes nothing (AIP-155).
type Request struct {
	ID        string // the caller's request id; empty: every call is a new one, and gets an id of its own
	Principal string // the caller
	Method    string
	Body      proto.Message
	Secret    string // a part of the request that can be guessed, not in Body: the database gets a hash under the service's key

	// Admit is asked before a stored answer is given again: whoever has lost the right since gets no answer, not even an
	// old one, which may hold a link. Nil: the answer is for whoever holds the request id.
	Admit func(context.Context) error
}

// errReplay ends a transaction whose request was answered before.
var errReplay = errors.New("answered before")

// Once runs a mutation at most once per request id. A repeated request gets the first answer and the
// revision it was committed at; the same id with another body is REQUEST_ID_REUSED. Nothing is stored when fn
// fails, and of the answer only what fn returns: what is added to it later is not replayed.
func Once[R proto.Message](ctx context.Context, db *DB, scope Scope, req Request, fn func(*Tx) (R, error)) (answer R, revision int64, err error) {
	lifetime, minted := replayTime, req.ID == ""
	if minted {
		req.ID, lifetime = rand.Text(), 2*resolveTime // nobody else will ask for it
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(req.Body)
	if err != nil {
		return answer, 0, fmt.Errorf("marshal request: %w", err)
	}
	hashes := db.hashes(body, req.Secret)
	bound := []string{setting(scope.Aggregate), req.Principal, req.Method, req.ID}

	var stored struct {
		BodyHash []byte
		Revision int64
		Response []byte
	}
	repeated := false // what is found was there before this very call can have committed anything
	run := func() error {
		return db.inTx(ctx, scope, func(tx *Tx) error {
			var found bool
			tx.Read(`
				SELECT body_hash, revision, response
				FROM idempotency
				WHERE aggregate_id = $1 AND principal = $2 AND method = $3 AND request_id = $4 AND expire_time > now()`,
				[]any{scope.Aggregate, req.Principal, req.Method, req.ID}, One(&stored, &found))
			tx.after = func() error {
				switch {
				case !found:
					return nil
				case !slices.ContainsFunc(hashes, func(hash []byte) bool { return subtle.ConstantTimeCompare(hash, stored.BodyHash) == 1 }):
					return fault.New(errorv1.Reason_REASON_REQUEST_ID_REUSED,
						"This request id was used for another request. Use a new one, or repeat the request as it was.")
				}
				repeated = repeated || tx.within == nil
				return errReplay
			}
			return nil
		}, func(tx *Tx) (err error) {
			if answer, err = fn(tx); err != nil {
				return err
			}
			response, err := proto.Marshal(answer)
			if err != nil {
				return fmt.Errorf("marshal answer: %w", err)
			}
			tx.Write(`DELETE FROM idempotency
				WHERE aggregate_id = $1 AND principal = $2 AND method = $3 AND request_id = $4 AND expire_time <= now()`,
				scope.Aggregate, req.Principal, req.Method, req.ID)
			tx.WriteRow(`
				INSERT INTO idempotency (aggregate_id, principal, method, request_id, body_hash, revision, response, expire_time)
				VALUES ($1, $2, $3, $4, $5, coalesce((SELECT h.revision FROM heads h WHERE h.aggregate_id = $1), 0), $6, now() + $7)
				RETURNING revision`,
				[]any{scope.Aggregate, req.Principal, req.Method, req.ID, hashes[0], db.seal.Seal(response, bound...), lifetime},
				func(row pgx.Row) error { return row.Scan(&revision) })
			return nil
		})
	}
	err = run()
	if !minted && (IsViolation(err, "idempotency_pkey") || refused(err)) {
		// The same request may have come twice at once: then the other was first, or this one was refused for what the other
		// has just done.
		err = run()
	}
	if !errors.Is(err, errReplay) {
		return answer, revision, err
	}
	if req.Admit != nil && repeated {
		if err := req.Admit(ctx); err != nil {
			return answer, 0, err
		}
	}
	response, err := db.seal.Open(stored.Response, bound...)
	if err != nil {
		return answer, 0, fmt.Errorf("open stored answer: %w", err)
	}
	answer = answer.ProtoReflect().New().Interface().(R)
	return answer, stored.Revision, proto.Unmarshal(response, answer)
}

// hashes returns what a request is known by again: a hash under each of the service's keys, the first key's first. What is no secret has the
// same one under all.
func (db *DB) hashes(body []byte, secret string) (hashes [][]byte) {
	if secret == "" {
		hash := sha256.Sum256(body)
		return [][]byte{hash[:]}
	}
	for _, sum := range db.sums.Sums([]byte(secret)) {
		hash := sha256.Sum256(append(sum, body...))
		hashes = append(hashes, hash[:])
	}
	return hashes
}

// InTxOnce is InTx for a fn that would refuse, or fail on, what it did itself: when the outcome of its commit is unknown, it
// is read, and fn does not run again if it was committed.
func (db *DB) InTxOnce(ctx context.Context, scope Scope, fn func(*Tx) error) error {
	_, _, err := Once(ctx, db, scope, Request{Method: "InTx", Body: &emptypb.Empty{}}, func(tx *Tx) (*emptypb.Empty, error) {
		return &emptypb.Empty{}, fn(tx)
	})
	return err
}

// refused tells a decision from a failure to decide.
func refused(err error) bool {
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_UNSPECIFIED, errorv1.Reason_REASON_BUSY, errorv1.Reason_REASON_UNAVAILABLE, errorv1.Reason_REASON_REQUEST_ID_REUSED:
		return false
	}
	return true
}

// Replayed returns the answer that a repeated request got, if it was answered before. A verb that asks other services
// before its transaction begins with it: what they say by now must not change the answer.
func Replayed[R proto.Message](ctx context.Context, db *DB, scope Scope, req Request) (answer R, found bool, err error) {
	if req.ID == "" {
		return answer, false, nil
	}
	fresh := errors.New("not answered before")
	answer, _, err = Once(ctx, db, scope, req, func(tx *Tx) (R, error) {
		if err := tx.Fetch(ctx); err != nil {
			return answer, err
		}
		return answer, fresh
	})
	if errors.Is(err, fresh) {
		return answer, false, nil
	}
	return answer, err == nil, err
}

// ReadRevision reads the revision of an aggregate's history at the commit.
func (tx *Tx) ReadRevision(aggregate id.Any, revision *int64) {
	tx.WriteRow(`SELECT coalesce((SELECT revision FROM heads WHERE aggregate_id = $1), 0)`,
		[]any{aggregate}, func(row pgx.Row) error { return row.Scan(revision) })
}
