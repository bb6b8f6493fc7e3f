package reseal_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/reseal"
	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// The keys of a turn, and what the files say while it lasts.
var (
	oldKey, newKey = [32]byte{1}, [32]byte{2}
	before         = seal.NewKey(oldKey)
	prepared       = seal.NewKey(oldKey, newKey)
	turned         = seal.NewKey(newKey, oldKey)
	after          = seal.NewKey(newKey)
)

// harness is a database in which mails of many organizations wait.
type harness struct {
	*testing.T
	dsns  testkit.DSNs
	owner *pgx.Conn
	log   bytes.Buffer
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	h := &harness{T: t, dsns: testkit.Database(t, "notes", nil)}
	var err error
	h.owner, err = pgx.Connect(t.Context(), h.dsns.Owner)
	require.NoError(t, err)
	t.Cleanup(func() { h.owner.Close(context.Background()) })
	return h
}

// instance is a copy of the service with a key file.
func (h *harness) instance(key *seal.Key) *reseal.Resealer {
	h.Helper()
	db, relay := h.dsns.Open(h, postgres.Options{}), h.dsns.Open(h, postgres.Options{Role: postgres.RelayRole, Conns: 2})
	queue := &mail.Queue{DB: db, Key: key.Derive("mail")}
	return &reseal.Resealer{DB: db, Relay: relay, Key: key, Columns: []reseal.Column{queue.Sealed()}, Log: slog.New(slog.NewTextHandler(&h.log, nil))}
}

// add queues mails with a key.
func (h *harness) add(key *seal.Key, mails int) {
	h.Helper()
	db := h.dsns.Open(h, postgres.Options{Conns: 1})
	for range mails {
		org := id.NewOrganization()
		require.NoError(h, db.InTx(h.Context(), postgres.In(org), func(tx *postgres.Tx) error {
			return mail.Add(&mail.Queue{DB: db, Key: key.Derive("mail")}, tx, org, id.NewMail(), "ada@example.com", mail.VerifyEmail{Link: "https://roster.test/verify/x"})
		}))
	}
}

func (h *harness) exec(query string, args ...any) {
	h.Helper()
	_, err := h.owner.Exec(h.Context(), query, args...)
	require.NoError(h, err)
}

// sealedBy counts what a key has sealed.
func (h *harness) sealedBy(key *seal.Key) (n int) {
	h.Helper()
	require.NoError(h, h.owner.QueryRow(h.Context(), `SELECT count(*) FROM mails WHERE sealed_by = $1`, key.Head()).Scan(&n))
	return n
}

// deliver sends all mails with a key file, and returns how many opened.
func (h *harness) deliver(key *seal.Key) (sent int) {
	h.Helper()
	db := h.dsns.Open(h, postgres.Options{})
	sender := &counter{}
	queue := &mail.Queue{DB: db, Key: key.Derive("mail"), Sender: sender}
	rows, err := h.owner.Query(h.Context(), `SELECT aggregate_id, id FROM mails WHERE state = 'QUEUED'`)
	require.NoError(h, err)
	type waiting struct{ Organization, Mail id.Any }
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[waiting])
	require.NoError(h, err)
	for _, w := range all {
		if err := queue.Deliver(h.Context(), task(w.Organization, w.Mail)); err != nil {
			require.ErrorIs(h, err, seal.ErrOpen)
		}
	}
	return sender.sent
}

func TestReseal(t *testing.T) {
	t.Parallel()

	t.Run("R54 WhatAnOlderKeyHasSealedIsSealedAnew", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.add(before, 250)
		h.add(after, 3)
		b := h.instance(turned)
		require.NoError(t, b.Begin(t.Context()))
		left, err := b.Pass(t.Context())
		require.NoError(t, err)
		require.Zero(t, left)
		require.Equal(t, 253, h.sealedBy(after))
		require.NoError(t, h.instance(after).Begin(t.Context()), "the old line can go")
		require.Equal(t, 253, h.deliver(after))
	})

	t.Run("R54 WhatNamesNoKeyIsSealedAnewAndBoundToMore", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.add(before, 1)
		var key id.Mail
		require.NoError(t, h.owner.QueryRow(t.Context(), `SELECT id FROM mails`).Scan(&key))
		derived := expand(oldKey, "mail")
		h.exec(`UPDATE mails SET payload = $1`, testkit.SealedWithoutID(derived, []byte(`{"To":"ada@example.com"}`), "mail", key.String()))
		require.Zero(t, h.sealedBy(before))
		b := h.instance(turned)
		require.NoError(t, b.Begin(t.Context()))
		left, err := b.Pass(t.Context())
		require.NoError(t, err)
		require.Zero(t, left)
		require.Equal(t, 1, h.sealedBy(after))
		h.exec(`UPDATE mails SET aggregate_id = $1`, id.NewOrganization())
		require.Zero(t, h.deliver(after), "of another organization it does not open")
	})

	t.Run("R54 WhoIsToWorkWithoutTheKeyOfAValueDoesNotStart", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		require.NoError(t, h.instance(after).Begin(t.Context()), "nothing is sealed yet")
		h.add(before, 2)
		err := h.instance(after).Begin(t.Context())
		require.ErrorContains(t, err, fmt.Sprintf("2 values of mails.payload are sealed with the key %x, which the key file does not have", before.Head()[1:]))
		require.ErrorContains(t, err, "deploy/keys.md")
		for _, key := range []*seal.Key{before, prepared, turned} {
			require.NoError(t, h.instance(key).Begin(t.Context()))
		}

		h.exec(`DELETE FROM mails WHERE id = (SELECT id FROM mails LIMIT 1)`)
		var key id.Mail
		require.NoError(t, h.owner.QueryRow(t.Context(), `SELECT id FROM mails`).Scan(&key))
		h.exec(`UPDATE mails SET payload = $1`, testkit.SealedWithoutID(expand(oldKey, "mail"), []byte(`{}`), "mail", key.String()))
		require.ErrorContains(t, h.instance(after).Begin(t.Context()), "values of mails.payload are sealed with a key that the key file does not have")
		require.NoError(t, h.instance(turned).Begin(t.Context()))
	})

	t.Run("R54 AValueThatDoesNotOpenKeepsNoOtherFromIt", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.add(before, 120)
		h.exec(`UPDATE mails SET payload = payload || '\x00' WHERE id = (SELECT id FROM mails ORDER BY aggregate_id, id LIMIT 1)`)
		b := h.instance(turned)
		require.NoError(t, b.Begin(t.Context()))
		left, err := b.Pass(t.Context())
		require.ErrorIs(t, err, seal.ErrOpen)
		require.ErrorContains(t, err, "1 values of mails.payload")
		require.Equal(t, 1, left)
		require.Equal(t, 119, h.sealedBy(after))
	})

	t.Run("R54 OfInstancesWithOtherFilesThatWhichWasStartedLastSealsAnew", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		a, b := h.instance(prepared), h.instance(turned)
		require.NoError(t, a.Begin(t.Context()))
		require.NoError(t, b.Begin(t.Context()))
		h.add(prepared, 2)
		h.add(turned, 1)
		left, err := a.Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, left)
		require.Equal(t, 1, h.sealedBy(after), "it leaves alone what the other has done")
		left, err = b.Pass(t.Context())
		require.NoError(t, err)
		require.Zero(t, left)
		require.NoError(t, a.Begin(t.Context()), "the operator goes back")
		left, err = a.Pass(t.Context())
		require.NoError(t, err)
		require.Zero(t, left)
		require.Equal(t, 3, h.sealedBy(before))
	})

	t.Run("R54 ARowThatSomebodyHoldsIsLeftForTheNextTime", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.add(before, 3)
		held, err := h.owner.Begin(t.Context())
		require.NoError(t, err)
		_, err = held.Exec(t.Context(), `SELECT FROM mails ORDER BY aggregate_id LIMIT 1 FOR UPDATE`)
		require.NoError(t, err)
		b := h.instance(turned)
		require.NoError(t, b.Begin(t.Context()))
		left, err := b.Pass(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, left)
		require.NoError(t, held.Rollback(t.Context()))
		left, err = b.Pass(t.Context())
		require.NoError(t, err)
		require.Zero(t, left)
	})

	t.Run("R54 ManyAtOnceDoItOnce", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.add(before, 60)
		var all sync.WaitGroup
		for range 3 {
			b := h.instance(turned)
			require.NoError(t, b.Begin(t.Context()))
			all.Go(func() {
				if _, err := b.Pass(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		left, err := h.instance(turned).Pass(t.Context())
		require.NoError(t, err)
		require.Zero(t, left)
		require.Equal(t, 60, h.deliver(after))
	})

	t.Run("R54 WhenNothingIsLeftItSaysSo", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.add(before, 2)
		b := h.instance(turned)
		require.NoError(t, b.Begin(t.Context()))
		b.Every = 5 * time.Millisecond
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		require.Eventually(t, func() bool { return h.sealedBy(after) == 2 }, 20*time.Second, 10*time.Millisecond)
		h.add(before, 1) // by an instance that has not been restarted yet
		require.Eventually(t, func() bool { return h.sealedBy(after) == 3 }, 20*time.Second, 10*time.Millisecond)
		stop()
		require.NoError(t, <-ended)
		require.Contains(t, h.log.String(), fmt.Sprintf("all that stays is sealed with the first key\" key=%x", after.Head()[1:]))
	})

	t.Run("R54 WhoLooksForOldKeysReadsNoValue", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		_, err := h.instance(after).Relay.Pool.Exec(t.Context(), `SELECT payload FROM mails`)
		require.ErrorContains(t, err, "permission denied")
	})
}
