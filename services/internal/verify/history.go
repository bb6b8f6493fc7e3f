package verify

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"
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
	Email          string `json:"email,omitempty"`         // of Invite: the address, unique in the history, finds the invitation when no answer came

	// What it wanted.
	Role  string `json:"role,omitempty"`  // of ChangeRole
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
	Resend             Verb = "resend"              // invitation.resent, by request id; only of pending invitations
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
// DEADLINE_EXCEEDED, CANCELED, INTERNAL, UNKNOWN and a broken connection are Unknown.
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
