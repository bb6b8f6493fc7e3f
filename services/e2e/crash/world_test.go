package crash

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/events"
	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/identity"
	"github.com/rosterhq/roster/services/internal/devdns"
	"github.com/rosterhq/roster/services/internal/devmail"
	"github.com/rosterhq/roster/services/internal/failpoint"
	"github.com/rosterhq/roster/services/internal/fleet"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/rest"
	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/internal/verify"
)

// patience is how long the suite may take to come to rest after a crash.
const patience = 60 * time.Second

// world is a fleet whose processes die where they are told, and are started again at once, as an orchestrator does. Nothing
// happens in it but one operation at a time, so that what a process comes to belongs to that operation.
type world struct {
	*fleet.Fleet
	folder    string
	points    failpoint.Folder
	databases map[string]*pgxpool.Pool // of the services, with everybody's rows
	nats      *nats.Conn
	streams   jetstream.JetStream
	checker   *verify.Checker
	lives     map[string]*life // by role
	dns       *devdns.Server

	operator     client
	owner, guest person

	kept sync.WaitGroup
}

// life is what is known of the process of a role.
type life struct {
	ready  atomic.Bool
	deaths atomic.Int64
}

// newWorld starts a world. It ends with the whole test.
func newWorld(t, whole *testing.T, rosterd string) *world {
	t.Helper()
	folder, err := os.MkdirTemp("", "roster-crash-*")
	require.NoError(t, err)
	whole.Cleanup(func() { os.RemoveAll(folder) })
	require.NoError(t, os.Chmod(folder, 0o711)) // PostgreSQL's user has to pass through
	w := &world{folder: folder, points: failpoint.Folder(filepath.Join(folder, "points")), lives: make(map[string]*life), databases: make(map[string]*pgxpool.Pool)}
	require.NoError(t, os.Mkdir(string(w.points), 0o700))
	w.dns, err = devdns.Start()
	require.NoError(t, err)
	whole.Cleanup(w.dns.Stop)
	w.Fleet, err = fleet.Start(t.Context(), fleet.Config{Dir: folder, Rosterd: rosterd,
		Env: []string{"ROSTER_FAILPOINTS=" + string(w.points), "ROSTER_DNS_SERVER=" + w.dns.Addr(),
			"ROSTER_PROVIDER_NETWORKS=127.0.0.0/8", "ROSTER_PROVIDER_PLAIN=true"}})
	require.NoError(t, err)
	whole.Cleanup(func() {
		if err := w.Stop(); err != nil {
			whole.Error(err)
		}
	})
	dsns := make(map[string]string)
	for _, service := range fleet.Services {
		dsns[service] = w.DSN(service, "postgres")
		w.databases[service], err = pgxpool.New(t.Context(), dsns[service])
		require.NoError(t, err)
		whole.Cleanup(w.databases[service].Close)
	}
	w.checker, err = verify.Open(t.Context(), dsns)
	require.NoError(t, err)
	whole.Cleanup(w.checker.Close)
	w.nats, err = w.ConnectNATS()
	require.NoError(t, err)
	whole.Cleanup(w.nats.Close)
	w.streams, err = jetstream.New(w.nats)
	require.NoError(t, err)

	ctx, leave := context.WithCancel(context.Background())
	for _, p := range w.Processes {
		w.lives[p.Role] = new(life)
		w.lives[p.Role].ready.Store(true)
		w.kept.Go(func() { w.keep(ctx, p) })
	}
	whole.Cleanup(func() {
		leave()
		w.kept.Wait()
	})
	w.populate(t)
	return w
}

// keep starts a process again whenever it has died.
func (w *world) keep(ctx context.Context, p *fleet.Process) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.Done():
		}
		life := w.lives[p.Role]
		life.ready.Store(false)
		life.deaths.Add(1)
		if err := p.Start(ctx); err != nil {
			return // it never gets ready, and whoever waits for it says so
		}
		if p.Ready(ctx) == nil { // or it has died again
			life.ready.Store(true)
		}
	}
}

// show prints what the processes have said.
func (w *world) show(t *testing.T) {
	for _, p := range w.Processes {
		text, _ := os.ReadFile(p.LogFile())
		t.Logf("--- %s said at last\n%s", p.Name, text[max(0, len(text)-5000):])
	}
}

// client is somebody who calls the suite.
type client struct {
	identityv1.AccountServiceClient
	identityv1.SessionServiceClient
	identityv1.PasswordServiceClient
	identityv1.FactorServiceClient
	identityv1.ApiKeyServiceClient
	identityv1.OperatorServiceClient
	identityv1.OperatorProviderServiceClient
	identityv1.FederatedIdentityServiceClient
	identityv1.ServiceAccountServiceClient
	identityv1.TokenServiceClient
	identityv1.EmailServiceClient
	identityv1.AvatarServiceClient
	membershipv1.AuditServiceClient
	membershipv1.OrganizationServiceClient
	membershipv1.MemberServiceClient
	membershipv1.MemberSessionServiceClient
	membershipv1.BulkMemberServiceClient
	membershipv1.DomainServiceClient
	membershipv1.IdentityProviderServiceClient
	membershipv1.RoleServiceClient
	membershipv1.GroupServiceClient
	membershipv1.ProjectServiceClient
	membershipv1.OrganizationServiceAccountServiceClient
	membershipv1.OwnershipServiceClient
	membershipv1.AvailabilityServiceClient
	invitationv1.InvitationServiceClient
	billingv1.SeatLimitServiceClient
}

// as returns a client with a session or a key; anonymous without.
func (w *world) as(token string) client { return clientOver(steady{w.Conn(), token}) }

// atGateway is as, over REST.
func (w *world) atGateway(token string) client {
	return clientOver(steady{ClientConnInterface: &rest.Conn{URL: w.URL, Token: token, HTTP: http.DefaultClient}})
}

func clientOver(conn steady) client {
	return client{
		identityv1.NewAccountServiceClient(conn), identityv1.NewSessionServiceClient(conn), identityv1.NewPasswordServiceClient(conn),
		identityv1.NewFactorServiceClient(conn), identityv1.NewApiKeyServiceClient(conn), identityv1.NewOperatorServiceClient(conn),
		identityv1.NewOperatorProviderServiceClient(conn), identityv1.NewFederatedIdentityServiceClient(conn), identityv1.NewServiceAccountServiceClient(conn), identityv1.NewTokenServiceClient(conn), identityv1.NewEmailServiceClient(conn), identityv1.NewAvatarServiceClient(conn), membershipv1.NewAuditServiceClient(conn),
		membershipv1.NewOrganizationServiceClient(conn), membershipv1.NewMemberServiceClient(conn), membershipv1.NewMemberSessionServiceClient(conn), membershipv1.NewBulkMemberServiceClient(conn), membershipv1.NewDomainServiceClient(conn), membershipv1.NewIdentityProviderServiceClient(conn), membershipv1.NewRoleServiceClient(conn),
		membershipv1.NewGroupServiceClient(conn), membershipv1.NewProjectServiceClient(conn), membershipv1.NewOrganizationServiceAccountServiceClient(conn),
		membershipv1.NewOwnershipServiceClient(conn), membershipv1.NewAvailabilityServiceClient(conn),
		invitationv1.NewInvitationServiceClient(conn), billingv1.NewSeatLimitServiceClient(conn),
	}
}

// steady makes a call again, exactly as it was, until there is an answer, as clients are told to.
type steady struct {
	grpc.ClientConnInterface
	token string
}

func (s steady) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if s.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+s.token)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		try, done := context.WithTimeout(ctx, 15*time.Second)
		err := s.ClientConnInterface.Invoke(try, method, args, reply, opts...)
		done()
		_, broken := errors.AsType[*url.Error](err)
		if !broken && !noAnswer[fault.ReasonOf(err)] || ctx.Err() != nil {
			return err
		}
		proto.Reset(reply.(proto.Message))
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// noAnswer are the reasons for which a client makes the same call again.
var noAnswer = map[errorv1.Reason]bool{
	errorv1.Reason_REASON_UNAVAILABLE:       true,
	errorv1.Reason_REASON_BUSY:              true,
	errorv1.Reason_REASON_DEADLINE_EXCEEDED: true,
	errorv1.Reason_REASON_CANCELLED:         true,
}

// person is somebody with an account.
type person struct {
	client
	account, email, session string
}

const password = "plum harbor violin quartz"

// populate makes the people who are there in every operation.
func (w *world) populate(t *testing.T) {
	t.Helper()
	claimed, err := w.as("").ClaimOperator(t.Context(), &identityv1.ClaimOperatorRequest{Token: w.Claim})
	require.NoError(t, err)
	w.operator = w.as(claimed.GetApiKey())
	w.owner, w.guest = w.signUp(t, "owner@example.com"), w.signUp(t, "guest@example.com")
}

// claim is the token that a copy of identity shows when it starts and there is no operator.
func (w *world) claim(t *testing.T) string {
	t.Helper()
	key, err := seal.Load(filepath.Join(w.folder, "identity.secret"))
	require.NoError(t, err)
	db, err := postgres.Open(t.Context(), "identity", w.DSN("identity", "identity"), key, postgres.Options{})
	require.NoError(t, err)
	defer db.Close()
	token, err := identity.New(identity.Dependencies{DB: db, Key: key}).Bootstrap(t.Context())
	require.NoError(t, err)
	return token
}

func (w *world) signUp(t *testing.T, email string) person {
	t.Helper()
	_, err := w.as("").SignUp(t.Context(), &identityv1.SignUpRequest{Email: email, Password: password, DisplayName: "Some One"})
	require.NoError(t, err)
	_, err = w.as("").VerifyEmail(t.Context(), &identityv1.VerifyEmailRequest{Token: w.link(t, email)})
	require.NoError(t, err)
	return w.signIn(t, email)
}

func (w *world) signIn(t *testing.T, email string) person {
	t.Helper()
	opened, err := w.as("").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
		Email: email, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
	require.NoError(t, err)
	return person{w.as(opened.GetToken()), opened.GetSession().GetAccountId(), email, opened.GetToken()}
}

// link waits for mail to an address, and returns the token in its newest link.
func (w *world) link(t *testing.T, to string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := w.Mail.Wait(ctx, to, nil)
	require.NoError(t, err)
	all := w.links(to)
	return all[len(all)-1]
}

// links returns the tokens in the mails that an address has got, each once, oldest first.
func (w *world) links(to string) (tokens []string) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()                                                    // what has arrived is enough
	_, _ = w.Mail.Wait(ctx, to, func(m devmail.Received) bool { // newest first
		for _, link := range m.Links {
			token := link[strings.LastIndex(link, "/")+1:]
			if page := len(token) < 20; !page && !slices.Contains(tokens, token) {
				tokens = append([]string{token}, tokens...)
			}
		}
		return false
	})
	return tokens
}

// settle waits until nothing is left to do: every process is ready, every event is in JetStream and was heard by everybody, and
// every task is done or waits for its time.
func (w *world) settle(t *testing.T) {
	t.Helper()
	late := time.After(patience)
	for calm := 0; calm < 2; {
		unrest, err := w.unrest(t.Context())
		if calm++; err != nil || len(unrest) > 0 {
			calm = 0
		}
		select {
		case <-late:
			require.FailNow(t, "the suite does not come to rest", "%v %v", unrest, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// unrest says what is still to be done.
func (w *world) unrest(ctx context.Context) (what []string, err error) {
	for role, life := range w.lives {
		if !life.ready.Load() {
			what = append(what, role+" is not ready")
		}
	}
	for service, db := range w.databases {
		var waiting, due int
		if err := db.QueryRow(ctx, `
			SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM due WHERE attempts > 0 OR next_time < now() + interval '5 seconds')`).
			Scan(&waiting, &due); err != nil {
			return what, err
		}
		if waiting+due > 0 {
			what = append(what, fmt.Sprintf("%s has %d events and %d tasks", service, waiting, due))
		}
		stream, err := w.streams.Stream(ctx, events.Stream(service))
		if err != nil {
			continue // it has published nothing yet
		}
		consumers := stream.ListConsumers(ctx)
		for c := range consumers.Info() {
			if left := int(c.NumPending) + c.NumAckPending; left > 0 && c.Config.Durable != "" {
				what = append(what, fmt.Sprintf("%s has not heard %d events of %s", c.Name, left, service))
			}
		}
		if consumers.Err() != nil {
			return what, consumers.Err()
		}
	}
	return what, nil
}

// check finds everything in order: what always holds, and what holds at rest.
func (w *world) check(t *testing.T) {
	t.Helper()
	report, err := w.checker.Check(t.Context(), verify.Options{Settled: true, Stream: w.streams, Wait: 10 * time.Second})
	require.NoError(t, err)
	require.Empty(t, report.Findings)
}

// census counts everything that the services keep.
func (w *world) census(t *testing.T) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	for service, db := range w.databases {
		rows, err := db.Query(t.Context(), censusOfEach+censusOf[service])
		require.NoError(t, err)
		for rows.Next() {
			var what string
			var n int
			require.NoError(t, rows.Scan(&what, &n))
			counts[service+": "+what] = n
		}
		require.NoError(t, rows.Err())
	}
	return counts
}

// The method of an answer may go on with whom it is about. Not counted: how often a call that nobody can repeat noted for itself that it was done (postgres.InTxOnce).
const censusOfEach = `
	SELECT 'event ' || type, count(*) FROM events GROUP BY 1
	UNION ALL SELECT 'mail ' || kind || ' ' || state, count(*) FROM mails GROUP BY 1
	UNION ALL SELECT 'answer ' || split_part(method, '/', 1), count(*) FROM idempotency WHERE method <> 'InTx' GROUP BY 1
	UNION ALL SELECT 'task ' || kind, count(*) FROM due GROUP BY 1
`

var censusOf = map[string]string{
	"membership": `
	UNION ALL SELECT 'organization ' || state, count(*) FROM organizations GROUP BY 1
	UNION ALL SELECT concat_ws(' ', 'member', m.state, r.key), count(*) FROM members m JOIN roles r USING (organization_id, role_id) GROUP BY 1
	UNION ALL SELECT concat_ws(' ', 'person', kind, state, role), count(*) FROM people GROUP BY 1
	UNION ALL SELECT concat_ws(' ', 'operation', kind, state), count(*) FROM member_operations GROUP BY 1
	UNION ALL SELECT 'domain ' || state, count(*) FROM domains GROUP BY 1
	UNION ALL SELECT 'join', count(*) FROM joins`,
	"invitation": `
	UNION ALL SELECT concat_ws(' ', 'invitation', state, delivery, generation, releasing, failure_reason), count(*) FROM invitations GROUP BY 1
	UNION ALL SELECT 'sent', coalesce(sum(sent), 0) FROM sent_today`,
	"identity": `
	UNION ALL SELECT concat_ws(' ', 'account', CASE WHEN managed_by IS NULL THEN 'free' ELSE 'managed' END, sign_in_allowed), count(*) FROM accounts GROUP BY 1
	UNION ALL SELECT 'credential', count(*) FROM credentials
	UNION ALL SELECT 'session', count(*) FROM sessions
	UNION ALL SELECT 'link to a provider', count(*) FROM federated_identities
	UNION ALL SELECT 'sign-up', count(*) FROM sign_ups
	UNION ALL SELECT 'operator', count(*) FROM operators
	UNION ALL SELECT 'operator key', count(*) FROM operator_keys
	UNION ALL SELECT 'operator claim', count(*) FROM operator_claims
	UNION ALL SELECT 'username ' || CASE WHEN account_id IS NULL THEN 'held' ELSE 'taken' END, count(*) FROM usernames GROUP BY 1`,
	"billing": `
	UNION ALL SELECT concat_ws(' ', 'seat', state, owner_kind), count(*) FROM seats GROUP BY 1
	UNION ALL SELECT 'ledger ' || op, count(*) FROM seat_ledger GROUP BY 1
	UNION ALL SELECT 'occupied', coalesce(sum(occupied), 0) FROM heads
	UNION ALL SELECT 'reserved', coalesce(sum(reserved), 0) FROM heads
	UNION ALL SELECT 'limit', coalesce(sum(cap), 0) FROM heads`,
}

// changes lists what is counted otherwise than before.
func changes(before, after map[string]int) (lines []string) {
	all := maps.Clone(after)
	for what := range before {
		all[what] += 0
	}
	for what := range all {
		if n := after[what] - before[what]; n != 0 {
			lines = append(lines, fmt.Sprintf("%s %+d", what, n))
		}
	}
	slices.Sort(lines)
	return lines
}
