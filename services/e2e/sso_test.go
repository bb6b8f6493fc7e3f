package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/devoidc"
	"github.com/rosterhq/roster/services/internal/id"
)

// identityProvider adds an identity provider of the organization, with which nobody can sign in yet.
func (o *organization) identityProvider(t *testing.T, join bool) *membershipv1.OrganizationProvider {
	t.Helper()
	made, err := o.owner.CreateIdentityProvider(t.Context(), &membershipv1.CreateIdentityProviderRequest{
		OrganizationId: o.ID, DisplayName: unique("Works"), Issuer: "https://login.works.example", ClientId: "none yet", Disabled: true, Join: join})
	require.NoError(t, err)
	return made.GetProvider()
}

// upstream starts a provider of the organization's own.
func (o *organization) upstream(t *testing.T, join bool) *upstream {
	t.Helper()
	p, err := devoidc.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(p.Stop)
	made, err := o.owner.CreateIdentityProvider(t.Context(), &membershipv1.CreateIdentityProviderRequest{
		OrganizationId: o.ID, DisplayName: unique("Works"), Issuer: p.Issuer, ClientId: "none yet", Disabled: true, Join: join})
	require.NoError(t, err)
	client, secret, err := p.Register(t.Context(), made.GetProvider().GetRedirectUri())
	require.NoError(t, err)
	u := &upstream{p, made.GetProvider().GetId(), made.GetProvider().GetDisplayName()}
	updated := o.update(t, u, &membershipv1.UpdateIdentityProviderRequest{ClientId: &client, ClientSecret: &secret, Enabled: proto.Bool(true)})
	require.True(t, updated.GetEnabled() && updated.GetClientSecretSet())
	return u
}

func (o *organization) update(t *testing.T, u *upstream, req *membershipv1.UpdateIdentityProviderRequest) *membershipv1.OrganizationProvider {
	t.Helper()
	req.OrganizationId, req.ProviderId = o.ID, u.id
	answer, err := o.owner.UpdateIdentityProvider(t.Context(), req)
	require.NoError(t, err)
	return answer.GetProvider()
}

// signedOut waits until a browser is nobody's.
func (b *window) signedOut() {
	b.Helper()
	eventually(b.T, func() bool {
		answer, _ := b.do(http.MethodGet, suite.URL+"/v1/me", nil)
		return answer.StatusCode == http.StatusUnauthorized
	}, "the session ends")
}

// TestOrganizationSignIn signs in with the real identity provider of an organization, as a browser does.
func TestOrganizationSignIn(t *testing.T) {
	t.Parallel()
	const noSay = "Your identity provider has no say over this address here"

	scenario(t, "R67 an organization's identity provider is believed about addresses on the domains that it has now", func(t *testing.T, over string) {
		org, other := create(t, over, pipeline), create(t, over, pipeline)
		domain, foreign := org.domain(t), other.domain(t)
		p := org.upstream(t, false)
		ada := signUpAs(t, over, "ada@"+domain)
		b := newWindow(t)
		p.signIn(b, ada.Email)
		require.Equal(t, ada.ID, b.whoIs().GetId())
		grace := newWindow(t)
		p.signIn(grace, "grace@"+domain)
		require.Equal(t, "grace@"+domain, grace.whoIs().GetEmail())

		victim := signUpAs(t, over, "victim@"+foreign)
		for _, name := range []string{victim.Email, "nobody@" + foreign, "x@mail." + domain, signUp(t, over).Email} {
			thief := newWindow(t)
			page := p.signIn(thief, name)
			require.Contains(t, page.text, noSay, name)
			require.Empty(t, thief.session())
		}

		_, err := org.owner.RemoveDomain(t.Context(), &membershipv1.RemoveDomainRequest{OrganizationId: org.ID, Domain: domain})
		require.NoError(t, err)
		late := newWindow(t)
		require.Contains(t, p.signIn(late, ada.Email).text, noSay)
		require.Empty(t, late.session())
	})

	scenario(t, "R65 an organization's identity provider proves no address that it has not checked", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		domain := org.domain(t)
		p := org.upstream(t, true)
		b := newWindow(t)
		page := p.signIn(b, "unverified.ada@"+domain)
		require.Contains(t, page.text, "Your address is not confirmed")
		require.Empty(t, b.session())
	})

	scenario(t, "RB13 who signs in with an organization's identity provider becomes a member where it says so, with a seat, and once", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		domain := org.domain(t)
		p := org.upstream(t, false)
		org.limit(t, 1)
		b := newWindow(t)
		p.signIn(b, "ada@"+domain)
		ada := &person{ID: b.whoIs().GetId()}
		org.update(t, p, &membershipv1.UpdateIdentityProviderRequest{Join: proto.Bool(true)})
		p.signIn(newWindow(t), "ada@"+domain)
		eventually(t, func() bool { return len(org.waiting(t, org.owner)) == 1 }, "she waits for a seat")
		require.False(t, org.can(t, ada, "org.read"), "nor did she join before")
		org.limit(t, 5)
		eventually(t, func() bool { return org.can(t, ada, "org.read") }, "she is let in")
		require.Equal(t, "viewer", org.row(t, ada.ID).GetRole())
		again := newWindow(t)
		p.signIn(again, "ada@"+domain)
		require.Equal(t, ada.ID, again.whoIs().GetId())
		require.EqualValues(t, 2, org.seats(t).GetUsed())
		require.Equal(t, 2, org.events(t, "membership", "member.added"))
		for kind, n := range map[string]int{"provider.created": 1, "provider.updated": 2} {
			require.Equal(t, n, org.events(t, "membership", kind), kind)
		}
	})

	scenario(t, "RB14 who signs in with an organization's identity provider gets no more than a member may", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		domain := org.domain(t)
		p := org.upstream(t, true)
		org.amend(t, `{"default_join_role": "developer"}`)
		_, err := org.owner.CreateIdentityProvider(t.Context(), &membershipv1.CreateIdentityProviderRequest{
			OrganizationId: org.ID, DisplayName: "More", Issuer: p.Issuer, ClientId: "roster", Join: true})
		refused(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		b := newWindow(t)
		p.signIn(b, "ada@"+domain)
		eventually(t, func() bool { return len(org.waiting(t, org.owner)) == 1 }, "she is noted, and left there")
		require.False(t, org.can(t, &person{ID: b.whoIs().GetId()}, "org.read"))
	})

	scenario(t, "R44 who was disabled or removed in an organization stays so when they sign in with its identity provider", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		domain := org.domain(t)
		p := org.upstream(t, true)
		var people []*person
		for _, name := range []string{"ada", "grace", "marker"} {
			org.invite(t, name+"@"+domain, "developer")
			people = append(people, org.accept(t, mailLink(t, name+"@"+domain, "/invite/")))
		}
		ada, grace, marker := people[0], people[1], people[2]
		org.disable(t, ada)
		org.remove(t, grace)
		for _, who := range []*person{ada, grace} {
			b := newWindow(t)
			p.signIn(b, who.Email)
			require.Equal(t, who.ID, b.whoIs().GetId(), "the account is theirs")
		}
		p.signIn(newWindow(t), "new@"+domain) // what is heard after them
		eventually(t, func() bool { return org.events(t, "membership", "member.added") == 5 }, "somebody new joins")
		require.Equal(t, membershipv1.Person_STATE_DISABLED, org.row(t, ada.ID).GetState())
		require.False(t, org.can(t, ada, "org.read") || org.can(t, grace, "org.read"))
		require.True(t, org.can(t, marker, "org.read"))
		require.Zero(t, org.events(t, "membership", "member.enabled"))
	})

	scenario(t, "R43 sessions that came from an identity provider end when it is disabled or gone", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		domain := org.domain(t)
		p := org.upstream(t, false)
		ada := signUpAs(t, over, "ada@"+domain)
		b, waiting := newWindow(t), newWindow(t)
		p.signIn(b, ada.Email)
		require.Equal(t, ada.ID, b.whoIs().GetId())
		back := p.comeBack(waiting, ada.Email).at.String()
		org.update(t, p, &membershipv1.UpdateIdentityProviderRequest{Enabled: proto.Bool(false)})
		b.signedOut()
		_, err := ada.GetMe(t.Context(), &identityv1.GetMeRequest{})
		require.NoError(t, err, "she came another way")
		require.Contains(t, waiting.visit(http.MethodGet, back, nil, nil).text, "There is no such way to sign in")

		org.update(t, p, &membershipv1.UpdateIdentityProviderRequest{Enabled: proto.Bool(true)})
		p.signIn(b, ada.Email)
		require.Equal(t, ada.ID, b.whoIs().GetId())
		_, err = org.owner.DeleteIdentityProvider(t.Context(), &membershipv1.DeleteIdentityProviderRequest{OrganizationId: org.ID, ProviderId: p.id})
		require.NoError(t, err)
		b.signedOut()
		require.Contains(t, newWindow(t).visit(http.MethodGet, suite.URL+"/signin/oidc/"+p.id, nil, nil).text, "There is no such way to sign in")
	})

	scenario(t, "R63 the page for signing in to an organization shows its identity providers, and says nothing of one that there is not", func(t *testing.T, over string) {
		org, other := create(t, over, pipeline), create(t, over, pipeline)
		p := org.upstream(t, false)
		page := func(organization string) string {
			return newWindow(t).visit(http.MethodGet, suite.URL+"/signin/"+organization, nil, nil).text
		}
		require.Contains(t, page(org.ID), "/signin/oidc/"+p.id)
		require.NotContains(t, newWindow(t).visit(http.MethodGet, suite.URL+"/sign-in", nil, nil).text, p.id)
		nobody := id.NewOrganization().String()
		require.Equal(t, strings.ReplaceAll(page(other.ID), other.ID, ""), strings.ReplaceAll(page(nobody), nobody, ""))

		domain := org.domain(t)
		b := newWindow(t)
		at := p.comeBackFor(b, "ada@"+domain, "/?from=there").at.String()
		require.Equal(t, "/?from=there", b.visit(http.MethodGet, at, nil, nil).at.RequestURI())
	})

	scenario(t, "R18 what another organization's identity provider has said is not taken for this one's", func(t *testing.T, over string) {
		org, evil := create(t, over, pipeline), create(t, over, pipeline)
		domain := org.domain(t)
		p, theirs := org.upstream(t, false), evil.upstream(t, false)
		ada := signUpAs(t, over, "ada@"+domain)
		b := newWindow(t)
		at := theirs.comeBack(b, ada.Email).at.String()
		page := b.visit(http.MethodGet, strings.Replace(at, theirs.id, p.id, 1), nil, nil)
		require.Contains(t, page.text, "That sign-in did not come to its end")
		require.Empty(t, b.session())
	})
}

// comeBackFor is comeBack for a sign-in that leads somewhere.
func (u *upstream) comeBackFor(b *window, name, next string) seen {
	b.Helper()
	return u.through(b, name, suite.URL+"/signin/oidc/"+u.id+"?next="+url.QueryEscape(next))
}
