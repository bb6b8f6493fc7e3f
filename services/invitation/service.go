// Package invitation is the service that brings people into organizations: it invites, sends, and lets the invitee
// answer. An invitation holds a seat from the moment it is made; accepting turns that seat into a member's. It does
// not own members, accounts or seats: it drives the services that do, one idempotent step after the other.
package invitation

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/chain"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
	"github.com/rosterhq/roster/services/invitation/internal/store"
)

// Dependencies are what the service stands on.
type Dependencies struct {
	DB        *postgres.DB
	Chain     *chain.Server // verifies this service's history
	Admission membershipv1.AdmissionServiceClient
	Accounts  identityv1.AccountDirectoryServiceClient
	Seats     billingv1.SeatServiceClient
	Mail      *mail.Queue
	Key       *seal.Key
	PublicURL string // where people reach the suite, without a slash at the end
	Limits    Limits
	Log       *slog.Logger
}

// Limits is how many invitations may be sent in a day.
type Limits = invite.Limits

// Service implements InvitationService, and SeatOwnerService for billing.
type Service struct {
	invitationv1.UnimplementedInvitationServiceServer
	billingv1.UnimplementedSeatOwnerServiceServer
	Dependencies
	linkKey *seal.Key
	pageKey *seal.Key
}

// New returns the service.
func New(d Dependencies) *Service {
	s := &Service{Dependencies: d, linkKey: d.Key.Derive("link"), pageKey: d.Key.Derive("page")}
	s.Mail.Outcome = s.mailOutcome
	return s
}

// Migrations is the service's own schema.
var Migrations = store.Migrations

// Register adds what clients call.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	invitationv1.RegisterInvitationServiceServer(r, s)
}

// RegisterInternal adds what other services call.
func (s *Service) RegisterInternal(r grpc.ServiceRegistrar) {
	billingv1.RegisterSeatOwnerServiceServer(r, s)
	membershipv1.RegisterChainServiceServer(r, s.Chain)
}

// Steps are what the sweeper runs.
func (s *Service) Steps() map[string]saga.Step {
	return map[string]saga.Step{
		store.TaskKind: func(ctx context.Context, task saga.Task) error {
			return s.drive(ctx, id.Organization(task.Aggregate), id.Invitation(task.ID))
		},
		eraseTask:     s.eraseAccount,
		mail.TaskKind: s.Mail.Deliver,
	}
}

// inTx runs fn in a transaction on the organization's rows.
func (s *Service) inTx(ctx context.Context, org id.Organization, fn func(store.Queries) error) error {
	return s.DB.InTx(ctx, postgres.In(org), func(tx *postgres.Tx) error { return fn(store.Queries{Tx: tx}) })
}

// mutate is postgres.Once for one person's mutation of an organization's invitations. Whoever loses a race for the same
// invitee at the commit looks again, to name the invitation that was first.
func mutate[R proto.Message](ctx context.Context, s *Service, org id.Organization, once postgres.Request, fn func(*postgres.Tx) (R, error)) (R, int64, error) {
	scope := postgres.Scope{Aggregate: id.Any(org), Account: caller.From(ctx).Account}
	answer, revision, err := postgres.Once(ctx, s.DB, scope, once, fn)
	if f := fault.From(err); errors.Is(err, invite.ErrPending) && f.Metadata["invitationId"] == "" {
		return postgres.Once(ctx, s.DB, scope, once, fn)
	}
	return answer, revision, err
}

// inTxOnce is inTx for what would refuse to be done twice.
func (s *Service) inTxOnce(ctx context.Context, org id.Organization, fn func(store.Queries) error) error {
	return s.DB.InTxOnce(ctx, postgres.In(org), func(tx *postgres.Tx) error { return fn(store.Queries{Tx: tx}) })
}

// view is inTx for what only reads, in one round trip.
func (s *Service) view(ctx context.Context, org id.Organization, fn func(store.Queries) error) error {
	return s.DB.View(ctx, postgres.In(org), func(tx *postgres.Tx) error { return fn(store.Queries{Tx: tx}) })
}

// releaseTime is how long a call waits for billing to take a seat back. The sweeper does what it does not.
const releaseTime = time.Second
