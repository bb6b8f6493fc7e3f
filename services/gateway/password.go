package gateway

import (
	"crypto/rand"
	"net/http"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

// showForgot asks whose password it is.
func (s *site) showForgot(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "forgot", view{Title: "Choose another password"})
}

func (s *site) forgot(w http.ResponseWriter, r *http.Request) {
	form, err := s.form(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	req := &identityv1.RequestPasswordResetRequest{}
	req.Email, req.Username = emailOrUsername(form.Get("identifier"))
	if _, err := s.passwords.RequestPasswordReset(r.Context(), req); err != nil && fault.ReasonOf(err) != errorv1.Reason_REASON_VALIDATION_FAILED {
		s.refuse(w, r, err)
		return
	}
	s.notice(w, r, http.StatusOK, notice{
		Title: "Check your mail",
		Text:  "If there is an account, a link to choose another password is on its way to its address. It works for half an hour.",
		Good:  true,
		Links: []link{{"/sign-in", "Sign in"}},
	})
}

type resetPage struct{ Token, RequestID, Problem string }

// showReset asks for another password. It does not look at the token: mail scanners follow links, too.
func (s *site) showReset(w http.ResponseWriter, r *http.Request) {
	s.resetForm(w, r, http.StatusOK, r.PathValue("token"), "")
}

func (s *site) resetForm(w http.ResponseWriter, r *http.Request, status int, token, problem string) {
	s.render(w, r, status, "reset", view{Title: "Choose another password", Data: resetPage{token, rand.Text(), problem}})
}

func (s *site) reset(w http.ResponseWriter, r *http.Request) {
	form, err := s.form(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	_, err = s.passwords.ResetPassword(r.Context(), &identityv1.ResetPasswordRequest{
		Token: form.Get("token"), Password: form.Get("password"), RequestId: form.Get("request_id")})
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_PASSWORD_REFUSED:
		f := s.faultOf(r, err)
		s.resetForm(w, r, f.HTTPStatus(), form.Get("token"), f.Message)
		return
	case errorv1.Reason_REASON_BUSY, errorv1.Reason_REASON_UNAVAILABLE:
		f := s.faultOf(r, err)
		setRetry(w.Header(), f)
		s.resetForm(w, r, f.HTTPStatus(), form.Get("token"), busyText)
		return
	}
	if err != nil {
		s.refuse(w, r, brokenLink(err, errorv1.Reason_REASON_LINK_INVALID))
		return
	}
	s.notice(w, r, http.StatusOK, notice{
		Title: "Your password is changed",
		Text:  "You are signed out everywhere. Sign in with the new password.",
		Good:  true,
		Links: []link{{"/sign-in", "Sign in"}},
	})
}
