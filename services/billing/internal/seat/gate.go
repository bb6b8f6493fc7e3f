package seat

import "github.com/rosterhq/roster/services/internal/id"

// Gate is one organization's seats, and what each call does to them. SQL decides by itself when the service runs
// (store.Change); the Gate says what it must decide, and tests compare the two.
type Gate struct {
	Usage  Usage
	Seats  map[id.Seat]Seat
	Ledger []Entry
}

// Op is what a line of the ledger records.
type Op string

// The operations.
const (
	OpReserve Op = "RESERVE"
	OpOccupy  Op = "OCCUPY"
	OpRelease Op = "RELEASE"
	OpAtLimit Op = "AT_LIMIT" // the last free seat was taken
)

// Entry is a line of the ledger. There is one for each event about seats.
type Entry struct {
	Op            Op
	OccupiedDelta int32
	ReservedDelta int32
	UsedAfter     int32
	CapAt         *int32
}

// NewGate returns the gate of an organization that nobody has heard of.
func NewGate() *Gate { return &Gate{Seats: make(map[id.Seat]Seat)} }

// Reserve frees seats, then takes those that were never heard of: all or none. They are denied for ever when they do
// not fit, or when a seat that is asked for with them is gone. Seats that are known stay what they are.
func (g *Gate) Reserve(asks []Ask, release []id.Seat) State {
	g.Release(release)
	var unknown []Ask
	gone := false
	for _, ask := range asks {
		known := g.Seats[ask.SeatID].State
		gone = gone || known == Released || known == Denied
		if known == Unknown {
			unknown = append(unknown, ask)
		}
	}
	granted := !gone && g.Usage.Admits(len(unknown))
	for _, ask := range unknown {
		state := Denied
		if granted {
			state = Reserved
		}
		g.Seats[ask.SeatID] = Seat{SeatID: ask.SeatID, State: state, OwnerKind: ask.OwnerKind, OwnerID: ask.OwnerID}
	}
	if granted && len(unknown) > 0 {
		g.record(OpReserve, 0, len(unknown))
		if g.Usage.State() == At {
			g.record(OpAtLimit, 0, 0)
		}
	}
	states := make([]State, len(asks))
	for i, ask := range asks {
		states[i] = g.Seats[ask.SeatID].State
	}
	return Answer(states...)
}

// Occupy seats an account on a reserved seat. Any other seat stays what it is; one that was never heard of is gone from
// now on.
func (g *Gate) Occupy(seat id.Seat, account id.Account) State {
	held := g.Seats[seat]
	switch held.State {
	case Reserved:
		held.State, held.AccountID = Occupied, account
		g.Seats[seat] = held
		g.record(OpOccupy, 1, -1)
	case Unknown:
		held = Seat{SeatID: seat, State: Released}
		g.Seats[seat] = held
	}
	return held.State
}

// Release frees seats for ever. One that was never heard of can never be taken from now on.
func (g *Gate) Release(seats []id.Seat) {
	occupied, reserved := 0, 0
	for _, seat := range seats {
		held := g.Seats[seat]
		switch held.State {
		case Occupied:
			occupied++
		case Reserved:
			reserved++
		case Released, Denied:
			continue
		}
		held.SeatID, held.State = seat, Released
		g.Seats[seat] = held
	}
	if occupied+reserved > 0 {
		g.record(OpRelease, -occupied, -reserved)
	}
}

func (g *Gate) record(op Op, occupied, reserved int) {
	g.Usage.Occupied += int32(occupied)
	g.Usage.Reserved += int32(reserved)
	g.Ledger = append(g.Ledger, Entry{op, int32(occupied), int32(reserved), g.Usage.Used(), g.Usage.Cap})
}
