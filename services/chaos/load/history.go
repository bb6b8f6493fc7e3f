package load

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/rosterhq/roster/services/internal/verify"
)

// Operation is one thing that a client wanted, with everything that it was told. All tries under one request id are one
// operation, which lasts from the first call to the last answer.
type Operation struct {
	verify.Operation

	Client int           `json:"client"`
	Tries  int           `json:"tries"`
	Call   time.Duration `json:"call"` // since the history began, on one monotonic clock
	Back   time.Duration `json:"back"`

	ActorID    string `json:"actor_account_id,omitempty"` // who asked; empty: an operator, or somebody without an account
	Preset     string `json:"preset,omitempty"`           // of CreateOrganization
	Link       string `json:"link,omitempty"`             // which link was used or handed out, as a label that opens nothing
	Permission string `json:"permission,omitempty"`       // of CheckAccess

	Decision     string `json:"decision,omitempty"`      // of CheckAccess
	State        string `json:"state,omitempty"`         // of GetMember and ListPeople
	SeatReleased bool   `json:"seat_released,omitempty"` // of what ends a membership or an invitation
	Used         int32  `json:"used,omitempty"`          // of GetSeatUsage
	Total        *int32 `json:"total,omitempty"`         // of GetSeatUsage; absent: no limit
}

// Reads have verbs too.
const (
	CheckAccess  verify.Verb = "check_access"
	GetMember    verify.Verb = "get_member"
	ListPeople   verify.Verb = "list_people" // one operation for each person in it
	GetSeatUsage verify.Verb = "get_seat_usage"
)

// Reads are the verbs that change nothing.
var Reads = map[verify.Verb]bool{CheckAccess: true, GetMember: true, ListPeople: true, GetSeatUsage: true}

// History is what all clients did and were told. It is complete in memory, and written as it grows, a line of JSON each.
type History struct {
	begin     time.Time
	mutations io.Writer
	reads     io.Writer

	mu         sync.Mutex
	operations []Operation
	failed     error // to write
}

// NewHistory begins a history now. Mutations are written in the format of verify.ReadHistory.
func NewHistory(mutations, reads io.Writer) *History {
	return &History{begin: time.Now(), mutations: mutations, reads: reads}
}

// Now is the time of the history's clock.
func (h *History) Now() time.Duration { return time.Since(h.begin) }

// Operations returns what has ended so far.
func (h *History) Operations() ([]Operation, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.operations[:len(h.operations):len(h.operations)], h.failed
}

func (h *History) add(o Operation) {
	line, err := json.Marshal(o)
	to := h.mutations
	if Reads[o.Verb] {
		to = h.reads
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, o)
	if err == nil {
		_, err = to.Write(append(line, '\n'))
	}
	if h.failed == nil {
		h.failed = err
	}
}
