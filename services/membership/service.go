// Package membership is the service that owns organizations: who belongs to them, with which role, and what that allows.
// It does not own accounts, which are identity's, nor seats, which are billing's; and whom to ask to join is
// invitation's affair, which admits people through this service.
package membership

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/chain"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/reseal"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/proof"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// Dependencies are what the service stands on.
type Dependencies struct {
	DB         *postgres.DB
	Chain      *chain.Server                              // verifies this service's history
	Chains     map[string]membershipv1.ChainServiceClient // of those whose history the audit view shows too
	Seats      billingv1.SeatServiceClient
	Usage      billingv1.SeatUsageServiceClient
	Accounts   identityv1.AccountDirectoryServiceClient
	Federation identityv1.ProviderDirectoryServiceClient // knows the identity providers of organizations
	Mail       *mail.Queue
	PageKey    *seal.Key // seals page tokens
	LeaveKey   *seal.Key // seals the links by which people leave
	Proofs     *proof.Resolver
	Providers  org.Providers // whose domains nobody verifies
	PublicURL  string        // where people reach the suite, without a slash at the end
	Log        *slog.Logger
}

// Service implements the proto services of roster.membership.v1, and SeatOwnerService for billing.
type Service struct {
	membershipv1.UnimplementedOrganizationServiceServer
	membershipv1.UnimplementedRoleServiceServer
	membershipv1.UnimplementedMemberServiceServer
	membershipv1.UnimplementedMemberSessionServiceServer
	membershipv1.UnimplementedBulkMemberServiceServer
	membershipv1.UnimplementedGroupServiceServer
	membershipv1.UnimplementedAvailabilityServiceServer
	membershipv1.UnimplementedAvailabilityProviderServiceServer
	membershipv1.UnimplementedProjectServiceServer
	membershipv1.UnimplementedOwnershipServiceServer
	membershipv1.UnimplementedAccessServiceServer
	membershipv1.UnimplementedPermissionServiceServer
	membershipv1.UnimplementedDomainServiceServer
	membershipv1.UnimplementedAuditServiceServer
	membershipv1.UnimplementedDenialServiceServer
	membershipv1.UnimplementedAdmissionServiceServer
	membershipv1.UnimplementedMfaRequirementServiceServer
	membershipv1.UnimplementedDepartureServiceServer
	membershipv1.UnimplementedDomainProofServiceServer
	membershipv1.UnimplementedIdentityProviderServiceServer
	membershipv1.UnimplementedOrganizationServiceAccountServiceServer
	membershipv1.UnimplementedOrganizationKeyServiceServer
	billingv1.UnimplementedSeatOwnerServiceServer
	Dependencies
	arrivals arrivals
	activity activity
}

// New returns the service.
func New(d Dependencies) *Service { return &Service{Dependencies: d} }

// Migrations is the service's own schema.
var Migrations = store.Migrations

// Sealed is nothing: what the service seals, others keep for a while. The secrets of identity providers are sealed by identity, on their way to it.
func (s *Service) Sealed() []reseal.Column { return nil }

// Register adds what clients call.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	membershipv1.RegisterOrganizationServiceServer(r, s)
	membershipv1.RegisterRoleServiceServer(r, s)
	membershipv1.RegisterMemberServiceServer(r, s)
	membershipv1.RegisterMemberSessionServiceServer(r, s)
	membershipv1.RegisterBulkMemberServiceServer(r, s)
	membershipv1.RegisterGroupServiceServer(r, s)
	membershipv1.RegisterAvailabilityServiceServer(r, s)
	membershipv1.RegisterAvailabilityProviderServiceServer(r, s)
	membershipv1.RegisterProjectServiceServer(r, s)
	membershipv1.RegisterOwnershipServiceServer(r, s)
	membershipv1.RegisterAccessServiceServer(r, s)
	membershipv1.RegisterPermissionServiceServer(r, s)
	membershipv1.RegisterDomainServiceServer(r, s)
	membershipv1.RegisterIdentityProviderServiceServer(r, s)
	membershipv1.RegisterAuditServiceServer(r, s)
	membershipv1.RegisterOrganizationServiceAccountServiceServer(r, s)
}

// RegisterInternal adds what only other services call.
func (s *Service) RegisterInternal(r grpc.ServiceRegistrar) {
	membershipv1.RegisterAdmissionServiceServer(r, s)
	membershipv1.RegisterDenialServiceServer(r, s)
	membershipv1.RegisterMfaRequirementServiceServer(r, s)
	membershipv1.RegisterDepartureServiceServer(r, s)
	membershipv1.RegisterDomainProofServiceServer(r, s)
	membershipv1.RegisterOrganizationKeyServiceServer(r, s)
	billingv1.RegisterSeatOwnerServiceServer(r, s)
}

// Kinds of tasks, whose ids are those of seats.
const (
	createTask  = "organization"
	enableTask  = "enable"
	releaseTask = "release"
	seatTask    = "join_seat"
	directTask  = "direct"

	resetMfaTask = "reset_mfa" // the id is that of the operation
	resetTask    = "reset_password"
	emailTask    = "change_email"
	revokeTask   = "revoke_sessions"
)

// Steps are what the sweeper runs.
func (s *Service) Steps() map[string]saga.Step {
	return map[string]saga.Step{
		createTask:  seatStep(s.finishCreate),
		enableTask:  seatStep(s.finishEnable),
		releaseTask: seatStep(s.finishRelease),
		seatTask:    seatStep(s.finishJoin),
		directTask:  seatStep(s.finishDirect),

		resetMfaTask: seatStep(s.finishResetMfa),
		resetTask:    seatStep(s.finishReset),
		emailTask:    seatStep(s.finishChangeEmail),
		revokeTask:   seatStep(s.finishRevoke),
		joinTask: func(ctx context.Context, t saga.Task) error {
			return s.tryJoin(ctx, id.Organization(t.Aggregate), id.Account(t.ID))
		},
		domainTask: func(ctx context.Context, t saga.Task) error {
			return s.checkDomain(ctx, id.Organization(t.Aggregate), id.Domain(t.ID))
		},
		signInTask: func(ctx context.Context, t saga.Task) error {
			return s.tellSignIn(ctx, id.Organization(t.Aggregate), id.Account(t.ID))
		},
		providerTask: func(ctx context.Context, t saga.Task) error {
			return s.tellProvider(ctx, id.Organization(t.Aggregate), id.Provider(t.ID))
		},
		profileTask: func(ctx context.Context, t saga.Task) error {
			return s.refreshProfile(ctx, id.Organization(t.Aggregate), id.Account(t.ID))
		},
		availabilityTask: func(ctx context.Context, t saga.Task) error {
			return s.followSchedule(ctx, id.Organization(t.Aggregate), id.Account(t.ID))
		},
		transferTask: func(ctx context.Context, t saga.Task) error {
			return s.expireTransfer(ctx, id.Organization(t.Aggregate))
		},
		denialsTask: func(ctx context.Context, t saga.Task) error {
			return s.forgetDenials(ctx, id.Organization(t.Aggregate))
		},
		eraseTask:     s.eraseAccount,
		mail.TaskKind: s.Mail.Deliver,
	}
}

func seatStep(finish func(context.Context, id.Organization, id.Seat) error) saga.Step {
	return func(ctx context.Context, task saga.Task) error {
		return finish(ctx, id.Organization(task.Aggregate), id.Seat(task.ID))
	}
}

// task is the sweeper's task that finishes an operation.
func task(key id.Organization, op org.Operation) saga.Task {
	kinds := map[org.Kind]string{org.CreateOperation: createTask, org.EnableOperation: enableTask, org.ReleaseOperation: releaseTask,
		org.JoinOperation: seatTask, org.DirectOperation: directTask, org.ResetMfaOperation: resetMfaTask, org.ResetOperation: resetTask, org.RevokeOperation: revokeTask,
		org.ChangeEmailOperation: emailTask}
	return saga.For(key, kinds[op.Kind], op.Seat)
}

// begin writes an operation and what finishes it, should this process die.
func begin(q store.Queries, key id.Organization, op org.Operation) {
	q.InsertOperation(key, op)
	task(key, op).At(q.Tx, q.Now().Add(saga.Grace))
}

// inTx runs fn in a transaction on the organization's rows. When somebody else began the same first, it runs again and
// finds what they did.
func (s *Service) inTx(ctx context.Context, key id.Organization, fn func(store.Queries) error) (err error) {
	for range 3 {
		err = s.DB.InTx(ctx, postgres.In(key), func(tx *postgres.Tx) error { return fn(store.Queries{Tx: tx}) })
		if !store.LostRace(err) {
			return err
		}
	}
	return err
}

// view is inTx for what only reads, in one round trip.
func (s *Service) view(ctx context.Context, key id.Organization, fn func(store.Queries) error) error {
	return s.DB.View(ctx, postgres.In(key), func(tx *postgres.Tx) error { return fn(store.Queries{Tx: tx}) })
}

// reviewTime is how long an operation may take before billing asks whether its seat is still wanted.
const reviewTime = 10 * time.Minute
