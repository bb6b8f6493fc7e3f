package canary

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/testkit"
)

// export keeps what somebody gets who asks what is kept of them.
func (s *suite) export(t *testing.T, as context.Context, of string) {
	t.Helper()
	kept, err := identityv1.NewExportServiceClient(s.Conn()).ExportAccount(as, &identityv1.ExportAccountRequest{})
	require.NoError(t, err)
	s.exports["export of "+of], err = protojson.Marshal(kept)
	require.NoError(t, err)
	require.Contains(t, string(s.exports["export of "+of]), of)
}

// challenge remembers that of a passkey's options.
func (s *suite) challenge(t *testing.T, what, options string) string {
	t.Helper()
	var said struct{ Challenge string }
	require.NoError(t, json.Unmarshal([]byte(options), &said))
	s.plant(t, what, said.Challenge)
	return options
}

// changeAddress makes somebody who sets up a passkey, takes another address, and gets the old one back.
func (s *suite) changeAddress(t *testing.T, as func(string) context.Context, sessions identityv1.SessionServiceClient) {
	t.Helper()
	ctx := t.Context()
	accounts, emails, factors := identityv1.NewAccountServiceClient(s.Conn()), identityv1.NewEmailServiceClient(s.Conn()), identityv1.NewFactorServiceClient(s.Conn())
	password := s.plant(t, "password of who moves", "canary saffron ladder 3108")
	_, err := accounts.SignUp(ctx, &identityv1.SignUpRequest{Email: "dora@example.com", Password: password, DisplayName: "Dora"})
	require.NoError(t, err)
	_, err = accounts.VerifyEmail(ctx, &identityv1.VerifyEmailRequest{Token: s.link(t, "link of who moves", "dora@example.com", "/verify/")})
	require.NoError(t, err)
	in, err := sessions.CreateSession(ctx, &identityv1.CreateSessionRequest{Email: "dora@example.com", Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
	require.NoError(t, err)
	dora := s.plant(t, "session of who moves", in.GetToken())

	begun, err := factors.BeginPasskey(as(dora), &identityv1.BeginPasskeyRequest{})
	require.NoError(t, err)
	key := testkit.NewPasskey(t, s.URL)
	made := key.Create(t, s.challenge(t, "challenge of a new passkey", begun.GetOptions()))
	confirmed, err := factors.ConfirmPasskey(as(dora), &identityv1.ConfirmPasskeyRequest{Passkey: made})
	require.NoError(t, err)
	dora = s.plant(t, "session with a passkey", confirmed.GetToken())
	for i, code := range confirmed.GetRecoveryCodes() {
		s.plant(t, "recovery code beside a passkey "+string(rune('a'+i)), code)
	}
	_, err = factors.ConfirmPasskey(as(dora), &identityv1.ConfirmPasskeyRequest{Passkey: made})
	require.Error(t, err, "again")
	proof, err := sessions.BeginPasskeyProof(as(dora), &identityv1.BeginPasskeyProofRequest{})
	require.NoError(t, err)
	s.challenge(t, "challenge that nobody answers", proof.GetOptions())
	alone, err := sessions.BeginPasskeySignIn(ctx, &identityv1.BeginPasskeySignInRequest{})
	require.NoError(t, err)
	key.Counter = 1
	signed, err := sessions.FinishPasskeySignIn(ctx, &identityv1.FinishPasskeySignInRequest{
		Passkey: key.Sign(t, s.challenge(t, "challenge of a sign-in", alone.GetOptions())), Delivery: identityv1.Delivery_DELIVERY_TOKEN})
	require.NoError(t, err)
	s.plant(t, "session by passkey", signed.GetToken())

	_, err = emails.AddEmail(as(dora), &identityv1.AddEmailRequest{Email: "dora@works.example"})
	require.NoError(t, err)
	proven := s.link(t, "link to another address", "dora@works.example", "/verify/")
	s.get(t, "/verify/"+proven)
	_, err = accounts.VerifyEmail(ctx, &identityv1.VerifyEmailRequest{Token: proven})
	require.NoError(t, err)
	_, err = emails.SetPrimaryEmail(as(dora), &identityv1.SetPrimaryEmailRequest{Email: "dora@works.example"})
	require.NoError(t, err)
	s.export(t, as(dora), "dora@works.example")
	back := s.link(t, "link that takes an address back", "dora@example.com", "/revert-email/")
	s.get(t, "/revert-email/"+back)
	_, err = emails.RevertEmailChange(ctx, &identityv1.RevertEmailChangeRequest{Token: back})
	require.NoError(t, err)
	_, err = emails.RevertEmailChange(ctx, &identityv1.RevertEmailChangeRequest{Token: back})
	require.Error(t, err, "again")
	_, err = emails.AddEmail(as(dora), &identityv1.AddEmailRequest{Email: "dora@elsewhere.example"})
	require.Error(t, err, "with a session that has ended")
}

// comeFromProvider signs in with an identity provider, as a browser does, and fails to with what is used up.
func (s *suite) comeFromProvider(t *testing.T, as func(string) context.Context, operator string) {
	t.Helper()
	there := testkit.NewIDP(t).Says("sub", "canary-there").Says("email", "frank@example.com")
	made, err := identityv1.NewOperatorProviderServiceClient(s.Conn()).CreateOperatorProvider(as(operator), &identityv1.CreateOperatorProviderRequest{
		DisplayName: "Example", Issuer: there.URL, ClientId: testkit.ClientID, ClientSecret: s.plant(t, "client secret", testkit.ClientSecret)})
	require.NoError(t, err)
	at := s.URL + "/signin/oidc/" + made.GetProvider().GetId()
	browse := func(at string, cookies ...*http.Cookie) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
		require.NoError(t, err)
		for _, cookie := range cookies {
			req.AddCookie(cookie)
		}
		answer, err := http.DefaultTransport.RoundTrip(req)
		require.NoError(t, err)
		answer.Body.Close()
		return answer
	}
	begun := browse(at)
	require.Equal(t, http.StatusSeeOther, begun.StatusCode)
	sent, code := there.Visit(begun.Header.Get("Location"))
	require.Len(t, begun.Cookies(), 1)
	s.plant(t, "flow", begun.Cookies()[0].Value)
	for _, name := range []string{"state", "nonce"} {
		s.plant(t, name, sent.Get(name))
	}
	back := at + "/callback?" + url.Values{"state": {sent.Get("state")}, "code": {s.plant(t, "code", code)}, "iss": {there.URL}}.Encode()
	in := browse(back, begun.Cookies()...)
	require.Equal(t, http.StatusSeeOther, in.StatusCode)
	for _, cookie := range in.Cookies() {
		if strings.HasPrefix(cookie.Value, "rst_") {
			s.plant(t, "cookie of who came from there", cookie.Value)
		}
	}
	require.NotEmpty(t, s.secrets["cookie of who came from there"])
	require.NotEqual(t, http.StatusSeeOther, browse(back, begun.Cookies()...).StatusCode, "it is used up")
	require.NotEqual(t, http.StatusSeeOther, browse(back).StatusCode, "without what the browser has kept")
}
