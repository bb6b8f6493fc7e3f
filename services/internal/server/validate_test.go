package server

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
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

func TestUnstorable(t *testing.T) {
	t.Parallel()
	h := start(t, func(context.Context) error { return errors.New("reached") })
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", asOperator)
	for field, req := range map[string]*billingv1.SetSeatLimitRequest{
		"reason":     {OrganizationId: "org_1", Limit: proto.Int32(1), Reason: "a plan\x00"},
		"request_id": {OrganizationId: "org_1", Limit: proto.Int32(1), Reason: "a plan", RequestId: "\x00"},
	} {
		_, err := billingv1.NewSeatLimitServiceClient(h.dial(t, "")).SetSeatLimit(ctx, req)
		requireReason(t, errorv1.Reason_REASON_VALIDATION_FAILED, err)
		require.Equal(t, field, fault.From(err).Fields[0].Name)
	}
	for field, req := range map[string]proto.Message{
		"roles":      &membershipv1.ListPeopleRequest{Roles: []string{"admin", "\x00"}},
		"role_remap": &membershipv1.UpdatePolicyRequest{RoleRemap: map[string]string{"admin": "\x00"}},
		"policy":     &membershipv1.UpdatePolicyRequest{Policy: &membershipv1.OrganizationPolicy{MemberLabel: "\x00"}},
		"questions":  &membershipv1.BatchCheckAccessRequest{Questions: []*membershipv1.BatchCheckAccessRequest_Question{{}, {AccountId: "\x00"}}},
		"":           &membershipv1.UpdatePolicyRequest{RoleRemap: map[string]string{"admin": "developer"}, Policy: &membershipv1.OrganizationPolicy{MemberLabel: "pal"}},
	} {
		require.Equal(t, field, unstorable(req.ProtoReflect()))
	}
	require.Empty(t, unstorable((&identityv1.CreateSessionRequest{Password: "\x00"}).ProtoReflect()))
	require.Equal(t, "role_remap", unstorable((&membershipv1.UpdatePolicyRequest{RoleRemap: map[string]string{"\x00": ""}}).ProtoReflect()))
}
