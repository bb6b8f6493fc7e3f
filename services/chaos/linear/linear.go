// Package linear judges whether all that clients were told about an organization can be true: whether there is an order of
// everything that happened, each at one moment between its call and its answer, in which every answer is right.
//
// An organization is judged in parts, each of which must have such an order: each person's standing in it, which decides
// what they may do; each invitation, which one person answers once, by one link at a time; and its seats, of which there are
// never more than the limit. What was asked for and never answered may happen at any time after, or never. What an answer
// says will follow, such as a seat that is free later, may happen at any time after.
package linear

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/rosterhq/roster/services/chaos/load"
	"github.com/rosterhq/roster/services/internal/verify"
)

// Verdict is what was found about one part of an organization.
type Verdict struct {
	Organization string
	Part         string // a person, an invitation, the seats
	Result       porcupine.CheckResult
	Steps        int
	Unexplained  []error // answers that are wrong whatever the state is

	model porcupine.Model
	info  porcupine.LinearizationInfo
	told  []porcupine.Operation
}

// Right tells whether everything can be true.
func (v Verdict) Right() bool { return v.Result == porcupine.Ok && len(v.Unexplained) == 0 }

// Draw writes a page that shows the history of the part, and how far it can be true.
func (v Verdict) Draw(w io.Writer) error { return porcupine.Visualize(v.model, v.info, w) }

// Excerpt is the history of the part from where it cannot be true any more, as text.
func (v Verdict) Excerpt() (lines []string) {
	for _, err := range v.Unexplained {
		lines = append(lines, err.Error())
	}
	explained := 0
	for _, part := range v.info.PartialLinearizations() {
		for _, order := range part {
			explained = max(explained, len(order))
		}
	}
	if v.Result == porcupine.Ok {
		return lines
	}
	told := slices.SortedFunc(slices.Values(v.told), func(a, b porcupine.Operation) int { return int(a.Return - b.Return) })
	for n, o := range told {
		if n >= explained-12 && n <= explained+4 {
			lines = append(lines, v.model.DescribeOperation(o.Input, nil))
		}
	}
	return lines
}

// organization is the history of one.
type organization struct {
	id         string
	operations []load.Operation
}

// Judge judges every organization of a history. A part that takes longer than the timeout is not right.
func Judge(history []load.Operation, timeout time.Duration) (verdicts []Verdict) {
	all := make(map[string]*organization)
	var order []*organization
	for _, o := range history {
		if o.OrganizationID == "" {
			continue // it was never made, as far as anybody knows
		}
		if all[o.OrganizationID] == nil {
			all[o.OrganizationID] = &organization{id: o.OrganizationID}
			order = append(order, all[o.OrganizationID])
		}
		all[o.OrganizationID].operations = append(all[o.OrganizationID].operations, o)
	}
	for _, o := range order {
		verdicts = append(verdicts, o.judge(timeout)...)
	}
	return verdicts
}

func (h *organization) judge(timeout time.Duration) []Verdict {
	slices.SortStableFunc(h.operations, func(a, b load.Operation) int { return int(a.Call - b.Call) })
	persons := make(map[string]people)
	invited := make(map[string]invitations)
	seats := newSeats()
	unexplained := make(map[string][]error)
	first := h.founder()
	of := func(account string) people {
		p, known := persons[account]
		if !known {
			p = people{newDoubtful(person{})}
			if account == first.ActorID {
				p = people{newDoubtful(person{active, ownerOf(first)})}
			}
			persons[account] = p
		}
		return p
	}
	for _, o := range h.operations {
		if o.Verb == verify.CreateOrganization {
			continue
		}
		noteSeat(seats, o, h)
		if o.AccountID != "" {
			if err := of(o.AccountID).target(h.renamed(o, first), h.shared(o)); err != nil {
				unexplained[o.AccountID] = append(unexplained[o.AccountID], err)
			}
		}
		if o.ActorID != "" {
			of(o.ActorID).actor(o)
		}
		if o.InvitationID == "" {
			continue
		}
		if o.Verb == verify.Invite {
			invited[o.InvitationID] = invitations{newDoubtful(invitation{pending, linkOf(o)})}
		} else if i, known := invited[o.InvitationID]; known {
			if err := i.note(o); err != nil {
				unexplained[o.InvitationID] = append(unexplained[o.InvitationID], err)
			}
		}
	}
	verdicts := []Verdict{seats.judge(timeout)}
	verdicts[0].Part = "seats"
	for account, p := range persons {
		v := p.judge(timeout)
		v.Part, v.Unexplained = account, unexplained[account]
		verdicts = append(verdicts, v)
	}
	for id, i := range invited {
		v := i.judge(timeout)
		v.Part, v.Unexplained = id, unexplained[id]
		verdicts = append(verdicts, v)
	}
	for i := range verdicts {
		verdicts[i].Organization = h.id
	}
	return verdicts
}

// founder is the operation that made the organization.
func (h *organization) founder() load.Operation {
	for _, o := range h.operations {
		if o.Verb == verify.CreateOrganization {
			return o
		}
	}
	return load.Operation{}
}

// ownerOf is the role that the creator has.
func ownerOf(created load.Operation) string {
	if created.Preset == "flat" {
		return everything
	}
	return "owner"
}

// renamed is the operation in an organization where the one role, member, allows everything.
func (h *organization) renamed(o, created load.Operation) load.Operation {
	if created.Preset == "flat" && o.Role != "" {
		o.Role = everything
	}
	return o
}

// shared tells whether somebody else enables the same member at the same time: then both may be told of one enabling.
func (h *organization) shared(o load.Operation) bool {
	return slices.ContainsFunc(h.operations, func(other load.Operation) bool {
		return other.Verb == verify.Enable && o.Verb == verify.Enable && other.AccountID == o.AccountID && other.RequestID != o.RequestID &&
			other.Outcome != verify.Refused && other.Call < o.Back && (other.Outcome == verify.Unknown || o.Call < other.Back)
	})
}

// failing tells whether the invitation may have failed, so that sending it again takes another seat.
func (h *organization) failing(resend load.Operation) bool {
	return slices.ContainsFunc(h.operations, func(o load.Operation) bool {
		return o.Verb == verify.Accept && o.InvitationID == resend.InvitationID && o.Call < resend.Back &&
			(o.Outcome == verify.Unknown || o.Reason == "ALREADY_MEMBER" || o.Reason == "INVITATION_FAILED")
	})
}

// seated tells whether a removed member was active for certain, and so had a seat: when nothing else was under way with
// them, and what was last done to them leaves them active.
func (h *organization) seated(removal load.Operation) bool {
	was := verify.Verb("")
	var last time.Duration
	for _, o := range h.operations {
		switch {
		case o.AccountID != removal.AccountID, o.Outcome == verify.Refused, o.RequestID != "" && o.RequestID == removal.RequestID:
			continue
		case o.Verb != verify.Accept && o.Verb != verify.Enable && o.Verb != verify.Disable && o.Verb != verify.Remove:
			continue
		case o.Call > removal.Back:
			continue
		case o.Outcome == verify.Unknown, o.Back > removal.Call, o.Call < last:
			return false
		}
		was, last = o.Verb, o.Back
	}
	return was == verify.Accept || was == verify.Enable
}

// String names the part.
func (v Verdict) String() string {
	return fmt.Sprintf("%s of %s: %s, %d steps", v.Part, v.Organization, v.Result, v.Steps)
}
