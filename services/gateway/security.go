package gateway

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

// securityPage is where people look after what opens their account.
type securityPage struct {
	Name     string
	Done     string // what the form before has done
	Problem  string // or why it has not
	Factors  []*identityv1.Factor
	Codes    int32 // recovery codes that are left
	Emails   []*identityv1.Email
	Sessions []*identityv1.Session

	Identities []*identityv1.FederatedIdentity
	Others     []*identityv1.SignInProvider // that can be linked
}

// change does what a form of the page asks for. Afterwards its page is shown, or, where there is none, the page of it all.
type change func(s *site, r *http.Request, form url.Values) (shown, error)

// shown is a page that follows from a change.
type shown struct {
	page   string
	view   view
	cookie *http.Cookie // nil: none
}

// changes are the forms of the page, by where they are sent.
var changes = map[string]change{
	"password":           (*site).changePassword,
	"passkey":            (*site).beginPasskey,
	"passkey-made":       (*site).confirmPasskey,
	"app":                (*site).beginApp,
	"app-code":           (*site).confirmApp,
	"factor-remove":      (*site).removeFactor,
	"recovery-codes":     (*site).replaceCodes,
	"session-end":        (*site).endSession,
	"sessions-end":       (*site).endOtherSessions,
	"email-add":          (*site).addEmail,
	"email-make-primary": (*site).setPrimaryEmail,
	"email-remove":       (*site).removeEmail,
	"provider-link":      (*site).beginLink,
	"provider-unlink":    (*site).unlinkProvider,
}

// dones are what the page says when one of them was done.
var dones = map[string]string{
	"password":           "Your password is changed. Everybody who was signed in elsewhere is signed out.",
	"passkey-made":       "The passkey is set up.",
	"app-code":           "The authenticator app is set up.",
	"factor-remove":      "It is removed.",
	"session-end":        "The session is ended.",
	"sessions-end":       "You are signed out everywhere else.",
	"email-add":          "Check the mail of that address: a link is on its way that confirms it.",
	"email-make-primary": "Your primary address is changed. You are signed out everywhere else.",
	"email-remove":       "The address is removed.",
	"provider-link":      "It is linked: from now on you can sign in with it.",
	"provider-unlink":    "It is unlinked.",
	"gone":               "That is done already, here or elsewhere.",
}

func (s *site) showSecurity(w http.ResponseWriter, r *http.Request) {
	s.security(w, r, http.StatusOK, "")
}

// signedIn returns whoever is; otherwise it has sent them to sign in.
func (s *site) signedIn(w http.ResponseWriter, r *http.Request) (*identityv1.Account, bool) {
	came := callFrom(r.Context()).credential.cookie
	me, due, err := s.me(r)
	switch {
	case err != nil:
		s.refuse(w, r, err)
	case me == nil && due == "" && came && r.Method == http.MethodPost:
		s.sentTwice(w, r)
	case me == nil:
		http.Redirect(w, r, "/sign-in?next=%2Fsecurity", http.StatusSeeOther)
	}
	return me, err == nil && me != nil
}

// sentTwice is for a form whose session has ended. The form itself may have ended it: those that prove more put another session in its place, and what is
// sent twice comes the second time with the one of before. The browser may have the new one by now, so no cookie is taken from it.
func (s *site) sentTwice(w http.ResponseWriter, r *http.Request) {
	callFrom(r.Context()).closed = false
	s.notice(w, r, http.StatusUnauthorized, notice{
		Title: "You are signed out, or this was sent twice",
		Text: "If you have sent the form twice, the first time counts. Look at your account to see what was done, and sign in again if you are asked to. " +
			"If there were recovery codes that you have not seen, make new ones there: those before them are good for nothing then.",
		Links: toSecurity,
	})
}

// refuseForm is refuse, for a form whose session may have ended while it was on its way.
func (s *site) refuseForm(w http.ResponseWriter, r *http.Request, err error) {
	if isRefusal(err) {
		s.sentTwice(w, r)
		return
	}
	s.refuse(w, r, err)
}

// security shows the page, and above it what became of the form before.
func (s *site) security(w http.ResponseWriter, r *http.Request, status int, problem string) {
	me, ok := s.signedIn(w, r)
	if !ok {
		return
	}
	page := securityPage{Name: name(me), Problem: problem}
	if r.Method == http.MethodGet {
		page.Done = dones[r.URL.Query().Get("done")]
	}
	factors, err := s.factors.ListFactors(r.Context(), &identityv1.ListFactorsRequest{})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	emails, err := s.emails.ListEmails(r.Context(), &identityv1.ListEmailsRequest{})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	sessions, err := s.sessions.ListSessions(r.Context(), &identityv1.ListSessionsRequest{})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	identities, err := s.identities.ListFederatedIdentities(r.Context(), &identityv1.ListFederatedIdentitiesRequest{})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	ways, err := s.federated.ListSignInProviders(r.Context(), &identityv1.ListSignInProvidersRequest{})
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	page.Identities = identities.GetFederatedIdentities()
	page.Others = slices.DeleteFunc(ways.GetProviders(), func(one *identityv1.SignInProvider) bool {
		return slices.ContainsFunc(page.Identities, func(mine *identityv1.FederatedIdentity) bool { return mine.GetProviderId() == one.GetId() })
	})
	page.Factors, page.Codes, page.Emails, page.Sessions = factors.GetFactors(), factors.GetRecoveryCodesLeft(), emails.GetEmails(), sessions.GetSessions()
	s.render(w, r, status, "security", view{Title: "Account security", Data: page})
}

// changeSecurity does what a form asks for.
func (s *site) changeSecurity(w http.ResponseWriter, r *http.Request) {
	do := r.PathValue("do")
	if changes[do] == nil {
		s.refuse(w, r, errNoRoute)
		return
	}
	form, err := s.form(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if _, ok := s.signedIn(w, r); ok {
		s.change(w, r, do, form)
	}
}

// change does it, and shows what became of it. Who has proven too long ago who they are is asked to do that first.
func (s *site) change(w http.ResponseWriter, r *http.Request, do string, form url.Values) {
	follows, err := changes[do](s, r, form)
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_UNSPECIFIED:
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		s.useOpened(r)
		if follows.cookie != nil {
			http.SetCookie(w, follows.cookie)
		}
		if follows.page != "" {
			s.render(w, r, http.StatusOK, follows.page, follows.view)
			return
		}
		http.Redirect(w, r, "/security?done="+do, http.StatusSeeOther) // so that nobody sends it again by looking again
	case errorv1.Reason_REASON_STEP_UP_REQUIRED:
		if do == "passkey-made" { // it was made for the session that proving again ends
			do, form = "passkey", nil
		}
		s.prove(w, r, http.StatusOK, provePage{Do: do, Form: form.Encode()})
	case errorv1.Reason_REASON_FACTOR_NOT_FOUND, errorv1.Reason_REASON_SESSION_NOT_FOUND, errorv1.Reason_REASON_EMAIL_NOT_FOUND,
		errorv1.Reason_REASON_IDENTITY_PROVIDER_NOT_FOUND:
		http.Redirect(w, r, "/security?done=gone", http.StatusSeeOther)
	default:
		s.changeAgain(w, r, do, form, err)
	}
}

// changeAgain says why a change was refused, on the page where another try can be made.
func (s *site) changeAgain(w http.ResponseWriter, r *http.Request, do string, form url.Values, err error) {
	f := s.faultOf(r, err)
	problem := f.Message
	switch f.Reason {
	case errorv1.Reason_REASON_CREDENTIALS_INVALID:
		problem = "The password that you have now is wrong."
	case errorv1.Reason_REASON_PASSKEY_INVALID:
		problem = "The passkey was not accepted. Try again."
	case errorv1.Reason_REASON_CODE_INVALID:
		problem = "The code is wrong, or was used before. Wait for the next one."
	case errorv1.Reason_REASON_RATE_LIMITED:
		problem = "There were too many tries. Wait a moment, then try again."
	case errorv1.Reason_REASON_BUSY, errorv1.Reason_REASON_UNAVAILABLE, errorv1.Reason_REASON_DEADLINE_EXCEEDED:
		problem = busyText
	case errorv1.Reason_REASON_INTERNAL, errorv1.Reason_REASON_UNAUTHENTICATED:
		s.refuseForm(w, r, err)
		return
	}
	setRetry(w.Header(), f)
	if do == "app-code" {
		s.render(w, r, f.HTTPStatus(), "app", appView(appPage{form.Get("factor_id"), form.Get("secret"), problem}))
		return
	}
	s.security(w, r, f.HTTPStatus(), problem)
}

// provePage asks again who is there, and then goes on with a form.
type provePage struct {
	Do, Form  string // the form that waits
	Problem   string
	Factor    bool // the account has a second one
	Providers []*identityv1.FederatedIdentity
}

func (s *site) prove(w http.ResponseWriter, r *http.Request, status int, page provePage) {
	factors, err := s.factors.ListFactors(r.Context(), &identityv1.ListFactorsRequest{})
	if err != nil {
		s.refuseForm(w, r, err)
		return
	}
	identities, err := s.identities.ListFederatedIdentities(r.Context(), &identityv1.ListFederatedIdentitiesRequest{})
	if err != nil { // a password is good all the same
		callFrom(r.Context()).note(err)
	}
	page.Factor, page.Providers = len(factors.GetFactors()) > 0, identities.GetFederatedIdentities()
	s.render(w, r, status, "prove", view{Title: "Is it you?", Data: page, Script: true})
}

// proveAgain proves who is there, and goes on.
func (s *site) proveAgain(w http.ResponseWriter, r *http.Request) {
	form, err := s.form(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	page := provePage{Do: form.Get("do"), Form: form.Get("form")}
	waiting, err := url.ParseQuery(page.Form)
	if err != nil || changes[page.Do] == nil {
		s.refuse(w, r, errNoRoute)
		return
	}
	if _, ok := s.signedIn(w, r); !ok {
		return
	}
	_, err = s.sessions.Reauthenticate(r.Context(), &identityv1.ReauthenticateRequest{
		Password: form.Get("password"), Code: form.Get("code"), Passkey: form.Get("passkey")})
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_CREDENTIALS_INVALID, errorv1.Reason_REASON_VALIDATION_FAILED:
		page.Problem = "The password is wrong."
	case errorv1.Reason_REASON_CODE_INVALID, errorv1.Reason_REASON_CODE_REQUIRED:
		page.Problem = "The code is wrong, or was used before. Wait for the next one."
	case errorv1.Reason_REASON_PASSKEY_INVALID:
		page.Problem = passkeyText
	case errorv1.Reason_REASON_RATE_LIMITED:
		page.Problem = "There were too many wrong tries. Wait a moment, then try again."
	case errorv1.Reason_REASON_BUSY, errorv1.Reason_REASON_UNAVAILABLE, errorv1.Reason_REASON_DEADLINE_EXCEEDED:
		page.Problem = busyText
	}
	switch {
	case page.Problem != "":
		f := s.faultOf(r, err)
		setRetry(w.Header(), f)
		s.prove(w, r, f.HTTPStatus(), page)
	case err != nil:
		s.refuseForm(w, r, err)
	default:
		s.useOpened(r)
		s.change(w, r, page.Do, waiting)
	}
}
