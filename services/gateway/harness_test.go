package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/credential"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/network"
	"github.com/rosterhq/roster/services/internal/server"
)

const publicURL = "https://roster.example"

// harness is the gateway before real gRPC servers, whose verbs are the test's.
type harness struct {
	*fakes
	t       *testing.T
	url     string
	network network.Network
	log     *logged

	mu        sync.Mutex
	forgotten []id.Session
}

// start starts everything. Configure what the verbs do before; they may change until they are called.
func start(t *testing.T, change ...func(*Dependencies)) *harness {
	h := &harness{t: t, fakes: newFakes(), network: network.Memory(), log: new(logged)}
	for _, role := range []string{"identity", "membership", "invitation", "billing"} {
		h.serve(role)
	}
	resolver := credential.NewResolver(identityv1.NewCredentialServiceClient(h.dial("gateway", "identity")), time.Now)
	d := Dependencies{
		Conns:     make(map[string]*grpc.ClientConn),
		PublicURL: publicURL,
		Log:       slog.New(slog.NewJSONHandler(h.log, nil)),
		Forget: func(s id.Session) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.forgotten = append(h.forgotten, s)
			resolver.Forget(s)
		},
	}
	for _, service := range services {
		d.Conns[service.role] = h.dial("gateway", service.role,
			grpc.WithChainUnaryInterceptor(ClientInterceptor(resolver, service.role)),
			grpc.WithChainStreamInterceptor(StreamInterceptor(resolver, service.role)))
	}
	for _, c := range change {
		c(&d)
	}
	handler, err := New(d)
	require.NoError(t, err)
	web := httptest.NewServer(handler)
	t.Cleanup(web.Close)
	h.url = web.URL
	return h
}

func (h *harness) serve(role string) {
	lis, creds, err := h.network.Listen(role, "")
	require.NoError(h.t, err)
	identity := identityv1.NewCredentialServiceClient(h.dial(role, "identity"))
	auth := &credential.Authenticator{
		Resolver: credential.NewResolver(identity, time.Now),
		Verifier: credential.NewVerifier(role, credential.KeysOf(identity), time.Now),
	}
	s := server.New(creds, server.Config{Role: role, Authenticate: auth.Authenticate, Log: slog.New(slog.DiscardHandler)})
	switch role {
	case "identity":
		identityv1.RegisterAccountServiceServer(s, h.fakes)
		identityv1.RegisterSessionServiceServer(s, h.fakes)
		identityv1.RegisterPasswordServiceServer(s, h.fakes)
		identityv1.RegisterEmailServiceServer(s, h.fakes)
		identityv1.RegisterFactorServiceServer(s, h.fakes)
		identityv1.RegisterFederatedSignInServiceServer(s, h.fakes)
		identityv1.RegisterFederatedIdentityServiceServer(s, h.fakes)
		identityv1.RegisterCredentialServiceServer(s, h.fakes)
		identityv1.RegisterAccountDirectoryServiceServer(s, h.fakes)
	case "membership":
		membershipv1.RegisterMemberServiceServer(s, h.fakes)
		membershipv1.RegisterAuditServiceServer(s, h.fakes)
		membershipv1.RegisterOrganizationServiceServer(s, h.fakes)
	case "invitation":
		invitationv1.RegisterInvitationServiceServer(s, h.fakes)
	case "billing":
		billingv1.RegisterSeatUsageServiceServer(s, h.fakes)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(ctx, lis)
	}()
	h.t.Cleanup(func() { cancel(); <-done })
}

func (h *harness) dial(from, to string, opts ...grpc.DialOption) *grpc.ClientConn {
	conn, err := h.network.Dial(from, to, "", opts...)
	require.NoError(h.t, err)
	h.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// answer is what the edge answered.
type answer struct {
	*http.Response
	text string
}

// json returns a member of the body, by its path.
func (a answer) json(t *testing.T, path ...string) any {
	t.Helper()
	var value any
	require.NoError(t, json.Unmarshal([]byte(a.text), &value), a.text)
	for _, name := range path {
		value, _ = value.(map[string]any)[name]
	}
	return value
}

// reason returns the reason of a refusal.
func (a answer) reason(t *testing.T) string {
	t.Helper()
	details, _ := a.json(t, "details").([]any)
	require.NotEmpty(t, details, a.text)
	info := details[0].(map[string]any)
	require.Equal(t, "type.googleapis.com/google.rpc.ErrorInfo", info["@type"])
	require.Equal(t, "roster", info["domain"])
	return info["reason"].(string)
}

// violations returns what the refusal says of each field.
func (a answer) violations(t *testing.T) map[string]string {
	t.Helper()
	said := make(map[string]string)
	for _, detail := range a.json(t, "details").([]any) {
		bad, _ := detail.(map[string]any)["fieldViolations"].([]any)
		for _, v := range bad {
			said[v.(map[string]any)["field"].(string)] = v.(map[string]any)["description"].(string)
		}
	}
	return said
}

// cookie returns the session cookie that the answer sets; nil: none.
func (a answer) cookie() *http.Cookie {
	for _, c := range a.Cookies() {
		if c.Name == cookieName {
			return c
		}
	}
	return nil
}

func (h *harness) send(r *http.Request) answer {
	h.t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: 30 * time.Second}
	resp, err := client.Do(r)
	require.NoError(h.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(h.t, err)
	return answer{resp, string(text)}
}

func (h *harness) request(method, path, body string, headers ...string) *http.Request {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, strings.NewReader(body))
	require.NoError(h.t, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

// do sends an API call.
func (h *harness) do(method, path, body string, headers ...string) answer {
	h.t.Helper()
	return h.send(h.request(method, path, body, headers...))
}

// open opens a page as a browser does.
func (h *harness) open(path string, headers ...string) answer {
	h.t.Helper()
	return h.do(http.MethodGet, path, "", append([]string{"Accept", "text/html,*/*;q=0.8"}, headers...)...)
}

// post sends a form as a browser does.
func (h *harness) post(path, form string, headers ...string) answer {
	h.t.Helper()
	r := h.request(http.MethodPost, path, form, append([]string{"Accept", "text/html,*/*;q=0.8", "Sec-Fetch-Site", "same-origin"}, headers...)...)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return h.send(r)
}

// logged is the log of the edge.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// last returns the latest line.
func (l *logged) last(t *testing.T) (line map[string]any) {
	lines := strings.Split(strings.TrimSpace(l.String()), "\n")
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &line))
	return line
}

// person is somebody with a session.
type person struct {
	account *identityv1.Account
	session id.Session
	cookie  bool // the session is one for browsers
	stage   caller.Stage
}

// newKey returns a key of identity.
func newKey() jose.JSONWebKey {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return jose.JSONWebKey{Key: private, KeyID: "one", Algorithm: string(jose.EdDSA), Use: "sig"}
}

func inAnHour() *timestamppb.Timestamp { return timestamppb.New(time.Now().Add(time.Hour)) }
