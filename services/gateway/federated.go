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
	kept := r.CookiesNamed(flowCookie)
	http.SetCookie(w, newFlowCookie("", time.Unix(1, 0), -1))
	query := r.URL.Query()
	links := len(kept) == 1 && strings.HasPrefix(kept[0].Value, linkMark)
	if links {
		kept[0].Value = kept[0].Value[len(linkMark):]
	} else {
		callFrom(r.Context()).credential = presented{} // whoever is signed in does not matter
	}
	brought, next, ok := s.broughtBack(query, kept)
	if !ok {
		s.refuse(w, r, errFederated)
		return
	}
	brought.ProviderId = r.PathValue("provider")
	if links {
		s.completeLink(w, r, brought)
		return
	}
	if query.Has("error") { // its words are a stranger's
		s.notice(w, r, http.StatusOK, notice{
			Title: "You are not signed in", Text: "The identity provider did not let you pass, or you have stopped it there.", Links: toSignIn})
		return
	}
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

// linkMark stands before a flow that links a provider to the account of whoever is signed in. Where the browser puts it matters to nobody else: what a flow is for
// is sealed in it.
const linkMark = "link."

// linkPage leads to the provider. A form must not: what it is answered with may lead to us alone.
type linkPage struct{ URL string }

func (s *site) beginLink(r *http.Request, form url.Values) (shown, error) {
	begun, err := s.identities.BeginLinkProvider(r.Context(), &identityv1.BeginLinkProviderRequest{ProviderId: form.Get("provider_id")})
	return shown{
		page: "link", view: view{Title: "Link an identity provider", Data: linkPage{begun.GetAuthorizationUrl()}},
		cookie: newFlowCookie(linkMark+begun.GetFlow(), begun.GetExpireTime().AsTime(), 0),
	}, err
}

// completeLink links whom the provider has sent back to the account of who is signed in.
func (s *site) completeLink(w http.ResponseWriter, r *http.Request, brought *identityv1.CompleteFederatedSignInRequest) {
	if r.URL.Query().Has("error") {
		s.notice(w, r, http.StatusOK, notice{
			Title: "Nothing was linked", Text: "The identity provider did not let you pass, or you have stopped it there.", Links: toSecurity})
		return
	}
	_, err := s.identities.CompleteLinkProvider(r.Context(), &identityv1.CompleteLinkProviderRequest{
		ProviderId: brought.GetProviderId(), Flow: brought.GetFlow(), State: brought.GetState(), Code: brought.GetCode(), Issuer: brought.GetIssuer(),
	})
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_VALIDATION_FAILED:
		err = errFederated
	case errorv1.Reason_REASON_IDENTITY_TAKEN, errorv1.Reason_REASON_ACCOUNT_LINK_REQUIRED, errorv1.Reason_REASON_EMAIL_UNVERIFIED:
		f := s.faultOf(r, err)
		s.notice(w, r, f.HTTPStatus(), notice{Title: "Nothing was linked", Text: f.Message, Links: toSecurity})
		return
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	http.Redirect(w, r, "/security?done=provider-link", http.StatusSeeOther)
}

var toSecurity = []link{{"/security", "Account security"}}

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
