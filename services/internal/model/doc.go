// Package model checks the protocols that several services run together, by trying every order of events. It holds no code
// that ships: the models are tests, and they import none of the services. What they show is that the protocol is right; that
// the services follow it is for their own tests, for the crash matrix and for readers.
//
// # How to read a model
//
// A state is everything that the services have committed, plus every message under way. A step is one transaction of one
// service. The explorer begins at the start, takes every step that is possible in every state, and so finds every state
// that can ever come about. In each it checks what must always hold; at the end it checks that from each a way leads to a
// state in which nothing is under way.
//
// Messages are a set. What was sent once can be delivered at any later time, never, or many times, in any order. That one
// rule stands for a lost call, a late one, a repeated one, a handler that stalls or dies between two steps, and the sweeper
// that runs the steps again.
//
// Each rule of a protocol has a mutant, the protocol without that rule. A test shows that the mutant breaks. So no rule is
// there for nothing, and the model is able to find a mistake. To see how one breaks, step by step:
//
//	go test ./internal/model -v -run TestSeatMutants/revoke-during-accept
//
// # Seats, invitations, members
//
// seat_model_test.go says what the state is and what must hold; seat_billing_test.go, seat_invitation_test.go,
// seat_membership_test.go and seat_identity_test.go say what each service does, with the names of the RPCs and states in the
// code; seat_test.go says how much of it is explored at once. The rules:
//
//   - Whoever wants a seat commits the seat's id in a row of its own before it names the id to billing. Each attempt has an id
//     of its own.
//   - Billing's answer about an id never changes: DENIED and RELEASED are for ever, also for an id not heard of before.
//   - Membership records the answer of AddMember by seat id, identity the answer of CreateAccount by account id. A late
//     repetition hears the old answer and changes nothing.
//   - Seat first, member second; when a member leaves, member first, seat second.
//   - An invitation leaves ACCEPTING only by an answer about this attempt, not an earlier one, and is revoked or expires only
//     out of PENDING. CreateAccount's no leads back to PENDING, and only because OccupySeat was not sent yet.
//   - An ended invitation is sent again only after its seat was given back, and with a new seat id.
//   - Billing frees no seat by the clock. At a seat's review it asks invitation first and membership second; only if both say
//     that nobody owns the seat, it frees it.
//
// Left out: a limit that moves, several seats in one call, the deletion of an organization, and what does not touch a seat,
// such as links, mail and sending a pending invitation again. That a username is not to be had is a refusal at any time.
//
// # Leases and revocation
//
// lease_model_test.go is about replicas that answer access checks from memory. They do not exist yet: CheckAccess reads the
// primary. The model is kept so that whoever builds them begins with a protocol that holds.
package model
