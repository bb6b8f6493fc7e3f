package verify

import "strconv"

// Invariant is something that holds.
type Invariant struct {
	ID    string
	Holds string // what
	Reads string // and in which rows that is seen
	When  When
}

// When says when an invariant holds.
type When string

// An invariant holds at every instant, or once nothing is under way: within a minute after the last call and the last fault.
const (
	Always  When = "always"
	Settled When = "settled"
)

// Invariants are what is checked. Where both parts of one hold at different times, it is listed twice.
var Invariants = []Invariant{
	{"A1", "An organization's counters are its seats: occupied, reserved, and used as their sum; and so is the running sum of its ledger.",
		"billing: heads, seats, seat_ledger", Always},
	{"A2", "No seat was reserved above the cap that was set when it was.",
		"billing: seat_ledger; the events seat.reserved and seat.limit_changed, replayed", Always},
	{"A3", "At most one invitation of an organization is live (RESERVING, PENDING, ACCEPTING) per address, and per username.",
		"invitation: invitations", Always},
	{"A4", "An active organization has its owners: exactly one, and the same by role and by sole_owner, where ownership is SINGLE; at least one where MULTIPLE; " +
		"where there is none, an active member who may do everything.",
		"membership: organizations, roles, members", Always},
	{"A5", "No two active members of an organization have the same seat.",
		"membership: members", Always},
	{"A6", "The revisions of every history are 1, 2, ... up to its head.",
		"all: heads, events", Always},
	{"A7", "Every event holds the hash of the one before it and its own, as computed from its bytes; the head holds the last.",
		"all: heads, events", Always},
	{"A8", "What the events tell is what the rows say: organizations and members with their roles, states, seats and times; invitations; seats and cap, every event of a seat with its line in the ledger.",
		"membership: organizations, roles, members; invitation: invitations; billing: heads, seats, seat_ledger; their events, replayed", Always},
	{"A9", "One link per generation of an invitation: nobody else has its token, one mail carries it, and it exists while somebody may answer. " +
		"The row holds the newest only, so two generations are never valid at once.",
		"invitation: invitations, mails", Always},
	{"A10", "One request id of one person is one change: one stored answer per person, method and request id, of a revision that exists; one event of a type (and member, role or session) within the day that the answer is kept; one organization.",
		"all: idempotency, heads, events; membership: member_operations", Always},
	{"A11", "A seat brings in one member, once: every operation CREATE, ADD or ENABLE that is DONE names the revision of its member.added or member.enabled, and each of those has its operation.",
		"membership: member_operations, events", Always},
	{"A12", "An invitation is accepted once, by the account that was added on its seat; one member belongs by it; nobody is a member on a seat that was to be given back.",
		"invitation: events, invitations; membership: members, member_operations", Always},
	{"E1", "What has been begun is scheduled, so that it is finished whoever dies: operations, invitations under way or pending, reserved seats, mails.",
		"all: due, mails; membership: member_operations; invitation: invitations; billing: seats", Always},
	{"E1", "Nothing is under way, overdue by a minute, or has been tried for more than a minute.",
		"all: due; membership: member_operations; invitation: invitations", Settled},
	{"E2", "An active member sits on the member's own seat, OCCUPIED; a pending invitation has its seat, RESERVED.",
		"invitation: invitations, then membership: members, then billing: seats; looked at again in that order", Always},
	{"E3", "Every seat has somebody: an occupied one its active member, or an acceptance or operation under way; a reserved one its live invitation or operation. Otherwise somebody is about to free it.",
		"billing: seats; then invitation: invitations, membership: members, member_operations; then billing again", Always},
	{"E4", "Seats in use are active members and live invitations.",
		"billing: heads; membership: members; invitation: invitations", Settled},
	{"E5", "Nothing waits to be published.",
		"all: outbox", Settled},
	{"E6", "The stream holds every event that does not wait to be published and is younger than the stream keeps them, in the order of revisions, byte for byte as the row makes it, and nothing else. " +
		"Events that are published again change nothing.",
		"NATS; all: events, heads, outbox", Always},
	{"E7", "The list of people shows exactly the members who belong, and counts them.",
		"membership: members, people, people_search, people_counts", Always},
	{"E7", "The list of people is up to date with the other services: pending invitations, names. Who follows events is where the log ends, and organizations that were deleted have no live invitation.",
		"membership: people, positions; invitation: invitations, heads; identity: accounts", Settled},
	{"E8", "Of a bulk operation, nothing: there are none yet.",
		"nothing", Settled},
	{"E9", "What a client was told happened: every acknowledged operation has its event, once and as asked, and a refused one has none; one with an unknown outcome happened once or not at all. " +
		"In organizations that the history creates, nothing else happened that a person asks for.",
		"a history; all: events", Always},
}

// number is the number of an invariant's id.
func number(invariant string) int {
	n, _ := strconv.Atoi(invariant[1:])
	return n
}
