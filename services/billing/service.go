// Package billing owns seats: how many an organization may use, and who holds each. It grants and frees them and never
// removes anybody; it knows no names and no addresses. A seat's life: none -> RESERVED -> OCCUPIED -> RELEASED, or none ->
// DENIED; the last two are for ever. No clock frees a seat: its owner does, or says that it is dead when asked.
package billing

import (
	"log/slog"
	"time"

	"google.golang.org/grpc"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/billing/internal/store"
	"github.com/rosterhq/roster/services/internal/chain"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/reseal"
	"github.com/rosterhq/roster/services/internal/saga"
)

// Dependencies are what the service stands on.
type Dependencies struct {
	DB     *postgres.DB
	Chain  *chain.Server // verifies this service's history
	Access membershipv1.AccessServiceClient
	Owners map[billingv1.OwnerKind]billingv1.SeatOwnerServiceClient // who says whether a seat's owner lives
	Log    *slog.Logger                                             // nil: slog.Default()
	Now    func() time.Time                                         // of events, nil: time.Now; what is due goes by the database's time
}

// Service implements billing's gRPC services.
type Service struct {
	billingv1.UnimplementedSeatUsageServiceServer
	billingv1.UnimplementedSeatLimitServiceServer
	billingv1.UnimplementedSeatServiceServer
	Dependencies
	store store.Store
}

// New returns the service.
func New(d Dependencies) *Service {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	return &Service{Dependencies: d, store: store.Store{DB: d.DB}}
}

// Migrations is the service's own schema.
var Migrations = store.Migrations

// Sealed is nothing: the service has no secrets.
func (s *Service) Sealed() []reseal.Column { return nil }

// Register adds what accounts and operators call.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	billingv1.RegisterSeatUsageServiceServer(r, s)
	billingv1.RegisterSeatLimitServiceServer(r, s)
}

// RegisterInternal adds what other services call.
func (s *Service) RegisterInternal(r grpc.ServiceRegistrar) {
	billingv1.RegisterSeatServiceServer(r, s)
	membershipv1.RegisterChainServiceServer(r, s.Chain)
}

// Steps are the sweeper's, by kind of task.
func (s *Service) Steps() map[string]saga.Step {
	return map[string]saga.Step{store.KindReview: s.review}
}
