package invitation

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
)

// PreviewInvitation tells the holder of a link what it is for. Looking consumes nothing: mail scanners look.
func (s *Service) PreviewInvitation(ctx context.Context, req *invitationv1.PreviewInvitationRequest) (*invitationv1.PreviewInvitationResponse, error) {
	token, err := invite.ParseToken(req.GetLinkToken())
	if err != nil {
		return nil, err
	}
	inv, err := s.answerable(ctx, token)
	if err != nil {
		return nil, err
	}
	facts, err := s.Admission.AuthorizeInvitation(ctx, &membershipv1.AuthorizeInvitationRequest{
		OrganizationId: inv.OrganizationID.String(), GrantsRole: true, Role: inv.Role})
	if err != nil {
		return nil, err
	}
	inviters, err := s.Accounts.GetAccounts(ctx, &identityv1.GetAccountsRequest{AccountIds: []string{inv.InviterID.String()}})
	if err != nil {
		return nil, err
	}
	answer := &invitationv1.PreviewInvitationResponse{
		OrganizationId:          inv.OrganizationID.String(),
		OrganizationDisplayName: facts.GetOrganizationDisplayName(),
		RoleDisplayName:         facts.GetRoleDisplayName(),
		MaskedEmail:             masked(inv),
		Username:                inv.Username,
		DisplayName:             inv.DisplayName,
		ExpireTime:              timestamppb.New(inv.ExpireTime),
		FullAccess:              facts.GetFullAccess(),
	}
	for _, inviter := range inviters.GetAccounts() {
		answer.InviterDisplayName = inviter.GetDisplayName()
	}
	answer.SignInRequired, err = s.mustSignIn(ctx, inv)
	return answer, err
}

func masked(inv *invite.Invitation) string {
	if inv.Email == "" {
		return ""
	}
	return email.Address{Display: inv.Email}.Mask()
}
