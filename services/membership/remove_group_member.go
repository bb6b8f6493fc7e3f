package membership

import (
	"context"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// RemoveGroupMember takes a member out of a group.
func (s *Service) RemoveGroupMember(ctx context.Context, req *membershipv1.RemoveGroupMemberRequest) (*membershipv1.RemoveGroupMemberResponse, error) {
	key, group, target, err := parseGroupMember(req)
	if err != nil {
		return nil, err
	}
	answer, token, err := restructure(ctx, s, key, id.Project{}, org.ManageGroupMembers, "RemoveGroupMember", req, []id.Account{target},
		func(in structure) (*membershipv1.RemoveGroupMemberResponse, proto.Message, error) {
			if err := in.actor.Withdraw(in.Members[target], in.groups, group); err != nil {
				return nil, nil, err
			}
			var there bool
			in.InGroup(key, group, target, &there)
			if err := in.Fetch(ctx); err != nil {
				return nil, nil, err
			}
			if !there {
				return nil, nil, org.ErrNoMember
			}
			in.DeleteGroupMember(key, group, target)
			return &membershipv1.RemoveGroupMemberResponse{}, &eventv1.GroupMemberRemoved{
				Context: in.because, Membership: &eventv1.GroupMembership{GroupId: group.String(), AccountId: target.String()}}, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}
