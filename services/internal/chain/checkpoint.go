package chain

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/pkg/events"

	"github.com/rosterhq/roster/services/internal/id"
)

// signed is what the signature of a checkpoint is over. AuditCheckpoint says in its documentation what it is made of.
func signed(c *membershipv1.AuditCheckpoint) []byte {
	var b bytes.Buffer
	b.WriteString("roster checkpoint 1")
	for _, part := range [][]byte{
		[]byte(c.GetService()), []byte(c.GetOrganizationId()), number(c.GetEpoch()), number(c.GetRevision()), c.GetHash(), number(c.GetTime().AsTime().UnixMicro()),
	} {
		binary.Write(&b, binary.BigEndian, uint32(len(part)))
		b.Write(part)
	}
	return b.Bytes()
}

func number(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// sign makes a checkpoint of where the history stands.
func (s *Server) sign(key id.Organization, epoch, revision int64, hash []byte) *membershipv1.AuditCheckpoint {
	c := &membershipv1.AuditCheckpoint{Service: s.DB.Name, OrganizationId: key.String(), Epoch: epoch, Revision: revision, Hash: hash,
		Time: timestamppb.New(time.Now().Truncate(time.Microsecond))}
	c.Signature = ed25519.Sign(s.Key.Signer(), signed(c))
	return c
}

// compare compares a history that is consistent up to its end with a checkpoint.
func (s *Server) compare(ctx context.Context, l log, end int64, c *membershipv1.AuditCheckpoint) (*membershipv1.AuditFinding, error) {
	ours, err := s.ours(ctx, signed(c), c.GetSignature())
	switch {
	case err != nil:
		return nil, err
	case c.GetService() != s.DB.Name || c.GetOrganizationId() != l.key.String():
		return found(membershipv1.AuditFinding_KIND_CHECKPOINT_INVALID, c.GetRevision(), id.Event{}, "The checkpoint is of the history that %s keeps of %s.",
			c.GetService(), c.GetOrganizationId()), nil
	case !ours:
		return found(membershipv1.AuditFinding_KIND_CHECKPOINT_INVALID, c.GetRevision(), id.Event{}, "The checkpoint was not signed with the key of this service."), nil
	case c.GetRevision() > end:
		return found(membershipv1.AuditFinding_KIND_CUT, end+1, id.Event{}, "The history ends with revision %d and had %d at %s.",
			end, c.GetRevision(), c.GetTime().AsTime().Format(time.RFC3339)), nil
	}
	e, err := l.find(ctx, `revision = $2`, c.GetRevision())
	if err != nil || e != nil && bytes.Equal(e.Hash, c.GetHash()) {
		return nil, err
	}
	return found(membershipv1.AuditFinding_KIND_REWRITTEN, c.GetRevision(), id.Event{}, "Up to revision %d this is not the history that was signed at %s.",
		c.GetRevision(), c.GetTime().AsTime().Format(time.RFC3339)), nil
}

// stream is where the checkpoints of a service are kept: the last of each organization and epoch, for ever. Nobody, the service
// included, can take one out.
func stream(service string, replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              events.Stream(service) + "_CHECKPOINTS",
		Description:       "Where the histories of Roster's " + service + " service stood",
		Subjects:          []string{"roster.checkpoint." + service + ".>"},
		Storage:           jetstream.FileStorage,
		Replicas:          max(replicas, 1),
		MaxMsgsPerSubject: 1,
		MaxMsgSize:        4 << 10,
		DenyDelete:        true,
		DenyPurge:         true,
		AllowDirect:       true,
	}
}

// subject of an organization's checkpoints in an epoch. A database that was promoted or restored may have lost what an older
// one says, so those stay beside the new ones.
func subject(service string, key id.Organization, epoch int64) string {
	return fmt.Sprintf("roster.checkpoint.%s.%s.%d", service, key, epoch)
}

// kept is a checkpoint in the stream.
type kept struct {
	*membershipv1.AuditCheckpoint // nil: there is none
	subject                       string
	sequence                      uint64 // in the stream
}

// kept returns what is kept of the history of an organization: the last checkpoint of each epoch. It does not ask the database which
// epochs there were.
func (s *Server) kept(ctx context.Context, key id.Organization) (all []kept, err error) {
	in, err := s.JS.Stream(ctx, stream(s.DB.Name, 0).Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("stream of checkpoints: %w", err)
	}
	info, err := in.Info(ctx, jetstream.WithSubjectFilter(strings.TrimSuffix(subject(s.DB.Name, key, 0), "0")+"*"))
	if err != nil {
		return nil, fmt.Errorf("stream of checkpoints: %w", err)
	}
	for at := range info.State.Subjects {
		msg, err := in.GetLastMsgForSubject(ctx, at)
		if err != nil {
			return nil, fmt.Errorf("read the checkpoint of %s: %w", key, err)
		}
		k := kept{&membershipv1.AuditCheckpoint{}, at, msg.Sequence}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(msg.Data, k.AuditCheckpoint); err != nil {
			k.Signature = nil // whatever it is, this service has not made it
		}
		all = append(all, k)
	}
	return all, nil
}

func bare(all []kept) (checkpoints []*membershipv1.AuditCheckpoint) {
	for _, k := range all {
		checkpoints = append(checkpoints, k.AuditCheckpoint)
	}
	return checkpoints
}

// keep writes a checkpoint to the stream, behind the one that was read, unless somebody else has meanwhile.
func (s *Server) keep(ctx context.Context, c *membershipv1.AuditCheckpoint, key id.Organization, behind kept) error {
	body, err := protojson.Marshal(c)
	if err != nil {
		return err
	}
	_, err = s.JS.Publish(ctx, subject(s.DB.Name, key, c.GetEpoch()), body, jetstream.WithExpectLastSequencePerSubject(behind.sequence))
	if err != nil {
		return fmt.Errorf("keep the checkpoint of %s: %w", key, err)
	}
	return nil
}
