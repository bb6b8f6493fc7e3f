package model

// member is a row of members.
type member struct {
	state memberState
	seat  seat // exactly while ACTIVE
}

// memberState is the state of a member.
type memberState uint8

const (
	nobody memberState = iota // there is no row, or it is REMOVED
	active
	disabled
)

// operation is a row of member_operations that takes a seat and then does something with it.
type operation struct {
	state   operationState
	account account
}

// operationState is the state of an operation.
type operationState uint8

const (
	notBegun operationState = iota
	pendingOperation
	done
	refused
)

// Mutants of membership.
const (
	releaseBeforeRemove mutant = "release-before-remove" // RemoveMember gives the seat back before the member is removed
	addNotIdempotent    mutant = "add-not-idempotent"    // AddMember's answers are not recorded
)

// ownedByMembership is membership's answer to CheckSeatOwners: a member or an operation under way names the seat.
func ownedByMembership(w world, s seat) bool {
	for _, m := range w.members {
		if m.state == active && m.seat == s {
			return true
		}
	}
	return s == seatToAdd && w.add.state == pendingOperation || s == seatToEnable && w.enable.state == pendingOperation
}

// membership answers AddMember, does what people ask for, and finishes its operations.
func (sc scope) membership(w world, take func(world, string, ...any)) {
	for s := noSeat + 1; s < seats; s++ {
		for a := range accounts {
			if w.sent.addMember[a].has(s) {
				sc.addMember(w, s, a, take)
			}
		}
		if w.releasing.has(s) && w.heard.released.has(s) && sc.mutant != releaseBeforeRemove {
			to := w
			to.releasing.drop(s)
			take(to, "membership hears that %v is released", s)
		}
	}
	for a := range accounts {
		if w.members[a].state != nobody {
			sc.removeMember(w, a, take)
		}
		if sc.disable {
			sc.disableOrEnable(w, a, take)
		}
	}
	if sc.directAdd && w.add.state == notBegun {
		to := w
		to.add = operation{state: pendingOperation, account: ada}
		to.sent.reserve.add(seatToAdd)
		take(to, "adding Ada begins, on %v", seatToAdd)
	}
	sc.finish(w, w.add, func(w *world) *operation { return &w.add }, seatToAdd, nobody, take)
	sc.finish(w, w.enable, func(w *world) *operation { return &w.enable }, seatToEnable, disabled, take)
}

// addMember adds somebody who is not a member, and records the answer under the seat, for ever.
func (sc scope) addMember(w world, s seat, a account, take func(world, string, ...any)) {
	known := (w.added.has(s) || w.notAdded.has(s)) && sc.mutant != addNotIdempotent
	to := w
	if !known && w.members[a].state == nobody {
		to.members[a] = member{state: active, seat: s}
		to.added.add(s)
		to.heard.added.add(s)
		take(to, "membership answers AddMember for %v on %v: yes", a, s)
		if !sc.otherRefusals {
			return
		}
		to = w
		known = false
	}
	switch {
	case known && w.added.has(s):
		to.heard.added.add(s)
		take(to, "membership answers AddMember for %v on %v: yes, as before", a, s)
	default:
		to.notAdded.add(s)
		to.heard.notAdded.add(s)
		take(to, "membership answers AddMember for %v on %v: no", a, s)
	}
}

// removeMember ends a membership. The operation that gives the seat back begins in the same transaction.
func (sc scope) removeMember(w world, a account, take func(world, string, ...any)) {
	to := w
	s := w.members[a].seat
	if s != noSeat {
		to.releasing.add(s)
		to.sent.release.add(s)
	}
	if sc.mutant == releaseBeforeRemove && s != noSeat && !w.releasing.has(s) {
		take(to, "RemoveMember: %v is about to be removed", a)
		return
	}
	to.members[a] = member{}
	take(to, "RemoveMember: %v is removed", a)
}

// disableOrEnable ends the access and gives the seat back, or begins to take a new one.
func (sc scope) disableOrEnable(w world, a account, take func(world, string, ...any)) {
	to := w
	switch {
	case w.members[a].state == active:
		s := w.members[a].seat
		to.releasing.add(s)
		to.sent.release.add(s)
		to.members[a] = member{state: disabled}
		take(to, "DisableMember: %v is disabled", a)
	case w.members[a].state == disabled && w.enable.state == notBegun:
		to.enable = operation{state: pendingOperation, account: a}
		to.sent.reserve.add(seatToEnable)
		take(to, "EnableMember: enabling %v begins, on %v", a, seatToEnable)
	}
}

// finish takes the seat of an operation and then makes an active member of somebody who is in the right state for it; if
// nobody is, by now, it gives the seat back. CreateOrganization does the same, without a rival.
func (sc scope) finish(w world, op operation, in func(*world) *operation, s seat, from memberState, take func(world, string, ...any)) {
	if op.state != pendingOperation {
		return
	}
	if w.heard.reserved.has(s) {
		to := w
		to.sent.occupy[op.account].add(s)
		take(to, "membership hears that %v is reserved, and sends OccupySeat", s)
	}
	if w.heard.denied.has(s) || w.heard.notOccupied.has(s) {
		to := w
		in(&to).state = refused
		take(to, "membership hears that %v is not to be had: REFUSED", s)
	}
	if !w.heard.occupied.has(s) {
		return
	}
	to := w
	if w.members[op.account].state == from {
		to.members[op.account] = member{state: active, seat: s}
		in(&to).state = done
		take(to, "membership hears that %v is occupied: %v is an active member", s, op.account)
		return
	}
	in(&to).state = refused
	to.releasing.add(s)
	to.sent.release.add(s)
	take(to, "membership hears that %v is occupied, but it is too late for %v: REFUSED", s, op.account)
}
