package fault_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

func TestFault(t *testing.T) {
	t.Parallel()

	t.Run("CrossesTheWireWhole", func(t *testing.T) {
		t.Parallel()
		for _, want := range []*fault.Fault{
			fault.New(errorv1.Reason_REASON_SEAT_LIMIT_REACHED, "No seat is free.").With("used", "5").WithHelp("https://roster.example/seats"),
			fault.New(errorv1.Reason_REASON_BUSY, "Busy.").WithRetry(2 * time.Second),
			fault.Invalid("email", "is not an address"),
			fault.New(errorv1.Reason_REASON_OWNER_PROTECTED, "The owner cannot be removed."),
			{Reason: errorv1.Reason_REASON_POLICY_CONFLICT, Message: "It does not fit.", Fields: []fault.Field{
				{Name: "policy.groups", Reason: "4 groups there"}, {Name: "policy.ownership", Reason: "2 owners too many"}}},
		} {
			got := fault.From(status.FromProto(want.GRPCStatus().Proto()).Err())
			require.Equal(t, want, got)
		}
	})

	t.Run("EveryReasonHasACodeAndAStatus", func(t *testing.T) {
		t.Parallel()
		for number := range errorv1.Reason_name {
			reason := errorv1.Reason(number)
			if reason == errorv1.Reason_REASON_UNSPECIFIED || reason == errorv1.Reason_REASON_INTERNAL {
				continue
			}
			f := fault.New(reason, "")
			require.NotEqual(t, codes.Internal, f.Code(), reason)
			require.NotEqual(t, 500, f.HTTPStatus(), reason)
		}
	})

	t.Run("IsComparesReasonsThroughWrapping", func(t *testing.T) {
		t.Parallel()
		base := fault.New(errorv1.Reason_REASON_LAST_OWNER, "a")
		require.ErrorIs(t, fmt.Errorf("remove: %w", base.With("x", "y")), base)
		require.NotErrorIs(t, base, fault.New(errorv1.Reason_REASON_SELF_ACTION, "a"))
	})

	t.Run("WhatWrapsItIsNotItsMessage", func(t *testing.T) {
		t.Parallel()
		want := fault.Invalid("email", "is not an address")
		got := fault.From(fmt.Errorf("ask the peer: %w", status.FromProto(want.GRPCStatus().Proto()).Err()))
		require.Equal(t, want, got)
	})

	t.Run("OthersAreNoFaults", func(t *testing.T) {
		t.Parallel()
		require.Nil(t, fault.From(errors.New("x")))
		require.Nil(t, fault.From(status.Error(codes.NotFound, "x")))
		require.Nil(t, fault.From(nil))
		foreign, err := status.New(codes.FailedPrecondition, "x").WithDetails(&errdetails.PreconditionFailure{
			Violations: []*errdetails.PreconditionFailure_Violation{{Subject: "a", Description: "b"}}})
		require.NoError(t, err)
		require.Nil(t, fault.From(foreign.Err()))
	})
}
