package membership

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/page"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// ListWaitingJoins returns who waits for a seat. What they are called is asked of identity: nothing is kept of people who do not
// belong here.
func (s *Service) ListWaitingJoins(ctx context.Context, req *membershipv1.ListWaitingJoinsRequest) (*membershipv1.ListWaitingJoinsResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	bound := []string{"waiting", caller.From(ctx).Account.String(), key.String()}
	var after store.JoinCursor
	if err := page.Open(s.PageKey, req.GetPageToken(), &after, bound...); err != nil {
		return nil, err
	}
	_, actor, err := s.admit(ctx, key, org.ReadMembers)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	var found []store.Join
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		found, err = q.ListJoins(ctx, key, after, size+1)
		return err
	})
	if err != nil || len(found) == 0 {
		return &membershipv1.ListWaitingJoinsResponse{}, err
	}
	answer := &membershipv1.ListWaitingJoinsResponse{}
	if found, answer.NextPageToken, err = page.Cut(s.PageKey, found, size, store.Join.Cursor, bound...); err != nil {
		return nil, err
	}
	ask := &identityv1.GetAccountsRequest{}
	for _, join := range found {
		ask.AccountIds = append(ask.AccountIds, join.AccountID.String())
	}
	accounts, err := s.Accounts.GetAccounts(ctx, ask)
	if err != nil {
		return nil, fmt.Errorf("%w (%v)", fault.New(errorv1.Reason_REASON_UNAVAILABLE,
			"A part of the suite does not answer. Try again.").WithRetry(5*time.Second), err)
	}
	people := make(map[string]*identityv1.Account)
	for _, account := range accounts.GetAccounts() {
		people[account.GetId()] = account
	}
	for _, join := range found {
		account := people[join.AccountID.String()] // none: it is gone, and soon from this list too
		shown := &membershipv1.WaitingJoin{
			AccountId: join.AccountID.String(), Domain: join.Domain, ProviderId: join.ProviderID.String(), CreateTime: timestamppb.New(join.CreateTime), DisplayName: clean(account.GetDisplayName()),
		}
		if actor.May(org.ReadContacts) {
			shown.Email = clean(account.GetEmail())
		}
		answer.Joins = append(answer.Joins, shown)
	}
	return answer, nil
}
