package billing

import (
	"context"
	"fmt"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/billing/internal/seat"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
)

// GetSeatUsage answers from one row, whatever the organization's size.
func (s *Service) GetSeatUsage(ctx context.Context, req *billingv1.GetSeatUsageRequest) (*billingv1.GetSeatUsageResponse, error) {
	org, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	if asker := caller.From(ctx).Account; !asker.IsZero() { // zero: a service asks for itself
		if err := s.mayRead(ctx, org, asker); err != nil {
			return nil, err
		}
	}
	usage, err := s.store.Usage(ctx, org)
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	return &billingv1.GetSeatUsageResponse{Usage: usageToProto(usage)}, nil
}

// mayRead asks membership, which knows. Somebody who does not belong does not learn that the organization exists.
func (s *Service) mayRead(ctx context.Context, org id.Organization, account id.Account) error {
	access, err := s.Access.CheckAccess(ctx, &membershipv1.CheckAccessRequest{
		OrganizationId: org.String(), AccountId: account.String(), Permission: seat.PermissionRead})
	if err != nil {
		return fmt.Errorf("check access: %w", err)
	}
	switch decision := access.GetDecision(); decision {
	case membershipv1.CheckAccessResponse_DECISION_ALLOWED:
		return nil
	case membershipv1.CheckAccessResponse_DECISION_NOT_A_MEMBER:
		return seat.ErrOrganizationNotFound
	case membershipv1.CheckAccessResponse_DECISION_MEMBER_DISABLED:
		return seat.ErrMemberDisabled
	case membershipv1.CheckAccessResponse_DECISION_MFA_REQUIRED:
		return seat.ErrMfaRequired
	case membershipv1.CheckAccessResponse_DECISION_PERMISSION_MISSING, membershipv1.CheckAccessResponse_DECISION_GATE_CLOSED:
		return seat.ErrPermissionMissing
	default:
		return fmt.Errorf("check access: unknown decision %v", decision)
	}
}
