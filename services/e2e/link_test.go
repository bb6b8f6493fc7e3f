package e2e

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/devmail"
)

var goOn = regexp.MustCompile(`<a class="button" href="([^"]*)">Go on to the provider</a>`)

// signedInWindow is a browser in which somebody has typed their password.
func signedInWindow(t *testing.T, who *person) *window {
	t.Helper()
	b := newWindow(t)
	b.submit(b.visit(http.MethodGet, suite.URL+"/sign-in", nil, nil), url.Values{"identifier": {who.Email}, "password": {password}}, nil)
	require.Equal(t, who.ID, b.whoIs().GetId())
	return b
}

// security sends a form of the page that looks after the account.
func (b *window) security(do string, fields url.Values) seen {
	b.Helper()
	return b.visit(http.MethodPost, suite.URL+"/security/"+do, fields, nil)
}

// linkBack begins to link the provider, signs in there by a name, and goes as far as the way back.
func (u *upstream) linkBack(b *window, name string) seen {
	b.Helper()
	page := b.security("provider-link", url.Values{"provider_id": {u.id}})
	found := goOn.FindStringSubmatch(page.text)
	require.NotNil(b, found, page.text)
	return u.through(b, name, html.UnescapeString(found[1]))
}

// link goes to the provider and back, and returns the page that it ends at.
func (u *upstream) link(b *window, name string) seen {
	b.Helper()
	return b.visit(http.MethodGet, u.linkBack(b, name).at.String(), nil, nil)
}

// TestLinking links identity providers to the account that one is signed in to, and unlinks them, with real providers, as a browser does.
func TestLinking(t *testing.T) {
	t.Parallel()
	scenario(t, "R67 who is signed in links an identity provider that knows them by another address, and signs in with it until it is unlinked", func(t *testing.T, over string) {
		p := operatorProvider(t, over)
		who := signUp(t, over)
		b, elsewhere := signedInWindow(t, who), newWindow(t)
		there := unique("countess") + "@elsewhere.example"
		page := p.link(b, there)
		require.Contains(t, page.text, "It is linked: from now on you can sign in with it.")
		require.Equal(t, "/security", page.at.Path)
		mailTo(t, who.Email, func(m devmail.Received) bool { return strings.Contains(m.Text, "was linked to your account") })
		listed, err := who.ListFederatedIdentities(t.Context(), &identityv1.ListFederatedIdentitiesRequest{})
		require.NoError(t, err)
		require.Len(t, listed.GetFederatedIdentities(), 1)
		require.Equal(t, []string{p.id, ""}, []string{listed.GetFederatedIdentities()[0].GetProviderId(), listed.GetFederatedIdentities()[0].GetOrganizationId()})
		p.signIn(elsewhere, there)
		require.Equal(t, who.ID, elsewhere.whoIs().GetId())

		other := signedInWindow(t, signUp(t, over))
		page = p.link(other, there)
		require.Contains(t, page.text, "The identity provider knows another account here as this person.")
		require.NotContains(t, page.text, who.Email)

		page = b.security("provider-unlink", url.Values{"provider_id": {p.id}})
		require.Contains(t, page.text, "It is unlinked.")
		elsewhere.signedOut()
		mailTo(t, who.Email, func(m devmail.Received) bool { return strings.Contains(m.Text, "was unlinked from your account") })
		p.signIn(elsewhere, there)
		require.NotEqual(t, who.ID, elsewhere.whoIs().GetId(), "whom it knows is somebody else here now")
		_, err = who.UnlinkProvider(t.Context(), &identityv1.UnlinkProviderRequest{ProviderId: p.id})
		refused(t, err, errorv1.Reason_REASON_IDENTITY_PROVIDER_NOT_FOUND)
	})

	scenario(t, "R67 an organization's identity provider is linked for an address on a domain that the organization has", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		domain := org.domain(t)
		p := org.upstream(t, false)
		who := signUp(t, over)
		page := p.link(signedInWindow(t, who), unique("ada")+"@elsewhere.example")
		require.Contains(t, page.text, "has not verified the domain of the address")
		page = p.link(signedInWindow(t, who), "ada@"+domain) // the provider remembers nobody in it
		require.Contains(t, page.text, "It is linked")
		elsewhere := newWindow(t)
		p.signIn(elsewhere, "ada@"+domain)
		require.Equal(t, who.ID, elsewhere.whoIs().GetId())
	})

	scenario(t, "R18 what comes back from an identity provider is linked to the account that is signed in, in the session that began it, once", func(t *testing.T, over string) {
		p := operatorProvider(t, over)
		who, thief := signUp(t, over), signUp(t, over)
		b := signedInWindow(t, who)
		there := unique("countess") + "@elsewhere.example"
		failed := func(b *window, at string) {
			t.Helper()
			page := b.visit(http.MethodGet, at, nil, nil)
			require.Equal(t, http.StatusUnauthorized, page.status)
			require.Contains(t, page.text, "That sign-in did not come to its end")
		}
		back := p.linkBack(b, there).at
		failed(newWindow(t), back.String())
		failed(signedInWindow(t, thief), back.String())

		theirs := signedInWindow(t, thief) // the thief's browser has what the other one keeps, but for its session
		theirs.cookies[back.Host]["__Host-roster-flow"] = b.cookies[back.Host]["__Host-roster-flow"]
		failed(theirs, back.String())
		again := signedInWindow(t, who) // nor is it for another session of the same person
		again.cookies[back.Host]["__Host-roster-flow"] = b.cookies[back.Host]["__Host-roster-flow"]
		failed(again, back.String())
		require.Equal(t, who.ID, b.whoIs().GetId())
		out := p.linkBack(b, there).at
		kept := b.cookies[out.Host]["__Host-roster-flow"]
		b.visit(http.MethodPost, suite.URL+"/sign-out", url.Values{}, nil)
		page := b.visit(http.MethodGet, out.String(), nil, nil)
		require.Contains(t, page.text, "You are not signed in")
		nobody := newWindow(t) // and as a sign-in it is worth nothing
		nobody.cookies[out.Host] = map[string]string{"__Host-roster-flow": strings.TrimPrefix(kept, "link.")}
		failed(nobody, out.String())

		b = signedInWindow(t, who)
		back = p.linkBack(b, there).at
		kept = b.cookies[back.Host]["__Host-roster-flow"]
		require.Contains(t, b.visit(http.MethodGet, back.String(), nil, nil).text, "It is linked")
		b.cookies[back.Host]["__Host-roster-flow"] = kept
		failed(b, back.String())
		listed, err := thief.ListFederatedIdentities(t.Context(), &identityv1.ListFederatedIdentitiesRequest{})
		require.NoError(t, err)
		require.Empty(t, listed.GetFederatedIdentities())

		page = b.visit(http.MethodGet, suite.URL+"/security", nil, nil)
		require.Contains(t, page.text, "/security/provider-unlink")
		require.NotContains(t, page.text, `name="provider_id" value="`+p.id+`"><button class="second"`, "it is linked already")
	})

	scenario(t, "RB16 unlinking asks again who is there; who has no password proves it with the provider, comes back, and keeps the last way in", func(t *testing.T, over string) {
		p := operatorProvider(t, over)
		b, there := newWindow(t), unique("countess")+"@elsewhere.example"
		b.do(http.MethodGet, p.comeBack(b, there).at.String(), nil)
		_, err := suite.owners["identity"].Exec(t.Context(),
			`UPDATE sessions SET auth_time = now() - interval '1 hour' WHERE account_id = (SELECT account_id FROM user_emails WHERE email = $1)`, there)
		require.NoError(t, err) // before anybody has asked about the session
		page := b.security("provider-unlink", url.Values{"provider_id": {p.id}})
		require.Contains(t, page.text, "Is it you?")
		again := "/signin/oidc/" + p.id + "?again=1&amp;next=%2Fsecurity"
		require.Contains(t, page.text, `href="`+again+`"`)
		page = b.visit(http.MethodGet, p.through(b, there, suite.URL+html.UnescapeString(again)).at.String(), nil, nil)
		require.Equal(t, "/security", page.at.Path)
		page = b.security("provider-unlink", url.Values{"provider_id": {p.id}})
		require.Contains(t, page.text, "Nothing else signs you in.")
		require.Equal(t, there, b.whoIs().GetEmail())
	})
}
