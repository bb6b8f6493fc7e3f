package verify

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
)

// Operation is one call as its client saw it: a line of a history, which is JSON, one operation a line.
//
// Lines with the same request id and verb are tries of one operation. It was acknowledged if any of them was; if none
// was, and the outcome of any is unknown, so is the operation's: a later refusal may answer what an earlier try did.
type Operation struct {
	Verb      Verb   `json:"op"`
	RequestID string `json:"request_id,omitempty"` // unique in the history; every verb but Accept and Decline needs it

	// What it was about, as far as the client knows: an answer that was lost leaves ids unknown.
	OrganizationID string `json:"organization_id,omitempty"`
	AccountID      string `json:"account_id,omitempty"`    // the member; of Accept, who accepts
	InvitationID   string `json:"invitation_id,omitempty"` // of Invite, when it was answered
	Email          string `json:"email,omitempty"`         // of Invite: the address, unique in the history, finds the invitation when no answer came; without it, any that nobody else asked for

	// What it wanted.
	Role  string `json:"role,omitempty"`  // of ChangeRole, and of Invite
	Limit *int32 `json:"limit,omitempty"` // of SetSeatLimit; absent: no limit

	Outcome Outcome   `json:"outcome"`
	Reason  string    `json:"reason,omitempty"` // of a refusal, or what is known of an unknown outcome; for people
	Start   time.Time `json:"start"`            // when the call left
	End     time.Time `json:"end"`              // when its answer, or the news that there is none, came
}

// Verb is what a client asked for.
type Verb string

// The verbs, and the event by which each is known to have happened.
const (
	CreateOrganization Verb = "create_organization" // organization.created, by request id
	UpdateOrganization Verb = "update_organization" // organization.updated, by request id
	DeleteOrganization Verb = "delete_organization" // organization.deleted, by request id
	SetSeatLimit       Verb = "set_seat_limit"      // seat.limit_changed, by request id; it must change something
	Invite             Verb = "invite"              // invitation.created, by invitation id or by address
	Resend             Verb = "resend"              // invitation.resent, by request id, or of one that had ended by invitation id
	Revoke             Verb = "revoke"              // invitation.revoked, by request id
	Accept             Verb = "accept"              // invitation.accepted and member.added, by invitation and account
	Decline            Verb = "decline"             // invitation.declined, by invitation id
	ChangeRole         Verb = "change_role"         // member.role_changed, by request id
	Disable            Verb = "disable"             // member.disabled, by request id
	Enable             Verb = "enable"              // member.enabled, by request id or, as two share one, by account
	Remove             Verb = "remove"              // member.removed, by request id
)

// Outcome is what a client knows of a call.
type Outcome string

// Outcomes. Refused is an answer: a status that says that nothing was done and nothing will be. UNAVAILABLE,
// DEADLINE_EXCEEDED, CANCELED, INTERNAL, UNKNOWN, the reason BUSY, and a broken connection are Unknown.
const (
	OK      Outcome = "ok"
	Refused Outcome = "refused"
	Unknown Outcome = "unknown"
)

// WriteOperation adds a line to a history. It writes once, so that lines of several writers do not mix.
func WriteOperation(w io.Writer, o Operation) error {
	line, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// ReadHistory reads a history. A last line that was cut off by a crash of its writer is left out.
func ReadHistory(r io.Reader) (history []Operation, err error) {
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return history, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read history: %w", err)
		}
		var o Operation
		if err := json.Unmarshal(line, &o); err != nil {
			return nil, fmt.Errorf("line %d of the history: %w", n, err)
		}
		if _, known := verbs[o.Verb]; !known {
			return nil, fmt.Errorf("line %d of the history: there is no operation %q", n, o.Verb)
		}
		switch o.Outcome {
		case OK, Refused, Unknown:
		default:
			return nil, fmt.Errorf("line %d of the history: there is no outcome %q", n, o.Outcome)
		}
		history = append(history, o)
	}
}

// verbs tells the service and the type of the event that a verb leaves.
var verbs = map[Verb]struct{ service, event string }{
	CreateOrganization: {"membership", "organization.created"},
	UpdateOrganization: {"membership", "organization.updated"},
	DeleteOrganization: {"membership", "organization.deleted"},
	SetSeatLimit:       {"billing", "seat.limit_changed"},
	Invite:             {"invitation", "invitation.created"},
	Resend:             {"invitation", "invitation.resent"},
	Revoke:             {"invitation", "invitation.revoked"},
	Accept:             {"invitation", "invitation.accepted"},
	Decline:            {"invitation", "invitation.declined"},
	ChangeRole:         {"membership", "member.role_changed"},
	Disable:            {"membership", "member.disabled"},
	Enable:             {"membership", "member.enabled"},
	Remove:             {"membership", "member.removed"},
}

// effects compares a history with the logs. It hears every event while the logs are read, and judges E9 at the end.
type effects struct {
	operations []*effect
	byRequest  map[[2]string]*effect   // event, request id
	byName     map[[2]string][]*effect // event, invitation id or address
	nameless   map[string][]*effect    // by organization: invitations of which nothing was ever learned
	added      map[[2]string]int       // invitation, account: how often member.added tells of it
	strangers  []Finding
	created    map[string]bool // organizations of which the history is complete
}

// effect is an operation, all its tries together, and what the logs tell of it.
type effect struct {
	Operation
	events []string // where it is told of
	wrong  []string // in what the event is not what was asked for
}

func newEffects(history []Operation) *effects {
	h := &effects{byRequest: make(map[[2]string]*effect), byName: make(map[[2]string][]*effect), nameless: make(map[string][]*effect), added: make(map[[2]string]int), created: make(map[string]bool)}
	tries := make(map[[4]string]*effect)
	rank := map[Outcome]int{Refused: 0, Unknown: 1, OK: 2}
	for _, o := range history {
		key := [4]string{string(o.Verb), o.RequestID}
		if o.RequestID == "" {
			key[2], key[3] = o.InvitationID, o.AccountID
		}
		if before, again := tries[key]; again {
			if rank[o.Outcome] > rank[before.Outcome] {
				before.Operation = o
			}
			continue
		}
		e := &effect{Operation: o}
		tries[key] = e
		h.operations = append(h.operations, e)
	}
	for _, e := range h.operations {
		event := verbs[e.Verb].event
		if e.RequestID != "" {
			h.byRequest[[2]string{event, e.RequestID}] = e
		}
		for _, name := range []string{e.InvitationID, e.Email} {
			if name != "" {
				h.byName[[2]string{event, name}] = append(h.byName[[2]string{event, name}], e)
			}
		}
		if e.Verb == Invite && e.Outcome == Unknown && e.InvitationID == "" && e.Email == "" {
			h.nameless[e.OrganizationID] = append(h.nameless[e.OrganizationID], e)
		}
		if e.Verb == CreateOrganization && e.OrganizationID != "" {
			h.created[e.OrganizationID] = true
		}
	}
	return h
}

// hear notes an event.
func (h *effects) hear(service string, e entry) {
	if len(h.operations) == 0 {
		return
	}
	if m, ok := e.message.(*eventv1.MemberAdded); ok {
		h.added[[2]string{m.GetContext().GetCause().GetId(), m.GetMember().GetAccountId()}]++
	}
	organization := aggregate(service, e.Aggregate)
	where := fmt.Sprintf("revision %d of %s in %s", e.Revision, organization, service)
	if found := h.find(e); found != nil {
		found.events = append(found.events, where)
		found.compare(organization, e)
		return
	}
	kind := e.origin().GetActor().GetKind()
	asked := slices.ContainsFunc(slices.Collect(maps.Values(verbs)), func(v struct{ service, event string }) bool { return v.event == e.Type })
	if h.created[organization] && asked && kind != eventv1.Actor_KIND_SYSTEM {
		h.strangers = append(h.strangers, Finding{ID: "E9", Service: service, Organization: organization,
			Detail: fmt.Sprintf("revision %d, %s, was asked for by nobody in the history", e.Revision, e.Type)})
	}
}

// find returns the operation that an event tells of.
func (h *effects) find(e entry) *effect {
	if request := e.origin().GetRequestId(); request != "" {
		if found := h.byRequest[[2]string{e.Type, request}]; found != nil {
			return found
		}
	}
	about := invitationOf(e)
	for _, name := range []string{about, e.email()} {
		if name == "" {
			continue
		}
		for _, candidate := range h.byName[[2]string{e.Type, name}] {
			if candidate.InvitationID != "" && candidate.InvitationID != about {
				continue // the same address, invited another time
			}
			switch candidate.Verb {
			case Resend: // of an invitation that had ended: its event has no request id
				if len(candidate.events) > 0 || e.origin().GetRequestId() != "" {
					continue
				}
			case Accept:
				by := e.message.(*eventv1.InvitationAccepted).GetAfter().GetAccountId()
				if candidate.AccountID != "" && candidate.AccountID != by {
					continue
				}
			}
			return candidate
		}
	}
	if created, ok := e.message.(*eventv1.InvitationCreated); ok {
		for _, candidate := range h.nameless[aggregate("invitation", e.Aggregate)] {
			if len(candidate.events) == 0 && (candidate.Role == "" || candidate.Role == created.GetInvitation().GetRole()) {
				return candidate
			}
		}
	}
	return nil
}

// compare says in what an event is not what was asked for.
func (o *effect) compare(organization string, e entry) {
	differ := func(what, got, want string) {
		if want != "" && got != want {
			o.wrong = append(o.wrong, fmt.Sprintf("revision %d has %s %s", e.Revision, what, got))
		}
	}
	differ("the organization", organization, o.OrganizationID)
	switch m := e.message.(type) {
	case *eventv1.MemberRoleChanged:
		differ("the role", m.GetAfter().GetRole(), o.Role)
		differ("the member", m.GetAfter().GetAccountId(), o.AccountID)
	case interface{ GetAfter() *eventv1.Member }:
		differ("the member", m.GetAfter().GetAccountId(), o.AccountID)
	case *eventv1.SeatLimitChanged:
		differ("the limit", limitText(m.After), limitText(o.Limit))
	}
}

// judge judges E9.
func (h *effects) judge(o Options, r *Report) {
	r.Operations = len(h.operations)
	enabled := make(map[string]bool)
	for _, op := range h.operations {
		if op.Verb == Enable && len(op.events) > 0 {
			enabled[op.OrganizationID+op.AccountID] = true
		}
	}
	for _, op := range h.operations {
		find := func(detail string, args ...any) {
			r.add(Finding{ID: "E9", Service: verbs[op.Verb].service, Organization: op.OrganizationID, Subject: op.name(), Detail: fmt.Sprintf(detail, args...)})
		}
		event, n := verbs[op.Verb].event, len(op.events)
		shared := op.Verb == Enable && enabled[op.OrganizationID+op.AccountID] // two that enable at once share one event
		switch {
		case n > 1:
			find("happened %d times: %s", n, strings.Join(op.events, ", "))
		case op.Outcome == OK && n == 0 && !shared:
			find("was acknowledged, and there is no %s", event)
		case op.Outcome == Refused && n > 0:
			find("was refused (%s), and there is %s at %s", op.Reason, event, op.events[0])
		case op.Verb == Accept && op.Outcome == OK && op.AccountID != "" && h.added[[2]string{op.InvitationID, op.AccountID}] == 0:
			find("was acknowledged, and there is no member.added")
		}
		for _, wrong := range op.wrong {
			find("asked for something else: %s", wrong)
		}
	}
	if o.Settled { // an operation under way is in no history yet
		r.add(h.strangers...)
	}
}

// name is what tells an operation from others.
func (o Operation) name() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", o.Verb, o.RequestID, o.InvitationID, o.AccountID))
}
