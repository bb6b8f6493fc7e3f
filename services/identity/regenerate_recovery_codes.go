package identity

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// RegenerateRecoveryCodes replaces the recovery codes. Without a factor there is nothing that they could stand in for.
func (s *Service) RegenerateRecoveryCodes(
	ctx context.Context, req *identityv1.RegenerateRecoveryCodesRequest,
) (*identityv1.RegenerateRecoveryCodesResponse, error) {
	who := caller.From(ctx)
	once := s.ownRequest(ctx, req.GetRequestId(), "RegenerateRecoveryCodes", req)
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(who.Account), once, func(tx *postgres.Tx) (*identityv1.RegenerateRecoveryCodesResponse, error) {
		q := store.Queries{Tx: tx}
		has, err := q.LockFactors(ctx, who.Account)
		if err != nil {
			return nil, err
		}
		if err := provenFor(ctx, q, has); err != nil {
			return nil, err
		}
		if len(has.Active()) == 0 {
			return nil, factor.ErrNotFound
		}
		codes := factor.NewRecoveryCodes(who.Account)
		q.ReplaceRecoveryCodes(who.Account, codes)
		if err := s.notify(q, has.Account, mail.RecoveryCodesReplaced{Notice: s.notice(ctx, q)}); err != nil {
			return nil, err
		}
		return &identityv1.RegenerateRecoveryCodesResponse{RecoveryCodes: texts(codes)}, outbox.Publish(q.Tx, who.Account, q.Now(),
			&eventv1.AccountRecoveryCodesReplaced{Context: origin(ctx, who.Account, req.GetRequestId())})
	})
	return answer, err
}
