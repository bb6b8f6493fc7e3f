package identity

import (
	"context"
	"slices"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
)

// ConfirmTotp makes an authenticator app a factor with its first code, which is used up by that. The session goes on as one that has shown
// both; the person's others stay, with less: what asks for a proof of who is there asks them for both.
func (s *Service) ConfirmTotp(ctx context.Context, req *identityv1.ConfirmTotpRequest) (*identityv1.ConfirmTotpResponse, error) {
	who := caller.From(ctx)
	key, err := id.ParseFactor(req.GetFactorId())
	if err != nil {
		return nil, factor.ErrNotFound
	}
	var confirmed factor.Factor
	var codes []factor.RecoveryCode
	by := trial{to: session.Reauthenticate, by: session.BySecondFactor, owner: who.Account}
	err = s.tryFactor(ctx, by, func(ctx context.Context, q store.Queries, has store.Factors) error {
		if err := provenFor(ctx, q, has); err != nil {
			return err
		}
		i := slices.IndexFunc(has.All, func(f factor.Factor) bool { return f.ID == key && !f.Active })
		if i < 0 {
			return factor.ErrNotFound
		}
		code, ok := factor.Digits(req.GetCode())
		if !ok {
			return factor.ErrCodeInvalid
		}
		if err := s.useCode(ctx, q, who.Account, has.All[i:i+1], code); err != nil {
			return err
		}
		confirmed = has.All[i]
		confirmed.Active, confirmed.CreateTime = true, q.Now() // until now it opened nothing
		q.SaveFactor(who.Account, confirmed)
		codes, err = s.addFactor(ctx, q, has, confirmed)
		return err
	})
	if err != nil {
		return nil, err
	}
	opened, token, err := s.goOn(ctx, proof{code: true})
	if err != nil {
		return nil, err
	}
	return &identityv1.ConfirmTotpResponse{
		Factor: factorToProto(confirmed), RecoveryCodes: texts(codes), Session: sessionToProto(opened, opened.ID), Token: token,
	}, nil
}

// addFactor makes a factor one that signing in asks for. With the first one there are recovery codes.
func (s *Service) addFactor(ctx context.Context, q store.Queries, has store.Factors, added factor.Factor) (codes []factor.RecoveryCode, err error) {
	owner, before := has.Account.ID, has.Active()
	q.SaveReach(owner, 2)
	if len(before) == 0 {
		codes = factor.NewRecoveryCodes(owner)
		q.ReplaceRecoveryCodes(owner, codes)
	}
	return codes, s.publishMfa(ctx, q, has.Account, before, append(slices.Clone(before), added), origin(ctx, owner, ""))
}

func texts(codes []factor.RecoveryCode) (texts []string) {
	for _, code := range codes {
		texts = append(texts, code.Text())
	}
	return texts
}
