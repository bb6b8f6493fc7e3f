package server

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

func TestValidation(t *testing.T) {
	t.Parallel()
	h := start(t, func(context.Context) error { return errors.New("reached") })
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", asOperator)
	_, err := billingv1.NewSeatLimitServiceClient(h.dial(t, "")).SetSeatLimit(ctx,
		&billingv1.SetSeatLimitRequest{Limit: new(int32), RequestId: strings.Repeat("x", 65)})
	requireReason(t, errorv1.Reason_REASON_VALIDATION_FAILED, err)
	var names []string
	for _, field := range fault.From(err).Fields {
		require.NotEmpty(t, field.Reason)
		names = append(names, field.Name)
	}
	require.ElementsMatch(t, []string{"limit", "reason", "request_id"}, names)
}
