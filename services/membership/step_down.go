package membership

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// StepDown makes the caller one owner less, where there are several.
func (s *Service) StepDown(ctx context.Context, req *membershipv1.StepDownRequest) (*membershipv1.StepDownResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	once := request(ctx, req.GetRequestId(), "StepDown", req)
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.StepDownResponse, error) {
		q := queries(tx)
		at, err := q.LockMembers(ctx, key, me, me)
		if err != nil {
			return nil, err
		}
		o, member := at.Organization, at.Members[me]
		actor, err := o.Admit(member)
		if err != nil {
			return nil, err
		}
		before := member
		if err := actor.StepDown(&member, at.OthersFull); err != nil {
			return nil, err
		}
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_SELF, RequestID: req.GetRequestId()}
		if err := s.changedRole(q, at, before, member, me, because.Context(ctx)); err != nil {
			return nil, err
		}
		if actor, err = o.Admit(member); err != nil {
			return nil, err
		}
		return &membershipv1.StepDownResponse{Member: memberToProto(o, actor, member, at.People[me])},
			followMember(ctx, q, at, before, member, because)
	})
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(key, s.DB.Name, revision)
	return answer, nil
}
