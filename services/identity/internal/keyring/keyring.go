// Package keyring says which key signs internal tokens, and for how long the others are published: the next one before it signs, so
// that everybody knows it by then, and one that has signed until nothing is left that it has signed.
package keyring

import "time"

const (
	// Period is how long a key signs.
	Period = 30 * 24 * time.Hour
	// Ahead is how long the next key is published before it signs.
	Ahead = 5 * time.Minute
	// Lag is how long a copy of the service may go on signing with a key that has just been replaced.
	Lag = 5 * time.Second

	// A key is retiring for so long after it has signed; in an emergency, until those who use its tokens again have others.
	afterwards = 3 * time.Minute
	emergency  = Lag + 30*time.Second
)

// Key is a key's place in the ring.
type Key struct {
	ID           string
	Active       bool // it signs
	IsNext       bool // it has not signed yet
	CreateTime   time.Time
	ActivateTime time.Time // since when it signs, if it does or did
	RetireTime   time.Time // until when it is published, if it has signed
}

// Order is what somebody wants of the ring beside what time asks for.
type Order int

// The orders.
const (
	Tend   Order = iota // nothing
	Rotate              // another key, now if the next has been published for long enough
	Retire              // another key, now, because the one that signs is known to somebody else
)

// Plan is what is to be done with the ring.
type Plan struct {
	Retire string // takes its leave until Until, and
	Next   string // signs in its place; empty: the ring stays as it is
	Until  time.Time
	First  bool // an active key is missing
	Follow bool // a next key is missing
	Drop   []string
	Again  time.Time // when to look again
}

// PlanOf says what is to be done now.
func PlanOf(ring []Key, order Order, now time.Time) (p Plan) {
	var active, next Key
	p.Again = now.Add(Period)
	look := func(at time.Time) {
		if at.Before(p.Again) {
			p.Again = at
		}
	}
	for _, key := range ring {
		switch {
		case key.Active:
			active = key
		case key.IsNext:
			next = key
		case !now.Before(key.RetireTime):
			p.Drop = append(p.Drop, key.ID)
		default:
			look(key.RetireTime)
		}
	}
	p.First, p.Follow = active.ID == "", next.ID == ""
	if p.First || p.Follow {
		look(now.Add(Ahead)) // for who waits for the next
		return p
	}
	due := order != Tend || !now.Before(active.ActivateTime.Add(Period))
	known := order == Retire || !now.Before(next.CreateTime.Add(Ahead))
	switch {
	case due && known:
		p.Retire, p.Next, p.Follow = active.ID, next.ID, true
		if p.Until = now.Add(afterwards); order == Retire {
			p.Until = now.Add(emergency)
		}
		look(p.Until)
	case due:
		look(next.CreateTime.Add(Ahead))
	default:
		look(active.ActivateTime.Add(Period))
	}
	return p
}
