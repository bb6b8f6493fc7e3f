package membership

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// UpdateOrganization changes the name.
func (s *Service) UpdateOrganization(ctx context.Context, req *membershipv1.UpdateOrganizationRequest) (*membershipv1.UpdateOrganizationResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	name, err := naming.ParseDisplayName("display_name", req.GetDisplayName())
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	once := s.managed(ctx, key, org.UpdateOrganization, req.GetRequestId(), "UpdateOrganization", req)
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.UpdateOrganizationResponse, error) {
		q := queries(tx)
		at, err := q.LockOrganization(ctx, key, me)
		if err != nil {
			return nil, err
		}
		o := at.Organization
		actor, err := o.Admit(at.Members[me])
		if err != nil {
			return nil, err
		}
		if err := actor.Need(org.UpdateOrganization); err != nil {
			return nil, err
		}
		before := o
		if err := o.Rename(name, req.GetEtag(), tx.Now()); err != nil {
			return nil, err
		}
		q.SaveOrganization(o)
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, RequestID: req.GetRequestId()}
		return &membershipv1.UpdateOrganizationResponse{Organization: organizationToProto(o, actor.Role.Key, actor.Permissions)},
			outbox.Publish(tx, key, tx.Now(), &eventv1.OrganizationUpdated{
				Context: because.Context(ctx), Before: organizationToEvent(before), After: organizationToEvent(o)})
	})
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(key, s.DB.Name, revision)
	return answer, nil
}
