package org

import (
	"strconv"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// CreateMember returns the role that somebody gets whom the actor makes a member without asking them: the one of that key or, where none is
// wanted, the policy's.
func (a Actor) CreateMember(key string) (Role, error) {
	if err := a.Need(CreateMembers); err != nil {
		return Role{}, err
	}
	if !a.organization.Policy.CreateUser {
		return Role{}, SwitchedOff("create_user")
	}
	key, err := a.organization.InvitationRole(key)
	if err != nil {
		return Role{}, err
	}
	return a.Give(key)
}

// Claim is an account that says that an address is its person's.
type Claim struct {
	Account  id.Account
	Person   Person
	Proven   bool
	Managed  bool // by this organization
	Disabled bool // it cannot sign in
}

// Refusals of making somebody a member.
var (
	ErrAlreadyMember = fault.New(errorv1.Reason_REASON_ALREADY_MEMBER, "This person is a member of the organization already.")
	ErrInvited       = fault.New(errorv1.Reason_REASON_INVITATION_PENDING,
		"An invitation to this address is pending. Let the person accept it, or revoke it first.")
	ErrEmailClaimed = fault.New(errorv1.Reason_REASON_EMAIL_TAKEN, "Another account claims this address, and nobody has proven that it is theirs. "+
		"Invite the person: who accepts by a link that was mailed to the address has proven it.")
	errByInvitation = fault.New(errorv1.Reason_REASON_FEATURE_OFF, "This person has an account already, and here those who do come by invitation: "+
		"POST /v1/organizations/{organization_id}/invitations or 'roster invite create'.").With("policy", "existing_user_add")
	errAccountDisabled = fault.New(errorv1.Reason_REASON_ACCOUNT_DISABLED,
		"Another organization manages this person's account and keeps it from signing in. Only that organization can change this.")
)

// Newcomer returns whom an address leads to, of those who claim it and may be members; the zero Claim where an account is to be made.
func (o Organization) Newcomer(claims []Claim, members map[id.Account]Member) (Claim, error) {
	if len(claims) == 0 {
		return Claim{}, nil
	}
	for _, c := range claims {
		if members[c.Account].Belongs() {
			return Claim{}, ErrAlreadyMember.With("accountId", c.Account.String())
		}
	}
	claim := claims[0]
	switch {
	case len(claims) > 1, !claim.Proven && !claim.Managed:
		return Claim{}, ErrEmailClaimed
	case claim.Disabled:
		return Claim{}, errAccountDisabled
	case o.Policy.ExistingUserAdd != Directly:
		return Claim{}, errByInvitation
	}
	return claim, nil
}

// mostAsked is how often a day an organization may make members, or change their addresses: the answer tells whether an address has an account.
const mostAsked = 200

// MayLookUp refuses to ask once more today.
func (o Organization) MayLookUp(asked int, now time.Time) error {
	if asked < mostAsked {
		return nil
	}
	midnight := now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	return fault.Newf(errorv1.Reason_REASON_RATE_LIMITED, "This organization has tried to create members, or to change their addresses, %d times today, which is the most. Go on after midnight UTC, or invite people.", mostAsked).
		With("limit", "perOrganization").With("most", strconv.Itoa(mostAsked)).WithRetry(midnight.Sub(now))
}
