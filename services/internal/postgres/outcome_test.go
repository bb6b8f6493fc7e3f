package postgres_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// The connection breaks with the first commit, and with the next one too, before or after the server has heard of it.
func TestCommitOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, cuts := range map[string][]testkit.Cut{
		"Unsent":           {testkit.Unsent},
		"Unheard":          {testkit.Unheard},
		"UnheardTwice":     {testkit.Unheard, testkit.Unheard},
		"UnsentThenLost":   {testkit.Unsent, testkit.Unheard},
		"UnheardThenMute":  {testkit.Unheard, testkit.Unsent},
		"UnheardFourTimes": {testkit.Unheard, testkit.Unheard, testkit.Unheard, testkit.Unheard},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open := func(t *testing.T) *postgres.DB {
				db := testkit.Open(t, "notes", notes)
				testkit.Cuts(t, db, func(commit int) testkit.Cut {
					if commit <= len(cuts) {
						return cuts[commit-1]
					}
					return testkit.Whole
				})
				return db
			}
			for name, requestID := range map[string]string{"RequestIsAnsweredOnce": "a", "RequestWithoutAnIDIsAnsweredOnce": ""} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					db := open(t)
					organization := id.NewOrganization()
					scope := postgres.In(organization)
					request := postgres.Request{ID: requestID, Principal: "ann", Method: "CreateNote", Body: &eventv1.Organization{}}
					answered := 0
					_, revision, err := postgres.Once(t.Context(), db, scope, request, func(tx *postgres.Tx) (*eventv1.Organization, error) {
						if err := tx.Fetch(t.Context()); err != nil {
							return nil, err
						}
						answered++
						tx.Write(countNote, organization, "note")
						return &eventv1.Organization{}, outbox.Publish(tx, organization, tx.Now(), &eventv1.OrganizationCreated{})
					})
					if err != nil || revision != 1 {
						t.Errorf("revision %d, %v, want 1", revision, err)
					}
					if found := read(t, db, scope); len(found) != 1 || found[0].Count != 1 {
						t.Errorf("found %v, want one note, written once", found)
					}
					if want := 1; cuts[0] == testkit.Unheard && answered != want {
						t.Errorf("decided %d times, want %d: what was decided is read", answered, want)
					}
				})
			}
			t.Run("TransactionRunsUntilItIsDone", func(t *testing.T) {
				t.Parallel()
				db := open(t)
				organization := id.NewOrganization()
				err := db.InTx(t.Context(), postgres.In(organization), func(tx *postgres.Tx) error {
					var before []note
					tx.Read(`SELECT text, count FROM notes WHERE aggregate_id = $1 FOR UPDATE`, []any{organization}, postgres.All(&before))
					if err := tx.Fetch(t.Context()); err != nil || len(before) > 0 { // it has been done
						return err
					}
					tx.Write(insertNote, organization, "note")
					return nil
				})
				if found := read(t, db, postgres.In(organization)); err != nil || len(found) != 1 {
					t.Errorf("found %v, %v", found, err)
				}
			})
			t.Run("FlightIsSentUntilItIsDone", func(t *testing.T) {
				t.Parallel()
				db := open(t)
				organization := id.NewOrganization()
				err := db.Flight(t.Context(), postgres.In(organization), func(batch *pgx.Batch) {
					batch.Queue(insertNote+` ON CONFLICT DO NOTHING`, organization, "note")
				})
				if found := read(t, db, postgres.In(organization)); err != nil || len(found) != 1 {
					t.Errorf("found %v, %v", found, err)
				}
			})
		})
	}

	// Who has lost the right since hears of what this very call did, and of nothing else: not even when the commit that
	// proves an old answer has to be made again.
	for name, fetch := range map[string]bool{"AnswerIsTheCallersOwn": true, "AnswerIsTheCallersOwnThoughNothingIsRead": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testkit.Open(t, "notes", notes)
			var cut atomic.Bool // at the next commit of the request
			testkit.Cuts(t, db, func(int) testkit.Cut {
				if cut.CompareAndSwap(true, false) {
					return testkit.Unheard
				}
				return testkit.Whole
			})
			organization := id.NewOrganization()
			once := func() error {
				cut.Store(true)
				_, _, err := postgres.Once(t.Context(), db, postgres.In(organization), postgres.Request{
					ID: "a", Principal: "ann", Method: "CreateNote", Body: &eventv1.Organization{},
					Admit: func(context.Context) error { return errEmpty },
				}, func(tx *postgres.Tx) (*eventv1.Organization, error) {
					if fetch {
						if err := tx.Fetch(t.Context()); err != nil {
							return nil, err
						}
					}
					tx.Write(insertNote, organization, "note")
					return &eventv1.Organization{}, nil
				})
				if cut.Load() {
					t.Error("no commit was cut: a stored answer may not be on the standby")
				}
				return err
			}
			if err := once(); err != nil {
				t.Errorf("the call that did it is refused: %v", err)
			}
			if err := once(); !errors.Is(err, errEmpty) {
				t.Errorf("got %v, want a refusal of the repeated call", err)
			}
		})
	}

	t.Run("CallerWhoIsGoneBeforeItWasSentLeavesNothing", func(t *testing.T) {
		t.Parallel()
		db := testkit.Open(t, "notes", notes)
		ctx, leave := context.WithCancel(t.Context())
		testkit.Cuts(t, db, func(commit int) testkit.Cut {
			if commit == 1 {
				leave()
				return testkit.Unsent
			}
			return testkit.Whole
		})
		organization := id.NewOrganization()
		err := db.InTx(ctx, postgres.In(organization), func(tx *postgres.Tx) error {
			tx.Write(insertNote, organization, "note")
			return nil
		})
		if !errors.Is(err, context.Canceled) || len(read(t, db, postgres.In(organization))) != 0 {
			t.Errorf("nothing was sent, but: %v", err)
		}
	})

	t.Run("OutcomeThatStaysUnknownSaysSo", func(t *testing.T) {
		t.Parallel()
		db := testkit.Open(t, "notes", notes)
		testkit.Cuts(t, db, func(int) testkit.Cut { return testkit.Unheard })
		err := db.InTx(t.Context(), postgres.In(id.NewOrganization()), func(tx *postgres.Tx) error {
			tx.Write(`SELECT 1`)
			return nil
		})
		if f := fault.From(err); f == nil || f.Reason != errorv1.Reason_REASON_UNAVAILABLE || f.Retry == 0 {
			t.Errorf("got %v, want UNAVAILABLE and when to try again", err)
		}
	})
}
