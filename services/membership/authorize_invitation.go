package membership

import (
	"context"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rosterhq/roster/pkg/fault"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// AuthorizeInvitation decides for the invitation service, from one reading of the truth.
func (s *Service) AuthorizeInvitation(ctx context.Context, req *membershipv1.AuthorizeInvitationRequest) (*membershipv1.AuthorizeInvitationResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	var actor id.Account
	if req.GetActorAccountId() != "" {
		if err := org.Known(req.GetPermission()); err != nil {
			return nil, err
		}
		if actor, err = id.ParseAccount(req.GetActorAccountId()); err != nil {
			return nil, fault.Invalid("actor_account_id", "must be the id of an account")
		}
	}
	asked := make([]id.Account, len(req.GetAccountIds()))
	for i, text := range req.GetAccountIds() {
		if asked[i], err = id.ParseAccount(text); err != nil {
			return nil, fault.Invalid("account_ids", "must be ids of accounts")
		}
	}
	var at store.Standing
	var members []id.Account
	var wanted string
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		q.ListMembersAmong(key, asked, &members)
		at, wanted, err = q.GetToGive(ctx, key, req.GetRole(), actor)
		return err
	})
	if err != nil {
		return nil, err
	}
	at.Organization.UseKey(req.GetActorScopes())
	role, err := authorize(at.Organization, at.Members[actor], wanted, req)
	if err != nil {
		return nil, err
	}
	policy := at.Organization.Policy
	answer := &membershipv1.AuthorizeInvitationResponse{
		OrganizationDisplayName: at.Organization.DisplayName,
		Role:                    role.Key,
		RoleDisplayName:         role.DisplayName,
		FullAccess:              role.FullAccess(),
		InviteTtl:               durationpb.New(policy.InviteTTL),
		Username:                requirementToProto(policy.Username),
		Email:                   requirementToProto(policy.Email),
		LinkInvites:             policy.LinkInvites,
	}
	for _, account := range members {
		answer.MemberAccountIds = append(answer.MemberAccountIds, account.String())
	}
	return answer, nil
}

// authorize returns the role that is to be given, the zero Role if none is. Wanted is the key that the request names, as it is
// by now.
func authorize(o org.Organization, member org.Member, wanted string, req *membershipv1.AuthorizeInvitationRequest) (org.Role, error) {
	if o.State != org.Active {
		return org.Role{}, org.ErrNotFound
	}
	give := o.Roles.Givable
	if req.GetActorAccountId() != "" {
		actor, err := o.Admit(member)
		if err != nil {
			return org.Role{}, err
		}
		if err := actor.Need(req.GetPermission()); err != nil {
			return org.Role{}, err
		}
		give = actor.Give
	}
	if !req.GetGrantsRole() {
		role, _ := o.Roles.ByKey(wanted)
		return role, nil
	}
	wanted, err := o.InvitationRole(wanted)
	if err != nil {
		return org.Role{}, err
	}
	return give(wanted)
}
