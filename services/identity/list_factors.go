package identity

import (
	"context"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// ListFactors returns the caller's second factors. One that waits for its first code is none yet.
func (s *Service) ListFactors(ctx context.Context, _ *identityv1.ListFactorsRequest) (*identityv1.ListFactorsResponse, error) {
	who := caller.From(ctx)
	var has store.Factors
	err := s.view(ctx, postgres.In(who.Account), func(q store.Queries) (err error) {
		has, err = q.ListFactors(ctx, who.Account)
		return err
	})
	if err != nil {
		return nil, err
	}
	answer := &identityv1.ListFactorsResponse{RecoveryCodesLeft: int32(has.Recovery)}
	for _, one := range has.Active() {
		answer.Factors = append(answer.Factors, factorToProto(one))
	}
	return answer, nil
}

func factorToProto(f factor.Factor) *identityv1.Factor {
	return &identityv1.Factor{
		Id:          f.ID.String(),
		Method:      methodToProto(f.Method),
		DisplayName: f.DisplayName,
		CreateTime:  timestamppb.New(f.CreateTime),
	}
}

func methodToProto(m factor.Method) identityv1.FactorMethod {
	return identityv1.FactorMethod(identityv1.FactorMethod_value["FACTOR_METHOD_"+string(m)])
}

// publishMfa tells what the account has beside its password from now on, its person by mail, too.
func (s *Service) publishMfa(ctx context.Context, q store.Queries, a account.Account, before, after []factor.Factor, from *eventv1.Context) error {
	has := func(all []factor.Factor, one factor.Factor) bool {
		return slices.ContainsFunc(all, func(f factor.Factor) bool { return f.ID == one.ID })
	}
	for _, one := range slices.Concat(before, after) {
		if has(before, one) && has(after, one) {
			continue
		}
		words := mail.MfaChanged{Notice: s.notice(ctx, q), Added: has(after, one), Passkey: one.Method == factor.Passkey, Name: one.DisplayName, Left: len(after)}
		if err := s.notify(q, a, words); err != nil {
			return err
		}
	}
	return outbox.Publish(q.Tx, a.ID, q.Now(), &eventv1.AccountMfaChanged{Context: from, Before: mfaOf(before), After: mfaOf(after)})
}

func mfaOf(factors []factor.Factor) *eventv1.Mfa {
	mfa := &eventv1.Mfa{}
	for _, one := range factors {
		mfa.FactorIds = append(mfa.FactorIds, one.ID.String())
		if method := string(one.Method); !slices.Contains(mfa.GetMethods(), method) {
			mfa.Methods = append(mfa.Methods, method)
		}
	}
	return mfa
}
