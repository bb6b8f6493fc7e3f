package verify_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/dev"
	"github.com/rosterhq/roster/services/internal/devmail"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/newcomer"
	"github.com/rosterhq/roster/services/internal/testkit"
	"github.com/rosterhq/roster/services/internal/verify"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	pipeline = membershipv1.Preset_PRESET_PIPELINE
	portal   = membershipv1.Preset_PRESET_PORTAL
	rbac     = membershipv1.Preset_PRESET_RBAC
	flat     = membershipv1.Preset_PRESET_FLAT
)

// suite is a suite that runs.
type suite struct {
	dev.Addresses
	conn     *grpc.ClientConn
	operator string // API key
	checker  *verify.Checker
	stream   jetstream.JetStream
	stop     func()

	links   sync.Map // that were used
	mu      sync.Mutex
	history []verify.Operation
}

// start runs a suite until stop is called, or the test ends; on the databases of admin, or on its own when that is empty.
func start(t *testing.T, admin string) *suite {
	t.Helper()
	data, err := os.MkdirTemp("", "roster-verify-*")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(data) })
	require.NoError(t, os.Chmod(data, 0o711)) // PostgreSQL's user has to pass through
	ctx, cancel := context.WithCancel(context.Background())
	started, ended := make(chan dev.Addresses, 1), make(chan error, 1)
	var log logs
	go func() {
		ended <- dev.Run(ctx, dev.Config{
			Data: data, HTTP: "127.0.0.1:0", GRPC: "127.0.0.1:0", NATS: "127.0.0.1:0", Postgres: admin,
			Log:     slog.New(slog.NewTextHandler(&log, nil)),
			Started: func(a dev.Addresses) { started <- a },
		})
	}()
	s := &suite{}
	select {
	case s.Addresses = <-started:
	case err := <-ended:
		t.Fatal(err)
	}
	s.conn, err = grpc.NewClient("passthrough:///"+s.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	dsns := make(map[string]string)
	for service := range dev.Migrations {
		dsns[service] = s.Owner(service)
	}
	s.checker, err = verify.Open(t.Context(), dsns)
	require.NoError(t, err)
	broker, err := nats.Connect(s.NATS)
	require.NoError(t, err)
	s.stream, err = jetstream.New(broker)
	require.NoError(t, err)
	s.stop = sync.OnceFunc(func() {
		s.checker.Close()
		broker.Close()
		s.conn.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
	t.Cleanup(s.stop)
	claimed, err := s.as("").ClaimOperator(t.Context(), &identityv1.ClaimOperatorRequest{Token: s.Claim})
	require.NoError(t, err)
	s.operator = claimed.GetApiKey()
	return s
}

// logs keeps what a suite says, for a test that fails.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// client is somebody who calls a suite.
type client struct {
	identityv1.AccountServiceClient
	identityv1.SessionServiceClient
	identityv1.OperatorServiceClient
	membershipv1.OrganizationServiceClient
	membershipv1.MemberServiceClient
	membershipv1.RoleServiceClient
	invitationv1.InvitationServiceClient
	billingv1.SeatLimitServiceClient

	s         *suite
	ID, Email string
}

func (s *suite) as(token string) *client {
	conn := bearer{s.conn, token}
	return &client{
		identityv1.NewAccountServiceClient(conn), identityv1.NewSessionServiceClient(conn), identityv1.NewOperatorServiceClient(conn),
		membershipv1.NewOrganizationServiceClient(conn), membershipv1.NewMemberServiceClient(conn), membershipv1.NewRoleServiceClient(conn),
		invitationv1.NewInvitationServiceClient(conn), billingv1.NewSeatLimitServiceClient(conn), s, "", "",
	}
}

// bearer sends a credential with every call.
type bearer struct {
	*grpc.ClientConn
	token string
}

func (b bearer) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if b.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+b.token)
	}
	return b.ClientConn.Invoke(ctx, method, args, reply, opts...)
}

var counter atomic.Int64

// unique makes a word that nothing else in this test binary uses.
func unique(word string) string { return fmt.Sprintf("%s-%d", word, counter.Add(1)) }

// signUp makes an account by its mail, and signs in.
func (s *suite) signUp(t *testing.T) *client {
	t.Helper()
	p, err := newcomer.SignUp(t.Context(), s.conn, newcomer.In(s.Mail), unique("ada")+"@example.com")
	require.NoError(t, err)
	c := s.as(p.Session)
	c.ID, c.Email = p.ID, p.Email
	return c
}

// link waits for a mail with a link that holds part and was not returned before, and returns the link's last segment.
func (s *suite) link(t *testing.T, address, part string) (link string) {
	t.Helper()
	_, err := s.Mail.Wait(t.Context(), address, func(m devmail.Received) bool {
		for _, found := range m.Links {
			if last := found[strings.LastIndex(found, "/")+1:]; strings.Contains(found, part) && s.fresh(last) {
				link = last
				return true
			}
		}
		return false
	})
	require.NoError(t, err, "a mail to "+address)
	return link
}

// fresh tells whether a link is seen for the first time.
func (s *suite) fresh(link string) bool {
	_, seen := s.links.LoadOrStore(link, true)
	return !seen
}

// did notes what a client saw, and expects it to be what should happen: done, or refused for a reason.
func (s *suite) did(t *testing.T, o verify.Operation, begin time.Time, err error, refusal ...errorv1.Reason) {
	t.Helper()
	o.Start, o.End, o.Outcome = begin, time.Now(), verify.OK
	if len(refusal) > 0 {
		require.Equal(t, refusal[0], fault.ReasonOf(err), "%v", err)
		o.Outcome, o.Reason = verify.Refused, fault.ReasonOf(err).String()
	} else {
		require.NoError(t, err, o.Verb)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.history = append(s.history, o)
}

// team is an organization and the calls that change it, each noted in the history.
type team struct {
	s     *suite
	t     *testing.T
	ID    string
	owner *client
}

func (s *suite) create(t *testing.T, preset membershipv1.Preset) *team {
	t.Helper()
	owner, request, begin := s.signUp(t), unique("r"), time.Now()
	made, err := owner.CreateOrganization(t.Context(), &membershipv1.CreateOrganizationRequest{DisplayName: unique("Engines"), Preset: preset, RequestId: request})
	s.did(t, verify.Operation{Verb: verify.CreateOrganization, RequestID: request, OrganizationID: made.GetOrganization().GetId()}, begin, err)
	return &team{s, t, made.GetOrganization().GetId(), owner}
}

func (o *team) limit(seats *int32) {
	o.t.Helper()
	request, begin := unique("r"), time.Now()
	_, err := o.s.as(o.s.operator).SetSeatLimit(o.t.Context(), &billingv1.SetSeatLimitRequest{OrganizationId: o.ID, Limit: seats, Reason: "a plan", RequestId: request})
	o.s.did(o.t, verify.Operation{Verb: verify.SetSeatLimit, RequestID: request, OrganizationID: o.ID, Limit: seats}, begin, err)
}

// invite invites by mail, or by link where address is empty.
func (o *team) invite(address, role, username string, refusal ...errorv1.Reason) *invitationv1.CreateInvitationResponse {
	o.t.Helper()
	request, begin := unique("r"), time.Now()
	display := ""
	if username != "" {
		display = "Grace"
	}
	made, err := o.owner.CreateInvitation(o.t.Context(), &invitationv1.CreateInvitationRequest{
		OrganizationId: o.ID, Email: address, Role: role, Username: username, DisplayName: display, RequestId: request})
	o.s.did(o.t, verify.Operation{Verb: verify.Invite, RequestID: request, OrganizationID: o.ID, Email: address, InvitationID: made.GetInvitation().GetId()}, begin, err, refusal...)
	return made
}

// accept accepts with an account, or with a new one if by is nil, and returns the account.
func (o *team) accept(invitation, link string, by *client) string {
	o.t.Helper()
	begin, req := time.Now(), &invitationv1.AcceptInvitationRequest{LinkToken: link}
	if by == nil {
		by = o.s.as("")
		req.Password, req.DisplayName, req.Delivery = newcomer.Password, "Grace", identityv1.Delivery_DELIVERY_TOKEN
	}
	accepted, err := newcomer.Patient(func() (*invitationv1.AcceptInvitationResponse, error) { return by.AcceptInvitation(o.t.Context(), req) })
	o.s.did(o.t, verify.Operation{Verb: verify.Accept, OrganizationID: o.ID, InvitationID: invitation, AccountID: accepted.GetAccountId()}, begin, err)
	return accepted.GetAccountId()
}

func (o *team) decline(invitation, link string) {
	o.t.Helper()
	begin := time.Now()
	_, err := o.owner.DeclineInvitation(o.t.Context(), &invitationv1.DeclineInvitationRequest{LinkToken: link})
	o.s.did(o.t, verify.Operation{Verb: verify.Decline, OrganizationID: o.ID, InvitationID: invitation}, begin, err)
}

func (o *team) resend(invitation string) {
	o.t.Helper()
	request, begin := unique("r"), time.Now()
	_, err := o.owner.ResendInvitation(o.t.Context(), &invitationv1.ResendInvitationRequest{OrganizationId: o.ID, InvitationId: invitation, RequestId: request})
	o.s.did(o.t, verify.Operation{Verb: verify.Resend, RequestID: request, OrganizationID: o.ID, InvitationID: invitation}, begin, err)
}

func (o *team) revoke(invitation string) {
	o.t.Helper()
	request, begin := unique("r"), time.Now()
	_, err := o.owner.RevokeInvitation(o.t.Context(), &invitationv1.RevokeInvitationRequest{OrganizationId: o.ID, InvitationId: invitation, RequestId: request})
	o.s.did(o.t, verify.Operation{Verb: verify.Revoke, RequestID: request, OrganizationID: o.ID, InvitationID: invitation}, begin, err)
}

func (o *team) changeRole(member, role string, refusal ...errorv1.Reason) {
	o.t.Helper()
	request, begin := unique("r"), time.Now()
	_, err := o.owner.ChangeMemberRole(o.t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: o.ID, AccountId: member, Role: role, RequestId: request})
	o.s.did(o.t, verify.Operation{Verb: verify.ChangeRole, RequestID: request, OrganizationID: o.ID, AccountID: member, Role: role}, begin, err, refusal...)
}

func (o *team) disable(member string) {
	o.t.Helper()
	request, begin := unique("r"), time.Now()
	_, err := o.owner.DisableMember(o.t.Context(), &membershipv1.DisableMemberRequest{OrganizationId: o.ID, AccountId: member, RequestId: request})
	o.s.did(o.t, verify.Operation{Verb: verify.Disable, RequestID: request, OrganizationID: o.ID, AccountID: member}, begin, err)
}

func (o *team) enable(member string) {
	o.t.Helper()
	request, begin := unique("r"), time.Now()
	_, err := o.owner.EnableMember(o.t.Context(), &membershipv1.EnableMemberRequest{OrganizationId: o.ID, AccountId: member, RequestId: request})
	o.s.did(o.t, verify.Operation{Verb: verify.Enable, RequestID: request, OrganizationID: o.ID, AccountID: member}, begin, err)
}

func (o *team) remove(member string) {
	o.t.Helper()
	request, begin := unique("r"), time.Now()
	_, err := o.owner.RemoveMember(o.t.Context(), &membershipv1.RemoveMemberRequest{OrganizationId: o.ID, AccountId: member, RequestId: request})
	o.s.did(o.t, verify.Operation{Verb: verify.Remove, RequestID: request, OrganizationID: o.ID, AccountID: member}, begin, err)
}

func (o *team) rename() {
	o.t.Helper()
	request, begin := unique("r"), time.Now()
	_, err := o.owner.UpdateOrganization(o.t.Context(), &membershipv1.UpdateOrganizationRequest{OrganizationId: o.ID, DisplayName: unique("Renamed"), RequestId: request})
	o.s.did(o.t, verify.Operation{Verb: verify.UpdateOrganization, RequestID: request, OrganizationID: o.ID}, begin, err)
}

func (o *team) delete() {
	o.t.Helper()
	request, begin := unique("r"), time.Now()
	_, err := o.owner.DeleteOrganization(o.t.Context(), &membershipv1.DeleteOrganizationRequest{OrganizationId: o.ID, RequestId: request})
	o.s.did(o.t, verify.Operation{Verb: verify.DeleteOrganization, RequestID: request, OrganizationID: o.ID}, begin, err)
}

// hurry makes invitations that are sent from now on expire within a second.
func (o *team) hurry() {
	o.t.Helper()
	key, err := id.ParseOrganization(o.ID)
	require.NoError(o.t, err)
	conn, err := pgx.Connect(o.t.Context(), o.s.Owner("membership"))
	require.NoError(o.t, err)
	defer conn.Close(o.t.Context())
	_, err = conn.Exec(o.t.Context(), `UPDATE organizations SET policy = jsonb_set(policy, '{invite_ttl}', '1000000000') WHERE organization_id = $1`, key)
	require.NoError(o.t, err)
}

// expired waits until the invitations that hurried have expired: that gives seats back, and nothing else is under way.
func (o *team) expired() {
	o.t.Helper()
	conn, err := pgx.Connect(o.t.Context(), o.s.Owner("invitation"))
	require.NoError(o.t, err)
	defer conn.Close(o.t.Context())
	require.Eventually(o.t, func() bool {
		var left int
		require.NoError(o.t, conn.QueryRow(o.t.Context(), `
			SELECT count(*) FROM invitations WHERE state = 'PENDING' AND expire_time < now() + interval '1 minute'`).Scan(&left))
		return left == 0
	}, time.Minute, 10*time.Millisecond)
}

// replaceRole deletes a role that a member has, an invitation gives and a former member had.
func (o *team) replaceRole(member string) {
	o.t.Helper()
	made, err := o.owner.CreateRole(o.t.Context(), &membershipv1.CreateRoleRequest{OrganizationId: o.ID, DisplayName: "Support"})
	require.NoError(o.t, err)
	former := o.s.signUp(o.t)
	left := o.invite(former.Email, "support", "")
	o.accept(left.GetInvitation().GetId(), o.s.link(o.t, former.Email, "/invite/"), former)
	o.remove(former.ID)
	o.changeRole(member, "support")
	o.invite(unique("grace")+"@example.com", "support", "")
	deleted, err := o.owner.DeleteRole(o.t.Context(), &membershipv1.DeleteRoleRequest{
		OrganizationId: o.ID, RoleId: made.GetRole().GetId(), Replacement: "member"})
	require.NoError(o.t, err)
	require.Equal(o.t, int64(1), deleted.GetMembers())
}

// life takes an organization through everything that can happen to one.
func (s *suite) life(t *testing.T, preset membershipv1.Preset) *team {
	t.Helper()
	o := s.create(t, preset)
	role, other, username := "member", "admin", func() string { return "" }
	switch preset {
	case pipeline:
		role, other, username = "developer", "viewer", func() string { return unique("grace") }
	case flat:
		other = ""
	}
	o.limit(new(int32(6)))

	mailed := unique("grace") + "@example.com"
	first := o.invite(mailed, role, username())
	newcomer := o.accept(first.GetInvitation().GetId(), s.link(t, mailed, "/invite/"), nil)
	guest := s.signUp(t)
	second := o.invite(guest.Email, role, username())
	s.link(t, guest.Email, "/invite/") // dies with the next
	o.resend(second.GetInvitation().GetId())
	o.accept(second.GetInvitation().GetId(), s.link(t, guest.Email, "/invite/"), guest)

	declined := unique("grace") + "@example.com"
	third := o.invite(declined, role, username())
	o.decline(third.GetInvitation().GetId(), s.link(t, declined, "/invite/"))
	o.revoke(o.invite(unique("grace")+"@example.com", role, username()).GetInvitation().GetId())
	if preset == pipeline {
		o.invite("", role, username())
	}
	o.invite(unique("grace")+"@example.com", role, username())

	if other != "" {
		o.changeRole(newcomer, other)
		o.changeRole(o.owner.ID, other, errorv1.Reason_REASON_SELF_ACTION)
	}
	o.disable(newcomer)
	if preset == rbac {
		o.replaceRole(newcomer)
	}
	o.enable(newcomer)
	o.disable(guest.ID)
	o.remove(guest.ID)
	again := o.invite(guest.Email, role, username())
	o.accept(again.GetInvitation().GetId(), s.link(t, guest.Email, "/invite/"), guest)
	_, err := guest.UpdateMe(t.Context(), &identityv1.UpdateMeRequest{DisplayName: unique("Countess"), RequestId: unique("r")})
	require.NoError(t, err)
	o.rename()

	o.limit(new(int32(1)))
	o.invite(unique("grace")+"@example.com", role, username(), errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
	o.limit(nil)
	o.hurry()
	o.invite(unique("grace")+"@example.com", role, username())
	return o
}
