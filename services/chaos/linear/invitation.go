package linear

import (
	"fmt"

	"github.com/rosterhq/roster/services/chaos/load"
	"github.com/rosterhq/roster/services/internal/verify"
)

// invitation is one with the link that opens it.
type invitation struct {
	state string
	link  string // label; mailed: nobody but the invitee knows which
}

const (
	pending  = "PENDING"
	accepted = "ACCEPTED"
	declined = "DECLINED"
	revoked  = "REVOKED"
	failed   = "FAILED"

	mailed = "mailed"
)

// opens tells whether a link answers for the invitation as it is.
func (i invitation) opens(link string) bool { return i.link == link || i.link == mailed }

func (i invitation) to(state string) invitation { return invitation{state, i.link} }

// invitations judges the history of one invitation.
type invitations struct{ *doubtful[invitation] }

func linkOf(o load.Operation) string {
	if o.Link == "" {
		return mailed
	}
	return o.Link
}

// does is what an operation does to an invitation that waits, or that failed and is sent again.
func does(o load.Operation) func(invitation) []invitation {
	return func(i invitation) []invitation {
		waits := i.state == pending
		switch o.Verb {
		case verify.Accept:
			return only(waits && i.opens(o.Link), i.to(accepted))
		case verify.Decline:
			return only(waits && i.opens(o.Link), i.to(declined))
		case verify.Revoke:
			return only(waits, i.to(revoked))
		}
		return only(waits || i.state == failed, invitation{pending, linkOf(o)}) // resend
	}
}

// note adds an operation.
func (i invitations) note(o load.Operation) error {
	what := fmt.Sprintf("%s with %s: %s %s%s", o.Verb, o.Link, o.Outcome, o.Reason, ids(o))
	if o.Outcome == verify.Unknown {
		i.may(o, what, func(s invitation) []invitation {
			next := does(o)(s)
			switch {
			case o.Verb == verify.Accept && len(next) > 0: // or it is refused in the end
				next = append(next, s.to(failed))
			case o.Verb == verify.Resend && len(next) > 0 && s.link != mailed: // nobody was told the new link
				next[0].link = "lost"
			}
			return next
		})
		return nil
	}
	next := does(o)
	if o.Outcome == verify.Refused {
		var err error
		if next, err = refused(o); err != nil {
			return err
		}
	}
	if next != nil {
		i.tell(o, what, next)
	}
	return nil
}

// ends tells which state a refusal speaks of.
var ends = map[string]string{
	"INVITATION_USED": accepted, "INVITATION_DECLINED": declined, "INVITATION_REVOKED": revoked, "INVITATION_FAILED": failed,
}

// refused is what a refusal says of the invitation; nil: nothing.
func refused(o load.Operation) (func(invitation) []invitation, error) {
	byLink := o.Verb == verify.Accept || o.Verb == verify.Decline
	if state, known := ends[o.Reason]; known {
		return func(i invitation) []invitation {
			if o.Verb == verify.Accept && state == failed && i.state == pending { // whoever invited may not any more
				return only(i.opens(o.Link), i.to(failed))
			}
			return only(i.state == state && (!byLink || i.opens(o.Link)), i)
		}, nil
	}
	switch o.Reason {
	case "INVITATION_LINK_INVALID":
		if byLink {
			return func(i invitation) []invitation { return only(i.link != o.Link, i) }, nil
		}
	case "ALREADY_MEMBER":
		if o.Verb == verify.Accept {
			return func(i invitation) []invitation { return only(i.state == pending && i.opens(o.Link), i.to(failed)) }, nil
		}
		return nil, nil // about whom it is for
	case "PERMISSION_MISSING", "ORGANIZATION_NOT_FOUND", "MEMBER_DISABLED", "ROLE_NOT_ASSIGNABLE":
		if !byLink {
			return nil, nil // about whoever asked
		}
	case "SEAT_LIMIT_REACHED":
		if o.Verb == verify.Resend { // one that waits has its seat
			return func(i invitation) []invitation { return only(i.state == failed, invitation{failed, ""}) }, nil
		}
	case "BUSY":
		return nil, nil
	case "SIGN_IN_REQUIRED":
		if o.Verb == verify.Accept && o.ActorID == "" {
			return nil, nil
		}
	}
	return nil, fmt.Errorf("%s was refused with %s, which nothing explains", o.Verb, o.Reason)
}
