package gateway

import (
	"crypto/rand"
	"net/http"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// showLeave asks to press the button. It does not look at the token: mail scanners follow links, too.
func (s *site) showLeave(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusOK, "leave", view{Title: "Leave the organization", Data: verifyPage{r.PathValue("token"), rand.Text()}})
}

// leave ends the membership that the link is of, whoever is signed in.
func (s *site) leave(w http.ResponseWriter, r *http.Request) {
	form, err := s.form(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	left, err := s.members.LeaveByLink(r.Context(), &membershipv1.LeaveByLinkRequest{Token: form.Get("token"), RequestId: form.Get("request_id")})
	switch reason := fault.ReasonOf(err); {
	case reason == errorv1.Reason_REASON_LINK_INVALID || reason == errorv1.Reason_REASON_VALIDATION_FAILED:
		s.notice(w, r, http.StatusNotFound, notice{
			Title: "This link does not work any more",
			Text:  "You have left already, or the link is older than 30 days, or you joined the organization again later. Sign in to see where you belong.",
			Links: toSignIn,
		})
	case err != nil:
		s.refuse(w, r, err)
	default:
		s.notice(w, r, http.StatusOK, notice{
			Title: "You have left " + left.GetOrganizationDisplayName(),
			Text:  "You have no access to it any more. Your account, and where else you belong, stay as they are.",
			Good:  true,
		})
	}
}
