package gateway

import (
	"crypto/rand"
	"net/http"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

type verifyPage struct{ Token, RequestID string }

// showVerify asks to press the button. It does not look at the token: mail scanners follow links, too.
func (s *site) showVerify(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "verify", view{Title: "Confirm your address", Data: verifyPage{r.PathValue("token"), rand.Text()}})
}

func (s *site) verify(w http.ResponseWriter, r *http.Request) {
	form, err := s.form(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	answer, err := s.accounts.VerifyEmail(r.Context(), &identityv1.VerifyEmailRequest{Token: form.Get("token"), RequestId: form.Get("request_id")})
	if err != nil {
		s.refuse(w, r, brokenLink(err, errorv1.Reason_REASON_LINK_INVALID))
		return
	}
	s.notice(w, r, http.StatusOK, notice{
		Title: "Your address is confirmed",
		Text:  "Welcome, " + name(answer.GetAccount()) + ". You can sign in with " + answer.GetEmail() + " now.",
		Good:  true,
		Links: []link{{"/sign-in", "Sign in"}},
	})
}
