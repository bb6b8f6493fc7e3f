package model

// seat is the id of a seat. Each attempt to get one has an id of its own, so that there is one constant for each attempt.
type seat uint8

const (
	noSeat        seat = iota
	seatOfA            // of invitation A
	seatOfB            // of invitation B
	seatOfAResent      // of invitation A, sent again after its end
	seatToAdd          // of the operation that adds Ada
	seatToEnable       // of the operation that enables a member
	seats
)

func (s seat) String() string {
	return [seats]string{"no seat", "seat A", "seat B", "seat A2 (resent)", "seat D (direct)", "seat E (enable)"}[s]
}

// seatSet is a set of seats.
type seatSet uint8

func (set seatSet) has(s seat) bool { return set&(1<<s) != 0 }
func (set *seatSet) add(s seat)     { *set |= 1 << s }
func (set *seatSet) drop(s seat)    { *set &^= 1 << s }

// account is one of two people. Ada has an account; Bob has one only after he made it.
type account uint8

const (
	ada account = iota
	bob
	accounts
)

func (a account) String() string { return [accounts]string{"Ada", "Bob"}[a] }

// world is what all services have committed, and what is under way between them. The zero world is the start.
type world struct {
	// billing
	seats    [seats]seatState
	used     uint8   // the counter; that it equals the number of live seats is to be shown
	reviewed seatSet // invitation has told a review that it does not own the seat

	// invitation
	invitations [2]invitation

	// membership
	members   [accounts]member
	added     seatSet // member_operations of kind ADD, the recorded answers of AddMember: yes
	notAdded  seatSet // and no
	add       operation
	enable    operation
	releasing seatSet // member_operations of kind RELEASE, PENDING

	// identity
	signedUp bool   // Bob made an account by himself
	creation answer // what CreateAccount answers for the account id that Bob's acceptance of invitation A minted

	sent  requests
	heard answers
}

// requests are the calls under way. They are never taken away: whatever was sent may arrive again.
type requests struct {
	reserve       seatSet
	occupy        [accounts]seatSet
	release       seatSet
	addMember     [accounts]seatSet
	createAccount bool
}

// answers are what callees have said, and callers may hear at any time. They are never taken away either.
type answers struct {
	reserved, denied      seatSet // ReserveSeats
	occupied, notOccupied seatSet // OccupySeat
	released              seatSet // ReleaseSeats
	added, notAdded       seatSet // AddMember
	created, notCreated   bool    // CreateAccount
}

// scope bounds what may happen.
type scope struct {
	limit uint8 // seats that the organization may use

	inviteA, inviteB bool
	resend           bool // invitation A is sent again, once
	newAccount       bool // Bob may accept invitation A with a new account
	directAdd        bool // Ada is added without an invitation
	disable          bool // members are disabled, and one of them enabled, once
	review           bool // billing asks whether owners live
	otherRefusals    bool // membership may refuse for reasons outside the model: the role is gone, the inviter lost the right

	mutant mutant
}

// mutant is a rule that is left out.
type mutant string

// steps are all that may happen next.
func (sc scope) steps(w world, take func(world, string, ...any)) {
	sc.billing(w, take)
	sc.invitation(w, take)
	sc.membership(w, take)
	sc.identity(w, take)
}

// settled tells whether nothing is under way: no row is left that the sweeper would look at, except to let it expire.
func settled(w world) bool {
	for _, i := range w.invitations {
		if i.state == reserving || i.state == accepting || i.releasing {
			return false
		}
	}
	return w.add.state != pendingOperation && w.enable.state != pendingOperation && w.releasing == 0
}

// What can be wrong.
const (
	miscounted      = "used is not the number of live seats"
	oversold        = "more seats are used than there are"
	memberUnseated  = "a member with access has no occupied seat"
	seatShared      = "two members have one seat"
	pendingUnseated = "a pending invitation has no reserved seat"
	acceptedNobody  = "an invitation was accepted, and nobody was added"
	leaked          = "nothing is under way, and a seat is used by nobody"
)

// broken says what is wrong, or "".
func (sc scope) broken(w world) string {
	var live uint8
	for _, state := range w.seats {
		if state.live() {
			live++
		}
	}
	switch {
	case live != w.used:
		return miscounted
	case w.used > sc.limit:
		return oversold
	}
	var owned seatSet
	for _, m := range w.members {
		if m.state != active {
			continue
		}
		if w.seats[m.seat] != occupied {
			return memberUnseated
		}
		if owned.has(m.seat) {
			return seatShared
		}
		owned.add(m.seat)
	}
	for _, i := range w.invitations {
		switch {
		case i.state == pending && w.seats[i.seat] != reserved:
			return pendingUnseated
		case i.state == pending:
			owned.add(i.seat)
		case i.state == accepted && !w.added.has(i.seat):
			return acceptedNobody
		}
	}
	if settled(w) {
		for s, state := range w.seats {
			if state.live() && !owned.has(seat(s)) {
				return leaked
			}
		}
	}
	return ""
}

// protocol is the model within the scope.
func (sc scope) protocol() protocol[world] {
	return protocol[world]{steps: sc.steps, broken: sc.broken, settled: settled}
}

// with is the scope with a limit, and without a rule.
func (sc scope) with(limit uint8, m mutant) scope {
	sc.limit, sc.mutant = limit, m
	return sc
}
