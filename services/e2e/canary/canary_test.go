// Package canary plants secrets and looks for them. A suite of its own processes goes through everything that handles a
// secret, failures included; then all that it has written, said, published and counted is searched.
package canary

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/rosterhq/roster/pkg/events"
	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/devmail"
	"github.com/rosterhq/roster/services/internal/fleet"
	"github.com/rosterhq/roster/services/internal/network"
)

const soon = 30 * time.Second

// hostile is text that a terminal or a log would obey.
const hostile = "Eve\r\nlevel=ERROR msg=forged\x1b[31m\x1b]0;owned\x07"

func TestCanary(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.live(t)
	t.Run("R84 no secret is written down", s.noSecretIsWrittenDown)
	t.Run("R84 nobody writes a line of a log", s.nobodyWritesALineOfALog)
	t.Run("R58 events carry no secret", s.eventsCarryNoSecret)
	t.Run("R58 nobody was refused by NATS", s.nobodyWasRefusedByNATS)
	t.Run("R60 what is private is not public", s.whatIsPrivateIsNotPublic)
}

// suite is a fleet, and every secret that was ever in it, by what it is.
type suite struct {
	*fleet.Fleet
	dir     string
	secrets map[string]string
	exports map[string][]byte // what people get who ask what is kept of them
	spans   *spans
}

func start(t *testing.T) *suite {
	t.Helper()
	dir, err := os.MkdirTemp("", "roster-canary-*")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o711)) // PostgreSQL's user has to pass through
	s := &suite{dir: dir, secrets: make(map[string]string), exports: make(map[string][]byte), spans: new(spans)}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, s.spans)
	go server.Serve(lis)
	t.Cleanup(server.Stop)
	s.Fleet, err = fleet.Start(t.Context(), fleet.Config{Dir: dir, Env: []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + lis.Addr().String(), "OTEL_BSP_SCHEDULE_DELAY=100",
		"ROSTER_PROVIDER_NETWORKS=127.0.0.0/8", "ROSTER_PROVIDER_PLAIN=true",
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

// plant remembers a secret.
func (s *suite) plant(t *testing.T, what, secret string) string {
	t.Helper()
	require.Greater(t, len(secret), 15, what)
	s.secrets[what] = secret
	return secret
}

func (s *suite) link(t *testing.T, what, email, part string) string {
	t.Helper()
	match := func(m devmail.Received) bool {
		return len(m.Links) > 0 && strings.Contains(strings.Join(m.Links, " "), part) && s.secrets[what] == ""
	}
	mail, err := s.Mail.Wait(t.Context(), email, match)
	require.NoError(t, err)
	for _, link := range mail.Links {
		if strings.Contains(link, part) {
			return s.plant(t, what, link[strings.LastIndex(link, "/")+1:])
		}
	}
	return ""
}

// live goes through the life of a suite.
func (s *suite) live(t *testing.T) {
	ctx := t.Context()
	as := func(token string) context.Context {
		return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	accounts, sessions := identityv1.NewAccountServiceClient(s.Conn()), identityv1.NewSessionServiceClient(s.Conn())
	organizations, members := membershipv1.NewOrganizationServiceClient(s.Conn()), membershipv1.NewMemberServiceClient(s.Conn())
	invitations := invitationv1.NewInvitationServiceClient(s.Conn())

	password := s.plant(t, "password", "canary harbor quilt 7413 plum")
	_, err := accounts.SignUp(ctx, &identityv1.SignUpRequest{Email: "ada@example.com", Password: password, DisplayName: "Ada"})
	require.NoError(t, err)
	verify := s.link(t, "verification link", "ada@example.com", "/verify/")
	_, err = accounts.VerifyEmail(ctx, &identityv1.VerifyEmailRequest{Token: verify})
	require.NoError(t, err)
	_, err = accounts.VerifyEmail(ctx, &identityv1.VerifyEmailRequest{Token: verify})
	require.Error(t, err, "again")
	session, err := sessions.CreateSession(ctx, &identityv1.CreateSessionRequest{Email: "ada@example.com", Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
	require.NoError(t, err)
	ada := s.plant(t, "session", session.GetToken())
	_, err = sessions.CreateSession(ctx, &identityv1.CreateSessionRequest{
		Email: "ada@example.com", Password: s.plant(t, "wrong password", "canary mistaken orchard 99"), Delivery: identityv1.Delivery_DELIVERY_TOKEN})
	require.Error(t, err)
	_, err = accounts.GetMe(as(s.plant(t, "wrong session", "rst_canarycanarycanarycanarycanary")), &identityv1.GetMeRequest{})
	require.Error(t, err)
	s.plant(t, "cookie", s.signInWithCookie(t, password))
	ada = s.useFactor(t, as, sessions, ada, password)
	s.losePasswords(t, as, ada)

	claimed, err := identityv1.NewOperatorServiceClient(s.Conn()).ClaimOperator(ctx, &identityv1.ClaimOperatorRequest{Token: s.plant(t, "claim", s.Claim)})
	require.NoError(t, err)
	key := s.plant(t, "API key", claimed.GetApiKey())
	s.changeAddress(t, as, sessions)
	s.comeFromProvider(t, as, key)

	made, err := identityv1.NewApiKeyServiceClient(s.Conn()).CreateApiKey(as(ada), &identityv1.CreateApiKeyRequest{
		DisplayName: "Deploy", Scopes: []string{"org.read"}})
	require.NoError(t, err)
	_, err = accounts.GetMe(as(s.plant(t, "key of a program", made.GetSecret())), &identityv1.GetMeRequest{})
	require.Error(t, err)

	services := identityv1.NewServiceAccountServiceClient(s.Conn())
	platform, err := services.CreateServiceAccount(as(key), &identityv1.CreateServiceAccountRequest{DisplayName: "Reports", Scopes: []string{"access.check", "sessions.introspect"}})
	require.NoError(t, err)
	keyed, err := services.CreateServiceAccountKey(as(key), &identityv1.CreateServiceAccountKeyRequest{
		ServiceAccountId: platform.GetServiceAccount().GetId(), DisplayName: "Blue"})
	require.NoError(t, err)
	service := s.plant(t, "key of a service account", keyed.GetSecret())
	_, err = accounts.GetMe(as(service), &identityv1.GetMeRequest{})
	require.Error(t, err)
	tokens := identityv1.NewTokenServiceClient(s.Conn())
	told, err := tokens.IntrospectToken(as(service), &identityv1.IntrospectTokenRequest{Token: ada})
	require.NoError(t, err)
	require.True(t, told.GetActive())
	_, err = tokens.IntrospectToken(as(service), &identityv1.IntrospectTokenRequest{Token: s.plant(t, "nonsense that was shown", "canary-nonsense-"+strings.Repeat("x", 40))})
	require.NoError(t, err)
	_, err = tokens.RevokeToken(as(service), &identityv1.RevokeTokenRequest{Token: made.GetSecret()})
	require.NoError(t, err)

	org, err := organizations.CreateOrganization(as(ada), &membershipv1.CreateOrganizationRequest{DisplayName: "Acme", Preset: membershipv1.Preset_PRESET_PIPELINE})
	require.NoError(t, err)
	id := org.GetOrganization().GetId()
	_, err = billingv1.NewSeatLimitServiceClient(s.Conn()).SetSeatLimit(as(key), &billingv1.SetSeatLimitRequest{OrganizationId: id, Reason: hostile})
	require.NoError(t, err) // it is kept as it is, and must not reach a log like that
	programs := membershipv1.NewOrganizationServiceAccountServiceClient(s.Conn())
	program, err := programs.CreateOrganizationServiceAccount(as(ada), &membershipv1.CreateOrganizationServiceAccountRequest{
		OrganizationId: id, DisplayName: "Deploy", Permissions: []string{"org.read"}})
	require.NoError(t, err)
	opens, err := programs.CreateOrganizationServiceAccountKey(as(ada), &membershipv1.CreateOrganizationServiceAccountKeyRequest{
		OrganizationId: id, ServiceAccountId: program.GetServiceAccount().GetId(), DisplayName: "Blue", RequestId: "canary-key"})
	require.NoError(t, err)
	_, err = organizations.GetOrganization(as(s.plant(t, "key of an organization's service account", opens.GetSecret())), &membershipv1.GetOrganizationRequest{OrganizationId: id})
	require.NoError(t, err)
	_, err = organizations.CreateOrganization(as(ada), &membershipv1.CreateOrganizationRequest{DisplayName: hostile, Preset: membershipv1.Preset_PRESET_PORTAL})
	require.Error(t, err)

	mailed, err := invitations.CreateInvitation(as(ada), &invitationv1.CreateInvitationRequest{
		OrganizationId: id, Email: "bob@example.com", Username: "bob", DisplayName: "Bob", RequestId: "canary-request"})
	require.NoError(t, err)
	first := s.link(t, "mailed link", "bob@example.com", "/invite/")
	_, err = invitations.ResendInvitation(as(ada), &invitationv1.ResendInvitationRequest{OrganizationId: id, InvitationId: mailed.GetInvitation().GetId()})
	require.NoError(t, err)
	var again string
	_, err = s.Mail.Wait(ctx, "bob@example.com", func(m devmail.Received) bool {
		for _, link := range m.Links {
			if token := link[strings.LastIndex(link, "/")+1:]; strings.Contains(link, "/invite/") && token != first {
				again = token
			}
		}
		return again != ""
	})
	require.NoError(t, err)
	s.plant(t, "second mailed link", again)
	accept := &invitationv1.AcceptInvitationRequest{LinkToken: first, Password: s.plant(t, "new member's password", "canary velvet lantern 5530"), DisplayName: "Bob",
		Delivery: identityv1.Delivery_DELIVERY_TOKEN}
	_, err = invitations.AcceptInvitation(ctx, accept)
	require.Error(t, err, "that link has been replaced")
	accept.LinkToken = again
	accepted, err := invitations.AcceptInvitation(ctx, accept)
	require.NoError(t, err)
	s.plant(t, "session of the new member", accepted.GetSessionToken())

	byLink := &invitationv1.CreateInvitationRequest{OrganizationId: id, Username: "carol", DisplayName: "Carol", RequestId: "canary-link"}
	for range 2 { // the second is answered from what was stored
		linked, err := invitations.CreateInvitation(as(ada), byLink)
		require.NoError(t, err)
		s.plant(t, "shared link", linked.GetLink()[strings.LastIndex(linked.GetLink(), "/")+1:])
		mailed = linked
	}
	_, err = invitations.PreviewInvitation(ctx, &invitationv1.PreviewInvitationRequest{LinkToken: s.secrets["shared link"]})
	require.NoError(t, err)
	s.get(t, "/invite/"+s.secrets["shared link"])
	s.get(t, "/verify/"+verify)
	renewed, err := invitations.CreateInvitationLink(as(ada), &invitationv1.CreateInvitationLinkRequest{OrganizationId: id, InvitationId: mailed.GetInvitation().GetId()})
	require.NoError(t, err)
	s.plant(t, "renewed link", renewed.GetLink()[strings.LastIndex(renewed.GetLink(), "/")+1:])
	_, err = invitations.DeclineInvitation(ctx, &invitationv1.DeclineInvitationRequest{LinkToken: s.secrets["renewed link"]})
	require.NoError(t, err)

	_, err = members.RemoveMember(as(ada), &membershipv1.RemoveMemberRequest{OrganizationId: id, AccountId: accepted.GetInvitation().GetAcceptedAccountId()})
	require.NoError(t, err)
	adding, err := organizations.CreateOrganization(as(ada), &membershipv1.CreateOrganizationRequest{DisplayName: "Works", Preset: membershipv1.Preset_PRESET_RBAC})
	require.NoError(t, err)
	_, err = members.CreateMember(as(ada), &membershipv1.CreateMemberRequest{
		OrganizationId: adding.GetOrganization().GetId(), Email: "bob@example.com", DisplayName: "Bob", Role: "member"})
	require.NoError(t, err)
	leave := s.link(t, "link that leaves", "bob@example.com", "/leave/")
	s.get(t, "/leave/"+leave)
	for _, token := range []string{leave + "A", leave, leave} {
		_, err = members.LeaveByLink(ctx, &membershipv1.LeaveByLinkRequest{Token: token, RequestId: "canary-leave"})
	}
	require.NoError(t, err, "it was this request")
	_, err = sessions.SignOut(as(ada), &identityv1.SignOutRequest{})
	require.NoError(t, err)
	for _, service := range fleet.Services {
		text, err := os.ReadFile(filepath.Join(s.dir, service+".secret"))
		require.NoError(t, err)
		s.plant(t, "key of "+service, strings.TrimSpace(string(text)))
	}
}

// signInWithCookie signs in as a browser does, one that calls itself hostile.
func (s *suite) signInWithCookie(t *testing.T, password string) (cookie string) {
	t.Helper()
	body := fmt.Sprintf(`{"email":"ada@example.com","password":%q}`, password)
	for _, agent := range []string{"Lynx \t\x80\xff \u202e <script>", "Lynx"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/sessions", strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("User-Agent", agent)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		said, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, http.StatusOK, resp.StatusCode, "%s", said)
		require.NotEmpty(t, resp.Cookies())
		cookie = resp.Cookies()[0].Value
	}
	return cookie
}

func (s *suite) get(t *testing.T, path string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
	require.NoError(t, err)
	req.Header.Set("Referer", s.URL+path)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// internalToken is what identity signs for services.
var internalToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`)

func (s *suite) noSecretIsWrittenDown(t *testing.T) {
	places := map[string][]byte{"spans": s.spans.text(t), "events": s.published(t)}
	for _, p := range s.Processes {
		places["metrics of "+p.Name] = s.metrics(t, p)
	}
	for _, service := range fleet.Services {
		places["database of "+service] = s.dump(t, service)
	}
	maps.Copy(places, s.files(t))
	maps.Copy(places, s.exports)
	require.Contains(t, string(places["events"]), "invitation.accepted")
	require.Contains(t, string(places["spans"]), "AcceptInvitation")
	require.Contains(t, string(places["metrics of identity-1"]), "rpc_server_call_duration_seconds")
	require.Contains(t, string(places["database of invitation"]), "DECLINED")
	require.Contains(t, string(places["identity-1.log"]), "LINK_INVALID")
	var raw []string // files of PostgreSQL where a name is that is no secret
	for where, content := range places {
		if bytes.Contains(content, []byte("bob@example.com")) {
			raw = append(raw, where)
		}
	}
	require.Contains(t, strings.Join(raw, "\n"), "postgres/", "what is in clear is found")
	for where, content := range places {
		for what, secret := range s.secrets {
			for _, written := range spellings(secret) {
				require.False(t, bytes.Contains(content, []byte(written)), "%s: the %s is there", where, what)
			}
		}
		require.False(t, internalToken.Match(content), "%s: an internal token is there", where)
	}
}

// spellings are the ways in which text may hide.
func spellings(secret string) []string {
	quoted, _ := json.Marshal(secret)
	all := []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(string(quoted), `"`), hex.EncodeToString([]byte(secret)),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
		if raw, err := encoding.DecodeString(secret); err == nil { // what the text stands for: a key, a token
			all = append(all, string(raw), hex.EncodeToString(raw))
		}
	}
	return all
}

// files are what lies in the suite's folder: logs, and all that PostgreSQL has ever written. Not searched: the inbox, which
// is where links belong, the keys themselves, programs, and what NATS keeps compressed, which is read as events.
func (s *suite) files(t *testing.T) map[string][]byte {
	t.Helper()
	found := make(map[string][]byte)
	require.NoError(t, filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(s.dir, path)
		switch {
		case err != nil && (os.IsNotExist(err) || entry == nil):
			return nil // PostgreSQL removes files while we look
		case err != nil:
			return err
		case entry.IsDir() && (name == "mail" || name == "certs" || name == "nats"):
			return fs.SkipDir
		case !entry.Type().IsRegular() || strings.HasSuffix(name, ".secret") || name == "rosterd" || name == "nats-server":
			return nil
		}
		content, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil
		}
		if name == "identity-1.log" { // where the claim is printed, once, for whoever has started the deployment
			content = bytes.Replace(content, []byte(s.Claim), nil, 1)
		}
		found[name] = content
		return err
	}))
	return found
}

// dump is every row of a database, as a superuser sees it.
func (s *suite) dump(t *testing.T, service string) []byte {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.DSN(service, "postgres"))
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), `SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Contains(t, tables, "events")
	var all bytes.Buffer
	for _, table := range tables {
		_, err := conn.PgConn().CopyTo(t.Context(), &all, `COPY `+pgx.Identifier{table}.Sanitize()+` TO STDOUT`)
		require.NoError(t, err, table)
	}
	return all.Bytes()
}

func (s *suite) metrics(t *testing.T, p *fleet.Process) []byte {
	t.Helper()
	resp, err := http.Get(p.Admin() + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return text
}

// published is every message of every stream, subject, headers and data.
func (s *suite) published(t *testing.T) []byte {
	t.Helper()
	conn, err := s.ConnectNATS()
	require.NoError(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	var all bytes.Buffer
	for _, service := range events.Services() {
		stream, err := js.Stream(t.Context(), events.Stream(service))
		require.NoError(t, err)
		consumer, err := js.OrderedConsumer(t.Context(), events.Stream(service), jetstream.OrderedConsumerConfig{})
		require.NoError(t, err)
		for range stream.CachedInfo().State.Msgs {
			msg, err := consumer.Next(jetstream.FetchMaxWait(soon))
			require.NoError(t, err)
			fmt.Fprintf(&all, "%s %v %s\n", msg.Subject(), msg.Headers(), msg.Data())
		}
	}
	return all.Bytes()
}

// nobodyWritesALineOfALog holds every line to be one record of the program's own.
func (s *suite) nobodyWritesALineOfALog(t *testing.T) {
	for _, p := range s.Processes {
		log, err := os.ReadFile(p.LogFile())
		require.NoError(t, err)
		for line := range strings.Lines(string(log)) {
			require.False(t, strings.ContainsAny(line, "\x1b\x07\r\u202e") || !utf8.ValidString(line), "%s: %q", p.Name, line)
			if strings.Contains(line, "roster operator claim") {
				continue
			}
			var record struct{ Time, Level, Msg string }
			require.NoError(t, json.Unmarshal([]byte(line), &record), "%s: %q", p.Name, line)
			require.NotEmpty(t, record.Time)
			require.NotEqual(t, "forged", record.Msg)
		}
	}
}

// secretWords are what a field would be called that holds one.
var secretWords = regexp.MustCompile(`(?i)(token|secret|password|passphrase|credential|link|code|cookie|key)`)

// anID is an id of the suite.
var anID = regexp.MustCompile(`^[a-z]{2,5}_[0-9a-hjkmnp-tv-z]{26}$`)

func (s *suite) eventsCarryNoSecret(t *testing.T) {
	seen := make(map[string]bool)
	var walk func(value any, path string)
	walk = func(value any, path string) {
		switch value := value.(type) {
		case map[string]any:
			for name, inner := range value {
				seen[name] = true
				if text, ok := inner.(string); !ok || !strings.HasSuffix(name, "Id") || !anID.MatchString(text) { // the id of a key is no key
					require.False(t, secretWords.MatchString(name), "%s.%s", path, name)
				}
				walk(inner, path+"."+name)
			}
		case []any:
			for _, inner := range value {
				walk(inner, path)
			}
		}
	}
	for line := range strings.Lines(string(s.published(t))) {
		var envelope map[string]any
		require.NoError(t, json.Unmarshal([]byte(line[strings.Index(line, " {"):]), &envelope), line)
		walk(envelope, fmt.Sprint(envelope["type"]))
	}
	require.True(t, seen["invitationId"] && seen["seatId"] && seen["email"], "events were walked: %v", seen)
}

func (s *suite) nobodyWasRefusedByNATS(t *testing.T) {
	for _, p := range s.Processes {
		log, err := os.ReadFile(p.LogFile())
		require.NoError(t, err)
		require.NotContains(t, string(log), "NATS refuses", p.Name)
	}
	log, err := os.ReadFile(s.Broker.LogFile())
	require.NoError(t, err)
	require.NotContains(t, string(log), "Violation")
}

func (s *suite) whatIsPrivateIsNotPublic(t *testing.T) {
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/vars", "/healthz/../metrics"} {
		require.Equal(t, http.StatusNotFound, s.get(t, path), path)
	}
	for _, p := range s.Processes {
		if p.Role == "gateway" {
			continue
		}
		conn, err := network.Plain().Dial("", p.Role, s.Public(p))
		require.NoError(t, err)
		defer conn.Close()
		for _, method := range []string{"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"} {
			err := conn.Invoke(t.Context(), method, &identityv1.GetMeRequest{}, &identityv1.GetMeResponse{})
			require.Equal(t, errorv1.Reason_REASON_ROUTE_NOT_FOUND, fault.ReasonOf(err), "%s %s: %v", p.Name, method, err)
		}
	}
}

// spans is a collector that keeps what it gets.
type spans struct {
	collector.UnimplementedTraceServiceServer
	mu  sync.Mutex
	all bytes.Buffer
}

func (s *spans) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.WriteString(prototext.Format(req))
	return &collector.ExportTraceServiceResponse{}, nil
}

// text waits for the last call that was made, and returns everything.
func (s *spans) text(t *testing.T) []byte {
	t.Helper()
	var text []byte
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		text = bytes.Clone(s.all.Bytes())
		return bytes.Contains(text, []byte("SignOut")) && bytes.Contains(text, []byte("AcceptInvitation"))
	}, soon, 20*time.Millisecond, "the spans arrive")
	return text
}
