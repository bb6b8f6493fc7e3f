package outbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Verify checks the hash chain of one aggregate's entries, in the order of their revisions, and names the first that
// was edited, inserted, moved, or whose predecessor is missing. The entries may begin anywhere: what the first
// says of its predecessor is believed, unless it is the beginning. An erased personal part is no damage.
func Verify(entries []Entry) error {
	for i, e := range entries {
		damaged := func(what string) error {
			return fmt.Errorf("revision %d of %s, event %s: %s", e.Revision, entries[0].Aggregate, e.ID, what)
		}
		switch {
		case e.Aggregate != entries[0].Aggregate:
			return damaged("belongs to another aggregate")
		case i > 0 && e.Revision != entries[i-1].Revision+1:
			return damaged(fmt.Sprintf("follows revision %d", entries[i-1].Revision))
		case i > 0 && !bytes.Equal(e.PrevHash, entries[i-1].Hash):
			return damaged("does not follow the revision before it")
		case i == 0 && e.Revision <= 1 && !bytes.Equal(e.PrevHash, make([]byte, sha256.Size)):
			return damaged("is not the beginning of a history")
		case e.Personal != nil && !bytes.Equal(e.PersonalHash, hashPersonal(e.PersonalSalt, e.Personal)):
			return damaged("its personal part was changed")
		case !bytes.Equal(e.Hash, e.chainHash()):
			return damaged("was changed")
		}
	}
	return nil
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
