// Package identity owns accounts: how people sign up, sign in and stay signed in, and what proves to the other
// services who they are. It does not know organizations: who is a member of what, and who may do what there, is
// membership's.
package identity

import (
	"context"
	"encoding/hex"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/identity/internal/budget"
	"github.com/rosterhq/roster/services/identity/internal/passkey"
	"github.com/rosterhq/roster/services/identity/internal/password"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/identity/internal/upstream"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbound"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/internal/secret"
)

// Dependencies are what the service stands on.
type Dependencies struct {
	DB        *postgres.DB
	Key       *seal.Key
	Mail      *mail.Queue
	Attempts  int                                       // that fail, of one client address in a quarter of an hour; 0: any number
	Required  membershipv1.MfaRequirementServiceClient  // who asks for a second factor
	Departs   membershipv1.DepartureServiceClient       // ends memberships
	Domains   membershipv1.DomainProofServiceClient     // whose word on an address counts
	Programs  membershipv1.OrganizationKeyServiceClient // whose the key of an organization's service account is
	Roles     membershipv1.RoleServiceClient            // which permissions there are
	PublicURL string                                    // where people reach the suite, without a slash at the end
	Outbound  outbound.Options                          // how identity providers are reached
	Log       *slog.Logger                              // nil: slog.Default()
	Now       func() time.Time                          // nil: time.Now; for the times in tokens, which other machines check; what expires here, the database judges
}

// Service implements the identity service's gRPC services.
type Service struct {
	identityv1.UnsafeAccountServiceServer // a method that is missing does not compile
	identityv1.UnsafeSessionServiceServer
	identityv1.UnsafePasswordServiceServer
	identityv1.UnsafeFactorServiceServer
	identityv1.UnsafeApiKeyServiceServer
	identityv1.UnsafeEmailServiceServer
	identityv1.UnsafeExportServiceServer
	identityv1.UnsafeAvatarServiceServer
	identityv1.UnsafeOperatorServiceServer
	identityv1.UnsafeFederatedSignInServiceServer
	identityv1.UnsafeFederatedIdentityServiceServer
	identityv1.UnsafeOperatorProviderServiceServer
	identityv1.UnsafeServiceAccountServiceServer
	identityv1.UnsafeTokenServiceServer
	identityv1.UnsafeCredentialServiceServer
	identityv1.UnsafeAccountDirectoryServiceServer
	identityv1.UnsafeProviderDirectoryServiceServer
	Dependencies
	store     store.Store
	hashes    *password.Gate
	attempts  *budget.Budget // of signing in, by network
	pace      *budget.Pace   // of asking to sign in, by network
	strangers *budget.Budget // of signing in, by all who are not known where they are
	begun     *budget.Budget // sign-ins with a passkey or a provider that came to no end, by network
	passkeys  *passkey.RelyingParty
	mails     *budget.Budget // that strangers have us write, by network
	signer    signer
	upstream  *upstream.Upstream
	drawing   chan struct{} // pictures, one at a time
}

// New returns the service.
func New(d Dependencies) *Service {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	return &Service{
		Dependencies: d, store: store.Store{DB: d.DB}, hashes: password.NewGate(), passkeys: passkey.New(d.PublicURL),
		attempts: budget.New(d.Attempts, time.Now), pace: budget.NewPace(time.Now), strangers: budget.New(strangersFor*d.Attempts, time.Now), mails: budget.New(d.Attempts, time.Now),
		begun:    budget.New(begunFor*d.Attempts, time.Now),
		upstream: upstream.New(outbound.Client(d.Outbound), d.Outbound.Plain, d.Now),
		drawing:  make(chan struct{}, 1),
	}
}

// strangersFor is how many clients may spend all their attempts before strangers have to wait.
const strangersFor = 20

// begunFor is how many sign-ins may be under way for each attempt: an office that comes to work is at one address, and people take their time.
const begunFor = 10

// Migrations is the service's own schema.
var Migrations = store.Migrations

// Register adds what people and operators call.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	identityv1.RegisterAccountServiceServer(r, s)
	identityv1.RegisterSessionServiceServer(r, s)
	identityv1.RegisterPasswordServiceServer(r, s)
	identityv1.RegisterFactorServiceServer(r, s)
	identityv1.RegisterApiKeyServiceServer(r, s)
	identityv1.RegisterEmailServiceServer(r, s)
	identityv1.RegisterExportServiceServer(r, s)
	identityv1.RegisterAvatarServiceServer(r, s)
	identityv1.RegisterOperatorServiceServer(r, s)
	identityv1.RegisterFederatedSignInServiceServer(r, s)
	identityv1.RegisterFederatedIdentityServiceServer(r, s)
	identityv1.RegisterOperatorProviderServiceServer(r, s)
	identityv1.RegisterServiceAccountServiceServer(r, s)
	identityv1.RegisterTokenServiceServer(r, s)
}

// RegisterInternal adds what the suite's services call.
func (s *Service) RegisterInternal(r grpc.ServiceRegistrar) {
	identityv1.RegisterCredentialServiceServer(r, s)
	identityv1.RegisterAccountDirectoryServiceServer(r, s)
	identityv1.RegisterProviderDirectoryServiceServer(r, s)
}

// Kinds of the sweeper's tasks.
const (
	sessionTask = "session" // ends a session that is not used, or too old
	signUpTask  = "sign_up" // forgets a sign-up that nobody verified
	resetTask   = "reset"   // mails the link that somebody asked for
	ringTask    = "ring"    // turns the ring of signing keys
	eraseTask   = "erase"   // ends an account whose person wants that

	providedTask  = "provided"  // ends the sessions that came from a provider
	unmanagedTask = "unmanaged" // ends a management whose ground was lost
)

// Steps are what the sweeper runs, by kind of task.
func (s *Service) Steps() map[string]saga.Step {
	return map[string]saga.Step{
		sessionTask: s.expireSession, signUpTask: s.expireSignUp, resetTask: s.sendReset, ringTask: s.turnKeys, eraseTask: s.finishErasing, providedTask: s.endProvided,
		unmanagedTask: s.endManaged,
		mail.TaskKind: s.Mail.Deliver,
	}
}

// inTx runs fn in a transaction on the rows of the scope.
func (s *Service) inTx(ctx context.Context, scope postgres.Scope, fn func(store.Queries) error) error {
	return s.DB.InTx(ctx, scope, func(tx *postgres.Tx) error { return fn(store.Queries{Tx: tx}) })
}

// inTxOnce is inTx for what would refuse to be done twice.
func (s *Service) inTxOnce(ctx context.Context, scope postgres.Scope, fn func(store.Queries) error) error {
	return s.DB.InTxOnce(ctx, scope, func(tx *postgres.Tx) error { return fn(store.Queries{Tx: tx}) })
}

// view is inTx for what only reads, in one round trip.
func (s *Service) view(ctx context.Context, scope postgres.Scope, fn func(store.Queries) error) error {
	return s.DB.View(ctx, scope, func(tx *postgres.Tx) error { return fn(store.Queries{Tx: tx}) })
}

// linkRequest names what is done once with a link, for its replay: the link itself proves who asks.
func linkRequest(link secret.Secret, requestID, method string, body proto.Message) postgres.Request {
	return postgres.Request{ID: requestID, Principal: hex.EncodeToString(link.Hash), Method: method, Body: body}
}

// ownRequest names what people do once with their own account, for its replay: whoever was signed out since hears no answer, not even an old one.
func (s *Service) ownRequest(ctx context.Context, requestID, method string, body proto.Message) postgres.Request {
	who := caller.From(ctx).Account
	return postgres.Request{ID: requestID, Principal: who.String(), Method: method, Body: body, Admit: func(ctx context.Context) error {
		return s.view(ctx, postgres.In(who), func(q store.Queries) error { return stillSignedIn(ctx, q) })
	}}
}

// origin is what an event says about where it comes from: the person did it by themselves.
func origin(ctx context.Context, who id.Account, requestID string) *eventv1.Context {
	return outbox.Origin{Account: who, Cause: eventv1.Cause_KIND_SELF, RequestID: requestID}.Context(ctx)
}
