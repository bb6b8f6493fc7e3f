package billing

import (
	"context"
	"fmt"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/billing/internal/seat"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
)

// seatsAtOnce bounds a list of seats, and with it the time that a flight holds the organization's counters and the
// size of its event.
const seatsAtOnce = 500

// usageToProto shows usage.
func usageToProto(u seat.Usage) *billingv1.SeatUsage {
	return &billingv1.SeatUsage{
		Used:      u.Used(),
		Occupied:  u.Occupied,
		Reserved:  u.Reserved,
		Total:     u.Cap,
		Available: u.Available(),
		State:     usageStates[u.State()],
	}
}

var usageStates = map[seat.UsageState]billingv1.SeatUsage_State{
	seat.Unlimited: billingv1.SeatUsage_STATE_UNLIMITED,
	seat.OK:        billingv1.SeatUsage_STATE_OK,
	seat.Near:      billingv1.SeatUsage_STATE_NEAR,
	seat.At:        billingv1.SeatUsage_STATE_AT,
	seat.Over:      billingv1.SeatUsage_STATE_OVER,
}

func stateToProto(s seat.State) billingv1.SeatState {
	switch s {
	case seat.Reserved:
		return billingv1.SeatState_SEAT_STATE_RESERVED
	case seat.Occupied:
		return billingv1.SeatState_SEAT_STATE_OCCUPIED
	case seat.Released:
		return billingv1.SeatState_SEAT_STATE_RELEASED
	case seat.Denied:
		return billingv1.SeatState_SEAT_STATE_DENIED
	}
	return billingv1.SeatState_SEAT_STATE_UNSPECIFIED
}

// asksFromProto reads what is asked for. An ask without a review time is reviewed after reviewPause.
func asksFromProto(in []*billingv1.ReserveSeatsRequest_Ask, now time.Time) ([]seat.Ask, error) {
	if len(in) == 0 || len(in) > seatsAtOnce {
		return nil, fault.Invalid("seats", fmt.Sprintf("must be 1 to %d seats", seatsAtOnce))
	}
	asks := make([]seat.Ask, len(in))
	seen := make(map[id.Seat]bool, len(in))
	for i, ask := range in {
		seatID, err := id.ParseSeat(ask.GetSeatId())
		if err != nil {
			return nil, at(err, "seats", i)
		}
		if seen[seatID] {
			return nil, fault.Invalid(fmt.Sprintf("seats[%d].seat_id", i), "is asked for twice")
		}
		seen[seatID] = true
		asks[i] = seat.Ask{SeatID: seatID, ReviewTime: now.Add(reviewPause)}
		switch ask.GetOwnerKind() {
		case billingv1.OwnerKind_OWNER_KIND_INVITATION:
			owner, err := id.ParseInvitation(ask.GetOwnerId())
			if err != nil {
				return nil, fault.Invalid(fmt.Sprintf("seats[%d].owner_id", i), "must be the id of an invitation")
			}
			asks[i].OwnerKind, asks[i].OwnerID = seat.Invitation, id.Any(owner)
		case billingv1.OwnerKind_OWNER_KIND_MEMBER:
			owner, err := id.ParseAccount(ask.GetOwnerId())
			if err != nil {
				return nil, fault.Invalid(fmt.Sprintf("seats[%d].owner_id", i), "must be the id of an account")
			}
			asks[i].OwnerKind, asks[i].OwnerID = seat.Member, id.Any(owner)
		default:
			return nil, fault.Invalid(fmt.Sprintf("seats[%d].owner_kind", i), "must be given")
		}
		if review := ask.GetReviewTime(); review != nil {
			if review.CheckValid() != nil {
				return nil, fault.Invalid(fmt.Sprintf("seats[%d].review_time", i), "must be a time")
			}
			asks[i].ReviewTime = review.AsTime()
		}
	}
	return asks, nil
}

// seatsFromProto reads a list of seats, each of them once.
func seatsFromProto(field string, in []string) ([]id.Seat, error) {
	if len(in) > seatsAtOnce {
		return nil, fault.Invalid(field, fmt.Sprintf("must be at most %d seats", seatsAtOnce))
	}
	seats := make([]id.Seat, 0, len(in))
	seen := make(map[id.Seat]bool, len(in))
	for i, text := range in {
		seatID, err := id.ParseSeat(text)
		if err != nil {
			return nil, at(err, field, i)
		}
		if !seen[seatID] {
			seen[seatID] = true
			seats = append(seats, seatID)
		}
	}
	return seats, nil
}

// at says which element of a list is not valid.
func at(err error, field string, i int) error {
	reason := "is not valid"
	if f := fault.From(err); f != nil && len(f.Fields) > 0 {
		reason = f.Fields[0].Reason
	}
	return fault.Invalid(fmt.Sprintf("%s[%d]", field, i), reason)
}

var causes = map[string]eventv1.Cause_Kind{
	"":             eventv1.Cause_KIND_UNSPECIFIED,
	"invite":       eventv1.Cause_KIND_INVITE,
	"admin":        eventv1.Cause_KIND_ADMIN,
	"self":         eventv1.Cause_KIND_SELF,
	"expiry":       eventv1.Cause_KIND_EXPIRY,
	"organization": eventv1.Cause_KIND_ORGANIZATION,
	"delivery":     eventv1.Cause_KIND_DELIVERY,
	"domain":       eventv1.Cause_KIND_DOMAIN,
	"provider":     eventv1.Cause_KIND_PROVIDER,
}

// originFromProto turns an origin into the context of an event.
func originFromProto(ctx context.Context, in *billingv1.Origin) (*eventv1.Context, error) {
	cause, ok := causes[in.GetCause()]
	if !ok {
		return nil, fault.Invalid("origin.cause", "must be invite, admin, self, expiry, organization, delivery, domain or provider")
	}
	if len(in.GetCauseId()) > 64 {
		return nil, fault.Invalid("origin.cause_id", "must be at most 64 characters")
	}
	origin := outbox.Origin{Service: "billing", Cause: cause, CauseID: in.GetCauseId()}
	if text := in.GetActorAccountId(); text != "" {
		var err error
		if origin.Account, err = id.ParseAccount(text); err != nil {
			return nil, fault.Invalid("origin.actor_account_id", "must be the id of an account")
		}
	}
	return origin.Context(ctx), nil
}

// reservedSeats shows seats that were taken together.
func reservedSeats(asks []seat.Ask) []*eventv1.Seat {
	seats := make([]*eventv1.Seat, len(asks))
	for i, ask := range asks {
		owner := seat.Seat{OwnerKind: ask.OwnerKind, OwnerID: ask.OwnerID}.Owner()
		seats[i] = &eventv1.Seat{SeatId: ask.SeatID.String(), State: eventv1.Seat_STATE_RESERVED, OwnerId: owner}
	}
	return seats
}

// releasedSeats shows seats that were freed. Nobody holds them any more.
func releasedSeats(in []id.Seat) []*eventv1.Seat {
	seats := make([]*eventv1.Seat, len(in))
	for i, seatID := range in {
		seats[i] = &eventv1.Seat{SeatId: seatID.String(), State: eventv1.Seat_STATE_RELEASED}
	}
	return seats
}
