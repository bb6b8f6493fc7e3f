package linear

import (
	"fmt"
	"slices"
	"time"

	"github.com/rosterhq/roster/services/chaos/load"
	"github.com/rosterhq/roster/services/internal/verify"
)

// person is somebody's standing in an organization.
type person struct {
	state string // ACTIVE, DISABLED; "" for strangers
	role  string
}

const (
	active   = "ACTIVE"
	disabled = "DISABLED"
)

// effect is what an operation does to a person, from the states where it is possible.
type effect func(person) []person

func join(role string) effect {
	return func(p person) []person { return only(p.state == "", person{active, role}) }
}

func become(role string) effect {
	return func(p person) []person { return only(p.state != "" && p.role != role, person{p.state, role}) }
}

func stop(p person) []person { return only(p.state == active, person{disabled, p.role}) }

func resume(p person) []person { return only(p.state == disabled, person{active, p.role}) }

func leave(p person) []person { return only(p.state != "", person{"", ""}) }

// is looks at a person.
func is(what func(person) bool) effect {
	return func(p person) []person { return only(what(p), p) }
}

// people judges the history of one person in one organization.
type people struct{ *doubtful[person] }

// target adds what an operation says of whom it was about.
func (p people) target(o load.Operation, joined bool) error {
	what := fmt.Sprintf("%s %s: %s %s%s%s%s", o.Verb, o.Role+o.Permission, o.Outcome, o.Reason, o.Decision, o.State, ids(o))
	effects := map[verify.Verb]effect{
		verify.Accept: join(o.Role), verify.ChangeRole: become(o.Role), verify.Disable: stop, verify.Enable: resume, verify.Remove: leave,
	}
	does, changes := effects[o.Verb]
	switch {
	case o.Outcome == verify.Unknown && changes:
		p.may(o, what, does)
		return nil
	case o.Outcome == verify.Unknown:
		return nil
	case o.Outcome == verify.OK && o.Verb == verify.Enable && joined: // two share one enabling
		does = func(s person) []person {
			return append(resume(s), is(func(s person) bool { return s.state == active })(s)...)
		}
	case o.Outcome == verify.Refused:
		var err error
		if does, err = refusal(o); err != nil || does == nil {
			return err
		}
	case !changes:
		does = is(saw(o))
	}
	p.tell(o, what, does)
	return nil
}

// saw is what a read says.
func saw(o load.Operation) func(person) bool {
	if o.Verb != load.CheckAccess {
		return func(p person) bool { return p.state == o.State && p.role == o.Role }
	}
	return func(p person) bool {
		switch o.Decision {
		case "NOT_A_MEMBER":
			return p.state == ""
		case "MEMBER_DISABLED":
			return p.state == disabled
		case "ALLOWED":
			return p.state == active && allows(p.role, o.Permission)
		case "PERMISSION_MISSING":
			return p.state == active && !allows(p.role, o.Permission)
		}
		return false
	}
}

// refusal is what a refusal says of the person; nil: nothing.
func refusal(o load.Operation) (effect, error) {
	is := func(what func(person) bool) (effect, error) { return is(what), nil }
	switch o.Reason {
	case "STATE_CONFLICT":
		switch o.Verb {
		case verify.ChangeRole:
			return is(func(p person) bool { return p.state != "" && p.role == o.Role })
		case verify.Disable:
			return is(func(p person) bool { return p.state == disabled })
		case verify.Enable:
			return is(func(p person) bool { return p.state == active })
		}
	case "SEAT_LIMIT_REACHED":
		return is(func(p person) bool { return p.state == disabled })
	case "ALREADY_MEMBER":
		return is(func(p person) bool { return p.state != "" })
	case "MEMBER_NOT_FOUND":
		if o.Verb == verify.Enable { // also when they left and came back meanwhile
			return nil, nil
		}
		return is(func(p person) bool { return p.state == "" })
	case "PERMISSION_MISSING", "ORGANIZATION_NOT_FOUND", "MEMBER_DISABLED", "ROLE_NOT_ASSIGNABLE", "BUSY":
		return nil, nil // about whoever asked, or nothing
	case "INVITATION_USED", "INVITATION_REVOKED", "INVITATION_DECLINED", "INVITATION_FAILED", "INVITATION_LINK_INVALID", "SIGN_IN_REQUIRED":
		if o.Verb == verify.Accept {
			return nil, nil // about the invitation
		}
	}
	return nil, fmt.Errorf("%s was refused with %s, which nothing explains", o.Verb, o.Reason)
}

// rights are what the verbs take.
var rights = map[verify.Verb]string{
	verify.ChangeRole: "members.assign_role", verify.Disable: "members.disable", verify.Enable: "members.enable",
	verify.Remove: "members.remove", verify.Invite: "invitations.create", verify.Resend: "invitations.resend", verify.Revoke: "invitations.revoke",
}

// actor adds what an operation says of whoever asked: whoever did something was allowed to, at some moment between the call
// and the answer.
func (p people) actor(o load.Operation) {
	right, known := rights[o.Verb]
	if !known {
		return
	}
	what := fmt.Sprintf("may %s: %s %s%s", right, o.Outcome, o.Reason, ids(o))
	switch {
	case o.Outcome == verify.OK:
		p.tell(o, what, is(func(p person) bool { return p.state == active && allows(p.role, right) }))
	case o.Outcome == verify.Refused && o.Reason == "MEMBER_DISABLED":
		p.tell(o, what, is(func(p person) bool { return p.state == disabled }))
	case o.Outcome == verify.Refused && o.Reason == "ORGANIZATION_NOT_FOUND":
		p.tell(o, what, is(func(p person) bool { return p.state == "" }))
	}
}

// everything is the role of those who can do all in an organization without an owner.
const everything = "everything"

// holders are the roles that hold what is asked for in a history.
var holders = map[string][]string{
	"products.use":    {"owner", "admin", "developer", "member"},
	"resources.write": {"owner", "admin", "developer"},
	"org.read":        {"owner", "admin", "developer", "member", "viewer"},
}

var admins = []string{"owner", "admin"}

func allows(role, permission string) bool {
	who, known := holders[permission]
	if !known { // everything else that histories ask for is about people
		who = admins
	}
	return role == everything || slices.Contains(who, role)
}

func ids(o load.Operation) string {
	return fmt.Sprintf(" [%s %s by %s, %s-%s]", o.RequestID, o.AccountID, o.ActorID, o.Call.Round(time.Millisecond), o.Back.Round(time.Millisecond))
}
