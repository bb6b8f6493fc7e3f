package outbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/rosterhq/roster/services/internal/id"
)

// Chain follows the history of one aggregate, one event after the other. It stands behind an event; the zero Chain stands
// before the first of whatever it is shown first.
type Chain struct {
	Aggregate id.Any
	Revision  int64
	Hash      []byte
	Event     id.Event // the one it stands behind; zero at the beginning, and where it only knows the hash
}

// Begin is the chain before the first event of an aggregate.
func Begin(aggregate id.Any) Chain {
	return Chain{Aggregate: aggregate, Hash: make([]byte, sha256.Size)}
}

// Break is where a history is not what was written.
type Break struct {
	Entry  // that does not follow
	Reason BreakReason
}

// BreakReason says what is wrong with an event.
type BreakReason string

// Reasons of a break, in the order in which they are looked for.
const (
	Foreign   BreakReason = "belongs to another aggregate"
	Misplaced BreakReason = "does not have the next revision"
	Unlinked  BreakReason = "does not follow the event before it"
	Exposed   BreakReason = "has a personal part that was changed"
	Changed   BreakReason = "was changed"
)

// Error names the event.
func (b *Break) Error() string {
	return fmt.Sprintf("revision %d of %s, event %s: %s", b.Revision, b.Aggregate, b.ID, b.Reason)
}

// Follow moves the chain behind an event, or says why it does not follow and stays. An erased personal part is no damage.
func (c *Chain) Follow(e Entry) *Break {
	var reason BreakReason
	switch {
	case e.Aggregate != c.Aggregate:
		reason = Foreign
	case e.Revision != c.Revision+1:
		reason = Misplaced
	case !bytes.Equal(e.PrevHash, c.Hash) && e.Authentic():
		reason = Unlinked
	case e.Personal != nil && !bytes.Equal(e.PersonalHash, hashPersonal(e.PersonalSalt, e.Personal)):
		reason = Exposed
	case !bytes.Equal(e.PrevHash, c.Hash), !e.Authentic():
		reason = Changed
	default:
		c.Revision, c.Hash, c.Event = e.Revision, e.Hash, e.ID
		return nil
	}
	return &Break{e, reason}
}

// Verify follows entries in the order of their revisions, and names the first that was edited, inserted, moved, or whose
// predecessor is missing. The entries may begin anywhere: what the first says of its predecessor is believed, unless it is
// the beginning.
func Verify(entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	chain := Begin(entries[0].Aggregate)
	if first := entries[0]; first.Revision > 1 {
		chain.Revision, chain.Hash = first.Revision-1, first.PrevHash
	}
	for _, e := range entries {
		if broken := chain.Follow(e); broken != nil {
			return broken
		}
	}
	return nil
}

// Authentic tells whether the event has the hash that its parts and its place make. What of it is personal is not looked at.
func (e Entry) Authentic() bool { return bytes.Equal(e.Hash, e.chainHash()) }

// At is the event in another place of the history.
func (e Entry) At(revision int64) Entry {
	e.Revision = revision
	return e
}

// chainHash computes what the statement publish computes; see tail for the bytes.
func (e Entry) chainHash() []byte {
	var b bytes.Buffer
	b.Write(e.PrevHash)
	b.Write(e.Aggregate[:])
	binary.Write(&b, binary.BigEndian, e.Revision)
	b.Write(Event{ID: e.ID, Type: e.Type, Time: e.Time, data: e.Data, personalHash: [sha256.Size]byte(pad(e.PersonalHash))}.tail())
	sum := sha256.Sum256(b.Bytes())
	return sum[:]
}

func hashPersonal(salt, personal []byte) []byte {
	sum := sha256.Sum256(append(bytes.Clone(salt), personal...))
	return sum[:]
}

// pad makes a hash that was tampered with long enough to be compared.
func pad(hash []byte) []byte {
	return append(bytes.Clone(hash), make([]byte, sha256.Size)...)[:sha256.Size]
}
