package membership

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// DeleteOrganization ends the organization for everyone in one transaction, whose cost grows with it. Billing and
// invitation follow the event.
func (s *Service) DeleteOrganization(ctx context.Context, req *membershipv1.DeleteOrganizationRequest) (*membershipv1.DeleteOrganizationResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	once := request(ctx, req.GetRequestId(), "DeleteOrganization", req)
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.DeleteOrganizationResponse, error) {
		q := queries(tx)
		at, err := q.LockEverybody(ctx, key, me)
		if err != nil {
			return nil, err
		}
		actor, err := at.Organization.Admit(at.Members[me])
		if err != nil {
			return nil, err
		}
		if err := actor.Need(org.DeleteOrganization); err != nil {
			return nil, err
		}
		return &membershipv1.DeleteOrganizationResponse{}, dissolve(ctx, q, at.Organization, me, req.GetRequestId())
	})
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(key, s.DB.Name, revision)
	return answer, nil
}

// dissolve ends an organization, whose members are all locked.
func dissolve(ctx context.Context, q store.Queries, o org.Organization, by id.Account, requestID string) error {
	if o.Policy.DisableBlocksSignIn { // who was kept out may sign in again
		q.ScheduleDisabled(o.ID, signInTask)
	}
	q.DeleteOrganization(o.ID)
	q.DeleteIdentityProviders(o.ID, providerTask)
	endTransfer(q, o.ID)
	because := outbox.Origin{Account: by, Cause: eventv1.Cause_KIND_ORGANIZATION, CauseID: o.ID.String(), RequestID: requestID}
	return outbox.Publish(q.Tx, o.ID, q.Now(), &eventv1.OrganizationDeleted{Context: because.Context(ctx), Before: organizationToEvent(o)})
}
