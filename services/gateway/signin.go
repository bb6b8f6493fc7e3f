package gateway

import (
	"net/http"
	"strings"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

// me returns who is signed in; nil: nobody. A stale cookie is nobody's, and is taken back. So is that of a sign-in whose second
// factor is due, but it stays.
func (s *site) me(r *http.Request) (*identityv1.Account, error) {
	c := callFrom(r.Context())
	if !c.credential.cookie {
		return nil, nil
	}
	answer, err := s.accounts.GetMe(r.Context(), &identityv1.GetMeRequest{})
	if isRefusal(err) {
		c.credential, c.closed = presented{}, true
		return nil, nil
	}
	if fault.ReasonOf(err) == errorv1.Reason_REASON_SIGN_IN_INCOMPLETE {
		return nil, nil
	}
	return answer.GetAccount(), err
}

// name is how a page calls somebody.
func name(a *identityv1.Account) string {
	for _, name := range []string{a.GetDisplayName(), a.GetEmail(), a.GetUsername()} {
		if name != "" {
			return name
		}
	}
	return "someone"
}

type homePage struct {
	Me      *identityv1.Account
	Name    string
	DevMail bool
}

// home is the front door. It opens also while identity is away.
func (s *site) home(w http.ResponseWriter, r *http.Request) {
	me, err := s.me(r)
	if err != nil {
		callFrom(r.Context()).note(err)
	}
	s.render(w, r, http.StatusOK, "home", view{Title: "Roster", Data: homePage{me, name(me), s.DevMail != nil}})
}

// signInForm is the form that signs in, alone or as a part of accepting an invitation.
type signInForm struct {
	Identifier string
	Problem    string // above the form
	Wrong      bool   // the fields are what is wrong
	Next       string // where it leads
}

func (s *site) showSignIn(w http.ResponseWriter, r *http.Request) {
	next := s.next(r.URL.Query().Get("next"))
	me, err := s.me(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if me != nil {
		s.notice(w, r, http.StatusOK, notice{
			Title: "You are signed in", Text: "You are signed in as " + name(me) + ".", SignOut: "Sign out", Links: []link{{next, "Go on"}},
		})
		return
	}
	if callFrom(r.Context()).credential.cookie { // it is good, and nobody's yet
		s.askCode(w, r, http.StatusOK, codeForm{Next: next})
		return
	}
	s.askPassword(w, r, http.StatusOK, signInForm{Next: next})
}

func (s *site) askPassword(w http.ResponseWriter, r *http.Request, status int, form signInForm) {
	s.render(w, r, status, "sign_in", view{Title: "Sign in", Data: form, Leaves: leaves(form.Next)})
}

// leaves tells whether what next has returned is at one of the apps.
func leaves(next string) bool { return next != "" && next[0] != '/' }

func (s *site) signIn(w http.ResponseWriter, r *http.Request) {
	form, err := s.form(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	next := s.next(form.Get("next"))
	due, err := s.openSession(r, form.Get("identifier"), form.Get("password"))
	if err != nil {
		again, ok := s.signInAgain(form.Get("identifier"), err)
		if !ok {
			s.refuse(w, r, err)
			return
		}
		again.Next = next
		f := s.faultOf(r, err)
		setRetry(w.Header(), f)
		s.askPassword(w, r, f.HTTPStatus(), again)
		return
	}
	if due {
		s.askCode(w, r, http.StatusOK, codeForm{Next: next})
		return
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// codeForm asks for the code of a second factor.
type codeForm struct {
	Token   string // of the invitation that is to be accepted then, if any
	Next    string // or where it leads
	Problem string
}

func (s *site) askCode(w http.ResponseWriter, r *http.Request, status int, form codeForm) {
	s.render(w, r, status, "code", view{Title: "Sign in", Data: form, Leaves: leaves(form.Next)})
}

// answerChallenge completes a sign-in with the code of a second factor. When the challenge is over, it begins anew.
func (s *site) answerChallenge(w http.ResponseWriter, r *http.Request) {
	form, err := s.form(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	c := callFrom(r.Context())
	again := codeForm{Token: form.Get("token"), Next: s.next(form.Get("next"))}
	_, err = s.sessions.AnswerChallenge(r.Context(), &identityv1.AnswerChallengeRequest{Code: form.Get("code")})
	switch reason := fault.ReasonOf(err); reason {
	case errorv1.Reason_REASON_CODE_INVALID, errorv1.Reason_REASON_VALIDATION_FAILED:
		again.Problem = "The code is wrong, or was used before. Wait for the next one."
	case errorv1.Reason_REASON_RATE_LIMITED:
		again.Problem = "There were too many wrong codes. Wait a moment, then try again."
	case errorv1.Reason_REASON_BUSY, errorv1.Reason_REASON_UNAVAILABLE, errorv1.Reason_REASON_DEADLINE_EXCEEDED:
		again.Problem = busyText
	case errorv1.Reason_REASON_UNAUTHENTICATED:
		c.credential, c.closed = presented{}, true
		s.askPassword(w, r, http.StatusUnauthorized, signInForm{
			Problem: "That took too long, or there were too many wrong codes. Sign in again.", Next: again.Next})
		return
	default:
		if err != nil && reason != errorv1.Reason_REASON_STATE_CONFLICT { // that is: the form was sent twice
			s.refuse(w, r, err)
			return
		}
	}
	if again.Problem != "" {
		f := s.faultOf(r, err)
		setRetry(w.Header(), f)
		s.askCode(w, r, f.HTTPStatus(), again)
		return
	}
	if c.opened != nil {
		c.credential = presented{c.opened.Value, true}
	}
	if again.Token != "" {
		s.invitation(w, r, http.StatusOK, invitationPage{Token: again.Token})
		return
	}
	http.Redirect(w, r, again.Next, http.StatusSeeOther)
}

// openSession signs in. From then on the request, and the browser, have the new session. due tells that it is not complete before a
// second factor is proven.
func (s *site) openSession(r *http.Request, identifier, password string) (due bool, err error) {
	c := callFrom(r.Context())
	c.credential = presented{} // whoever was signed in does not matter
	req := &identityv1.CreateSessionRequest{Password: password, Delivery: identityv1.Delivery_DELIVERY_COOKIE}
	if identifier = strings.TrimSpace(identifier); strings.Contains(identifier, "@") {
		req.Email = identifier
	} else {
		req.Username = identifier
	}
	answer, err := s.sessions.CreateSession(r.Context(), req)
	if err != nil {
		return false, err
	}
	if c.opened == nil {
		return false, fault.New(errorv1.Reason_REASON_INTERNAL, errInternal.Message)
	}
	c.credential = presented{c.opened.Value, true}
	return answer.GetChallenge() != nil, nil
}

// signInAgain returns the form to try again with; false when trying again is no use.
func (s *site) signInAgain(identifier string, err error) (signInForm, bool) {
	form := signInForm{Identifier: identifier}
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_CREDENTIALS_INVALID, errorv1.Reason_REASON_VALIDATION_FAILED:
		form.Problem, form.Wrong = "The address, the username or the password is wrong.", true
	case errorv1.Reason_REASON_BUSY, errorv1.Reason_REASON_UNAVAILABLE, errorv1.Reason_REASON_DEADLINE_EXCEEDED:
		form.Problem = busyText
	default:
		return form, false
	}
	return form, true
}

// signOut ends the session. With the token of an invitation, whose page was for another account, it shows that
// page again.
func (s *site) signOut(w http.ResponseWriter, r *http.Request) {
	form, err := s.form(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	c := callFrom(r.Context())
	if c.credential.cookie {
		if _, err := s.sessions.SignOut(r.Context(), &identityv1.SignOutRequest{}); err != nil && !isRefusal(err) {
			s.refuse(w, r, err)
			return
		}
		c.credential, c.closed = presented{}, true
	}
	if token := form.Get("token"); token != "" {
		s.invitation(w, r, http.StatusOK, invitationPage{Token: token})
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
