package org

import (
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// Kind is what an operation is for.
type Kind string

// Kinds of operations.
const (
	CreateOperation  Kind = "CREATE"  // take the first seat of a new organization
	EnableOperation  Kind = "ENABLE"  // take a seat for a disabled member
	JoinOperation    Kind = "JOIN"    // take a seat for who joins through a domain
	DirectOperation  Kind = "DIRECT"  // take a seat for who is made a member without being asked
	AddOperation     Kind = "ADD"     // the answer to AddMember; never pending
	ReleaseOperation Kind = "RELEASE" // give back the seat of a member who lost it
	ResetOperation   Kind = "RESET"   // have identity reset a member's password; its id is no seat

	ResetMfaOperation Kind = "RESET_MFA" // take the second factors of a member's account away; no seat, its id is in the seat's place

	ChangeEmailOperation Kind = "CHANGE_EMAIL" // give a member's account another address; no seat either

	RevokeOperation Kind = "REVOKE_SESSIONS" // sign a member out everywhere; its id is no seat either
)

// Refusals of what identity is asked to do with a member's account.
var (
	ErrNotManaged = fault.New(errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED,
		"This account is its person's own: the organization cannot take its second factors away. End the membership's access instead.")
	ErrSessionsNotManaged = fault.New(errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED,
		"This account is its person's own, and so are its sessions. Disable the member: that ends what they can do here.")
	ErrNoMfa = fault.New(errorv1.Reason_REASON_STATE_CONFLICT, "This account has no second factor.").With("state", "DISABLED")
)

// OperationState is the state of an operation.
type OperationState string

// States of an operation.
const (
	Pending OperationState = "PENDING"
	Done    OperationState = "DONE"
	Refused OperationState = "REFUSED" // for ever; a new attempt has a new seat id
)

// Operation is something begun about a member's seat, under the seat's id.
type Operation struct {
	Seat       id.Seat `db:"seat_id"`
	Kind       Kind
	State      OperationState
	Account    id.Account `db:"account_id"`       // the member
	Actor      id.Account `db:"actor_account_id"` // who wants it
	Cause      string     // why, in billing's words: admin, organization, invite, domain; of a RESET the method, a Reset
	RequestID  string
	Person     Person `db:"-"` // of a pending CREATE, JOIN or DIRECT; of a CHANGE_EMAIL, the address
	NewAccount bool   // of a DIRECT: the account is made for it
	Refusal    *fault.Fault
	Role       id.Role `db:"role_id"` // the outcome; of a pending DIRECT, what it is to be
	Version    int64
	Revision   int64
	CreateTime time.Time
}

// Begin returns an operation on a seat of its own.
func Begin(kind Kind, account, actor id.Account, cause, requestID string, at time.Time) Operation {
	return Operation{Seat: id.NewSeat(), Kind: kind, State: Pending, Account: account, Actor: actor, Cause: cause, RequestID: requestID, CreateTime: at}
}

// Release returns the operation that gives a member's seat back.
func Release(seat id.Seat, account, actor id.Account, cause string, at time.Time) Operation {
	return Operation{Seat: seat, Kind: ReleaseOperation, State: Pending, Account: account, Actor: actor, Cause: cause, CreateTime: at}
}
