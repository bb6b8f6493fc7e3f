package billing_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/saga"
)

var (
	alive   = []bool{true}
	dead    = []bool{false}
	errAway = errors.New("away")
)

func TestReview(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind                   billingv1.OwnerKind
		invitation, membership *owner
		asked                  []int // how often invitation and membership were
		err, freed             bool
	}{
		"ALivingInvitationKeepsItsSeat":     {1, &owner{alive: alive}, &owner{alive: dead}, []int{1, 0}, false, false},
		"ASeatHandedToAMemberIsKept":        {1, &owner{alive: dead}, &owner{alive: alive}, []int{1, 1}, false, false},
		"ASeatThatNobodyOwnsIsFreed":        {1, &owner{alive: dead}, &owner{alive: dead}, []int{1, 1}, false, true},
		"InvitationAwayKeepsTheSeat":        {1, &owner{err: errAway}, &owner{alive: dead}, []int{1, 0}, true, false},
		"MembershipAwayKeepsTheSeat":        {1, &owner{alive: dead}, &owner{err: errAway}, []int{1, 1}, true, false},
		"ALivingOperationKeepsItsSeat":      {2, &owner{alive: dead}, &owner{alive: alive}, []int{0, 1}, false, false},
		"ASeatOfADeadOperationIsFreed":      {2, &owner{alive: alive}, &owner{alive: dead}, []int{0, 1}, false, true},
		"AnAnswerToAnotherQuestionIsNoNews": {2, &owner{}, &owner{}, []int{0, 1}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			*h.invitation, *h.membership = *c.invitation, *c.membership
			org, seatID := id.NewOrganization(), id.NewSeat()
			ask := invited(seatID)
			if ask.OwnerKind = c.kind; c.kind == billingv1.OwnerKind_OWNER_KIND_MEMBER {
				ask.OwnerId = id.Account(seatID).String()
			}
			ask.ReviewTime = timestamppb.Now()
			_, err := h.seats.ReserveSeats(t.Context(), &billingv1.ReserveSeatsRequest{OrganizationId: org.String(), Seats: []*billingv1.ReserveSeatsRequest_Ask{ask}})
			require.NoError(t, err)
			before := h.due(t, org)[seatID]

			err = h.service.Steps()["review"](t.Context(), saga.For(org, "review", seatID))
			require.Equal(t, c.err, err != nil, "%v", err)
			require.Equal(t, c.asked, []int{len(h.invitation.asked), len(h.membership.asked)})
			for _, req := range append(h.invitation.asked, h.membership.asked...) {
				equal(t, &billingv1.CheckSeatOwnersRequest{OrganizationId: org.String(),
					Claims: []*billingv1.CheckSeatOwnersRequest_Claim{{SeatId: seatID.String(), OwnerId: ask.GetOwnerId()}}}, req)
			}
			after, waiting := h.due(t, org)[seatID]
			require.Equal(t, !c.freed, waiting)
			events := h.history(t, org)
			switch {
			case c.freed:
				require.Len(t, events, 2)
				var freed eventv1.SeatReleased
				decode(t, events[1], &freed)
				require.Equal(t, seatID.String(), freed.GetSeats()[0].GetSeatId())
				require.Equal(t, eventv1.Actor_KIND_SYSTEM, freed.GetContext().GetActor().GetKind())
				require.Equal(t, eventv1.Cause_KIND_EXPIRY, freed.GetContext().GetCause().GetKind())
				require.Equal(t, ask.GetOwnerId(), freed.GetContext().GetCause().GetId())
				require.Zero(t, h.read(t, org).GetUsed())
			case c.err:
				require.Equal(t, before, after, "the sweeper tries again")
			default:
				require.WithinDuration(t, time.Now().Add(10*time.Minute), after, time.Minute)
			}
			if !c.freed {
				require.Len(t, events, 1)
				require.EqualValues(t, 1, h.read(t, org).GetUsed())
			}
			h.consistent(t)
		})
	}
	t.Run("WhatIsSettledIsNotAskedAbout", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		org := id.NewOrganization()
		seatID := h.members(t, org, 1)[0]
		_, err := h.rows.Exec(t.Context(), `INSERT INTO due (aggregate_id, kind, id, next_time) VALUES ($1, 'review', $2, now())`, org, seatID)
		require.NoError(t, err)
		require.NoError(t, h.service.Steps()["review"](t.Context(), saga.For(org, "review", seatID)))
		require.Empty(t, h.due(t, org))
		require.Empty(t, h.membership.asked)
		require.EqualValues(t, 1, h.read(t, org).GetOccupied())
	})
	t.Run("TheSweeperComesWhenTheTimeHasCome", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.invitation.alive, h.membership.alive = dead, dead
		org := id.NewOrganization()
		ask := invited(id.NewSeat())
		ask.ReviewTime = timestamppb.New(time.Now().Add(-time.Hour))
		_, err := h.seats.ReserveSeats(t.Context(), &billingv1.ReserveSeatsRequest{OrganizationId: org.String(), Seats: []*billingv1.ReserveSeatsRequest_Ask{ask}})
		require.NoError(t, err)
		swept := make(chan error, 1)
		steps := h.service.Steps()
		review := steps["review"]
		steps["review"] = func(ctx context.Context, task saga.Task) error { err := review(ctx, task); swept <- err; return err }
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		sweeper := &saga.Sweeper{DB: h.db, Log: slog.New(slog.DiscardHandler), Steps: steps}
		go func() { done <- sweeper.Run(ctx) }()
		require.NoError(t, <-swept)
		stop()
		require.NoError(t, <-done)
		require.Zero(t, h.read(t, org).GetUsed())
		h.consistent(t)
	})
}
