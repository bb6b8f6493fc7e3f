package model

// invitation is a row of invitations.
type invitation struct {
	state      invitationState
	seat       seat    // of the latest attempt
	account    account // who accepts or has accepted
	newAccount bool    // the acceptance makes the account
	releasing  bool    // the seat is still to be given back
}

// name is how an invitation is called in a trace.
type name int

func (n name) String() string { return [...]string{"invitation A", "invitation B"}[n] }

// invitationState is the state of an invitation.
type invitationState uint8

const (
	absent invitationState = iota
	reserving
	pending
	accepting
	accepted
	ended // REVOKED, DECLINED, EXPIRED or FAILED; only the last two are ever sent again
)

// owns is invitation's answer to CheckSeatOwners.
func (i invitation) owns(s seat) bool {
	return i.seat == s && (i.state == reserving || i.state == pending || i.state == accepting)
}

// end ends the invitation, from when on the seat is to be given back.
func (i *invitation) end(sent *requests) {
	i.state, i.releasing = ended, true
	sent.release.add(i.seat)
}

// invitationOf returns whose seat it is, if it is an invitation's.
func invitationOf(s seat) (int, bool) {
	switch s {
	case seatOfA, seatOfAResent:
		return 0, true
	case seatOfB:
		return 1, true
	}
	return 0, false
}

// Mutants of invitation.
const (
	addBeforeOccupy     mutant = "add-before-occupy"      // AddMember does not wait for OccupySeat
	revokeDuringAccept  mutant = "revoke-during-accept"   // RevokeInvitation works in ACCEPTING
	giveBackAfterOccupy mutant = "give-back-after-occupy" // OccupySeat does not wait for CreateAccount
	resendBeforeRelease mutant = "resend-before-release"  // the row forgets a seat that is not given back yet
	settleOtherAttempt  mutant = "settle-other-attempt"   // the outcome of an earlier attempt settles a later one
)

// invitation does what people ask for, and drives what is under way.
func (sc scope) invitation(w world, take func(world, string, ...any)) {
	for i, present := range []bool{sc.inviteA, sc.inviteB} {
		if !present {
			continue
		}
		switch w.invitations[i].state {
		case absent:
			to := w
			to.invitations[i].reserve(seatOfA+seat(i), &to.sent)
			take(to, "CreateInvitation: %v is RESERVING on %v", name(i), to.invitations[i].seat)
		case reserving:
			sc.reserving(w, i, take)
		case pending:
			sc.pending(w, i, take)
		case accepting:
			sc.accepting(w, i, take)
		case ended:
			sc.ended(w, i, take)
		}
	}
}

// reserve begins an attempt: the seat's id is committed, then billing is asked.
func (i *invitation) reserve(s seat, sent *requests) {
	*i = invitation{state: reserving, seat: s}
	sent.reserve.add(s)
}

// reserving hears billing's answer. Whether the username is to be had is no stable answer: one handler may hear yes and
// another no, so a refusal is possible at any time.
func (sc scope) reserving(w world, i int, take func(world, string, ...any)) {
	s := w.invitations[i].seat
	if w.heard.reserved.has(s) {
		to := w
		to.invitations[i].state = pending
		take(to, "%v hears that %v is reserved: PENDING", name(i), s)
	}
	refused := w
	refused.invitations[i].end(&refused.sent)
	take(refused, "%v is refused in RESERVING", name(i))
}

// pending is open: it is taken back, declined, it expires, its mail bounces, or somebody accepts.
func (sc scope) pending(w world, i int, take func(world, string, ...any)) {
	s := w.invitations[i].seat
	to := w
	to.invitations[i].end(&to.sent)
	take(to, "%v ends in PENDING", name(i))
	for a := range accounts {
		if a == ada || sc.canSignIn(w) {
			to := w
			to.invitations[i].state, to.invitations[i].account = accepting, a
			to.sent.occupy[a].add(s)
			if sc.mutant == addBeforeOccupy {
				to.sent.addMember[a].add(s)
			}
			take(to, "AcceptInvitation: %v is ACCEPTING for %v", name(i), a)
		}
	}
	if sc.newAccount && i == 0 && !w.sent.createAccount && !sc.canSignIn(w) {
		to := w
		to.invitations[i].state, to.invitations[i].account, to.invitations[i].newAccount = accepting, bob, true
		to.sent.createAccount = true
		if sc.mutant == giveBackAfterOccupy {
			to.sent.occupy[bob].add(s)
		}
		take(to, "AcceptInvitation: %v is ACCEPTING for Bob, with a new account", name(i))
	}
}

// accepting runs account, seat, member, outcome. Each step waits for the answer to the one before.
func (sc scope) accepting(w world, i int, take func(world, string, ...any)) {
	inv := w.invitations[i]
	s, a := inv.seat, inv.account
	if inv.newAccount && w.heard.notCreated {
		to := w
		to.invitations[i] = invitation{state: pending, seat: s}
		take(to, "%v hears that there is no account: PENDING again", name(i))
	}
	if inv.newAccount && w.heard.created {
		to := w
		to.sent.occupy[a].add(s)
		take(to, "%v hears that there is an account, and sends OccupySeat", name(i))
	}
	if w.heard.occupied.has(s) && (!inv.newAccount || w.heard.created) {
		to := w
		to.sent.addMember[a].add(s)
		take(to, "%v hears that %v is occupied, and sends AddMember", name(i), s)
	}
	if w.heard.added.has(s) {
		to := w
		to.invitations[i].state = accepted
		take(to, "%v hears that %v is a member: ACCEPTED", name(i), a)
	}
	to := w
	to.invitations[i].end(&to.sent)
	switch {
	case w.heard.notOccupied.has(s) || w.heard.notAdded.has(s):
		take(to, "%v hears that it cannot be completed: FAILED", name(i))
	case sc.mutant == settleOtherAttempt && s == seatOfAResent && w.heard.notAdded.has(seatOfA) && w.sent.addMember[a].has(seatOfA):
		take(to, "%v on %v hears late that nobody was added on %v: FAILED", name(i), s, seatOfA)
	case sc.mutant == revokeDuringAccept:
		take(to, "RevokeInvitation: %v is REVOKED in ACCEPTING", name(i))
	}
}

// ended gives the seat back, and can then be sent again on another.
func (sc scope) ended(w world, i int, take func(world, string, ...any)) {
	inv := w.invitations[i]
	if inv.releasing && w.heard.released.has(inv.seat) {
		to := w
		to.invitations[i].releasing = false
		take(to, "%v hears that %v is released", name(i), inv.seat)
	}
	if sc.resend && inv.seat == seatOfA && (!inv.releasing || sc.mutant == resendBeforeRelease) {
		to := w
		to.invitations[i].reserve(seatOfAResent, &to.sent)
		take(to, "ResendInvitation: %v is RESERVING on %v", name(i), seatOfAResent)
	}
}
