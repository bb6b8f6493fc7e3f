package e2e

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/devmail"
	"github.com/rosterhq/roster/services/internal/devoidc"
)

// upstream is a real identity provider, a process of its own, that the suite knows.
type upstream struct {
	*devoidc.Provider
	id, name string
}

// callback tells where the provider sends people back to.
func (u *upstream) callback(at *url.URL) bool { return strings.HasSuffix(at.Path, u.id+"/callback") }

// operatorProvider starts a provider that the deployment believes.
func operatorProvider(t *testing.T, over string) *upstream {
	t.Helper()
	p, err := devoidc.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(p.Stop)
	operator := connect(over, suite.operator)
	made, err := operator.CreateOperatorProvider(t.Context(), &identityv1.CreateOperatorProviderRequest{
		DisplayName: unique("Example"), Issuer: p.Issuer, ClientId: "none yet", Disabled: true})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := operator.DeleteOperatorProvider(context.Background(), &identityv1.DeleteOperatorProviderRequest{ProviderId: made.GetProvider().GetId()})
		require.NoError(t, err)
	})
	client, secret, err := p.Register(t.Context(), made.GetProvider().GetRedirectUri())
	require.NoError(t, err)
	_, err = operator.UpdateOperatorProvider(t.Context(), &identityv1.UpdateOperatorProviderRequest{
		ProviderId: made.GetProvider().GetId(), ClientId: &client, ClientSecret: &secret, Enabled: new(true)})
	require.NoError(t, err)
	return &upstream{p, made.GetProvider().GetId(), made.GetProvider().GetDisplayName()}
}

// comeBack signs in at the provider by a name, and goes as far as the way back.
func (u *upstream) comeBack(b *window, name string) seen {
	b.Helper()
	return u.through(b, name, suite.URL+"/signin/oidc/"+u.id)
}

// through begins at an address of ours.
func (u *upstream) through(b *window, name, at string) seen {
	b.Helper()
	page := b.visit(http.MethodGet, at, nil, u.callback)
	for range 3 { // the name, and what we want to know
		if u.callback(page.at) {
			return page
		}
		page = b.submit(page, url.Values{"login": {name}, "password": {"any"}}, u.callback)
	}
	require.True(b, u.callback(page.at), page.text)
	return page
}

// signIn signs in with the provider, and returns the page that it ends at.
func (u *upstream) signIn(b *window, name string) seen {
	b.Helper()
	return b.visit(http.MethodGet, u.comeBack(b, name).at.String(), nil, nil)
}

// whoIs returns the account that a browser is signed in to.
func (b *window) whoIs() *identityv1.Account {
	b.Helper()
	answer, text := b.do(http.MethodGet, suite.URL+"/v1/me", nil)
	require.Equal(b, http.StatusOK, answer.StatusCode, text)
	var me identityv1.GetMeResponse
	require.NoError(b, protojson.Unmarshal([]byte(text), &me))
	return me.GetAccount()
}

// TestFederatedSignIn signs in with a real identity provider, as a browser does.
func TestFederatedSignIn(t *testing.T) {
	t.Parallel()
	scenario(t, "R67 an account is linked to an identity provider when both sides have proven the address", func(t *testing.T, over string) {
		p := operatorProvider(t, over)
		who := signUp(t, over)
		b := newWindow(t)
		require.Contains(t, b.visit(http.MethodGet, suite.URL+"/sign-in", nil, nil).text, "/signin/oidc/"+p.id)
		p.signIn(b, who.Email)
		require.Equal(t, who.ID, b.whoIs().GetId())
		mailTo(t, who.Email, func(m devmail.Received) bool { return strings.Contains(m.Text, "was linked to your account") })

		fresh := unique("new") + "@example.com"
		b = newWindow(t)
		p.signIn(b, fresh)
		require.Equal(t, fresh, b.whoIs().GetEmail())
		again := newWindow(t)
		p.signIn(again, fresh)
		require.Equal(t, b.whoIs().GetId(), again.whoIs().GetId())
		require.NotEqual(t, b.session(), again.session())
	})

	scenario(t, "R65 an address is proven when the identity provider says so in so many words", func(t *testing.T, over string) {
		p := operatorProvider(t, over)
		who := signUpAs(t, over, unique("unverified.ada")+"@example.com")
		b := newWindow(t)
		page := p.signIn(b, who.Email)
		require.Equal(t, http.StatusBadRequest, page.status)
		require.Contains(t, page.text, "The identity provider does not say that it has checked your address")
		require.Empty(t, b.session())
		page = p.signIn(newWindow(t), unique("unverified.new")+"@example.com")
		require.Contains(t, page.text, "The identity provider does not say that it has checked your address")
	})

	scenario(t, "R44 who may not sign in does not with an identity provider either, and is not enabled by it", func(t *testing.T, over string) {
		p := operatorProvider(t, over)
		org := create(t, over, rbac)
		who := org.join(t, "member")
		b := newWindow(t)
		p.signIn(b, who.Email)
		require.Equal(t, who.ID, b.whoIs().GetId())
		org.disable(t, who)
		eventually(t, func() bool {
			answer, _ := b.do(http.MethodGet, suite.URL+"/v1/me", nil)
			return answer.StatusCode == http.StatusUnauthorized
		}, "the session ends")
		b = newWindow(t)
		page := p.signIn(b, who.Email)
		require.Contains(t, page.text, "This account may not sign in")
		require.Empty(t, b.session())
	})

	scenario(t, "R36 an identity provider is no way around the second factor", func(t *testing.T, over string) {
		p := operatorProvider(t, over)
		who := signUp(t, over)
		a, _, _ := enrol(t, over, who.client)
		b := newWindow(t)
		page := p.signIn(b, who.Email)
		require.Contains(t, page.text, "Is it you?")
		answer, _ := b.do(http.MethodGet, suite.URL+"/v1/me", nil)
		require.Equal(t, http.StatusBadRequest, answer.StatusCode)
		b.submit(page, url.Values{"code": {a.code(t)}}, nil)
		require.Equal(t, who.ID, b.whoIs().GetId())
	})

	scenario(t, "R18 the way back from an identity provider works once, in the browser that went there, to the provider it went to", func(t *testing.T, over string) {
		p, other := operatorProvider(t, over), operatorProvider(t, over)
		name := unique("ada") + "@example.com"
		b, thief := newWindow(t), newWindow(t)
		back := p.comeBack(b, name).at
		failed := func(b *window, at string) {
			t.Helper()
			page := b.visit(http.MethodGet, at, nil, nil)
			require.Equal(t, http.StatusUnauthorized, page.status)
			require.Contains(t, page.text, "That sign-in did not come to its end")
			require.Empty(t, b.session())
		}
		failed(thief, back.String())
		other.comeBack(thief, name)
		failed(thief, back.String())
		mixed := newWindow(t)
		failed(mixed, strings.Replace(p.comeBack(mixed, name).at.String(), p.id, other.id, 1))

		kept := make(map[string]string)
		for name, value := range b.cookies[back.Host] {
			kept[name] = value
		}
		b.visit(http.MethodGet, back.String(), nil, nil)
		require.Equal(t, name, b.whoIs().GetEmail())
		failed(&window{T: t, cookies: map[string]map[string]string{back.Host: kept}}, back.String())

		gaveUp := newWindow(t)
		gaveUp.visit(http.MethodGet, suite.URL+"/signin/oidc/"+p.id, nil, p.callback)
		page := gaveUp.visit(http.MethodGet, suite.URL+"/signin/oidc/"+p.id+"/callback?error=access_denied&state=x", nil, nil)
		require.Contains(t, page.text, "You are not signed in")
	})
}
