package crash

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func init() {
	operations = append(operations, operation{
		name:    "sign in with an identity provider",
		arrange: sentBack,
		act:     comeBack,
		done:    errorv1.Reason_REASON_FEDERATED_SIGN_IN_FAILED,
		repeats: sessions,
	})
}

// sentBack is a browser that an identity provider, which vouches for the person, has sent back: token is what it has kept, code where it is
// sent to.
func sentBack(t *testing.T, s *scene) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	var mu sync.Mutex
	var nonce string
	mux := http.NewServeMux()
	there := httptest.NewServer(mux)
	t.Cleanup(there.Close)
	say := func(w http.ResponseWriter, answer map[string]any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		say(w, map[string]any{"issuer": there.URL, "authorization_endpoint": there.URL + "/auth", "token_endpoint": there.URL + "/token",
			"jwks_uri": there.URL + "/jwks", "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		say(w, map[string]any{"keys": []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "one", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		claims, _ := json.Marshal(map[string]any{"iss": there.URL, "aud": "roster", "sub": s.email, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
			"nonce": nonce, "email": s.email, "email_verified": true, "name": "Ada Lovelace"})
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "one"}}, nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		signed, _ := signer.Sign(claims)
		text, _ := signed.CompactSerialize()
		say(w, map[string]any{"access_token": "a", "token_type": "Bearer", "id_token": text})
	})
	made, err := s.operator.CreateOperatorProvider(t.Context(), &identityv1.CreateOperatorProviderRequest{
		DisplayName: "Example", Issuer: there.URL, ClientId: "roster", ClientSecret: "open sesame"})
	require.NoError(t, err)
	at := s.URL + "/signin/oidc/" + made.GetProvider().GetId()
	status, begun, err := browse(t.Context(), at, "")
	require.NoError(t, err)
	require.Equal(t, http.StatusSeeOther, status)
	to, err := url.Parse(begun.Get("Location"))
	require.NoError(t, err)
	mu.Lock()
	nonce = to.Query().Get("nonce")
	mu.Unlock()
	s.token, _, _ = strings.Cut(begun.Get("Set-Cookie"), ";")
	s.code = at + "/callback?" + url.Values{"state": {to.Query().Get("state")}, "code": {"c"}, "iss": {there.URL}}.Encode()
}

// comeBack follows the way back until there is an answer.
func comeBack(ctx context.Context, s *scene) (proto.Message, error) {
	for {
		status, _, err := browse(ctx, s.code, s.token)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil || status >= http.StatusInternalServerError:
			<-time.After(100 * time.Millisecond) // as a person would look again
		case status == http.StatusSeeOther:
			return &identityv1.CompleteFederatedSignInResponse{}, nil
		default:
			return nil, fault.New(errorv1.Reason_REASON_FEDERATED_SIGN_IN_FAILED, "The page said no.")
		}
	}
}

// browse opens a page and follows nothing.
func browse(ctx context.Context, at, cookie string) (status int, header http.Header, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return 0, nil, err
	}
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	answer, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	return answer.StatusCode, answer.Header, answer.Body.Close()
}
