package invitation_test

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/chain"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/network"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/internal/server"
	"github.com/rosterhq/roster/services/internal/testkit"
	"github.com/rosterhq/roster/services/invitation"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var (
	refused = testkit.Refused
	atOnce  = testkit.AtOnce
)

// harness is the service behind its real server, on a database of its own, among fake peers. No sweeper runs by itself.
type harness struct {
	*testing.T
	service *invitation.Service
	db      *postgres.DB
	rows    *pgxpool.Pool // the owner's, who sees all rows
	peers   *peers
	post    *postbox

	client invitationv1.InvitationServiceClient // for people, see as
	owners billingv1.SeatOwnerServiceClient     // as billing
}

func newHarness(t *testing.T, limits invitation.Limits) *harness {
	t.Helper()
	dsns := testkit.Database(t, "invitation", invitation.Migrations)
	rows, err := pgxpool.New(t.Context(), dsns.Owner)
	require.NoError(t, err)
	t.Cleanup(rows.Close)
	h := &harness{T: t, db: dsns.Open(t, postgres.Options{}), rows: rows, peers: newPeers(), post: &postbox{}}
	key := seal.NewKey(sha256.Sum256([]byte("invitation")))
	h.service = invitation.New(invitation.Dependencies{
		DB: h.db, Chain: &chain.Server{DB: h.db}, Admission: h.peers, Accounts: h.peers, Seats: h.peers, Key: key, PublicURL: "https://roster.example", Limits: limits,
		Mail: &mail.Queue{DB: h.db, Sender: h.post, Key: key.Derive("mail")},
		Log:  slog.New(slog.DiscardHandler),
	})
	h.serve()
	return h
}

func (h *harness) serve() {
	lan := network.Memory()
	testkit.Serve(h, lan, server.Config{
		Role: "invitation", Log: slog.New(slog.NewTextHandler(h.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
		Authenticate: func(_ context.Context, bearer string) (caller.Caller, error) {
			account, err := id.ParseAccount(bearer)
			return caller.Caller{Account: account, AuthTime: time.Now()}, err
		},
	}, h.service)
	dial := func(from string) *grpc.ClientConn { return testkit.Dial(h, lan, from, "invitation") }
	h.client = invitationv1.NewInvitationServiceClient(dial("gateway"))
	h.owners = billingv1.NewSeatOwnerServiceClient(dial("billing"))
}

// as calls on behalf of a person; of nobody when there is none.
func as(t testing.TB, account id.Account) context.Context {
	if account.IsZero() {
		return t.Context()
	}
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+account.String())
}

var nobody id.Account

// organization is one with an administrator who may do everything.
type organization struct {
	*harness
	id    id.Organization
	admin id.Account
}

func (h *harness) organization() organization {
	o := organization{harness: h, id: id.NewOrganization(), admin: h.peers.signUp("")}
	h.peers.found(o.id, o.admin)
	return o
}

// asks is a request to invite somebody; the link comes with the answer when there is no address.
func (o organization) asks(address, username string) *invitationv1.CreateInvitationRequest {
	return &invitationv1.CreateInvitationRequest{OrganizationId: o.id.String(), Email: address, Username: username, DisplayName: "Grace", Role: "member"}
}

// invited is an invitation and what a test knows about it.
type invited struct {
	organization
	id    string
	token string // of the link
	email string
}

// invite invites by mail, or by link when the address is empty, and fetches the link from the mail.
func (o organization) invite(t *testing.T, address, username string) invited {
	t.Helper()
	made, err := o.client.CreateInvitation(as(t, o.admin), o.asks(address, username))
	require.NoError(t, err)
	i := invited{organization: o, id: made.GetInvitation().GetId(), token: lastSegment(made.GetLink()), email: address}
	if address != "" {
		o.sweep(t)
		i.token = o.post.link(address)
	}
	require.NotEmpty(t, i.token)
	return i
}

func lastSegment(link string) string { return link[strings.LastIndex(link, "/")+1:] }

func (i invited) resend(t *testing.T) (*invitationv1.ResendInvitationResponse, error) {
	return i.client.ResendInvitation(as(t, i.admin), &invitationv1.ResendInvitationRequest{OrganizationId: i.organization.id.String(), InvitationId: i.id})
}

func (i invited) revoke(t *testing.T) (*invitationv1.RevokeInvitationResponse, error) {
	return i.client.RevokeInvitation(as(t, i.admin), &invitationv1.RevokeInvitationRequest{OrganizationId: i.organization.id.String(), InvitationId: i.id})
}

func (i invited) accept(t *testing.T, who id.Account) (*invitationv1.AcceptInvitationResponse, error) {
	req := &invitationv1.AcceptInvitationRequest{LinkToken: i.token}
	if who.IsZero() {
		req.Password, req.DisplayName, req.Delivery = password, "Grace Hopper", identityv1.Delivery_DELIVERY_TOKEN
	}
	return i.client.AcceptInvitation(as(t, who), req)
}

const password = "correct horse battery staple"

func (i invited) decline(t *testing.T) error {
	_, err := i.client.DeclineInvitation(t.Context(), &invitationv1.DeclineInvitationRequest{LinkToken: i.token})
	return err
}

func (i invited) preview(t *testing.T) error {
	_, err := i.client.PreviewInvitation(t.Context(), &invitationv1.PreviewInvitationRequest{LinkToken: i.token})
	return err
}

// row reads a column of the invitation as text.
func (i invited) row(t *testing.T, expression string) (value string) {
	t.Helper()
	require.NoError(t, i.rows.QueryRow(t.Context(),
		`SELECT coalesce((`+expression+`)::text, '') FROM invitations WHERE organization_id = $1 AND invitation_id = $2`,
		i.organization.id, i.key(t)).Scan(&value))
	return value
}

func (i invited) state(t *testing.T) string { return i.row(t, "state") }

func (i invited) key(t *testing.T) id.Invitation {
	key, err := id.ParseInvitation(i.id)
	require.NoError(t, err)
	return key
}

// age lets the invitation's time run out, without anybody noticing.
func (i invited) age(t *testing.T) {
	t.Helper()
	_, err := i.rows.Exec(t.Context(), `UPDATE invitations SET expire_time = now() - interval '1 second' WHERE organization_id = $1 AND invitation_id = $2`,
		i.organization.id, i.key(t))
	require.NoError(t, err)
	_, err = i.rows.Exec(t.Context(), `UPDATE due SET next_time = now() - interval '1 second' WHERE aggregate_id = $1 AND kind = 'invitation' AND id = $2`,
		i.organization.id, i.key(t))
	require.NoError(t, err)
}

// tasks returns everything that is to be done some time.
func (h *harness) tasks(t *testing.T) []saga.Task {
	t.Helper()
	rows, _ := h.rows.Query(t.Context(), `SELECT aggregate_id, kind, id, attempts FROM due`)
	tasks, err := pgx.CollectRows(rows, pgx.RowToStructByName[saga.Task])
	require.NoError(t, err)
	return tasks
}

// sweep runs every task that there is, whatever its time, as the sweeper would; then once more what follows from it.
func (h *harness) sweep(t *testing.T) {
	t.Helper()
	for range 2 {
		for _, task := range h.tasks(t) {
			require.NoError(t, h.service.Steps()[task.Kind](t.Context(), task), task.Kind)
		}
	}
}

// types returns the types of the organization's events, in order.
func (o organization) types(t *testing.T) []string {
	t.Helper()
	rows, _ := o.rows.Query(t.Context(), `SELECT type FROM events WHERE aggregate_id = $1 ORDER BY revision`, o.id)
	types, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return types
}
