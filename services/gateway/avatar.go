package gateway

import (
	"net/http"
	"regexp"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

var (
	avatarID    = regexp.MustCompile(`^[A-Z2-7]{26}$`)
	errNoAvatar = fault.New(errorv1.Reason_REASON_ROUTE_NOT_FOUND, "There is no such picture, or not any more.")
)

// showAvatar serves a picture to whoever has its URL, on pages of every origin. What is at an URL never changes, but it may go: nobody keeps it for
// longer than a day.
func (s *site) showAvatar(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("avatar")
	if !avatarID.MatchString(name) {
		s.refuse(w, r, errNoAvatar)
		return
	}
	// Asking is the gateway's own call: who looks makes no difference.
	picture, err := s.directory.GetAvatar(withCall(r.Context(), nil), &identityv1.GetAvatarRequest{AvatarId: name})
	if err == nil && len(picture.GetContent()) == 0 {
		err = errNoAvatar
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "image/png")
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	header.Set("Cache-Control", "public, max-age=86400, immutable")
	_, _ = w.Write(picture.GetContent()) // it fails only if the reader has left
}
