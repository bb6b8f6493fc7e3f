package gateway

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func TestLinkPages(t *testing.T) {
	t.Parallel()
	h := start(t)
	secret, who := h.signedIn("ada", true)
	cookie := cookieHeader(secret)
	h.ways = []*identityv1.SignInProvider{{Id: "idp_one", DisplayName: "<One>"}, {Id: "idp_two", DisplayName: "Two"}}
	h.linked = []*identityv1.FederatedIdentity{{ProviderId: "idp_two", ProviderDisplayName: "Two", CreateTime: timestamppb.Now()}}
	var heard *identityv1.CompleteLinkProviderRequest
	h.link = func(_ context.Context, req *identityv1.CompleteLinkProviderRequest) (*identityv1.CompleteLinkProviderResponse, error) {
		heard = req
		switch req.GetCode() {
		case "taken":
			return nil, fault.New(errorv1.Reason_REASON_IDENTITY_TAKEN, "It is somebody's.")
		case "bad":
			return nil, refuse(errorv1.Reason_REASON_FEDERATED_SIGN_IN_FAILED)
		}
		return &identityv1.CompleteLinkProviderResponse{}, nil
	}
	const back = "/signin/oidc/idp_one/callback?state=s&iss=https%3A%2F%2Faccounts.example.com&code="
	const kept = flowCookie + "=link.the-flow"

	t.Run("TheSecurityPageLinksWhatIsNotLinkedAndUnlinksWhatIs", func(t *testing.T) {
		a := h.open("/security", "Cookie", cookie)
		requirePage(t, a, 200, "Identity providers", "Link <One>", "Unlink Two", "Signs you in since")
		require.NotContains(t, a.words(), "Link Two")
		require.Equal(t, "idp_two", a.fields("/security/provider-unlink").Get("provider_id"))
		a = h.post("/security/provider-unlink", a.fields("/security/provider-unlink").Encode(), "Cookie", cookie)
		require.Equal(t, "/security?done=provider-unlink", a.Header.Get("Location"))
	})
	t.Run("R40 TheFlowIsKeptByTheBrowserAndALinkLeadsToTheProvider", func(t *testing.T) {
		a := h.post("/security/provider-link", "provider_id=idp_one", "Cookie", cookie)
		requirePage(t, a, 200, "Go on to the provider")
		require.Contains(t, a.text, `href="https://accounts.example.com/auth?client_id=idp_one&amp;state=s"`)
		set := setCookies(a)[flowCookie]
		require.Equal(t, "link.the-flow", set.Value)
		require.True(t, set.HttpOnly && set.Secure && set.Path == "/" && set.SameSite == http.SameSiteLaxMode)
		require.NotContains(t, h.log.String(), "the-flow")
	})
	t.Run("R18 WhoComesBackIsWhoIsSignedIn", func(t *testing.T) {
		a := h.open(back+"good", "Cookie", cookie+"; "+kept)
		require.Equal(t, http.StatusSeeOther, a.StatusCode, a.text)
		require.Equal(t, "/security?done=provider-link", a.Header.Get("Location"))
		require.Equal(t, -1, setCookies(a)[flowCookie].MaxAge, "it is good once")
		require.Equal(t, []string{"idp_one", "the-flow", "s", "good", "https://accounts.example.com"},
			[]string{heard.GetProviderId(), heard.GetFlow(), heard.GetState(), heard.GetCode(), heard.GetIssuer()})
		_, by := h.latest()
		require.Equal(t, who.account.GetId(), by.Account.String())
		heard = nil
		requirePage(t, h.open(back+"good", "Cookie", kept), 401, "You are not signed in")
		require.Nil(t, heard)
		requirePage(t, h.open(back+"bad", "Cookie", cookie+"; "+kept), 401, "That sign-in did not come to its end")
		requirePage(t, h.open(back+"good&code=better", "Cookie", cookie+"; "+kept), 401, "That sign-in did not come to its end")
		requirePage(t, h.open(back+"taken", "Cookie", cookie+"; "+kept), 409, "Nothing was linked", "It is somebody's.")
		a = h.open("/signin/oidc/idp_one/callback?error=%3Cscript%3E&error_description=Call+555", "Cookie", cookie+"; "+kept)
		requirePage(t, a, 200, "Nothing was linked")
		require.NotContains(t, a.text, "555")
	})
	t.Run("RB16 WhoSignsInWithAProviderProvesItThereAndComesBack", func(t *testing.T) {
		h.lock.Lock()
		h.stepUp = true
		h.lock.Unlock()
		a := h.post("/security/provider-link", "provider_id=idp_one", "Cookie", cookie)
		requirePage(t, a, 200, "Is it you?", "You sign in with Two?")
		require.Contains(t, a.text, `href="/signin/oidc/idp_two?again=1&amp;next=%2Fsecurity"`)
		require.NotContains(t, a.words(), "You sign in with <One>?")
		require.Empty(t, setCookies(a)[flowCookie])
		require.Equal(t, url.Values{"do": {"provider-link"}, "form": {"provider_id=idp_one"}}, a.fields("/security/prove"))
	})
}
