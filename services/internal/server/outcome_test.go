package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestDenials(t *testing.T) {
	t.Parallel()
	organization := id.NewOrganization().String()
	// told calls a verb that fails with err, as somebody, and returns the denials that were told.
	told := func(t *testing.T, err error, call func(context.Context, *grpc.ClientConn) error) (denials []*membershipv1.Denial) {
		h := start(t, func(context.Context) error { return err }, func(c *Config) {
			c.Denied = func(d *membershipv1.Denial) { denials = append(denials, d) }
		})
		require.Error(t, call(metadata.AppendToOutgoingContext(t.Context(), "authorization", asAccount), h.dial(t, "gateway")))
		return denials
	}
	usage := func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := billingv1.NewSeatUsageServiceClient(conn).GetSeatUsage(ctx, &billingv1.GetSeatUsageRequest{OrganizationId: organization})
		return err
	}

	t.Run("R82_WhatAVerbDeniesIsTold", func(t *testing.T) {
		t.Parallel()
		denials := told(t, fault.New(errorv1.Reason_REASON_PERMISSION_MISSING, "No."), usage)
		require.Len(t, denials, 1)
		require.Equal(t, []string{account.String(), organization, "billing", "GetSeatUsage"},
			[]string{denials[0].GetAccountId(), denials[0].GetOrganizationId(), denials[0].GetService(), denials[0].GetMethod()})
	})

	t.Run("R82_AMethodThatIsNotForTheCallerIsTold", func(t *testing.T) {
		t.Parallel()
		denials := told(t, nil, func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := billingv1.NewSeatServiceClient(conn).OccupySeat(ctx, &billingv1.OccupySeatRequest{OrganizationId: organization})
			return err
		})
		require.Len(t, denials, 1)
		require.Equal(t, "CALLER_REFUSED", denials[0].GetReason())
	})

	t.Run("OtherFailuresAreNot", func(t *testing.T) {
		t.Parallel()
		require.Empty(t, told(t, fault.New(errorv1.Reason_REASON_MEMBER_NOT_FOUND, "No."), usage))
	})
}

func TestErrors(t *testing.T) {
	t.Parallel()
	organization := id.NewOrganization().String()
	// failing calls a verb that fails with err.
	//lint:ignore ST1008 the error is what is looked at
	failing := func(t *testing.T, err error) (error, map[string]any) {
		h := start(t, func(context.Context) error { return err })
		ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", asAccount)
		_, got := billingv1.NewSeatUsageServiceClient(h.dial(t, "gateway")).GetSeatUsage(ctx, &billingv1.GetSeatUsageRequest{OrganizationId: organization})
		lines := h.logged.lines(t)
		require.Len(t, lines, 1, "one line a call")
		return got, lines[0]
	}

	t.Run("AFaultArrivesWhole", func(t *testing.T) {
		t.Parallel()
		for _, want := range []*fault.Fault{
			fault.New(errorv1.Reason_REASON_SEAT_LIMIT_REACHED, "No seat is free.").With("used", "5").WithHelp("https://roster.example/seats"),
			fault.New(errorv1.Reason_REASON_BUSY, "Busy.").WithRetry(2 * time.Second),
			fault.Invalid("email", "is not an address"),
		} {
			got, _ := failing(t, fmt.Errorf("verb: %w", want))
			require.Equal(t, want, fault.From(got))
			got, _ = failing(t, want.GRPCStatus().Err()) // as another service's answer
			require.Equal(t, want, fault.From(got))
		}
	})

	t.Run("ARefusalIsLoggedWithoutItsWords", func(t *testing.T) {
		t.Parallel()
		_, line := failing(t, fault.New(errorv1.Reason_REASON_EMAIL_TAKEN, "ada@example.com has an account."))
		require.Equal(t, "INFO", line["level"])
		require.Equal(t, "EMAIL_TAKEN", line["reason"])
		require.Equal(t, organization, line["organization"])
		require.Equal(t, "gateway", line["peer"])
		require.Equal(t, "/roster.billing.v1.SeatUsageService/GetSeatUsage", line["method"])
		require.Len(t, line["trace"], 32)
		require.NotContains(t, fmt.Sprint(line), "ada@")
	})

	t.Run("AnythingElseIsInternalAndKeepsItsWordsHere", func(t *testing.T) {
		t.Parallel()
		for _, err := range []error{errors.New("pq: secret"), status.Error(codes.NotFound, "secret"), status.Error(codes.Internal, "secret")} {
			got, line := failing(t, err)
			requireReason(t, errorv1.Reason_REASON_INTERNAL, got)
			require.NotContains(t, got.Error(), "secret")
			require.Equal(t, line["trace"], fault.From(got).Metadata["requestId"])
			require.Equal(t, "ERROR", line["level"])
			require.Contains(t, line["error"], "secret")
		}
	})

	t.Run("ADatabaseThatIsAwayIsUnavailable", func(t *testing.T) {
		t.Parallel()
		got, line := failing(t, fmt.Errorf("read usage: %w", io.ErrUnexpectedEOF)) // the connection was cut
		requireReason(t, errorv1.Reason_REASON_UNAVAILABLE, got)
		require.Contains(t, line["error"], "unexpected EOF")
	})

	t.Run("DeadlinesAndDeparturesHaveTheirReasons", func(t *testing.T) {
		t.Parallel()
		for err, want := range map[error]errorv1.Reason{
			context.DeadlineExceeded:                  errorv1.Reason_REASON_DEADLINE_EXCEEDED,
			status.Error(codes.DeadlineExceeded, "x"): errorv1.Reason_REASON_DEADLINE_EXCEEDED,
			context.Canceled:                          errorv1.Reason_REASON_CANCELLED,
		} {
			got, _ := failing(t, fmt.Errorf("query: %w", err))
			requireReason(t, want, got)
		}
	})

	t.Run("APanicIsInternalAndTheServerLivesOn", func(t *testing.T) {
		t.Parallel()
		panics := true
		h := start(t, func(context.Context) error {
			if panics {
				panics = false
				panic("secret")
			}
			return nil
		})
		conn := h.dial(t, "")
		err := usage(t.Context(), conn, asAccount)
		requireReason(t, errorv1.Reason_REASON_INTERNAL, err)
		require.NotContains(t, err.Error(), "secret")
		lines := h.logged.lines(t)
		require.Len(t, lines, 1)
		require.Contains(t, lines[0]["error"], "secret")
		require.Contains(t, lines[0]["stack"], "GetSeatUsage")
		require.NoError(t, usage(t.Context(), conn, asAccount))
	})

	t.Run("SuccessIsQuiet", func(t *testing.T) {
		t.Parallel()
		h := start(t, fine)
		require.NoError(t, usage(t.Context(), h.dial(t, ""), asAccount))
		require.Empty(t, h.logged.lines(t))
	})

	t.Run("AStrangersOrganizationIsNotLogged", func(t *testing.T) {
		t.Parallel()
		require.Empty(t, organizationOf(&billingv1.GetSeatUsageRequest{OrganizationId: "what I wrote"}))
		require.Empty(t, organizationOf(nil))
	})
}
