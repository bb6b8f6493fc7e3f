package gateway

import (
	"crypto/rand"
	"net/http"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

// showRevertEmail asks to press the button. It does not look at the token: mail scanners follow links, too.
func (s *site) showRevertEmail(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "revert_email", view{Title: "Take the change back", Data: verifyPage{r.PathValue("token"), rand.Text()}})
}

func (s *site) revertEmail(w http.ResponseWriter, r *http.Request) {
	form, err := s.form(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	_, err = s.emails.RevertEmailChange(r.Context(), &identityv1.RevertEmailChangeRequest{Token: form.Get("token"), RequestId: form.Get("request_id")})
	if err != nil {
		s.refuse(w, r, brokenLink(err, errorv1.Reason_REASON_LINK_INVALID))
		return
	}
	s.notice(w, r, http.StatusOK, notice{
		Title: "Your address is back",
		Text:  "Everybody is signed out, and your password works no more: whoever changed the address may know it. Choose another one now.",
		Good:  true,
		Links: []link{{"/forgot", "Choose another password"}},
	})
}
