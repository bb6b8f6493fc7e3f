package billing

import (
	"context"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/billing/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// SetSeatLimit moves the limit, also below what is used: nobody is removed, growth is refused. Setting what is set
// already changes nothing and makes no event.
func (s *Service) SetSeatLimit(ctx context.Context, req *billingv1.SetSeatLimitRequest) (*billingv1.SetSeatLimitResponse, error) {
	org, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	operator := caller.From(ctx).Operator
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(org), postgres.Request{
		ID:        req.GetRequestId(),
		Principal: operator.String(),
		Method:    billingv1.SeatLimitService_SetSeatLimit_FullMethodName,
		Body:      req,
	}, func(tx *postgres.Tx) (*billingv1.SetSeatLimitResponse, error) {
		q := store.Queries{Tx: tx}
		usage, err := q.LockUsage(ctx, org)
		if err != nil {
			return nil, err
		}
		before := usage.Cap
		changed, err := usage.SetCap(req.Limit)
		if err != nil {
			return nil, err
		}
		answer := &billingv1.SetSeatLimitResponse{Usage: usageToProto(usage)}
		if !changed {
			return answer, nil
		}
		q.SaveCap(org, usage.Cap)
		return answer, outbox.Publish(tx, org, tx.Now(), &eventv1.SeatLimitChanged{
			Context: outbox.Origin{
				Operator: operator, Cause: eventv1.Cause_KIND_OPERATOR, CauseID: org.String(), RequestID: req.GetRequestId(),
			}.Context(ctx),
			Before: before,
			After:  usage.Cap,
			Reason: req.GetReason(),
		})
	})
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(org, s.DB.Name, revision)
	return answer, nil
}
