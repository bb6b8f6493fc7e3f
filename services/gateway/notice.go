package gateway

import (
	"net/http"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/caller"
)

const busyText = "There is a lot to do just now. Nothing is lost: wait a moment and try again."

// notice is a page that says one thing.
type notice struct {
	Title     string
	Text      string
	Good      bool   // it went well
	Links     []link // where to go on
	SignOut   string // on the button that signs out; "": none
	Token     string // of the invitation to show after that
	RequestID string // for support
}

type link struct{ URL, Text string }

func (e *edge) notice(w http.ResponseWriter, r *http.Request, status int, n notice) {
	e.render(w, r, status, "notice", view{Title: n.Title, Data: n})
}

// toSignIn is where most people go on.
var toSignIn = []link{{"/sign-in", "Sign in"}}

// notices says refusals to people. What is not here is our mistake, or theirs beyond what a page offers.
var notices = map[fault.Reason]notice{
	errorv1.Reason_REASON_INVITATION_EXPIRED:          {Title: "This invitation has expired", Text: "Ask whoever invited you to send it again. You will get a new link."},
	errorv1.Reason_REASON_INVITATION_REVOKED:          {Title: "This invitation was taken back", Text: "Its link works no more. If you think that is a mistake, ask whoever invited you."},
	errorv1.Reason_REASON_INVITATION_DECLINED:         {Title: "This invitation was declined", Text: "Its link works no more. If you have changed your mind, ask for a new invitation."},
	errorv1.Reason_REASON_INVITATION_USED:             {Title: "This invitation was accepted before", Text: "A link works once. If it was you who accepted, sign in.", Links: toSignIn},
	errorv1.Reason_REASON_INVITATION_LINK_INVALID:     {Title: "This link does not work", Text: "It may be incomplete, or a newer one was sent. Open the link in the latest mail, or ask whoever invited you."},
	errorv1.Reason_REASON_ALREADY_MEMBER:              {Title: "You are a member already", Text: "There is nothing left to accept.", Links: []link{{"/", "Go on"}}},
	errorv1.Reason_REASON_EMAIL_TAKEN:                 {Title: "This address has an account already", Text: "Sign in with it.", Links: toSignIn},
	errorv1.Reason_REASON_USERNAME_TAKEN:              {Title: "This username belongs to somebody else now", Text: "Ask whoever invited you for a new invitation."},
	errorv1.Reason_REASON_LINK_INVALID:                {Title: "This link does not work any more", Text: "A link works once, for a day. If you have confirmed your address before, sign in; otherwise sign up again.", Links: toSignIn},
	errorv1.Reason_REASON_UNAUTHENTICATED:             {Title: "You are not signed in", Text: "Sign in, then try again.", Links: toSignIn},
	errorv1.Reason_REASON_FEDERATED_SIGN_IN_FAILED:    {Title: "That sign-in did not come to its end", Text: "It took too long, was used before, or what came back was not for this browser. Begin it again.", Links: toSignIn},
	errorv1.Reason_REASON_ACCOUNT_LINK_REQUIRED:       {Title: "Your identity provider has no say over this address here", Text: "If you have an account, sign in to it in another way, and link the provider to it.", Links: []link{{"/sign-in?next=%2Fsecurity", "Sign in, and link it"}}},
	errorv1.Reason_REASON_IDENTITY_PROVIDER_NOT_FOUND: {Title: "There is no such way to sign in", Text: "It may have been switched off. Sign in in another way.", Links: toSignIn},
	errorv1.Reason_REASON_CROSS_ORIGIN:                {Title: "This came from another site", Text: "To keep you safe, forms work only on our own pages. Open the page itself and try again."},
	errorv1.Reason_REASON_ROUTE_NOT_FOUND:             {Title: "There is no such page", Text: "The address may have a slip of the pen.", Links: []link{{"/", "To the start"}}},
	errorv1.Reason_REASON_REQUEST_ID_REUSED:           {Title: "This form was sent before", Text: "It was filled in differently then, and that counts. If you have an account now, sign in.", Links: toSignIn},
	errorv1.Reason_REASON_BUSY:                        {Title: "One moment, please", Text: busyText},
	errorv1.Reason_REASON_UNAVAILABLE:                 {Title: "One moment, please", Text: "A part of Roster does not answer just now. What you have begun will be finished. Try again in a minute."},
	errorv1.Reason_REASON_DEADLINE_EXCEEDED:           {Title: "One moment, please", Text: "That took too long. It may have been done all the same: look again in a minute."},
	errorv1.Reason_REASON_INTERNAL:                    {Title: "Something went wrong on our side", Text: "It is not your fault. Try again; if it stays like this, tell support the request id below."},
}

// refusePage says a refusal to a person.
func (e *edge) refusePage(w http.ResponseWriter, r *http.Request, f *fault.Fault) {
	n, ok := notices[f.Reason]
	if !ok {
		n = notice{Title: "That did not work", Text: f.Message}
	}
	switch f.Reason {
	case errorv1.Reason_REASON_RATE_LIMITED:
		n.Title = "One moment, please"
	case errorv1.Reason_REASON_EMAIL_UNVERIFIED:
		n = notice{Title: "Your address is not confirmed", Text: f.Message, Links: toSignIn}
	case errorv1.Reason_REASON_SIGN_IN_REQUIRED:
		n = notice{Title: "Sign in first", Text: f.Message, Links: []link{{"/sign-in", "Sign in"}, {"/forgot", "I do not know the password"}}}
	case errorv1.Reason_REASON_INVITATION_MISMATCH:
		n = e.mismatch(r, f)
	case errorv1.Reason_REASON_INVITATION_FAILED:
		n = notice{Title: "You could not be added", Text: "Ask whoever invited you to send the invitation again."}
		if f.Metadata["failureReason"] == "SEAT_LIMIT_REACHED" {
			n.Text = "The organization has no free seat. Tell whoever invited you: they can make room and send the invitation again."
		}
	}
	if f.HTTPStatus() >= http.StatusInternalServerError {
		n.RequestID = caller.TraceID(r.Context())
	}
	setRetry(w.Header(), f)
	e.notice(w, r, f.HTTPStatus(), n)
}

// mismatch is for people who are signed in to another account than the invited one.
func (e *edge) mismatch(r *http.Request, f *fault.Fault) notice {
	n := notice{
		Title:   "This invitation is for another account",
		Text:    "Sign out, and accept it with the account that was invited.",
		SignOut: "Sign out and use another account",
		Token:   r.PostForm.Get("token"),
	}
	if masked := f.Metadata["maskedEmail"]; masked != "" {
		n.Text = "It is for " + masked + ". Sign out and accept it with the account that has this address, or confirm the address in your account first."
	}
	who, err := identityv1.NewAccountServiceClient(e.Conns["identity"]).GetMe(r.Context(), &identityv1.GetMeRequest{})
	if err == nil {
		n.Text = "You are signed in as " + name(who.GetAccount()) + ". " + n.Text
	}
	return n
}

// showSeats is where a refusal for want of seats sends people: it says what can be done. Who may do it, and how many seats
// there are, the API says to members only.
func (s *site) showSeats(w http.ResponseWriter, r *http.Request) {
	s.notice(w, r, http.StatusOK, notice{
		Title: "All seats are in use",
		Text: "Members and pending invitations each take a seat. Remove members who are not active any more, revoke invitations " +
			"that nobody will accept, or ask your organization's owner to get more seats.",
		Links: []link{{"/", "To the start"}},
	})
}
