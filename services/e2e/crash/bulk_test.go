package crash

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// The operations on many members at once.
func init() {
	operations = append(operations,
		operation{
			name:    "change many roles",
			arrange: pair,
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return untilAll(ctx, s.owner.BulkChangeMemberRole, &membershipv1.BulkChangeMemberRoleRequest{
					OrganizationId: s.org, AccountIds: s.pair, Role: "member", RequestId: s.request()})
			},
		},
		operation{
			name:    "disable many",
			arrange: pair,
			act:     disableMany,
			brief:   []string{"membership postgres.before_commit 3", "membership call.after ReleaseSeats 2"},
		},
		operation{
			name: "enable many",
			arrange: func(t *testing.T, s *scene) {
				pair(t, s)
				_, err := disableMany(t.Context(), s)
				require.NoError(t, err)
				s.tag += "e" // another request
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return untilAll(ctx, s.owner.BulkEnableMembers, &membershipv1.BulkEnableMembersRequest{
					OrganizationId: s.org, AccountIds: s.pair, RequestId: s.request()})
			},
			brief: []string{"membership call.before OccupySeat 2"},
		},
		operation{
			name:    "remove many",
			arrange: pair,
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return untilAll(ctx, s.owner.BulkRemoveMembers, &membershipv1.BulkRemoveMembersRequest{
					OrganizationId: s.org, AccountIds: s.pair, RequestId: s.request()})
			},
		})
}

func disableMany(ctx context.Context, s *scene) (proto.Message, error) {
	return untilAll(ctx, s.owner.BulkDisableMembers, &membershipv1.BulkDisableMembersRequest{
		OrganizationId: s.org, AccountIds: s.pair, RequestId: s.request()})
}

// pair is an organization with two members, of whom one has another organization's account.
func pair(t *testing.T, s *scene) {
	t.Helper()
	member(t, s)
	inviteGuest(t, s)
	accepted, err := s.guest.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: s.token})
	require.NoError(t, err)
	s.pair = []string{s.account, accepted.GetAccountId()}
}

// untilAll makes a call about many again, as clients are told to, while there is somebody in it who is left.
func untilAll[Q any, A interface {
	proto.Message
	GetResults() []*membershipv1.MemberResult
}](ctx context.Context, call func(context.Context, Q, ...grpc.CallOption) (A, error), request Q) (proto.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		answer, err := call(ctx, request)
		left := slices.ContainsFunc(answer.GetResults(), func(r *membershipv1.MemberResult) bool {
			return noAnswer[fault.ReasonOf(status.FromProto(r.GetError()).Err())]
		})
		if err != nil || !left || ctx.Err() != nil {
			return answer, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}
