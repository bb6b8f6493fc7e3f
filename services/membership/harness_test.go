package membership_test

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/events"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/chain"
	"github.com/rosterhq/roster/services/internal/devdns"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/network"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/internal/server"
	"github.com/rosterhq/roster/services/internal/testkit"
	"github.com/rosterhq/roster/services/membership"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/proof"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var refused = testkit.Refused

// harness is the service behind its real server, on a database of its own, among fake peers.
type harness struct {
	*testing.T
	service  *membership.Service
	db       *postgres.DB
	dsns     testkit.DSNs
	seats    *seats
	accounts *accounts
	upstream *upstream
	mails    *postbox
	dns      *devdns.Server

	organizations membershipv1.OrganizationServiceClient // for people, see as
	roles         membershipv1.RoleServiceClient
	members       membershipv1.MemberServiceClient
	signedIn      membershipv1.MemberSessionServiceClient
	bulk          membershipv1.BulkMemberServiceClient
	groups        membershipv1.GroupServiceClient
	availability  membershipv1.AvailabilityServiceClient
	scheduler     membershipv1.AvailabilityProviderServiceClient // see fakeScheduler
	projects      membershipv1.ProjectServiceClient
	ownership     membershipv1.OwnershipServiceClient
	access        membershipv1.AccessServiceClient
	registry      membershipv1.PermissionServiceClient // see operator
	domains       membershipv1.DomainServiceClient
	providers     membershipv1.IdentityProviderServiceClient
	audit         membershipv1.AuditServiceClient
	admission     membershipv1.AdmissionServiceClient      // as the invitation service
	asked         membershipv1.AccessServiceClient         // as the invitation service
	owners        billingv1.SeatOwnerServiceClient         // as billing
	denials       membershipv1.DenialServiceClient         // as billing
	required      membershipv1.MfaRequirementServiceClient // as identity
	proofs        membershipv1.DomainProofServiceClient    // as identity
	departures    membershipv1.DepartureServiceClient      // as identity
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	dsns := testkit.Database(t, "membership", membership.Migrations)
	h := &harness{T: t, dsns: dsns, db: dsns.Open(t, postgres.Options{}), seats: newSeats(), accounts: &accounts{}, upstream: &upstream{}, mails: &postbox{}}
	var err error
	h.dns, err = devdns.Start()
	require.NoError(t, err)
	t.Cleanup(h.dns.Stop)
	key := seal.NewKey(sha256.Sum256([]byte("membership")))
	h.service = membership.New(membership.Dependencies{
		DB: h.db, Chain: &chain.Server{DB: h.db}, Chains: h.histories(), Seats: h.seats, Usage: h.seats, Accounts: h.accounts, Federation: h.upstream, PageKey: key.Derive("page"), LeaveKey: key.Derive("leave"), PublicURL: "https://roster.example",
		Proofs: proof.New(h.dns.Addr()), Providers: org.NewProviders([]string{"mail.example"}),
		Mail: &mail.Queue{DB: h.db, Sender: h.mails, Key: key.Derive("mail")},
		Log:  slog.New(slog.DiscardHandler),
	})
	h.serve()
	return h
}

func (h *harness) serve() {
	lan := network.Memory()
	testkit.Serve(h, lan, server.Config{
		Role: "membership", Log: slog.New(slog.NewTextHandler(h.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
		Authenticate: func(_ context.Context, bearer string) (caller.Caller, error) {
			if operator, err := id.ParseOperator(bearer); err == nil {
				return caller.Caller{Operator: operator}, nil
			}
			bearer, long := strings.CutPrefix(bearer, signedInLongAgo)
			bearer, both := strings.CutPrefix(bearer, withBothFactors)
			account, err := id.ParseAccount(bearer)
			who := caller.Caller{Account: account, AuthTime: time.Now(), Level: 1, Reach: 1}
			if both {
				who.Level, who.Reach = 2, 2
			}
			if long {
				who.AuthTime = who.AuthTime.Add(-time.Hour)
			}
			return who, err
		},
	}, h.service)
	dial := func(from string) *grpc.ClientConn { return testkit.Dial(h, lan, from, "membership") }
	people, invitation := dial("gateway"), dial("invitation")
	h.organizations = membershipv1.NewOrganizationServiceClient(people)
	h.roles = membershipv1.NewRoleServiceClient(people)
	h.members = membershipv1.NewMemberServiceClient(people)
	h.signedIn = membershipv1.NewMemberSessionServiceClient(people)
	h.bulk = membershipv1.NewBulkMemberServiceClient(people)
	h.groups = membershipv1.NewGroupServiceClient(people)
	h.availability = membershipv1.NewAvailabilityServiceClient(people)
	h.scheduler = membershipv1.NewAvailabilityProviderServiceClient(people)
	h.projects = membershipv1.NewProjectServiceClient(people)
	h.ownership = membershipv1.NewOwnershipServiceClient(people)
	h.access = membershipv1.NewAccessServiceClient(people)
	h.registry = membershipv1.NewPermissionServiceClient(people)
	h.domains = membershipv1.NewDomainServiceClient(people)
	h.providers = membershipv1.NewIdentityProviderServiceClient(people)
	h.audit = membershipv1.NewAuditServiceClient(people)
	h.admission = membershipv1.NewAdmissionServiceClient(invitation)
	h.asked = membershipv1.NewAccessServiceClient(invitation)
	h.required = membershipv1.NewMfaRequirementServiceClient(dial("identity"))
	h.proofs = membershipv1.NewDomainProofServiceClient(dial("identity"))
	h.departures = membershipv1.NewDepartureServiceClient(dial("identity"))
	billing := dial("billing")
	h.owners = billingv1.NewSeatOwnerServiceClient(billing)
	h.denials = membershipv1.NewDenialServiceClient(billing)
}

// signedInLongAgo begins the credential of somebody who has not just proven who they are.
const signedInLongAgo = "long-ago-"

// withBothFactors begins the credential of somebody who has shown a second factor.
const withBothFactors = "both-"

// proven calls on behalf of a person who has shown a second factor.
func (h *harness) proven(account id.Account) context.Context {
	return metadata.AppendToOutgoingContext(h.Context(), "authorization", "Bearer "+withBothFactors+account.String())
}

// stale calls on behalf of a person who signed in long ago.
func (h *harness) stale(account id.Account) context.Context {
	return metadata.AppendToOutgoingContext(h.Context(), "authorization", "Bearer "+signedInLongAgo+account.String())
}

// as calls on behalf of a person.
func (h *harness) as(account id.Account) context.Context {
	return metadata.AppendToOutgoingContext(h.Context(), "authorization", "Bearer "+account.String())
}

// organization is one with a creator.
type organization struct {
	*harness
	id      id.Organization
	creator id.Account
}

func (h *harness) create(preset membershipv1.Preset) organization {
	h.Helper()
	creator := id.NewAccount()
	answer, err := h.organizations.CreateOrganization(h.as(creator), &membershipv1.CreateOrganizationRequest{DisplayName: "Acme", Preset: preset})
	require.NoError(h, err)
	key, err := id.ParseOrganization(answer.GetOrganization().GetId())
	require.NoError(h, err)
	return organization{harness: h, id: key, creator: creator}
}

// add makes a new account a member, as an accepted invitation does.
func (o organization) add(role string) id.Account {
	o.Helper()
	account := id.NewAccount()
	require.NoError(o, o.addAs(account, id.NewSeat(), role))
	return account
}

func (o organization) addAs(account id.Account, seat id.Seat, role string) error {
	_, err := o.admission.AddMember(o.Context(), &membershipv1.AddMemberRequest{
		OrganizationId: o.id.String(), AccountId: account.String(), SeatId: seat.String(), Role: role,
		InvitationId: id.NewInvitation().String(), DisplayName: "Member " + role, Email: account.String() + "@example.com"})
	return err
}

func (o organization) changeRole(actor, target id.Account, role string) error {
	_, err := o.members.ChangeMemberRole(o.as(actor), &membershipv1.ChangeMemberRoleRequest{
		OrganizationId: o.id.String(), AccountId: target.String(), Role: role})
	return err
}

func (o organization) disable(actor, target id.Account) (*membershipv1.DisableMemberResponse, error) {
	return o.members.DisableMember(o.as(actor), &membershipv1.DisableMemberRequest{OrganizationId: o.id.String(), AccountId: target.String()})
}

func (o organization) enable(actor, target id.Account) (*membershipv1.EnableMemberResponse, error) {
	return o.members.EnableMember(o.as(actor), &membershipv1.EnableMemberRequest{OrganizationId: o.id.String(), AccountId: target.String()})
}

func (o organization) remove(actor, target id.Account) (*membershipv1.RemoveMemberResponse, error) {
	return o.members.RemoveMember(o.as(actor), &membershipv1.RemoveMemberRequest{OrganizationId: o.id.String(), AccountId: target.String()})
}

func (o organization) get(actor, target id.Account) (*membershipv1.Member, error) {
	answer, err := o.members.GetMember(o.as(actor), &membershipv1.GetMemberRequest{OrganizationId: o.id.String(), AccountId: target.String()})
	return answer.GetMember(), err
}

func (o organization) decision(account id.Account, permission string) membershipv1.CheckAccessResponse_Decision {
	o.Helper()
	answer, err := o.asked.CheckAccess(o.Context(), &membershipv1.CheckAccessRequest{
		OrganizationId: o.id.String(), AccountId: account.String(), Permission: permission})
	require.NoError(o, err)
	require.Equal(o, answer.GetDecision() == membershipv1.CheckAccessResponse_DECISION_ALLOWED, answer.GetAllowed())
	return answer.GetDecision()
}

func (o organization) list(actor id.Account, edit func(*membershipv1.ListPeopleRequest)) *membershipv1.ListPeopleResponse {
	o.Helper()
	req := &membershipv1.ListPeopleRequest{OrganizationId: o.id.String()}
	if edit != nil {
		edit(req)
	}
	answer, err := o.members.ListPeople(o.as(actor), req)
	require.NoError(o, err)
	return answer
}

// owner connects as the owner of the database, who sees all rows.
func (h *harness) owner() *pgx.Conn {
	h.Helper()
	conn, err := pgx.Connect(h.Context(), h.dsns.Owner)
	require.NoError(h, err)
	h.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// recorded is one event of the log.
type recorded struct {
	Type string
	Data string
}

// history returns the organization's events, oldest first.
func (o organization) history() (log []recorded) {
	o.Helper()
	owner := o.owner()
	rows, err := owner.Query(o.Context(), `SELECT type, data FROM events WHERE aggregate_id = $1 ORDER BY revision`, o.id)
	require.NoError(o, err)
	for rows.Next() {
		var e recorded
		var data []byte
		require.NoError(o, rows.Scan(&e.Type, &data))
		e.Data = string(data)
		log = append(log, e)
	}
	require.NoError(o, rows.Err())
	return log
}

func (o organization) types() (types []string) {
	o.Helper()
	for _, e := range o.history() {
		types = append(types, e.Type)
	}
	return types
}

// sweep runs every task that there is once, as the sweeper does, whatever its time. Profiles have a test of their own.
func (h *harness) sweep() {
	h.Helper()
	rows, err := h.db.Pool.Query(h.Context(), `SELECT aggregate_id, kind, id, attempts FROM due WHERE kind <> 'profile'`)
	require.NoError(h, err)
	var tasks []saga.Task
	for rows.Next() {
		var task saga.Task
		require.NoError(h, rows.Scan(&task.Aggregate, &task.Kind, &task.ID, &task.Attempts))
		tasks = append(tasks, task)
	}
	require.NoError(h, rows.Err())
	for _, task := range tasks {
		require.NoError(h, h.service.Steps()[task.Kind](h.Context(), task), task.Kind)
	}
}

// sweepOne runs one task.
func (h *harness) sweepOne(kind string, of id.Account) error {
	h.Helper()
	task := saga.Task{Kind: kind, ID: id.Any(of)}
	require.NoError(h, h.db.Pool.QueryRow(h.Context(), `SELECT aggregate_id FROM due WHERE kind = $1 AND id = $2`, kind, of).Scan(&task.Aggregate))
	return h.service.Steps()[kind](h.Context(), task)
}

// due counts what is left to do, beside mails and another look at profiles.
func (h *harness) due() (n int) {
	h.Helper()
	require.NoError(h, h.db.Pool.QueryRow(h.Context(), `SELECT count(*) FROM due WHERE kind NOT IN ('mail', 'profile')`).Scan(&n))
	return n
}

// hear delivers an event of another service.
func (h *harness) hear(service, kind, aggregate string, revision int64, message proto.Message) {
	h.Helper()
	h.hearIn(1, service, kind, aggregate, revision, message)
}

// hearIn delivers an event of an epoch.
func (h *harness) hearIn(epoch int64, service, kind, aggregate string, revision int64, message proto.Message) {
	h.Helper()
	h.deliver(events.Event{Type: kind, Service: service, Aggregate: aggregate, Epoch: epoch, Revision: revision, Time: time.Now()}, message)
}

// hearAt delivers an event of a time.
func (h *harness) hearAt(at time.Time, service, kind, aggregate string, revision int64, message proto.Message) {
	h.Helper()
	h.deliver(events.Event{Type: kind, Service: service, Aggregate: aggregate, Epoch: 1, Revision: revision, Time: at}, message)
}

func (h *harness) deliver(e events.Event, message proto.Message) {
	h.Helper()
	var err error
	e.Data, err = protojson.Marshal(message)
	require.NoError(h, err)
	e.ID = id.NewEvent().String()
	require.NoError(h, h.service.Consume(h.Context(), e))
}

// alive asks as billing which seats are still wanted.
func (o organization) alive(asked ...id.Seat) []bool {
	o.Helper()
	req := &billingv1.CheckSeatOwnersRequest{OrganizationId: o.id.String()}
	for _, seat := range asked {
		req.Claims = append(req.Claims, &billingv1.CheckSeatOwnersRequest_Claim{SeatId: seat.String()})
	}
	answer, err := o.owners.CheckSeatOwners(o.Context(), req)
	require.NoError(o, err)
	return answer.GetAlive()
}
