package membership

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// HasDomain tells identity whether the word of an organization's identity provider counts for addresses on a domain, and whether there is a
// ground for managing an account: that it belongs to the organization, too. The times tell one such ground from another that came later.
func (s *Service) HasDomain(ctx context.Context, req *membershipv1.HasDomainRequest) (*membershipv1.HasDomainResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	var account id.Account
	if text := req.GetAccountId(); text != "" {
		if account, err = id.ParseAccount(text); err != nil {
			return nil, err
		}
	}
	var answer *membershipv1.HasDomainResponse
	err = s.view(ctx, key, func(q store.Queries) error {
		answer = &membershipv1.HasDomainResponse{}
		found, err := q.FindDomain(ctx, req.GetDomain())
		if err != nil || found.OrganizationID.IsZero() || found.OrganizationID != key {
			return err
		}
		var joined *timestamppb.Timestamp
		if !account.IsZero() {
			at, err := q.Get(ctx, key, account)
			member := at.Members[account]
			if err != nil || !member.Belongs() {
				return err
			}
			joined = timestamppb.New(member.JoinTime)
		}
		answer = &membershipv1.HasDomainResponse{
			Verified: true, DomainId: found.DomainID.String(), VerifyTime: timestamppb.New(found.VerifyTime), JoinTime: joined}
		return nil
	})
	return answer, err
}
