package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/caller"
)

// me returns who is signed in; nil: nobody. A stale cookie is nobody's, and is taken back. So is that of a sign-in that is not
// complete, but it stays: due is the stage that it is at.
func (s *site) me(r *http.Request) (me *identityv1.Account, due caller.Stage, err error) {
	c := callFrom(r.Context())
	if !c.credential.cookie {
		return nil, "", nil
	}
	answer, err := s.accounts.GetMe(r.Context(), &identityv1.GetMeRequest{})
	if isRefusal(err) {
		c.credential, c.closed = presented{}, true
		return nil, "", nil
	}
	if f := fault.From(err); err != nil && f.Reason == errorv1.Reason_REASON_SIGN_IN_INCOMPLETE {
		return nil, caller.Stage(f.Metadata["stage"]), nil
	}
	return answer.GetAccount(), "", err
}

// goOn leads on after a sign-in: to what completes it, then to where it leads.
func (s *site) goOn(w http.ResponseWriter, r *http.Request, form completion) {
	_, due, err := s.me(r)
	switch {
	case err != nil:
		s.refuse(w, r, err)
	case due != "":
		s.complete(w, r, http.StatusOK, due, form)
	case form.Token != "":
		s.invitation(w, r, http.StatusOK, invitationPage{Token: form.Token})
	default:
		http.Redirect(w, r, form.Next, http.StatusSeeOther)
	}
}

// completion is a form that completes a sign-in.
type completion struct {
	Token   string // of the invitation that is to be accepted then, if any
	Next    string // or where it leads
	Problem string
}

func (s *site) completion(form url.Values) completion {
	return completion{Token: form.Get("token"), Next: s.next(form.Get("next"))}
}

// complete asks for what a sign-in still needs.
func (s *site) complete(w http.ResponseWriter, r *http.Request, status int, due caller.Stage, form completion) {
	page, title := "code", "Sign in"
	if due == caller.PasswordChange {
		page, title = "next_password", "Choose your password"
	}
	s.render(w, r, status, page, view{Title: title, Data: form, Leaves: leaves(form.Next), Script: page == "code"})
}

// completeAgain asks once more, when another try can help; otherwise it says how it ended. When the session is over, the sign-in begins anew.
func (s *site) completeAgain(w http.ResponseWriter, r *http.Request, due caller.Stage, again completion, err error) {
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_BUSY, errorv1.Reason_REASON_UNAVAILABLE, errorv1.Reason_REASON_DEADLINE_EXCEEDED:
		again.Problem = busyText
	case errorv1.Reason_REASON_UNAUTHENTICATED:
		c := callFrom(r.Context())
		c.credential, c.closed = presented{}, true
		s.askPassword(w, r, http.StatusUnauthorized, signInForm{
			Problem: "That took too long, or there were too many wrong tries. Sign in again.", Next: again.Next})
		return
	}
	if again.Problem == "" {
		s.refuse(w, r, err)
		return
	}
	f := s.faultOf(r, err)
	setRetry(w.Header(), f)
	s.complete(w, r, f.HTTPStatus(), due, again)
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
	me, _, err := s.me(r)
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

	Organization string // whose page it is; empty: the deployment's
	Providers    []*identityv1.SignInProvider
}

func (s *site) showSignIn(w http.ResponseWriter, r *http.Request) {
	next := s.next(r.URL.Query().Get("next"))
	me, due, err := s.me(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if due != "" {
		s.complete(w, r, http.StatusOK, due, completion{Next: next})
		return
	}
	if me != nil {
		s.notice(w, r, http.StatusOK, notice{
			Title: "You are signed in", Text: "You are signed in as " + name(me) + ".", SignOut: "Sign out", Links: []link{{next, "Go on"}},
		})
		return
	}
	s.askPassword(w, r, http.StatusOK, signInForm{Next: next, Organization: r.PathValue("organization")})
}

// askPassword shows the form, and the other ways in.
func (s *site) askPassword(w http.ResponseWriter, r *http.Request, status int, form signInForm) {
	whose := []string{""}
	if form.Organization != "" {
		whose = append(whose, form.Organization)
	}
	for _, organization := range whose {
		others, err := s.federated.ListSignInProviders(r.Context(), &identityv1.ListSignInProvidersRequest{OrganizationId: organization})
		if err != nil { // a password is good all the same
			callFrom(r.Context()).note(err)
		}
		form.Providers = append(others.GetProviders(), form.Providers...) // the organization's first
	}
	s.render(w, r, status, "sign_in", view{Title: "Sign in", Data: form, Leaves: leaves(form.Next), Script: true})
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
	if err := s.openSession(r, form.Get("identifier"), form.Get("password")); err != nil {
		again, ok := s.signInAgain(form.Get("identifier"), err)
		if !ok {
			s.refuse(w, r, err)
			return
		}
		again.Next, again.Organization = next, form.Get("organization")
		f := s.faultOf(r, err)
		setRetry(w.Header(), f)
		s.askPassword(w, r, f.HTTPStatus(), again)
		return
	}
	s.goOn(w, r, completion{Next: next})
}

// signInWithPasskey signs in whoever the passkey says.
func (s *site) signInWithPasskey(w http.ResponseWriter, r *http.Request) {
	form, err := s.form(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	again := signInForm{Next: s.next(form.Get("next")), Organization: form.Get("organization")}
	callFrom(r.Context()).credential = presented{} // whoever was signed in does not matter
	_, err = s.sessions.FinishPasskeySignIn(r.Context(), &identityv1.FinishPasskeySignInRequest{
		Passkey: form.Get("passkey"), Delivery: identityv1.Delivery_DELIVERY_COOKIE})
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_PASSKEY_INVALID, errorv1.Reason_REASON_VALIDATION_FAILED:
		again.Problem = passkeyText
	case errorv1.Reason_REASON_BUSY, errorv1.Reason_REASON_UNAVAILABLE, errorv1.Reason_REASON_DEADLINE_EXCEEDED:
		again.Problem = busyText
	}
	switch {
	case again.Problem != "":
		f := s.faultOf(r, err)
		setRetry(w.Header(), f)
		s.askPassword(w, r, f.HTTPStatus(), again)
	case err != nil:
		s.refuse(w, r, err)
	default:
		s.useOpened(r)
		s.goOn(w, r, completion{Next: again.Next})
	}
}

// passkeyText says that a passkey was not accepted.
const passkeyText = "The passkey was not accepted. Try again, or go on without it."

// answerChallenge proves the second factor of a sign-in.
func (s *site) answerChallenge(w http.ResponseWriter, r *http.Request) {
	form, err := s.form(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	again := s.completion(form)
	_, err = s.sessions.AnswerChallenge(r.Context(), &identityv1.AnswerChallengeRequest{Code: form.Get("code"), Passkey: form.Get("passkey")})
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_CODE_INVALID, errorv1.Reason_REASON_VALIDATION_FAILED:
		again.Problem = "The code is wrong, or was used before. Wait for the next one."
	case errorv1.Reason_REASON_PASSKEY_INVALID:
		again.Problem = passkeyText
	case errorv1.Reason_REASON_RATE_LIMITED:
		again.Problem = "There were too many wrong codes. Wait a moment, then try again."
	case errorv1.Reason_REASON_STATE_CONFLICT:
		err = nil // the form was sent twice
	}
	if err != nil {
		s.completeAgain(w, r, caller.Challenge, again, err)
		return
	}
	s.useOpened(r)
	s.goOn(w, r, again)
}

// choosePassword replaces a temporary password.
func (s *site) choosePassword(w http.ResponseWriter, r *http.Request) {
	form, err := s.form(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	again := s.completion(form)
	_, err = s.passwords.ChangePassword(r.Context(), &identityv1.ChangePasswordRequest{
		CurrentPassword: form.Get("current_password"), Password: form.Get("password")})
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_CREDENTIALS_INVALID:
		again.Problem = "The temporary password is wrong."
	case errorv1.Reason_REASON_PASSWORD_REFUSED, errorv1.Reason_REASON_VALIDATION_FAILED:
		again.Problem = s.faultOf(r, err).Message
	case errorv1.Reason_REASON_RATE_LIMITED:
		again.Problem = "There were too many wrong passwords. Wait a moment, then try again."
	}
	if err != nil {
		s.completeAgain(w, r, caller.PasswordChange, again, err)
		return
	}
	s.useOpened(r)
	s.goOn(w, r, again)
}

// useOpened has the rest of the request made with the session that the request has opened, if it has.
func (s *site) useOpened(r *http.Request) {
	if c := callFrom(r.Context()); c.opened != nil {
		c.credential = presented{c.opened.Value, true}
	}
}

// openSession signs in. From then on the request, and the browser, have the new session, which need not be complete.
func (s *site) openSession(r *http.Request, identifier, password string) error {
	c := callFrom(r.Context())
	c.credential = presented{} // whoever was signed in does not matter
	req := &identityv1.CreateSessionRequest{Password: password, Delivery: identityv1.Delivery_DELIVERY_COOKIE}
	req.Email, req.Username = emailOrUsername(identifier)
	if _, err := s.sessions.CreateSession(r.Context(), req); err != nil {
		return err
	}
	if c.opened == nil {
		return fault.New(errorv1.Reason_REASON_INTERNAL, errInternal.Message)
	}
	s.useOpened(r)
	return nil
}

// emailOrUsername tells which of the two somebody has filled in.
func emailOrUsername(identifier string) (email, username string) {
	if identifier = strings.TrimSpace(identifier); strings.Contains(identifier, "@") {
		return identifier, ""
	}
	return "", identifier
}

// signInAgain returns the form to try again with; false when trying again is no use.
func (s *site) signInAgain(identifier string, err error) (signInForm, bool) {
	form := signInForm{Identifier: identifier}
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_CREDENTIALS_INVALID, errorv1.Reason_REASON_VALIDATION_FAILED:
		form.Problem, form.Wrong = "The address, the username or the password is wrong.", true
	case errorv1.Reason_REASON_RATE_LIMITED:
		form.Problem = "Too many sign-ins have failed. Wait a moment, then try again."
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
