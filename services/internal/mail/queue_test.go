package mail_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestQueue(t *testing.T) {
	t.Parallel()

	t.Run("SendsOnceWhatWasCommitted", func(t *testing.T) {
		t.Parallel()
		h := newQueue(t)
		task := h.add(t)
		require.NoError(t, h.queue.Deliver(t.Context(), task))
		require.NoError(t, h.queue.Deliver(t.Context(), task))
		require.Len(t, h.sent, 1)
		require.Equal(t, "ada@example.com", h.sent[0].To)
		require.Contains(t, h.sent[0].Text, "https://roster.example/verify/secret")
		require.Equal(t, []string{"sent"}, h.outcomes)
		require.Empty(t, h.due(t))
	})

	t.Run("WhatWasNotCommittedIsNotSent", func(t *testing.T) {
		t.Parallel()
		h := newQueue(t)
		failed := errors.New("no")
		require.ErrorIs(t, h.queue.DB.InTx(t.Context(), postgres.In(h.org), func(tx *postgres.Tx) error {
			require.NoError(t, mail.Add(h.queue, tx, h.org, h.about, "ada@example.com", words))
			return failed
		}), failed)
		require.Empty(t, h.due(t))
	})

	t.Run("ATemporaryFailureKeepsTheSameMail", func(t *testing.T) {
		t.Parallel()
		h := newQueue(t)
		task := h.add(t)
		h.fail = errors.New("451 later")
		require.Error(t, h.queue.Deliver(t.Context(), task))
		h.fail = nil
		require.NoError(t, h.queue.Deliver(t.Context(), task))
		require.Equal(t, h.tried[0], h.tried[1], "same id, same link")
		require.Equal(t, []string{"sent"}, h.outcomes)
	})

	t.Run("ARefusalForGoodEndsIt", func(t *testing.T) {
		t.Parallel()
		h := newQueue(t)
		task := h.add(t)
		h.fail = fmt.Errorf("550 no such user: %w", mail.ErrPermanent)
		require.NoError(t, h.queue.Deliver(t.Context(), task))
		require.Equal(t, []string{"refused"}, h.outcomes)
		require.Empty(t, h.due(t))
	})

	t.Run("R84 the link is readable neither before nor after", func(t *testing.T) {
		t.Parallel()
		h := newQueue(t)
		task := h.add(t)
		for range 2 {
			var row string
			require.NoError(t, h.queue.DB.View(t.Context(), postgres.In(h.org), func(tx *postgres.Tx) error {
				var rows []struct{ Text string }
				tx.Read(`SELECT m::text || encode(coalesce(payload, ''), 'escape') AS text FROM mails m`, nil, postgres.All(&rows))
				if err := tx.Fetch(t.Context()); err != nil {
					return err
				}
				row = rows[0].Text
				return nil
			}))
			require.False(t, strings.Contains(row, "secret") || strings.Contains(row, "ada@"), row)
			require.NoError(t, h.queue.Deliver(t.Context(), task))
		}
	})
}

var words = mail.VerifyEmail{Link: "https://roster.example/verify/secret"}

type queueHarness struct {
	queue    *mail.Queue
	org      id.Organization
	about    id.Mail
	fail     error
	tried    []mail.Message
	sent     []mail.Message
	outcomes []string
}

func newQueue(t *testing.T) *queueHarness {
	h := &queueHarness{org: id.NewOrganization(), about: id.NewMail()}
	h.queue = &mail.Queue{
		DB:     testkit.Open(t, "mail", nil),
		Sender: h,
		Key:    seal.NewKey([32]byte{7}),
		Outcome: func(_ context.Context, _ *postgres.Tx, aggregate, reference id.Any, sent bool) error {
			require.Equal(t, id.Any(h.org), aggregate)
			require.Equal(t, id.Any(h.about), reference)
			h.outcomes = append(h.outcomes, map[bool]string{true: "sent", false: "refused"}[sent])
			return nil
		},
	}
	return h
}

// Send is the mail server.
func (h *queueHarness) Send(_ context.Context, m mail.Message) error {
	h.tried = append(h.tried, m)
	if h.fail == nil {
		h.sent = append(h.sent, m)
	}
	return h.fail
}

// add commits one mail and returns the task that delivers it.
func (h *queueHarness) add(t *testing.T) saga.Task {
	t.Helper()
	require.NoError(t, h.queue.DB.InTx(t.Context(), postgres.In(h.org), func(tx *postgres.Tx) error {
		return mail.Add(h.queue, tx, h.org, h.about, "ada@example.com", words)
	}))
	due := h.due(t)
	require.Len(t, due, 1)
	return saga.For(h.org, mail.TaskKind, due[0])
}

func (h *queueHarness) due(t *testing.T) (ids []id.Mail) {
	t.Helper()
	rows, err := h.queue.DB.Pool.Query(t.Context(), `SELECT id FROM due WHERE kind = 'mail'`)
	require.NoError(t, err)
	for rows.Next() {
		var next id.Mail
		require.NoError(t, rows.Scan(&next))
		ids = append(ids, next)
	}
	require.NoError(t, rows.Err())
	return ids
}
