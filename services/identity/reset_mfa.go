package identity

import (
	"context"
	"errors"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// ResetMfa takes the second factors of an account away because the organization that manages it wants that: who has lost all
// of them cannot. Whoever is signed in is signed out with the same commit.
func (s *Service) ResetMfa(ctx context.Context, req *identityv1.ResetMfaRequest) (*identityv1.ResetMfaResponse, error) {
	key, org, err := accountOf(req)
	if err != nil {
		return nil, err
	}
	actor, err := id.ParseAccount(req.GetActorAccountId())
	if err != nil {
		return nil, err
	}
	once := postgres.Request{ID: req.GetOperationId(), Principal: caller.From(ctx).Service, Method: "ResetMfa", Body: req}
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*identityv1.ResetMfaResponse, error) {
		q := store.Queries{Tx: tx}
		m, err := q.LockManagement(ctx, key)
		if errors.Is(err, account.ErrNotFound) || err == nil && !m.By(org) {
			return &identityv1.ResetMfaResponse{}, nil
		}
		if err != nil {
			return nil, err
		}
		has, err := q.LockFactors(ctx, key)
		if err != nil {
			return nil, err
		}
		if len(has.Active()) == 0 {
			return &identityv1.ResetMfaResponse{Managed: true}, nil
		}
		live, err := q.ListSessions(ctx, key)
		if err != nil {
			return nil, err
		}
		for _, one := range has.All {
			q.DeleteFactor(key, one.ID)
		}
		q.VoidLinks(key)
		q.SaveReach(key, 1)
		q.ReplaceRecoveryCodes(key, nil)
		from := outbox.Origin{Account: actor, Cause: eventv1.Cause_KIND_ADMIN, CauseID: org.String(), RequestID: req.GetOperationId()}.Context(ctx)
		if err := endSessions(q, live, id.Session{}, from); err != nil {
			return nil, err
		}
		if err := s.notify(q, has.Account, mail.MfaReset{Organization: req.GetOrganizationDisplayName(), Time: q.Now()}); err != nil {
			return nil, err
		}
		return &identityv1.ResetMfaResponse{Managed: true, Reset_: true}, outbox.Publish(tx, key, q.Now(), &eventv1.AccountMfaReset{
			Context: from, Before: mfaOf(has.Active())})
	})
	return answer, err
}
