package org

import (
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// MemberState is the state of a member.
type MemberState string

// States of a member.
const (
	MemberActive   MemberState = "ACTIVE"
	MemberDisabled MemberState = "DISABLED"
	MemberRemoved  MemberState = "REMOVED"         // the row is history
	NoMember       MemberState = "SERVICE_ACCOUNT" // a service account that asks: it has no row, and nothing is done to it as to a member
)

// ErrNoMember is the answer about people who do not, or no longer, belong to the organization.
var ErrNoMember = fault.New(errorv1.Reason_REASON_MEMBER_NOT_FOUND, "There is no such member in this organization.")

// ErrErased refuses to add somebody whose account was deleted.
var ErrErased = fault.New(errorv1.Reason_REASON_ACCOUNT_NOT_FOUND, "There is no such account any more.")

// Member is a person's membership in one organization. The zero Member is nobody.
type Member struct {
	Account     id.Account    `db:"account_id"`
	Role        id.Role       `db:"role_id"`
	State       MemberState   `db:"state"`
	Seat        id.Seat       `db:"seat_id"`       // held exactly while ACTIVE
	Invitation  id.Invitation `db:"invitation_id"` // by which they joined last; zero: another way
	JoinTime    time.Time     `db:"join_time"`
	DisableTime *time.Time    `db:"disable_time"`
	Disabler    id.Account    `db:"disabler_account_id"`
	SoleOwner   bool          `db:"sole_owner"`
	Version     int64         `db:"version"`

	Grants []Grant `db:"-"` // of groups and projects

	Factors     []string `db:"-"` // ways to prove a second factor of the account
	Unprotected bool     `db:"-"` // there is none; of whoever asks: the session at hand has not shown it
}

// Belongs tells whether the member is one: with access or without.
func (m Member) Belongs() bool { return m.State == MemberActive || m.State == MemberDisabled }

// Join begins a membership. Somebody who comes back begins anew: nothing of the time before counts, but the version.
func (m *Member) Join(role Role, seat id.Seat, invitation id.Invitation, at time.Time) {
	*m = Member{Account: m.Account, Role: role.ID, State: MemberActive, Seat: seat, Invitation: invitation, JoinTime: at, Version: m.Version + 1}
}

// ChangeRole gives the member another role.
func (m *Member) ChangeRole(role Role, etag string) error {
	if err := match(etag, m.Version); err != nil {
		return err
	}
	if m.Role == role.ID {
		return m.conflict("The member has this role already.")
	}
	m.Role = role.ID
	m.Version++
	return nil
}

// Disable ends the access and frees the seat, which it returns.
func (m *Member) Disable(by id.Account, at time.Time) (id.Seat, error) {
	if m.State != MemberActive {
		return id.Seat{}, m.conflict("The member is disabled already.")
	}
	seat := m.Seat
	m.State, m.Seat, m.DisableTime, m.Disabler = MemberDisabled, id.Seat{}, &at, by
	m.Version++
	return seat, nil
}

// Enablable refuses to enable somebody who is not disabled.
func (m Member) Enablable() error {
	if m.State != MemberDisabled {
		return m.conflict("The member is active already.")
	}
	return nil
}

// Enable gives the access back, on a seat of its own.
func (m *Member) Enable(seat id.Seat) error {
	if err := m.Enablable(); err != nil {
		return err
	}
	m.State, m.Seat, m.DisableTime, m.Disabler = MemberActive, seat, nil, id.Account{}
	m.Version++
	return nil
}

// Remove ends the membership and returns the seat that it held; zero for a disabled member.
func (m *Member) Remove() id.Seat {
	seat := m.Seat
	m.State, m.Seat, m.DisableTime, m.Disabler, m.SoleOwner = MemberRemoved, id.Seat{}, nil, id.Account{}, false
	m.Version++
	return seat
}

func (m Member) conflict(message string) error {
	return fault.New(errorv1.Reason_REASON_STATE_CONFLICT, message).With("state", string(m.State))
}
