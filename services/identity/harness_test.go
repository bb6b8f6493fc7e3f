package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/credential"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/network"
	"github.com/rosterhq/roster/services/internal/outbound"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/internal/server"
	"github.com/rosterhq/roster/services/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// goodPassword passes the policy.
const goodPassword = "violet harbor quilt 7"

// harness is the service on a database of its own, behind the suite's server, reached as others reach it.
type harness struct {
	*testing.T
	service *Service
	dsns    testkit.DSNs
	owner   *pgxpool.Pool // sees and moves everything
	network network.Network
	logged  *buffer
	outbox  *outgoing

	required requirements
	departs  departures
	domains  domains
	programs programs
	roles    roles

	// Clients as the gateway, for a client of its own, and as the services that call identity.
	accounts   identityv1.AccountServiceClient
	sessions   identityv1.SessionServiceClient
	passwords  identityv1.PasswordServiceClient
	factors    identityv1.FactorServiceClient
	keys       identityv1.ApiKeyServiceClient
	emails     identityv1.EmailServiceClient
	exports    identityv1.ExportServiceClient
	avatars    identityv1.AvatarServiceClient
	operators  identityv1.OperatorServiceClient
	federated  identityv1.FederatedSignInServiceClient
	identities identityv1.FederatedIdentityServiceClient
	providers  identityv1.OperatorProviderServiceClient
	services   identityv1.ServiceAccountServiceClient
	tokens     identityv1.TokenServiceClient
	credential identityv1.CredentialServiceClient
	directory  identityv1.AccountDirectoryServiceClient  // as the invitation service
	membership identityv1.AccountDirectoryServiceClient  // as the membership service
	decided    identityv1.ProviderDirectoryServiceClient // as the membership service
}

// requirements are those of membership.
type requirements struct {
	names []string
	err   error
	asked int
}

func (r *requirements) ListMfaRequirements(context.Context, *membershipv1.ListMfaRequirementsRequest, ...grpc.CallOption) (*membershipv1.ListMfaRequirementsResponse, error) {
	r.asked++
	return &membershipv1.ListMfaRequirementsResponse{OrganizationDisplayNames: r.names}, r.err
}

// departures are what membership ends.
type departures struct {
	mu     sync.Mutex
	stand  []*membershipv1.StandingOrganization // in the way
	before func()                               // runs before memberships end
	err    error
	ended  []string // accounts

	operator string // who wanted it the last time; empty: the person
}

func (d *departures) EndMemberships(_ context.Context, req *membershipv1.EndMembershipsRequest, _ ...grpc.CallOption) (*membershipv1.EndMembershipsResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.before != nil && !req.GetValidateOnly() {
		d.before()
	}
	if d.err != nil || req.GetValidateOnly() || len(d.stand) > 0 {
		return &membershipv1.EndMembershipsResponse{Organizations: d.stand}, d.err
	}
	d.ended, d.operator = append(d.ended, req.GetAccountId()), req.GetOperatorId()
	return &membershipv1.EndMembershipsResponse{}, nil
}

// domains are those that organizations have verified, as membership says.
type domains struct {
	mu    sync.Mutex
	of    map[string]string // domain to organization
	err   error
	asked int

	ground func(*membershipv1.HasDomainRequest) (*membershipv1.HasDomainResponse, error) // answers what is asked about accounts
}

func (d *domains) HasDomain(_ context.Context, req *membershipv1.HasDomainRequest, _ ...grpc.CallOption) (*membershipv1.HasDomainResponse, error) {
	if req.GetAccountId() != "" && d.ground != nil {
		return d.ground(req)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	return &membershipv1.HasDomainResponse{Verified: d.of[req.GetDomain()] == req.GetOrganizationId()}, d.err
}

// programs are the service accounts of organizations, as membership knows them.
type programs struct {
	answer  *membershipv1.ResolveOrganizationKeyResponse
	err     error
	asked   []*membershipv1.ResolveOrganizationKeyRequest
	revoked []*membershipv1.RevokeOrganizationKeyRequest
}

func (p *programs) ResolveOrganizationKey(_ context.Context, req *membershipv1.ResolveOrganizationKeyRequest, _ ...grpc.CallOption) (*membershipv1.ResolveOrganizationKeyResponse, error) {
	p.asked = append(p.asked, req)
	return p.answer, p.err
}

func (p *programs) RevokeOrganizationKey(_ context.Context, req *membershipv1.RevokeOrganizationKeyRequest, _ ...grpc.CallOption) (*membershipv1.RevokeOrganizationKeyResponse, error) {
	p.revoked = append(p.revoked, req)
	return &membershipv1.RevokeOrganizationKeyResponse{}, p.err
}

// roles know the permissions that there are.
type roles struct {
	membershipv1.RoleServiceClient
	err error
}

func (r *roles) ListPermissions(context.Context, *membershipv1.ListPermissionsRequest, ...grpc.CallOption) (*membershipv1.ListPermissionsResponse, error) {
	answer := &membershipv1.ListPermissionsResponse{}
	for _, name := range []string{"app:billing.refund", "invitations.create", "members.read", "org.read"} {
		answer.Permissions = append(answer.Permissions, &membershipv1.Permission{Name: name})
	}
	return answer, r.err
}

var testKey = seal.NewKey([32]byte{1, 2, 3})

func start(t *testing.T) *harness {
	t.Helper()
	h := &harness{
		T: t, dsns: testkit.Database(t, "identity", Migrations), logged: new(buffer), outbox: new(outgoing),
	}
	var err error
	h.owner, err = pgxpool.New(t.Context(), h.dsns.Owner)
	require.NoError(t, err)
	t.Cleanup(h.owner.Close)
	h.serve()
	return h
}

// serve begins with another instance, as if the one before had ended.
func (h *harness) serve() {
	h.Helper()
	h.service, h.network = h.instance(), network.Memory()
	self := identityv1.NewCredentialServiceClient(h.dial("identity"))
	authenticator := &credential.Authenticator{
		Resolver: credential.NewResolver(self, time.Now),
		Verifier: credential.NewVerifier("identity", credential.KeysOf(self), time.Now),
	}
	testkit.Serve(h, h.network, server.Config{Role: "identity", Authenticate: authenticator.Authenticate, Log: h.log()}, h.service)

	gateway := h.dial("gateway")
	h.accounts = identityv1.NewAccountServiceClient(gateway)
	h.sessions = identityv1.NewSessionServiceClient(gateway)
	h.passwords = identityv1.NewPasswordServiceClient(gateway)
	h.factors = identityv1.NewFactorServiceClient(gateway)
	h.keys = identityv1.NewApiKeyServiceClient(gateway)
	h.emails = identityv1.NewEmailServiceClient(gateway)
	h.exports = identityv1.NewExportServiceClient(gateway)
	h.avatars = identityv1.NewAvatarServiceClient(gateway)
	h.operators = identityv1.NewOperatorServiceClient(gateway)
	h.federated = identityv1.NewFederatedSignInServiceClient(gateway)
	h.identities = identityv1.NewFederatedIdentityServiceClient(gateway)
	h.providers = identityv1.NewOperatorProviderServiceClient(gateway)
	h.services = identityv1.NewServiceAccountServiceClient(gateway)
	h.tokens = identityv1.NewTokenServiceClient(gateway)
	h.credential = identityv1.NewCredentialServiceClient(gateway)
	h.directory = identityv1.NewAccountDirectoryServiceClient(h.dial("invitation"))
	h.membership = identityv1.NewAccountDirectoryServiceClient(h.dial("membership"))
	h.decided = identityv1.NewProviderDirectoryServiceClient(h.dial("membership"))
}

// instance returns a service on the harness's database; another one is another replica.
func (h *harness) instance() *Service {
	db := h.dsns.Open(h.T, postgres.Options{})
	return New(Dependencies{
		DB: db, Key: testKey, Mail: &mail.Queue{DB: db, Sender: h.outbox, Key: testKey}, Required: &h.required, Departs: &h.departs, Domains: &h.domains, Programs: &h.programs, Roles: &h.roles, PublicURL: publicURL, Log: h.log(),
		Outbound: outbound.Options{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Plain: true},
	})
}

func (h *harness) log() *slog.Logger {
	return slog.New(slog.NewJSONHandler(h.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (h *harness) dial(from string) *grpc.ClientConn {
	h.Helper()
	return testkit.Dial(h, h.network, from, "identity")
}

// as is the context of a client's call that the gateway passes on; bearer is what the client presents, if anything.
func (h *harness) as(bearer string) context.Context {
	ctx := metadata.AppendToOutgoingContext(h.Context(),
		"x-roster-client-address", "203.0.113.7", "x-roster-user-agent", "Firefox/140 (X11)")
	if bearer != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+bearer)
	}
	return ctx
}

// person is somebody who has an account and has signed in.
type person struct {
	session *identityv1.Session
	token   string
}

// signIn signs an account in.
func (h *harness) signIn(email string) person {
	h.Helper()
	in, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
		Email: email, Password: goodPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN,
	})
	require.NoError(h, err)
	return person{session: in.GetSession(), token: in.GetToken()}
}

// insert makes an account without the work of hashing a password: for tests that do not sign in.
func (h *harness) insert(email, username string) id.Account {
	h.Helper()
	key := id.NewAccount()
	_, err := h.owner.Exec(h.Context(), `
		WITH a AS (INSERT INTO accounts (id, display_name, email, email_verified, username, create_time)
			VALUES ($1, 'Inserted', nullif($2, ''), $2 <> '', nullif($3, ''), now())),
		e AS (INSERT INTO user_emails SELECT $2, $1, true WHERE $2 <> ''),
		u AS (INSERT INTO usernames (username, account_id) SELECT $3, $1 WHERE $3 <> '')
		INSERT INTO credentials VALUES ($1, 'none', now())`, key, email, username)
	require.NoError(h, err)
	return key
}

// open opens a session for an account, and returns it with its bearer token.
func (h *harness) open(key id.Account) (*identityv1.Session, string) {
	h.Helper()
	opened, err := h.directory.OpenSession(h.Context(), &identityv1.OpenSessionRequest{
		AccountId: key.String(), Delivery: identityv1.Delivery_DELIVERY_TOKEN, UserAgent: "test",
	})
	require.NoError(h, err)
	return opened.GetSession(), opened.GetSecret()
}

// sweep runs the tasks of a kind that are due, as the sweeper does, and returns how many there were.
func (h *harness) sweep(kind string) int {
	h.Helper()
	rows, err := h.owner.Query(h.Context(), `SELECT aggregate_id, kind, id, attempts FROM due WHERE kind = $1 AND next_time <= now()`, kind)
	require.NoError(h, err)
	tasks, err := pgx.CollectRows(rows, pgx.RowToStructByName[saga.Task])
	require.NoError(h, err)
	for _, task := range tasks {
		require.NoError(h, h.service.Steps()[kind](h.Context(), task))
	}
	return len(tasks)
}

var linkPattern = regexp.MustCompile(`https://roster\.test/verify/([A-Za-z0-9_-]+)`)

// linkFor delivers the mails and returns the token in the latest one to the address.
func (h *harness) linkFor(address string) string {
	h.Helper()
	h.sweep(mail.TaskKind)
	for _, m := range h.outbox.to(address) {
		if found := linkPattern.FindStringSubmatch(m.Text); found != nil {
			return found[1]
		}
	}
	require.Fail(h, "no mail with a link to "+address)
	return ""
}

// exec changes rows behind the service's back: time passes, an attacker writes.
func (h *harness) exec(query string, args ...any) {
	h.Helper()
	_, err := h.owner.Exec(h.Context(), query, args...)
	require.NoError(h, err)
}

// meanwhile has fn wait for an account's row, and commits a change of the account before fn gets it.
func (h *harness) meanwhile(key id.Account, change string, fn func() error) error {
	h.Helper()
	tx, err := h.owner.Begin(h.Context())
	require.NoError(h, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(h.Context())) }()
	_, err = tx.Exec(h.Context(), `SELECT FROM accounts WHERE id = $1 FOR UPDATE`, key)
	require.NoError(h, err)
	done := make(chan error, 1)
	go func() { done <- fn() }()
	require.Eventually(h, func() bool {
		return count(h, `pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.datname = current_database()`) > 0
	}, 20*time.Second, 5*time.Millisecond)
	_, err = tx.Exec(h.Context(), change)
	require.NoError(h, err)
	require.NoError(h, tx.Commit(h.Context()))
	return <-done
}

func count(h *harness, query string, args ...any) (n int) {
	h.Helper()
	require.NoError(h, h.owner.QueryRow(h.Context(), `SELECT count(*) FROM `+query, args...).Scan(&n))
	return n
}

// event is one of the log.
type event struct {
	Type     string
	Data     map[string]any
	Personal map[string]any
}

// events returns the events of an account, oldest first.
func (h *harness) events(key string) (found []event) {
	h.Helper()
	account, err := id.ParseAccount(key)
	require.NoError(h, err)
	rows, err := h.owner.Query(h.Context(), `SELECT type, data, personal FROM events WHERE aggregate_id = $1 ORDER BY revision`, account)
	require.NoError(h, err)
	for rows.Next() {
		var e event
		var data, personal []byte
		require.NoError(h, rows.Scan(&e.Type, &data, &personal))
		require.NoError(h, json.Unmarshal(data, &e.Data))
		if personal != nil {
			require.NoError(h, json.Unmarshal(personal, &e.Personal))
		}
		found = append(found, e)
	}
	require.NoError(h, rows.Err())
	return found
}

func (h *harness) types(key string) (types []string) {
	for _, e := range h.events(key) {
		types = append(types, e.Type)
	}
	return types
}

const (
	invalid            = errorv1.Reason_REASON_VALIDATION_FAILED
	unauthenticated    = errorv1.Reason_REASON_UNAUTHENTICATED
	credentialsInvalid = errorv1.Reason_REASON_CREDENTIALS_INVALID
	linkInvalid        = errorv1.Reason_REASON_LINK_INVALID
	emailTaken         = errorv1.Reason_REASON_EMAIL_TAKEN
	usernameTaken      = errorv1.Reason_REASON_USERNAME_TAKEN
	keyNotFound        = errorv1.Reason_REASON_API_KEY_NOT_FOUND
	sessionNotFound    = errorv1.Reason_REASON_SESSION_NOT_FOUND
	accountNotFound    = errorv1.Reason_REASON_ACCOUNT_NOT_FOUND
	passwordRefused    = errorv1.Reason_REASON_PASSWORD_REFUSED
	codeInvalid        = errorv1.Reason_REASON_CODE_INVALID
	codeRequired       = errorv1.Reason_REASON_CODE_REQUIRED
	passkeyInvalid     = errorv1.Reason_REASON_PASSKEY_INVALID
	passkeyTaken       = errorv1.Reason_REASON_PASSKEY_TAKEN
	limitReached       = errorv1.Reason_REASON_LIMIT_REACHED
	featureOff         = errorv1.Reason_REASON_FEATURE_OFF
	factorNotFound     = errorv1.Reason_REASON_FACTOR_NOT_FOUND
	incomplete         = errorv1.Reason_REASON_SIGN_IN_INCOMPLETE
	rateLimited        = errorv1.Reason_REASON_RATE_LIMITED
	stateConflict      = errorv1.Reason_REASON_STATE_CONFLICT
	stepUpRequired     = errorv1.Reason_REASON_STEP_UP_REQUIRED
	busy               = errorv1.Reason_REASON_BUSY
	callerRefused      = errorv1.Reason_REASON_CALLER_REFUSED
	providerNotFound   = errorv1.Reason_REASON_IDENTITY_PROVIDER_NOT_FOUND
	signInFailed       = errorv1.Reason_REASON_FEDERATED_SIGN_IN_FAILED
	linkRequired       = errorv1.Reason_REASON_ACCOUNT_LINK_REQUIRED
	emailUnverified    = errorv1.Reason_REASON_EMAIL_UNVERIFIED
	identityTaken      = errorv1.Reason_REASON_IDENTITY_TAKEN
	lastWayIn          = errorv1.Reason_REASON_LAST_WAY_IN
	unavailable        = errorv1.Reason_REASON_UNAVAILABLE
	lastOwner          = errorv1.Reason_REASON_LAST_OWNER
)

func requireReason(t testing.TB, want errorv1.Reason, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, want, fault.ReasonOf(err), err.Error())
}

// together runs fn n times at once and returns the errors. All connections to the database are open before, so that
// the first is not alone with it.
func (h *harness) together(n int, fn func(i int) error) []error {
	h.Helper()
	pool := h.service.DB.Pool
	var open []*pgxpool.Conn
	for range pool.Config().MaxConns {
		conn, err := pool.Acquire(h.Context())
		require.NoError(h, err)
		open = append(open, conn)
	}
	for _, conn := range open {
		conn.Release()
	}
	return testkit.AtOnce(n, fn)
}

// fillGate takes all turns at hashing and all places in the queue.
func (h *harness) fillGate() {
	h.Helper()
	ctx, cancel := context.WithCancel(h.Context())
	h.Cleanup(cancel)
	for {
		short, end := context.WithTimeout(ctx, time.Millisecond)
		_, err := h.service.hashes.Enter(short, 0)
		end()
		if err != nil {
			break // every turn is taken
		}
	}
}

// outgoing is the mail server.
type outgoing struct {
	mu   sync.Mutex
	sent []mail.Message
}

func (o *outgoing) Send(_ context.Context, m mail.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent = append(o.sent, m)
	return nil
}

// to returns the mails to an address, newest first.
func (o *outgoing) to(address string) (found []mail.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := len(o.sent) - 1; i >= 0; i-- {
		if o.sent[i].To == address {
			found = append(found, o.sent[i])
		}
	}
	return found
}

// buffer is what was logged.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
