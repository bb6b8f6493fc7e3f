package gateway

import (
	"crypto/rand"
	"net/http"
	"net/url"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/internal/caller"
)

// Ways to accept, as the form names them.
const (
	wayMe     = "me"      // as the account that is signed in
	waySignIn = "sign-in" // with an account, which the form signs in to
	wayNew    = "new"     // with an account that is made
)

// invitationPage is the page of an invitation and the forms that answer it.
type invitationPage struct {
	Token     string
	RequestID string // of its forms: who sends one of them twice answers once
	Invited   *invitationv1.PreviewInvitationResponse
	Me        *identityv1.Account
	Name      string // of Me
	Way       string
	Problem   string // above the forms

	SignIn      signInForm
	DisplayName string
	NameWrong   string // by the fields
	PassWrong   string
}

func (s *site) showInvitation(w http.ResponseWriter, r *http.Request) {
	s.invitation(w, r, http.StatusOK, invitationPage{Token: r.PathValue("token")})
}

// invitation shows an invitation, with what the forms of the page before said. It changes nothing.
func (s *site) invitation(w http.ResponseWriter, r *http.Request, status int, page invitationPage) {
	var err error
	if page.Invited, err = s.preview(r, page.Token); err != nil {
		s.refuse(w, r, err)
		return
	}
	if page.Me, _, err = s.me(r); err != nil {
		s.refuse(w, r, err)
		return
	}
	page.Name, page.RequestID = name(page.Me), rand.Text()
	switch {
	case page.Me != nil:
		page.Way = wayMe
	case page.Invited.GetSignInRequired():
		page.Way = waySignIn
	case page.Way != waySignIn:
		page.Way = wayNew
	}
	if page.DisplayName == "" && page.NameWrong == "" {
		page.DisplayName = page.Invited.GetDisplayName()
	}
	s.render(w, r, status, "invitation", view{Title: "Join " + page.Invited.GetOrganizationDisplayName(), Data: page})
}

func (s *site) preview(r *http.Request, token string) (*invitationv1.PreviewInvitationResponse, error) {
	invited, err := s.invitations.PreviewInvitation(r.Context(), &invitationv1.PreviewInvitationRequest{LinkToken: token})
	return invited, brokenLink(err, errorv1.Reason_REASON_INVITATION_LINK_INVALID)
}

// answered returns what a form answers, for the page that follows: afterwards the link tells nothing. Nor does it when the form
// was sent before and its answer was lost; then it is what the form says, and the service knows whether it is the same request.
func (s *site) answered(r *http.Request, form url.Values) (*invitationv1.PreviewInvitationResponse, error) {
	invited, err := s.preview(r, form.Get("token"))
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_INVITATION_USED, errorv1.Reason_REASON_INVITATION_DECLINED, errorv1.Reason_REASON_BUSY:
		if form.Get("request_id") != "" {
			return &invitationv1.PreviewInvitationResponse{
				OrganizationDisplayName: form.Get("organization"), RoleDisplayName: form.Get("role")}, nil
		}
	}
	return invited, err
}

// accept says yes: as the account that is signed in, with one that the form signs in to, or with a new one.
func (s *site) accept(w http.ResponseWriter, r *http.Request) {
	form, err := s.form(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	invited, err := s.answered(r, form)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	req := &invitationv1.AcceptInvitationRequest{
		LinkToken: form.Get("token"), Delivery: identityv1.Delivery_DELIVERY_COOKIE, RequestId: form.Get("request_id")}
	c := callFrom(r.Context())
	switch form.Get("way") {
	case wayMe:
		err = s.stillMe(r, form.Get("account"))
	case waySignIn:
		var due caller.Stage
		if err = s.openSession(r, form.Get("identifier"), form.Get("password")); err == nil {
			_, due, err = s.me(r)
		}
		if due != "" {
			s.complete(w, r, http.StatusOK, due, completion{Token: form.Get("token")})
			return
		}
	default:
		c.credential = presented{} // the form was filled in by somebody new, whoever is signed in
		req.Password, req.DisplayName = form.Get("password"), form.Get("display_name")
	}
	if err == nil {
		_, err = s.invitations.AcceptInvitation(r.Context(), req)
	}
	if err != nil {
		s.acceptAgain(w, r, form, err)
		return
	}
	done := notice{
		Title: "You are a member of " + invited.GetOrganizationDisplayName(),
		Text:  "Your role is " + invited.GetRoleDisplayName() + ". You are signed in.",
		Good:  true,
		Links: []link{{"/", "Go on"}},
	}
	if c.opened == nil && !c.credential.cookie { // the account was made, its session was not
		done.Text = "Your role is " + invited.GetRoleDisplayName() + ". Sign in to go on."
		done.Links = []link{{"/sign-in", "Sign in"}}
	}
	s.notice(w, r, http.StatusOK, done)
}

var errOtherAccount = fault.New(errorv1.Reason_REASON_STATE_CONFLICT, "Meanwhile somebody else has signed in, or nobody is. Look again, then accept.")

// stillMe refuses to accept as another account than the one that the page named.
func (s *site) stillMe(r *http.Request, shown string) error {
	me, _, err := s.me(r)
	if err != nil {
		return err
	}
	if me == nil || me.GetId() != shown {
		return errOtherAccount
	}
	return nil
}

// acceptAgain shows the form again, filled in but for the password, when another try can help; otherwise it says
// how it ended.
func (s *site) acceptAgain(w http.ResponseWriter, r *http.Request, form url.Values, err error) {
	page := invitationPage{Token: form.Get("token"), Way: form.Get("way"), DisplayName: form.Get("display_name")}
	f := fault.From(err)
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_CREDENTIALS_INVALID:
		page.SignIn, _ = s.signInAgain(form.Get("identifier"), err)
	case errorv1.Reason_REASON_PASSWORD_REFUSED, errorv1.Reason_REASON_VALIDATION_FAILED:
		if page.Way == waySignIn {
			page.SignIn, _ = s.signInAgain(form.Get("identifier"), errCredentials)
			break
		}
		page.explain(f)
	case errorv1.Reason_REASON_SIGN_IN_REQUIRED:
		page.Way, page.Problem = waySignIn, "There is an account with this address already. Sign in to it to accept."
	case errorv1.Reason_REASON_STATE_CONFLICT:
		page.Problem = f.Message
	case errorv1.Reason_REASON_BUSY:
		page.Problem = busyText
		page.SignIn.Identifier = form.Get("identifier")
	default:
		s.refuse(w, r, err)
		return
	}
	known := s.faultOf(r, err)
	setRetry(w.Header(), known)
	s.invitation(w, r, known.HTTPStatus(), page)
}

var errCredentials = fault.New(errorv1.Reason_REASON_CREDENTIALS_INVALID, "")

// explain puts what is wrong by the field that it is about.
func (p *invitationPage) explain(f *fault.Fault) {
	for _, field := range f.Fields {
		switch field.Name {
		case "password":
			p.PassWrong = "The password " + field.Reason + "."
		case "display_name":
			p.NameWrong = "The name " + field.Reason + "."
		}
	}
	switch {
	case p.PassWrong != "" || p.NameWrong != "":
	case f.Reason == errorv1.Reason_REASON_PASSWORD_REFUSED:
		p.PassWrong = f.Message
	default:
		p.Problem = f.Message
	}
}

type declinePage struct {
	Token     string
	RequestID string
	Invited   *invitationv1.PreviewInvitationResponse
}

// decline says no, when asked twice.
func (s *site) decline(w http.ResponseWriter, r *http.Request) {
	form, err := s.form(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	invited, err := s.answered(r, form)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	token := form.Get("token")
	if form.Get("confirmed") != "yes" {
		s.render(w, r, http.StatusOK, "decline", view{Title: "Decline the invitation?", Data: declinePage{token, rand.Text(), invited}})
		return
	}
	req := &invitationv1.DeclineInvitationRequest{LinkToken: token, RequestId: form.Get("request_id")}
	if _, err := s.invitations.DeclineInvitation(r.Context(), req); err != nil {
		s.refuse(w, r, err)
		return
	}
	s.notice(w, r, http.StatusOK, notice{
		Title: "You have declined",
		Text:  "You will not join " + invited.GetOrganizationDisplayName() + ". The link works no more; nothing else happens.",
	})
}
