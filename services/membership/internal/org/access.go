package org

// Decision is the answer to a question about access, and why.
type Decision string

// Decisions.
const (
	Allowed           Decision = "ALLOWED"
	NotAMember        Decision = "NOT_A_MEMBER"
	MembershipStopped Decision = "MEMBER_DISABLED"
	NotPermitted      Decision = "PERMISSION_MISSING"
)

// Decide says whether a member in this state, whose role allows this, may do something.
func Decide(state MemberState, may Set, permission string) Decision {
	switch {
	case state == MemberDisabled:
		return MembershipStopped
	case state != MemberActive:
		return NotAMember
	case may.Has(permission):
		return Allowed
	}
	return NotPermitted
}

// MayAsk refuses those who may not know what others may do.
func MayAsk(state MemberState, may Set) error {
	actor, err := Organization{State: Active}.Admit(Member{State: state})
	if err != nil {
		return err
	}
	actor.Role.Permissions = may
	return actor.Need(ReadMembers)
}
