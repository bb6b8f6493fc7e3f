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

// DeclineTransfer ends the offer of ownership that was made to the caller.
func (s *Service) DeclineTransfer(ctx context.Context, req *membershipv1.DeclineTransferRequest) (*membershipv1.DeclineTransferResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	once := request(ctx, req.GetRequestId(), "DeclineTransfer", req)
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.DeclineTransferResponse, error) {
		q := queries(tx)
		at, err := q.LockTransfer(ctx, key, me)
		if err != nil {
			return nil, err
		}
		actor, err := at.Organization.Admit(at.Members[me])
		if err != nil {
			return nil, err
		}
		if err := actor.Answers(at.Transfer, tx.Now()); err != nil {
			return nil, err
		}
		endTransfer(q, key)
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_SELF, RequestID: req.GetRequestId()}
		return &membershipv1.DeclineTransferResponse{}, outbox.Publish(tx, key, tx.Now(), &eventv1.OrganizationTransferDeclined{
			Context: because.Context(ctx), Transfer: transferToEvent(at.Transfer)})
	})
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(key, s.DB.Name, revision)
	return answer, nil
}
