package gateway

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

// flowCookie holds what a browser has to show when it is back from an identity provider. The prefix keeps every other host from setting it.
const (
	flowCookie = "__Host-roster-flow"
	maxFlow    = 2048
)

func newFlowCookie(flow string, expires time.Time, maxAge int) *http.Cookie {
	c := newCookie(flow, expires, maxAge)
	c.Name = flowCookie // Lax, as that of the session: the provider's redirect is a navigation
	return c
}

// beginFederated sends the browser to an identity provider.
func (s *site) beginFederated(w http.ResponseWriter, r *http.Request) {
	callFrom(r.Context()).credential = presented{} // whoever is signed in does not matter
	begun, err := s.federated.BeginFederatedSignIn(r.Context(), &identityv1.BeginFederatedSignInRequest{
		ProviderId: r.PathValue("provider"), Again: r.URL.Query().Has("again"),
	})
	if fault.ReasonOf(err) == errorv1.Reason_REASON_VALIDATION_FAILED {
		err = fault.New(errorv1.Reason_REASON_IDENTITY_PROVIDER_NOT_FOUND, "There is no such identity provider.")
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	http.SetCookie(w, newFlowCookie(keepNext(begun.GetFlow(), s.next(r.URL.Query().Get("next"))), begun.GetExpireTime().AsTime(), 0))
	http.Redirect(w, r, begun.GetAuthorizationUrl(), http.StatusSeeOther)
}

// completeFederated is where the identity provider sends the browser back to. What the browser has kept is good once, also for a
// refusal.
func (s *site) completeFederated(w http.ResponseWriter, r *http.Request) {
	c := callFrom(r.Context())
	c.credential = presented{}
	kept := r.CookiesNamed(flowCookie)
	http.SetCookie(w, newFlowCookie("", time.Unix(1, 0), -1))
	query := r.URL.Query()
	brought, next, ok := s.broughtBack(query, kept)
	if !ok {
		s.refuse(w, r, errFederated)
		return
	}
	if query.Has("error") { // its words are a stranger's
		s.notice(w, r, http.StatusOK, notice{
			Title: "You are not signed in", Text: "The identity provider did not let you pass, or you have stopped it there.", Links: toSignIn})
		return
	}
	brought.ProviderId = r.PathValue("provider")
	answer, err := s.federated.CompleteFederatedSignIn(r.Context(), brought)
	if fault.ReasonOf(err) == errorv1.Reason_REASON_VALIDATION_FAILED {
		err = errFederated
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	if answer.GetChallenge() != nil || answer.GetPasswordChangeRequired() { // the page asks for what is due
		to := "/sign-in"
		if next != "/" {
			to += "?next=" + url.QueryEscape(next)
		}
		next = to
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// broughtBack reads what a browser comes back with, and where the sign-in leads; ok is false when something is there twice, and who knows which was
// meant, or is no text.
func (s *site) broughtBack(query url.Values, kept []*http.Cookie) (brought *identityv1.CompleteFederatedSignInRequest, next string, ok bool) {
	for _, values := range query {
		if len(values) > 1 || !utf8.ValidString(values[0]) {
			return nil, "", false
		}
	}
	if len(kept) != 1 {
		return nil, "", false
	}
	flow, next := s.keptNext(kept[0].Value)
	return &identityv1.CompleteFederatedSignInRequest{
		Flow: flow, State: query.Get("state"), Code: query.Get("code"), Issuer: query.Get("iss"), Delivery: identityv1.Delivery_DELIVERY_COOKIE,
	}, next, len(flow) <= maxFlow
}

// maxKept is how long an address may be that a browser keeps on its way.
const maxKept = 1024

// keepNext puts beside the flow where the sign-in leads. The browser could write anything there, so it is read as one reads what came in an
// address.
func keepNext(flow, next string) string {
	if next == "/" || len(next) > maxKept {
		return flow
	}
	return flow + "." + base64.RawURLEncoding.EncodeToString([]byte(next))
}

// keptNext reads what keepNext wrote.
func (s *site) keptNext(kept string) (flow, next string) {
	flow, encoded, _ := strings.Cut(kept, ".")
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || len(text) > maxKept {
		return flow, "/"
	}
	return flow, s.next(string(text))
}

var errFederated = fault.New(errorv1.Reason_REASON_FEDERATED_SIGN_IN_FAILED, "The sign-in with the identity provider did not come to its end. Begin it again.")
