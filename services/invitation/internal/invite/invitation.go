// Package invite holds the rules of invitations: which state follows which, who may answer, what a link is.
// It knows no database and no network.
package invite

import (
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// State of an invitation. RESERVING and ACCEPTING are on their way to another and never last.
type State string

// The states.
const (
	Reserving State = "RESERVING"
	Pending   State = "PENDING"
	Accepting State = "ACCEPTING"
	Accepted  State = "ACCEPTED"
	Declined  State = "DECLINED"
	Revoked   State = "REVOKED"
	Expired   State = "EXPIRED"
	Failed    State = "FAILED"
)

// Delivery is how the link reaches the invitee.
type Delivery string

// The deliveries.
const (
	ByHand      Delivery = "LINK"
	MailQueued  Delivery = "QUEUED"
	MailSent    Delivery = "SENT"
	MailRefused Delivery = "FAILED"
)

// What is answered when an invitation is not what the caller needs.
var (
	ErrNotFound    = fault.New(errorv1.Reason_REASON_INVITATION_NOT_FOUND, "There is no such invitation in this organization.")
	ErrLinkInvalid = fault.New(errorv1.Reason_REASON_INVITATION_LINK_INVALID, "This link is not valid. If a newer invitation was sent, use its link; otherwise ask for one.")
	ErrExpired     = fault.New(errorv1.Reason_REASON_INVITATION_EXPIRED, "This invitation has expired. Ask to have it sent again.")
	ErrRevoked     = fault.New(errorv1.Reason_REASON_INVITATION_REVOKED, "This invitation was revoked. Ask for a new one.")
	ErrDeclined    = fault.New(errorv1.Reason_REASON_INVITATION_DECLINED, "This invitation was declined. Ask for a new one.")
	ErrUsed        = fault.New(errorv1.Reason_REASON_INVITATION_USED, "This invitation was accepted before. Sign in to use the organization.")
	ErrFailed      = fault.New(errorv1.Reason_REASON_INVITATION_FAILED, "This invitation could not be completed. Ask to have it sent again.")
	ErrBusy        = fault.New(errorv1.Reason_REASON_BUSY, "This invitation is being sent or answered right now. Try again in a moment.").WithRetry(time.Second)
	ErrErased      = fault.New(errorv1.Reason_REASON_STATE_CONFLICT, "Whom this invitation was to has deleted their account, and nothing is left of their address. Invite them anew.")
	ErrPending     = fault.New(errorv1.Reason_REASON_INVITATION_PENDING, "An invitation for this person is pending. Send it again, or make a new link for it (:newLink).")
)

// Invitation asks one person to join one organization with one role. At most one per person is live.
type Invitation struct {
	OrganizationID id.Organization
	InvitationID   id.Invitation
	SeatID         id.Seat // of this attempt; a new attempt after the end takes a new one
	Email          string  // as written; empty: none
	EmailKey       string
	Username       string
	UsernameKey    string
	DisplayName    string
	Role           string // key
	State          State
	Announced      bool // the world has heard of it; a first attempt that got no seat stays unheard of
	Generation     int32
	TokenHash      []byte
	SealedToken    []byte // until the mail with the link is queued
	Delivery       Delivery
	SendID         id.Mail // the latest sending; the outcome of an older mail changes nothing
	LinkShown      bool    // somebody beside the invitee has seen the link of this generation
	InviterID      id.Account
	CreateTime     time.Time
	SendTime       time.Time
	ExpireTime     time.Time
	TTL            time.Duration
	AccountID      id.Account // who accepts or has accepted
	NewAccount     bool       // the account is made by accepting
	SealedPassword []byte     // of the new account, until it exists
	AcceptName     string     // name of the new account
	FailureReason  string
	RefusedReason  string // why the latest attempt got no seat
	PriorState     State  // where a new attempt that gets no seat goes back to
	PriorFailure   string
	Releasing      bool // the seat and the username still have to be given back
}

// Overdue tells whether the invitation waits in vain: its time is up, though nobody has noted it yet.
func (i *Invitation) Overdue(now time.Time) bool {
	return i.State == Pending && !now.Before(i.ExpireTime)
}

// Visible is the state that others see: an overdue invitation is expired.
func (i *Invitation) Visible(now time.Time) State {
	if i.Overdue(now) {
		return Expired
	}
	return i.State
}

// Live tells whether the invitation holds a seat.
func (i *Invitation) Live() bool {
	return i.State == Reserving || i.State == Pending || i.State == Accepting
}

// Answerable returns nil when the holder of the link may answer, and otherwise why not.
func (i *Invitation) Answerable(now time.Time) error {
	switch i.Visible(now) {
	case Pending:
		return nil
	case Expired:
		return ErrExpired
	case Revoked:
		return ErrRevoked
	case Declined:
		return ErrDeclined
	case Accepted:
		return ErrUsed
	case Failed:
		if !i.Announced {
			return ErrNotFound
		}
		return ErrFailed.With("failureReason", i.FailureReason)
	}
	return ErrBusy
}

// forget erases what only a step under way needs: an invitation that waits or has ended holds no secret.
func (i *Invitation) forget() { i.SealedToken, i.SealedPassword, i.AcceptName = nil, nil, "" }

// Grant notes that the seat is reserved: the invitation is open from now on.
func (i *Invitation) Grant(now time.Time) {
	i.State, i.Announced = Pending, true
	i.SendTime, i.ExpireTime = now, now.Add(i.TTL)
	i.PriorState, i.PriorFailure, i.FailureReason, i.RefusedReason = "", "", "", ""
}

// Refuse notes that there is no seat, or that the username is not to be had. A first attempt ends; a later one
// goes back to where it came from.
func (i *Invitation) Refuse(reason errorv1.Reason) {
	i.TokenHash, i.Releasing = nil, true
	i.forget()
	i.RefusedReason = fault.New(reason, "").Name()
	if i.PriorState != "" {
		i.State, i.FailureReason = i.PriorState, i.PriorFailure
		i.PriorState, i.PriorFailure = "", ""
		return
	}
	i.State, i.FailureReason = Failed, i.RefusedReason
}

// Resend begins a new generation of a pending, expired or failed invitation, in the name of whoever sends it. The
// links before are void from now on. A pending one keeps its seat and stays pending; another needs a new seat, once it
// has given back the last.
func (i *Invitation) Resend(by id.Account, now time.Time) error {
	again := i.State == Expired || i.State == Failed && i.Announced
	switch {
	case i.State == Pending:
		i.SendTime, i.ExpireTime = now, now.Add(i.TTL)
	case again && i.Releasing: // one attempt after the other
		return ErrBusy
	case again && i.erased():
		return ErrErased
	case again:
		i.PriorState, i.PriorFailure = i.State, i.FailureReason
		i.State, i.SeatID = Reserving, id.NewSeat()
	default:
		return i.Answerable(now)
	}
	i.Generation++
	i.InviterID, i.RefusedReason = by, ""
	i.AccountID, i.NewAccount = id.Account{}, false
	i.forget()
	return nil
}

// erased tells whether nothing is left of whom the invitation was to, who had begun to accept it and whose account was deleted.
func (i *Invitation) erased() bool {
	return !i.AccountID.IsZero() && i.Email == "" && i.Username == "" && i.DisplayName == ""
}

// Link gives this generation its link. By hand, somebody beside the invitee sees it, so accepting does not prove
// the mailbox.
func (i *Invitation) Link(token Token, sealed []byte, byHand bool) {
	i.TokenHash = token.Hash()
	i.SendID = id.NewMail()
	i.LinkShown = byHand
	if byHand {
		i.Delivery, i.SealedToken = ByHand, nil
		return
	}
	i.Delivery, i.SealedToken = MailQueued, sealed
}

// Acceptance is who says yes.
type Acceptance struct {
	Account        id.Account
	New            bool // the account is made by accepting
	SealedPassword []byte
	DisplayName    string
}

// BeginAccept lets one account accept; whoever comes second finds it taken.
func (i *Invitation) BeginAccept(a Acceptance, now time.Time) error {
	if err := i.Answerable(now); err != nil {
		return err
	}
	i.State = Accepting
	i.AccountID, i.NewAccount, i.SealedPassword, i.AcceptName = a.Account, a.New, a.SealedPassword, a.DisplayName
	return nil
}

// GiveBack ends an acceptance that could not make its account, before the seat was touched: the invitation is open again.
func (i *Invitation) GiveBack() {
	i.State = Pending
	i.AccountID, i.NewAccount = id.Account{}, false
	i.forget()
}

// Complete notes that the invitee is a member. The seat is the member's now.
func (i *Invitation) Complete() {
	i.State = Accepted
	i.forget()
}

// Fail ends an invitation that could not be delivered or completed. It can be sent again.
func (i *Invitation) Fail(reason errorv1.Reason) {
	i.end(Failed)
	i.FailureReason = fault.New(reason, "").Name()
}

// Decline notes that the invitee said no.
func (i *Invitation) Decline(now time.Time) error { return i.answer(Declined, now) }

// Revoke takes the invitation back.
func (i *Invitation) Revoke(now time.Time) error { return i.answer(Revoked, now) }

// Expire ends an overdue invitation.
func (i *Invitation) Expire() { i.end(Expired) }

func (i *Invitation) answer(state State, now time.Time) error {
	if err := i.Answerable(now); err != nil {
		return err
	}
	i.end(state)
	return nil
}

// end ends the invitation without a member: what it held is to be given back.
func (i *Invitation) end(state State) {
	i.State, i.Releasing = state, true
	i.forget()
}

// Released notes that the seat and the username are given back.
func (i *Invitation) Released() { i.Releasing = false }

// Delivered notes what the mail server said to the latest sending; false when it concerns an older one. A refused
// address ends an invitation that waits. One that was answered or ended meanwhile only remembers.
func (i *Invitation) Delivered(send id.Mail, taken bool) bool {
	if i.SendID != send || i.Delivery != MailQueued {
		return false
	}
	if i.Delivery = MailSent; taken {
		return true
	}
	i.Delivery = MailRefused
	if i.State == Pending {
		i.Fail(errorv1.Reason_REASON_DELIVERY_REFUSED)
	}
	return true
}
