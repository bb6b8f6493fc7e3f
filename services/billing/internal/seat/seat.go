package seat

import (
	"time"

	"github.com/rosterhq/roster/services/internal/id"
)

// State of a seat. Released and Denied are for ever.
type State string

// The states of a seat. A seat that was never heard of has none.
const (
	Unknown  State = ""
	Reserved State = "RESERVED"
	Occupied State = "OCCUPIED"
	Released State = "RELEASED"
	Denied   State = "DENIED"
)

// Live tells whether the seat counts.
func (s State) Live() bool { return s == Reserved || s == Occupied }

// OwnerKind is what holds a seat.
type OwnerKind string

// The owners.
const (
	Invitation OwnerKind = "INVITATION"
	Member     OwnerKind = "MEMBER"
)

// Seat is a seat and who holds it. A seat that was released before it was heard of has no owner.
type Seat struct {
	SeatID    id.Seat
	State     State
	OwnerKind OwnerKind
	OwnerID   id.Any
	AccountID id.Account // who sits on it, or sat last
}

// Owner is the owner's id as it travels.
func (s Seat) Owner() string {
	switch s.OwnerKind {
	case Invitation:
		return id.Invitation(s.OwnerID).String()
	case Member:
		return id.Account(s.OwnerID).String()
	}
	return ""
}

// Ask is a request for one seat. Its id is one that its owner has committed before.
type Ask struct {
	SeatID     id.Seat
	OwnerKind  OwnerKind
	OwnerID    id.Any
	ReviewTime time.Time // when the owner may be asked whether it lives
}

// Answer is the one answer for seats that were asked for together: what is worst for ever, or what is still to come.
func Answer(states ...State) State {
	for _, s := range []State{Denied, Released, Reserved, Occupied} {
		for _, state := range states {
			if state == s {
				return s
			}
		}
	}
	return Unknown
}
