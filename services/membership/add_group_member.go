package membership

import (
	"context"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// AddGroupMember puts a member into a group. The next question about access is answered by it.
func (s *Service) AddGroupMember(ctx context.Context, req *membershipv1.AddGroupMemberRequest) (*membershipv1.AddGroupMemberResponse, error) {
	key, group, target, err := parseGroupMember(req)
	if err != nil {
		return nil, err
	}
	answer, token, err := restructure(ctx, s, key, id.Project{}, org.ManageGroupMembers, "AddGroupMember", req, []id.Account{target},
		func(in structure) (*membershipv1.AddGroupMemberResponse, proto.Message, error) {
			if err := in.actor.Enroll(in.Members[target], in.groups, group); err != nil {
				return nil, nil, err
			}
			var already bool
			in.InGroup(key, group, target, &already)
			if err := in.Fetch(ctx); err != nil {
				return nil, nil, err
			}
			if already {
				return nil, nil, org.ErrInGroup.With("accountId", target.String())
			}
			in.InsertGroupMember(key, group, target)
			return &membershipv1.AddGroupMemberResponse{}, &eventv1.GroupMemberAdded{
				Context: in.because, Membership: &eventv1.GroupMembership{GroupId: group.String(), AccountId: target.String()}}, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}

// parseGroupMember reads what names a member of a group.
func parseGroupMember(req interface {
	GetOrganizationId() string
	GetGroupId() string
	GetAccountId() string
}) (key id.Organization, group id.Group, account id.Account, err error) {
	if key, group, err = parseGroup(req); err != nil {
		return key, group, account, err
	}
	account, err = id.ParseAccount(req.GetAccountId())
	return key, group, account, err
}
