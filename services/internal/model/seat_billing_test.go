package model

// seatState is the state of a seat in billing.
type seatState uint8

const (
	unheard  seatState = iota // there is no row
	reserved                  // counts
	occupied                  // counts; somebody sits on it
	released                  // for ever
	denied                    // for ever
)

func (s seatState) live() bool { return s == reserved || s == occupied }

// Mutants of billing.
const (
	ttlAutoRelease       mutant = "ttl-auto-release"        // a clock frees reserved seats
	denialNotDurable     mutant = "denial-not-durable"      // a no is not stored
	noTombstoneOnUnknown mutant = "no-tombstone-on-unknown" // releasing a seat not heard of is forgotten
	releaseDeletesRow    mutant = "release-deletes-row"     // a released seat is forgotten
	occupyDedupesAccount mutant = "occupy-dedupes-account"  // one seat per person: a new one frees the old one
	reaperSkipsInvite    mutant = "reaper-skips-invitation" // a review asks membership only
)

// billing answers ReserveSeats, OccupySeat and ReleaseSeats, and reviews seats.
func (sc scope) billing(w world, take func(world, string, ...any)) {
	for s := noSeat + 1; s < seats; s++ {
		if w.sent.reserve.has(s) {
			to := w
			sc.reserveSeat(&to, s)
			take(to, "billing answers ReserveSeats for %v", s)
		}
		for a := range accounts {
			if w.sent.occupy[a].has(s) {
				to := w
				sc.occupySeat(&to, s, a)
				take(to, "billing answers OccupySeat for %v and %v", s, a)
			}
		}
		if w.sent.release.has(s) {
			to := w
			sc.releaseSeat(&to, s)
			to.heard.released.add(s)
			take(to, "billing answers ReleaseSeats for %v", s)
		}
		if sc.review && w.seats[s].live() {
			sc.reviewSeat(w, s, take)
		}
		if sc.mutant == ttlAutoRelease && w.seats[s] == reserved {
			to := w
			sc.releaseSeat(&to, s)
			take(to, "billing's clock frees %v", s)
		}
	}
}

// reserveSeat takes a seat if there is one, and otherwise denies this id for ever.
func (sc scope) reserveSeat(w *world, s seat) {
	if w.seats[s] == unheard {
		switch {
		case w.used < sc.limit:
			w.seats[s] = reserved
			w.used++
		case sc.mutant != denialNotDurable:
			w.seats[s] = denied
		}
	}
	if w.seats[s].live() {
		w.heard.reserved.add(s)
	} else {
		w.heard.denied.add(s)
	}
}

// occupySeat seats an account on a reserved seat. It costs nothing, so it works at the limit too.
func (sc scope) occupySeat(w *world, s seat, a account) {
	switch w.seats[s] {
	case reserved:
		w.seats[s] = occupied
		if sc.mutant == occupyDedupesAccount {
			for other := range seats {
				if other != s && w.seats[other] == occupied && w.sent.occupy[a].has(other) {
					sc.releaseSeat(w, other)
				}
			}
		}
	case unheard:
		w.seats[s] = released
	}
	if w.seats[s] == occupied {
		w.heard.occupied.add(s)
	} else {
		w.heard.notOccupied.add(s)
	}
}

// releaseSeat frees a seat for ever, also one that was not heard of. It is never refused.
func (sc scope) releaseSeat(w *world, s seat) {
	switch w.seats[s] {
	case unheard:
		if sc.mutant != noTombstoneOnUnknown {
			w.seats[s] = released
		}
	case reserved, occupied:
		w.used--
		w.seats[s] = released
		if sc.mutant == releaseDeletesRow {
			w.seats[s] = unheard
		}
	}
}

// reviewSeat asks CheckSeatOwners of invitation, later that of membership, and then frees the seat, at any later time. Each no
// is final, so it does not matter how old it is. Billing reviews reserved seats only; the model all live ones, which is harder.
func (sc scope) reviewSeat(w world, s seat, take func(world, string, ...any)) {
	to := w
	if i, invites := invitationOf(s); invites && !w.reviewed.has(s) && sc.mutant != reaperSkipsInvite {
		if !w.invitations[i].owns(s) {
			to.reviewed.add(s)
			take(to, "billing reviews %v: invitation does not own it", s)
		}
		return
	}
	if !ownedByMembership(w, s) {
		to.sent.release.add(s)
		take(to, "billing reviews %v: membership does not own it", s)
	}
}
