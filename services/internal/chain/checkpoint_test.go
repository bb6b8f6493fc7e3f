package chain_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/chain"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/seal"
)

// said is what a signer logs.
type said struct {
	mu sync.Mutex
	bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Buffer.Write(p)
}

func (s *said) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.String(), text)
}

// sign has the history signed as soon as the relay has noted that it has grown, until the test ends.
func (h *harness) sign() *said {
	h.Helper()
	ctx, stop := context.WithCancel(context.Background())
	log, ended := &said{}, make(chan error, 1)
	signer := &chain.Signer{Server: h.server, Every: 10 * time.Millisecond, Log: slog.New(slog.NewTextHandler(log, nil))}
	go func() { ended <- signer.Run(ctx) }()
	h.Cleanup(func() { stop(); require.NoError(h, <-ended) })
	return log
}

// restart runs a signer with a key until it has signed another event, and returns that checkpoint.
func (h *harness) restart(key *seal.Key) *membershipv1.AuditCheckpoint {
	h.Helper()
	h.server = &chain.Server{DB: h.db, JS: h.server.JS, Key: key}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	signer := &chain.Signer{Server: h.server, Every: 10 * time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	go func() { done <- signer.Run(ctx) }()
	defer func() {
		stop()
		require.NoError(h, <-done)
	}()
	h.publish(1)
	h.grown()
	var revision int64
	require.NoError(h, h.owner.QueryRow(h.Context(), `SELECT revision FROM heads WHERE aggregate_id = $1`, h.key).Scan(&revision))
	return h.checkpoint(revision)
}

// grown notes what the relay notes.
func (h *harness) grown() {
	h.Helper()
	h.tamper(`INSERT INTO unsigned AS u (aggregate_id, revision) SELECT aggregate_id, revision FROM heads WHERE aggregate_id = $1
		ON CONFLICT (aggregate_id) DO UPDATE SET revision = excluded.revision`)
}

// checkpoint waits for the checkpoint of a revision.
func (h *harness) checkpoint(revision int64) (c *membershipv1.AuditCheckpoint) {
	h.Helper()
	require.Eventually(h, func() bool {
		answer, _ := h.verify()
		c = answer.GetCheckpoint()
		return c.GetRevision() == revision
	}, 20*time.Second, 20*time.Millisecond)
	return c
}

// signed is a history of eight events with a checkpoint.
func signed(t *testing.T) (*harness, *membershipv1.AuditCheckpoint) {
	h := newHarness(t)
	h.sign()
	h.publish(8)
	h.grown()
	return h, h.checkpoint(8)
}

// rehash is what somebody does who knows how hashes are made: all of them, from a revision on, and the head's.
func (h *harness) rehash(from int64) {
	h.Helper()
	h.tamper(fmt.Sprintf(`
		WITH RECURSIVE chained AS (
			SELECT e.revision, p.prev AS prev_hash, sha256(%[1]s) AS hash
			FROM events e, LATERAL (SELECT coalesce((SELECT hash FROM events b WHERE b.aggregate_id = $1 AND b.revision = %[2]d - 1), decode(repeat('00', 32), 'hex')) AS prev) p
			WHERE e.aggregate_id = $1 AND e.revision = %[2]d
			UNION ALL
			SELECT e.revision, p.prev, sha256(%[1]s)
			FROM chained c JOIN events e ON e.aggregate_id = $1 AND e.revision = c.revision + 1, LATERAL (SELECT c.hash AS prev) p
		)
		UPDATE events e SET prev_hash = c.prev_hash, hash = c.hash FROM chained c WHERE e.aggregate_id = $1 AND e.revision = c.revision`,
		`p.prev || uuid_send(e.aggregate_id) || int8send(e.revision) || uuid_send(e.id) || int4send(octet_length(e.type)) || convert_to(e.type, 'UTF8')
			|| int8send((extract(epoch FROM e.time) * 1000000)::bigint) || int4send(octet_length(e.data)) || e.data || e.personal_hash`, from),
		`UPDATE heads h SET revision = e.revision, prev_hash = e.prev_hash, hash = e.hash
			FROM (SELECT * FROM events WHERE aggregate_id = $1 ORDER BY revision DESC LIMIT 1) e WHERE h.aggregate_id = $1`)
}

func (h *harness) expect(kind membershipv1.AuditFinding_Kind, revision int64) {
	h.Helper()
	answer, _ := h.verify()
	require.Equal(h, kind, answer.GetFinding().GetKind(), answer.GetFinding().GetDetail())
	require.Equal(h, revision, answer.GetFinding().GetRevision(), answer.GetFinding().GetDetail())
}

// compare verifies with a checkpoint that somebody has kept.
func (h *harness) compare(c *membershipv1.AuditCheckpoint) *membershipv1.AuditFinding {
	h.Helper()
	answer, err := h.server.VerifyChain(h.Context(), &membershipv1.VerifyChainRequest{
		OrganizationId: h.key.String(), Limit: 1000, Checkpoints: []*membershipv1.AuditCheckpoint{c}})
	require.NoError(h, err)
	return answer.GetFinding()
}

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	const edit = `UPDATE events SET data = '{"x":1}' WHERE aggregate_id = $1 AND revision = 4`

	t.Run("R83_AnHonestHistoryIsSignedAsItGrows", func(t *testing.T) {
		t.Parallel()
		h, first := signed(t)
		require.Equal(t, "membership", first.GetService())
		require.Equal(t, h.key.String(), first.GetOrganizationId())
		require.WithinDuration(t, time.Now(), first.GetTime().AsTime(), time.Minute)
		h.publish(2)
		h.grown()
		h.checkpoint(10)
		require.Nil(t, h.compare(first), "an older one is of the same history")
		answer, _ := h.verify()
		require.EqualValues(t, 1, answer.GetCheckpoints(), "the last is kept")
		var waiting int
		require.Eventually(t, func() bool {
			return h.owner.QueryRow(t.Context(), `SELECT count(*) FROM unsigned`).Scan(&waiting) == nil && waiting == 0
		}, 20*time.Second, 20*time.Millisecond)
	})

	t.Run("R83_AHistoryThatWasRewritten", func(t *testing.T) {
		t.Parallel()
		h, _ := signed(t)
		h.tamper(edit)
		h.rehash(4)
		h.expect(membershipv1.AuditFinding_KIND_REWRITTEN, 8)
	})

	t.Run("R83_AHistoryThatWasRewrittenFromTheFirstEventAndGrew", func(t *testing.T) {
		t.Parallel()
		h, _ := signed(t)
		h.tamper(`UPDATE events SET type = 'member.left' WHERE aggregate_id = $1 AND revision = 1`)
		h.rehash(1)
		h.publish(3)
		h.expect(membershipv1.AuditFinding_KIND_REWRITTEN, 8)
	})

	t.Run("R83_AnEndThatWasCutWithItsHead", func(t *testing.T) {
		t.Parallel()
		h, _ := signed(t)
		h.tamper(`DELETE FROM events WHERE aggregate_id = $1 AND revision > 6`)
		h.rehash(1)
		h.expect(membershipv1.AuditFinding_KIND_CUT, 7)
		h.publish(5) // which nobody noticed, and grew
		h.expect(membershipv1.AuditFinding_KIND_REWRITTEN, 8)
	})

	t.Run("R83_AHistoryThatIsGone", func(t *testing.T) {
		t.Parallel()
		h, _ := signed(t)
		h.tamper(`DELETE FROM events WHERE aggregate_id = $1`, `DELETE FROM heads WHERE aggregate_id = $1`)
		h.expect(membershipv1.AuditFinding_KIND_CUT, 1)
	})

	t.Run("R83_WhatWasRewrittenIsNotSigned", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		log := h.sign()
		h.publish(8)
		h.grown()
		h.checkpoint(8)
		h.tamper(edit)
		h.rehash(4)
		h.publish(3)
		h.grown()
		require.Eventually(t, func() bool { return log.has("KIND_REWRITTEN") }, 20*time.Second, 20*time.Millisecond)
		require.True(t, log.has(h.key.String()))
		h.expect(membershipv1.AuditFinding_KIND_REWRITTEN, 8)
	})

	t.Run("R83_AnotherEpochHidesNothing", func(t *testing.T) {
		t.Parallel()
		for _, epoch := range []int{0, 7} {
			h, _ := signed(t)
			h.tamper(edit)
			h.rehash(4)
			h.publish(1)
			h.tamper(fmt.Sprintf(`UPDATE heads SET epoch = %d WHERE aggregate_id = $1`, epoch))
			h.grown()
			h.expect(membershipv1.AuditFinding_KIND_REWRITTEN, 8)
		}
	})

	t.Run("R83_ACheckpointThatSomebodyKept", func(t *testing.T) {
		t.Parallel()
		h, kept := signed(t)
		require.Nil(t, h.compare(kept))
		other := newHarness(t) // whose NATS knows nothing
		h.server.JS = other.server.JS
		h.tamper(edit)
		h.rehash(4)
		answer, _ := h.verify()
		require.Nil(t, answer.GetFinding(), "nothing is known of the history that was")
		require.Equal(t, membershipv1.AuditFinding_KIND_REWRITTEN, h.compare(kept).GetKind())
	})

	t.Run("R83_AForgedCheckpoint", func(t *testing.T) {
		t.Parallel()
		h, kept := signed(t)
		for name, forge := range map[string]func(*membershipv1.AuditCheckpoint){
			"service":      func(c *membershipv1.AuditCheckpoint) { c.Service = "billing" },
			"organization": func(c *membershipv1.AuditCheckpoint) { c.OrganizationId = id.NewOrganization().String() },
			"revision":     func(c *membershipv1.AuditCheckpoint) { c.Revision = 7 },
			"epoch":        func(c *membershipv1.AuditCheckpoint) { c.Epoch = 2 },
			"hash":         func(c *membershipv1.AuditCheckpoint) { c.Hash = bytes.Repeat([]byte{1}, 32) },
			"time":         func(c *membershipv1.AuditCheckpoint) { c.Time = timestamppb.New(c.GetTime().AsTime().Add(time.Hour)) },
			"signature":    func(c *membershipv1.AuditCheckpoint) { c.Signature[0] ^= 1 },
			"unsigned":     func(c *membershipv1.AuditCheckpoint) { c.Signature = nil },
			"nothing":      func(c *membershipv1.AuditCheckpoint) { proto.Reset(c) },
		} {
			forged := proto.CloneOf(kept)
			forge(forged)
			require.Equal(t, membershipv1.AuditFinding_KIND_CHECKPOINT_INVALID, h.compare(forged).GetKind(), name)
		}
	})

	t.Run("R83_ACheckpointOfAnotherOrganization", func(t *testing.T) {
		t.Parallel()
		h, kept := signed(t)
		h.key = id.NewOrganization()
		require.Equal(t, membershipv1.AuditFinding_KIND_CHECKPOINT_INVALID, h.compare(kept).GetKind())
	})

	t.Run("R83_ACheckpointOfAnotherKey", func(t *testing.T) {
		t.Parallel()
		h, kept := signed(t)
		h.server.Key = seal.NewKey([32]byte{2})
		require.Equal(t, membershipv1.AuditFinding_KIND_CHECKPOINT_INVALID, h.compare(kept).GetKind())
	})

	t.Run("R54_ACheckpointOfAKeyThatIsGone", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		old, second, third := [32]byte{1}, [32]byte{2}, [32]byte{3}
		kept := h.restart(seal.NewKey(old))
		h.restart(seal.NewKey(old, second))
		h.restart(seal.NewKey(second, old))
		inStream := h.restart(seal.NewKey(second, old))
		h.server.Key = seal.NewKey(second)
		require.Nil(t, h.compare(kept), "the second key stands for the first")
		h.restart(seal.NewKey(third, second))
		h.server.Key = seal.NewKey(third)
		require.Nil(t, h.compare(kept), "and the third for both")
		require.Nil(t, h.compare(inStream))
		answer, _ := h.verify()
		require.Nil(t, answer.GetFinding())

		h.server.Key = seal.NewKey([32]byte{4})
		require.Equal(t, membershipv1.AuditFinding_KIND_CHECKPOINT_INVALID, h.compare(kept).GetKind(), "it stands for none")
	})

	t.Run("R54_OnlyAKeyOfTheServiceVouches", func(t *testing.T) {
		t.Parallel()
		h, _ := signed(t)
		stranger := seal.NewKey([32]byte{9})
		public := stranger.Verifiers()[0]
		other := newHarness(t)
		other.key = h.key
		forged := other.restart(stranger)
		for _, by := range []ed25519.PublicKey{public, h.server.Key.Verifiers()[0]} {
			body, err := json.Marshal(map[string][]byte{"PublicKey": public, "By": by, "Signature": ed25519.Sign(stranger.Signer(),
				append([]byte("roster checkpoint key 110:membership"), public...))})
			require.NoError(t, err)
			for _, body := range [][]byte{body, []byte("{"), []byte(`{"PublicKey":"AA=="}`)} {
				_, err = h.server.JS.Publish(t.Context(), "roster.checkpoint.membership.key."+hex.EncodeToString(public), body)
				require.NoError(t, err)
				require.Equal(t, membershipv1.AuditFinding_KIND_CHECKPOINT_INVALID, h.compare(forged).GetKind())
			}
		}
	})

	t.Run("R83_ACheckpointInTheStreamThatTheServiceHasNotMade", func(t *testing.T) {
		t.Parallel()
		h, kept := signed(t)
		forged := proto.CloneOf(kept)
		forged.Hash = bytes.Repeat([]byte{1}, 32)
		body, err := protojson.Marshal(forged)
		require.NoError(t, err)
		for _, body := range [][]byte{body, []byte("{")} {
			_, err = h.server.JS.Publish(t.Context(), "roster.checkpoint.membership."+h.key.String()+".1", body)
			require.NoError(t, err)
			answer, _ := h.verify()
			require.Equal(t, membershipv1.AuditFinding_KIND_CHECKPOINT_INVALID, answer.GetFinding().GetKind())
		}
	})

	t.Run("R83_NobodyTakesACheckpointOutOfTheStream", func(t *testing.T) {
		t.Parallel()
		h, _ := signed(t)
		stream, err := h.server.JS.Stream(t.Context(), "ROSTER_MEMBERSHIP_CHECKPOINTS")
		require.NoError(t, err)
		require.Error(t, stream.DeleteMsg(t.Context(), 1))
		require.Error(t, stream.Purge(t.Context()))
	})
}
