package chain_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/chain"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// harness is a service's history of an organization, and somebody who may change every row of it.
type harness struct {
	*testing.T
	db     *postgres.DB
	owner  *pgx.Conn
	server *chain.Server
	key    id.Organization
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	dsns := testkit.Database(t, "membership", nil)
	owner, err := pgx.Connect(t.Context(), dsns.Owner)
	require.NoError(t, err)
	t.Cleanup(func() { owner.Close(context.Background()) })
	db := dsns.Open(t, postgres.Options{})
	conn, err := testkit.NATS(t).Connect()
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	server := &chain.Server{DB: db, JS: js, Key: seal.NewKey([32]byte{1})}
	return &harness{T: t, db: db, owner: owner, server: server, key: id.NewOrganization()}
}

func (h *harness) publish(events int) {
	h.Helper()
	for i := range events {
		require.NoError(h, h.db.InTx(context.Background(), postgres.In(h.key), func(tx *postgres.Tx) error {
			return outbox.Publish(tx, h.key, time.Now(), &eventv1.MemberAdded{Personal: &eventv1.Personal{DisplayName: fmt.Sprintf("Person %d", i)}})
		}))
	}
}

// tamper changes rows as who owns the database.
func (h *harness) tamper(statements ...string) {
	h.Helper()
	for _, statement := range statements {
		tag, err := h.owner.Exec(h.Context(), statement, h.key)
		require.NoError(h, err, statement)
		require.NotZero(h, tag.RowsAffected(), statement)
	}
}

// verify verifies the whole history, a few events at a time.
func (h *harness) verify() (answer *membershipv1.VerifyChainResponse, events int) {
	h.Helper()
	answer = &membershipv1.VerifyChainResponse{}
	for !answer.GetComplete() && answer.GetFinding() == nil {
		var err error
		answer, err = h.server.VerifyChain(h.Context(), &membershipv1.VerifyChainRequest{
			OrganizationId: h.key.String(), Revision: answer.GetRevision(), Hash: answer.GetHash(), Limit: 3})
		require.NoError(h, err)
		events += len(answer.GetEvents())
	}
	return answer, events
}

const (
	shiftUp = `UPDATE events SET revision = -revision - 1 WHERE aggregate_id = $1 AND revision >= %d`
	settle  = `UPDATE events SET revision = -revision WHERE aggregate_id = $1 AND revision < 0`
	forge   = `INSERT INTO events (aggregate_id, revision, epoch, id, type, time, data, personal_hash, trace_id, prev_hash, hash)
		SELECT aggregate_id, %d, epoch, gen_random_uuid(), 'member.removed', time, '{}', personal_hash, '', prev_hash, hash FROM events WHERE aggregate_id = $1 AND revision = 1`
)

func TestVerifyChain(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		tamper   []string
		kind     membershipv1.AuditFinding_Kind
		revision int64
	}{
		"R83_AnEditedEvent":        {[]string{`UPDATE events SET data = '{"x":1}' WHERE aggregate_id = $1 AND revision = 4`}, membershipv1.AuditFinding_KIND_EDITED, 4},
		"R83_AnEditedFirstEvent":   {[]string{`UPDATE events SET type = 'member.left' WHERE aggregate_id = $1 AND revision = 1`}, membershipv1.AuditFinding_KIND_EDITED, 1},
		"R83_AnEditedLastEvent":    {[]string{`UPDATE events SET time = time + interval '1 s' WHERE aggregate_id = $1 AND revision = 8`}, membershipv1.AuditFinding_KIND_EDITED, 8},
		"R83_AnEditedName":         {[]string{`UPDATE events SET personal = '{"displayName":"Eve"}' WHERE aggregate_id = $1 AND revision = 4`}, membershipv1.AuditFinding_KIND_EDITED, 4},
		"R83_AnEditedHash":         {[]string{`UPDATE events SET hash = sha256(data) WHERE aggregate_id = $1 AND revision = 4`}, membershipv1.AuditFinding_KIND_EDITED, 4},
		"R83_AnEditedHead":         {[]string{`UPDATE heads SET hash = sha256(hash) WHERE aggregate_id = $1`}, membershipv1.AuditFinding_KIND_EDITED, 8},
		"R83_AnotherId":            {[]string{`UPDATE events SET id = gen_random_uuid() WHERE aggregate_id = $1 AND revision = 4`}, membershipv1.AuditFinding_KIND_EDITED, 4},
		"R83_AnInsertedEvent":      {[]string{fmt.Sprintf(shiftUp, 4), settle, fmt.Sprintf(forge, 4)}, membershipv1.AuditFinding_KIND_INSERTED, 4},
		"R83_AnInsertedFirstEvent": {[]string{fmt.Sprintf(forge, 0)}, membershipv1.AuditFinding_KIND_INSERTED, 0},
		"R83_AnEventBehindTheLast": {[]string{fmt.Sprintf(forge, 9)}, membershipv1.AuditFinding_KIND_INSERTED, 9},
		"R83_TwoInserted": {[]string{fmt.Sprintf(shiftUp, 4), settle, fmt.Sprintf(forge, 4), fmt.Sprintf(shiftUp, 4), settle, fmt.Sprintf(forge, 4)},
			membershipv1.AuditFinding_KIND_INSERTED, 4},
		"R83_TwoChangedPlaces": {[]string{
			`UPDATE events SET revision = CASE revision WHEN 4 THEN -5 ELSE -4 END WHERE aggregate_id = $1 AND revision IN (4, 5)`, settle}, membershipv1.AuditFinding_KIND_REORDERED, 4},
		"R83_OneMovedAway": {[]string{
			`UPDATE events SET revision = CASE revision WHEN 2 THEN -6 ELSE 1 - revision END WHERE aggregate_id = $1 AND revision BETWEEN 2 AND 6`, settle}, membershipv1.AuditFinding_KIND_REORDERED, 2},
		"R83_OneMissing":      {[]string{`DELETE FROM events WHERE aggregate_id = $1 AND revision = 4`}, membershipv1.AuditFinding_KIND_MISSING, 4},
		"R83_TheFirstMissing": {[]string{`DELETE FROM events WHERE aggregate_id = $1 AND revision = 1`}, membershipv1.AuditFinding_KIND_MISSING, 1},
		"R83_OneMissingAndRenumbered": {[]string{`DELETE FROM events WHERE aggregate_id = $1 AND revision = 4`,
			`UPDATE events SET revision = 1 - revision WHERE aggregate_id = $1 AND revision > 4`, settle,
			`UPDATE heads SET revision = 7 WHERE aggregate_id = $1`}, membershipv1.AuditFinding_KIND_MISSING, 4},
		"R83_TheFirstMissingAndRenumbered": {[]string{`DELETE FROM events WHERE aggregate_id = $1 AND revision = 1`,
			`UPDATE events SET revision = 1 - revision WHERE aggregate_id = $1`, settle}, membershipv1.AuditFinding_KIND_MISSING, 1},
		"R83_TheEndMissing":      {[]string{`DELETE FROM events WHERE aggregate_id = $1 AND revision > 6`}, membershipv1.AuditFinding_KIND_CUT, 7},
		"R83_EverythingMissing":  {[]string{`DELETE FROM events WHERE aggregate_id = $1`}, membershipv1.AuditFinding_KIND_CUT, 1},
		"R83_TheHeadMissing":     {[]string{`DELETE FROM heads WHERE aggregate_id = $1`}, membershipv1.AuditFinding_KIND_MISSING, 1},
		"R83_AHeadThatIsSetBack": {[]string{`UPDATE heads h SET revision = 6, hash = e.hash FROM events e WHERE h.aggregate_id = $1 AND e.aggregate_id = $1 AND e.revision = 6`}, membershipv1.AuditFinding_KIND_INSERTED, 7},
		"R83_AnEditedEventHashed": {[]string{`UPDATE events SET data = '{"x":1}', hash = sha256(prev_hash || uuid_send(aggregate_id) || int8send(revision) || uuid_send(id)
			|| int4send(octet_length(type)) || convert_to(type, 'UTF8') || int8send((extract(epoch FROM time) * 1000000)::bigint) || int4send(7) || '{"x":1}' || personal_hash)
			WHERE aggregate_id = $1 AND revision = 4`}, membershipv1.AuditFinding_KIND_EDITED, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			h.publish(8)
			h.tamper(c.tamper...)
			answer, _ := h.verify()
			require.Equal(t, c.kind, answer.GetFinding().GetKind(), answer.GetFinding().GetDetail())
			require.Equal(t, c.revision, answer.GetFinding().GetRevision(), answer.GetFinding().GetDetail())
			require.False(t, answer.GetComplete())
			require.NotEmpty(t, answer.GetFinding().GetDetail())
		})
	}

	t.Run("R83_AnHonestHistory", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		answer, events := h.verify()
		require.Nil(t, answer.GetFinding(), "nothing has happened yet")
		require.Zero(t, events)
		h.publish(8)
		answer, events = h.verify()
		require.Nil(t, answer.GetFinding())
		require.Equal(t, 8, events)
		require.EqualValues(t, 8, answer.GetRevision())
	})

	t.Run("R83_AnErasedNameIsNoDamage", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.publish(8)
		h.tamper(`UPDATE events SET personal = NULL, personal_salt = NULL WHERE aggregate_id = $1 AND revision = 4`)
		answer, events := h.verify()
		require.Nil(t, answer.GetFinding())
		require.Equal(t, 8, events)
	})

	t.Run("R83_OthersHistoriesDoNotCount", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.publish(3)
		other := *h
		other.key = id.NewOrganization()
		other.publish(3)
		h.tamper(`UPDATE events SET data = '{}', type = 'x' WHERE aggregate_id = $1`)
		answer, _ := other.verify()
		require.Nil(t, answer.GetFinding())
	})

	t.Run("R83_AnHonestHistoryThatGrowsMeanwhile", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		var writing sync.WaitGroup
		for range 3 {
			writing.Go(func() { h.publish(40) })
		}
		written := make(chan struct{})
		go func() { writing.Wait(); close(written) }()
		for growing := true; growing; {
			answer, _ := h.verify()
			require.Nil(t, answer.GetFinding(), answer.GetFinding().GetDetail())
			select {
			case <-written:
				growing = false
			default:
			}
		}
		answer, _ := h.verify()
		require.EqualValues(t, 120, answer.GetRevision())
	})

	t.Run("R83_TheServiceItselfCannotChangeOrDeleteAnEvent", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.publish(1)
		for _, statement := range []string{`UPDATE events SET data = '{}'`, `UPDATE events SET revision = 2`, `UPDATE events SET hash = ''`, `DELETE FROM events`, `TRUNCATE events`} {
			_, err := h.db.Pool.Exec(t.Context(), statement)
			require.ErrorContains(t, err, "permission denied", statement)
		}
	})
}

// What is not JSON any more, with the right hash, is a finding and no failure.
func TestVerifyChainOfWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.publish(4)
	h.tamper(`UPDATE events SET data = 'x' WHERE aggregate_id = $1 AND revision = 2`)
	h.rehash(2)
	h.expect(membershipv1.AuditFinding_KIND_EDITED, 2)
}
