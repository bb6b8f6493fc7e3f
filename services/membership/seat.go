package membership

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/internal/seats"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// finish takes the seat of an operation and then does what it was for, in the transaction that ends the operation. The
// verb that began it calls this, and the sweeper after a crash; both may, at the same time. It is an error only if the
// outcome is still open.
func (s *Service) finish(ctx context.Context, key id.Organization, seat id.Seat, kind org.Kind,
	then func(context.Context, store.Queries, org.Operation, store.Standing) error,
) error {
	var op org.Operation
	err := s.view(ctx, key, func(q store.Queries) (err error) {
		op, _, err = q.GetOperation(ctx, key, seat, kind)
		return err
	})
	if err != nil || op.State != org.Pending {
		return err
	}
	refusal, err := s.takeSeat(ctx, key, op)
	if err != nil {
		return err
	}
	return s.concludeSeated(ctx, key, op, refusal, then)
}

// concludeSeated is conclude for an operation whose seat was taken, or refused. What has become impossible meanwhile is refused, too, and
// gives the seat back.
func (s *Service) concludeSeated(ctx context.Context, key id.Organization, op org.Operation, refusal *fault.Fault,
	then func(context.Context, store.Queries, org.Operation, store.Standing) error,
) error {
	return s.conclude(ctx, key, op, refusal, func(q store.Queries, now org.Operation, at store.Standing) error {
		err := error(org.ErrErased)
		if !slices.Contains(at.Erased, now.Account) {
			err = then(ctx, q, now, at)
		}
		if f := fault.From(err); f != nil {
			refuse(q, now, at, f)
			begin(q, key, org.Release(now.Seat, now.Account, now.Actor, now.Cause, q.Now()))
			return nil
		}
		return err
	})
}

// takeSeat reserves and occupies the operation's seat. Billing's answers are for ever, so it does not matter how often it
// is asked. The fault is the answer no; an error means that there is no answer.
func (s *Service) takeSeat(ctx context.Context, key id.Organization, op org.Operation) (*fault.Fault, error) {
	reserved, err := s.Seats.ReserveSeats(ctx, &billingv1.ReserveSeatsRequest{
		OrganizationId: key.String(),
		Seats: []*billingv1.ReserveSeatsRequest_Ask{{
			SeatId:     op.Seat.String(),
			OwnerKind:  billingv1.OwnerKind_OWNER_KIND_MEMBER,
			OwnerId:    op.Account.String(),
			ReviewTime: timestamppb.New(time.Now().Add(reviewTime)),
		}},
		Origin: origin(op),
	})
	if err != nil {
		return nil, saga.Unfinished(fmt.Errorf("reserve seat: %w", err))
	}
	switch reserved.GetState() {
	case billingv1.SeatState_SEAT_STATE_OCCUPIED:
		return nil, nil
	case billingv1.SeatState_SEAT_STATE_RESERVED:
	case billingv1.SeatState_SEAT_STATE_DENIED:
		return seats.LimitReached(s.PublicURL, key, reserved.GetUsage()), nil
	default:
		return errSeatLost, nil
	}
	occupied, err := s.Seats.OccupySeat(ctx, &billingv1.OccupySeatRequest{
		OrganizationId: key.String(), SeatId: op.Seat.String(), AccountId: op.Account.String(), Origin: origin(op)})
	if err != nil {
		return nil, saga.Unfinished(fmt.Errorf("occupy seat: %w", err))
	}
	if occupied.GetState() != billingv1.SeatState_SEAT_STATE_OCCUPIED {
		return errSeatLost, nil
	}
	return nil, nil
}

// errSeatLost: the seat was freed while the operation was under way, which took longer than it should.
var errSeatLost = fault.New(errorv1.Reason_REASON_UNAVAILABLE, "This took too long and was given up. Try again.").WithRetry(time.Second)

// soon is how long a call that is committed waits for billing and identity to hear of it. The sweeper tells them what it
// does not.
const soon = time.Second

// memberChange is what the transaction of a verb has made of one member.
type memberChange struct {
	member   *membershipv1.Member
	revision int64
	follows  bool // identity has to hear of it
}

// ended tells billing and identity of a member whose access has ended, and says whether the seat is free.
func (s *Service) ended(ctx context.Context, key id.Organization, account id.Account, done memberChange) (seatReleased bool) {
	seatReleased = s.releaseSoon(ctx, key, account)
	if done.follows {
		s.tellSignInSoon(ctx, key, account)
	}
	return seatReleased
}

// releaseSoon gives back what a member lost, and says whether all of it is free. It looks the seats up, so it may be called
// again, for a call that is repeated.
func (s *Service) releaseSoon(ctx context.Context, key id.Organization, account id.Account) bool {
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	err := s.releaseAll(ctx, key, account)
	if err != nil {
		s.Log.WarnContext(ctx, "a seat is given back later", "organization", key.String(), "account", account.String(), "error", err)
	}
	return err == nil
}

func (s *Service) releaseAll(ctx context.Context, key id.Organization, account id.Account) error {
	for {
		var op org.Operation
		err := s.view(ctx, key, func(q store.Queries) (err error) {
			op, err = q.GetPending(ctx, key, account, org.ReleaseOperation)
			return err
		})
		if err != nil || op.State != org.Pending {
			return err
		}
		if err := s.release(ctx, key, op); err != nil {
			return err
		}
	}
}

// finishRelease is the sweeper's step that gives a seat back.
func (s *Service) finishRelease(ctx context.Context, key id.Organization, seat id.Seat) error {
	var op org.Operation
	err := s.view(ctx, key, func(q store.Queries) (err error) {
		op, _, err = q.GetOperation(ctx, key, seat, org.ReleaseOperation)
		return err
	})
	if err != nil || op.State != org.Pending {
		return err
	}
	return s.release(ctx, key, op)
}

// release tells billing that the seat is free, as often as it takes.
func (s *Service) release(ctx context.Context, key id.Organization, op org.Operation) error {
	_, err := s.Seats.ReleaseSeats(ctx, &billingv1.ReleaseSeatsRequest{
		OrganizationId: key.String(), SeatIds: []string{op.Seat.String()}, Origin: origin(op)})
	if err != nil {
		return fmt.Errorf("release seat: %w", err)
	}
	return s.inTx(ctx, key, func(q store.Queries) error {
		q.FinishOperation(key, op, org.Member{})
		task(key, op).Done(q.Tx)
		return nil
	})
}
