package identity

import (
	"context"
	"errors"
	"time"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// AnswerChallenge completes a sign-in whose second factor is due. The session gets another id and another secret.
func (s *Service) AnswerChallenge(ctx context.Context, req *identityv1.AnswerChallengeRequest) (*identityv1.AnswerChallengeResponse, error) {
	who := caller.From(ctx)
	if who.Stage != caller.Challenge {
		return nil, factor.ErrNoChallenge
	}
	by := trial{session.SignIn, session.BySecondFactor, who.Account, who.Session}
	var err error
	if req.GetPasskey() != "" {
		err = s.checkPasskey(ctx, by, req.GetPasskey())
	} else {
		err = s.checkCode(ctx, by, req.GetCode())
	}
	if err != nil {
		return nil, err
	}
	opened, token, err := s.goOn(ctx, proof{code: true})
	if err != nil {
		return nil, err
	}
	return &identityv1.AnswerChallengeResponse{Session: sessionToProto(opened, opened.ID), Token: token, PasswordChangeRequired: opened.Stage == session.NextPassword}, nil
}

// checkCode finds out whether a typed code is one of the account's, of an app or a recovery code, and uses it up.
func (s *Service) checkCode(ctx context.Context, by trial, typed string) error {
	owner := by.owner
	return s.tryFactor(ctx, by, func(ctx context.Context, q store.Queries, f store.Factors) error {
		if code, ok := factor.Digits(typed); ok {
			return s.useCode(ctx, q, owner, factor.Of(factor.TOTP, f.Active()), code)
		}
		used, err := q.UseRecoveryCode(ctx, owner, factor.ParseRecoveryCode(owner, typed).Hash)
		if err != nil || !used {
			return errors.Join(err, factor.ErrCodeInvalid)
		}
		left := f.Recovery - 1
		if err := s.notify(q, f.Account, mail.RecoveryCodeUsed{Notice: s.notice(ctx, q), Left: left}); err != nil {
			return err
		}
		return outbox.Publish(q.Tx, owner, q.Now(), &eventv1.AccountRecoveryCodeUsed{Context: origin(ctx, owner, ""), Left: int32(left)})
	})
}

// useCode uses up a code of one of the apps.
func (s *Service) useCode(ctx context.Context, q store.Queries, owner id.Account, apps []factor.Factor, code string) error {
	for _, app := range apps {
		secret, err := s.Key.Open(app.SealedSecret, factorBound(owner, app.ID)...)
		if err != nil {
			return err
		}
		step, ok := factor.Secret(secret).Match(code, app.LastStep, q.Now())
		if !ok {
			continue
		}
		used, err := q.UseStep(ctx, owner, app.ID, step)
		if err != nil || used {
			return err
		}
	}
	return factor.ErrCodeInvalid
}

// trial is somebody who tries to prove a factor of the account.
type trial struct {
	to         session.Action
	by         session.Method
	owner      id.Account
	challenged id.Session // whose challenge it answers, if any
}

// tryFactor lets somebody try to prove a factor. What becomes of it is committed before anything follows from it, also when the client has left:
// a wrong one counts, together with wrong passwords, and many at once are no way around the delays.
func (s *Service) tryFactor(ctx context.Context, by trial, try func(context.Context, store.Queries, store.Factors) error) error {
	owner, challenged := by.owner, by.challenged
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var wrong error
	err := s.inTxOnce(ctx, postgres.In(owner), func(q store.Queries) error {
		wrong = nil
		f, err := q.LockFactors(ctx, owner)
		if err != nil {
			return err
		}
		var answered session.Session
		if !challenged.IsZero() {
			answered, err = q.LockSession(ctx, owner, challenged)
			if errors.Is(err, session.ErrNotFound) || err == nil && !answered.Live(q.Now()) {
				return session.ErrUnauthenticated
			}
			if err != nil {
				return err
			}
		}
		failures, err := q.GetFailures(ctx, owner, session.Network(caller.From(ctx).Address))
		if err != nil {
			return err
		}
		if wait := failures.NextTime.Sub(q.Now()); wait > 0 {
			return factor.TooEarly(wait)
		}
		var why session.Reason
		switch err := try(ctx, q, f); {
		case errors.Is(err, factor.ErrCodeInvalid):
			wrong, why = factor.ErrCodeInvalid, session.WrongCode
		case errors.Is(err, errCopied):
			wrong, why = factor.ErrPasskeyInvalid, session.PasskeyCopied
		case errors.Is(err, factor.ErrPasskeyInvalid):
			wrong, why = factor.ErrPasskeyInvalid, session.WrongPasskey
		default:
			return err
		}
		q.CountFailure(owner, failures.Network)
		q.InsertAttempt(owner, attempt(ctx, by.to, by.by, why))
		switch {
		case challenged.IsZero():
			return nil
		case answered.Tries+1 < factor.Tries:
			q.CountTry(answered)
			return nil
		}
		return endSession(q, answered, origin(ctx, owner, ""))
	})
	if err != nil {
		return err
	}
	return wrong
}
