package membership

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

var resets = map[membershipv1.OrganizationPolicy_Reset]org.Reset{
	membershipv1.OrganizationPolicy_RESET_LINK:          org.ByLink,
	membershipv1.OrganizationPolicy_RESET_TEMP_PASSWORD: org.ByTempPassword,
}

// ResetMemberPassword decides and commits that, then has identity do it, by this call or, after a crash, by the sweeper. Identity keeps what is
// shown once, for a day: this service never stores it.
func (s *Service) ResetMemberPassword(ctx context.Context, req *membershipv1.ResetMemberPasswordRequest) (*membershipv1.ResetMemberPasswordResponse, error) {
	key, target, err := parseMember(req)
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	s.activity.note(key, me)
	once := request(ctx, req.GetRequestId(), "ResetMemberPassword", req)
	begun, _, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*wrapperspb.StringValue, error) {
		q := queries(tx)
		at, err := q.LockMembers(ctx, key, me, target)
		if err != nil {
			return nil, err
		}
		actor, err := at.Organization.Admit(at.Members[me])
		if err != nil {
			return nil, err
		}
		method, err := actor.ResetPassword(at.Members[target], resets[req.GetMethod()])
		if err != nil {
			return nil, err
		}
		if err := mayHear(ctx, actor, method, q.Now()); err != nil {
			return nil, err
		}
		op := org.Begin(org.ResetOperation, target, me, string(method), once.ID, q.Now())
		begin(q, key, op)
		return wrapperspb.String(op.Seat.String()), nil
	})
	if err != nil {
		return nil, err
	}
	operation, err := id.ParseSeat(begun.GetValue())
	if err != nil {
		return nil, err
	}
	answer, refusal, err := s.reset(ctx, key, operation)
	switch {
	case err != nil:
		return nil, err
	case refusal != nil:
		return nil, refusal
	}
	if err := s.heard(ctx, key, operation, answer); err != nil {
		return nil, err
	}
	return answer, nil
}

// mayHear refuses who may not, or not now, know what resetting a password in this way gives.
func mayHear(ctx context.Context, actor org.Actor, method org.Reset, now time.Time) error {
	if err := actor.Need(method.Permission()); err != nil {
		return err
	}
	if method == org.ByTempPassword {
		return caller.From(ctx).StepUp(now, 10*time.Minute)
	}
	return nil
}

// heard completes the answer, for who may hear it by now: the request may be an old one that is repeated.
func (s *Service) heard(ctx context.Context, key id.Organization, operation id.Seat, answer *membershipv1.ResetMemberPasswordResponse) error {
	me := caller.From(ctx).Account
	var op org.Operation
	var at store.Standing
	err := s.view(ctx, key, func(q store.Queries) (err error) {
		op, at, err = q.GetOperation(ctx, key, operation, org.ResetOperation, me)
		return err
	})
	if err != nil {
		return err
	}
	actor, err := at.Organization.Admit(at.Members[me])
	if err != nil {
		return err
	}
	answer.Token = outbox.Token(key, s.DB.Name, op.Revision)
	return mayHear(ctx, actor, org.Reset(op.Cause), time.Now())
}

// finishReset is the sweeper's step of it.
func (s *Service) finishReset(ctx context.Context, key id.Organization, operation id.Seat) error {
	_, _, err := s.reset(ctx, key, operation) // a refusal is an end as well
	return err
}

// reset has identity do it, as often as it takes, and ends the operation. The answer is the same as long as identity keeps it; the
// fault is the answer no.
func (s *Service) reset(ctx context.Context, key id.Organization, operation id.Seat) (*membershipv1.ResetMemberPasswordResponse, *fault.Fault, error) {
	var op org.Operation
	err := s.view(ctx, key, func(q store.Queries) (err error) {
		op, _, err = q.GetOperation(ctx, key, operation, org.ResetOperation)
		return err
	})
	switch {
	case err != nil:
		return nil, nil, err
	case op.Refusal != nil:
		return nil, op.Refusal, nil
	}
	answer, refusal, err := s.resetAtIdentity(ctx, key, op)
	if err != nil {
		return nil, nil, err
	}
	err = s.conclude(ctx, key, op, refusal, func(q store.Queries, now org.Operation, at store.Standing) error {
		member := at.Members[now.Account]
		if err := outbox.Publish(q.Tx, key, q.Now(), &eventv1.MemberPasswordReset{
			Context: byAdmin(ctx, now), Member: memberToEvent(at.Organization, member),
			Method: eventv1.MemberPasswordReset_Method(eventv1.MemberPasswordReset_Method_value["METHOD_"+now.Cause])}); err != nil {
			return err
		}
		q.FinishOperation(key, now, member)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return answer, refusal, nil
}

// resetAtIdentity asks identity. The fault is the answer no; an error means that there is no answer.
func (s *Service) resetAtIdentity(ctx context.Context, key id.Organization, op org.Operation) (*membershipv1.ResetMemberPasswordResponse, *fault.Fault, error) {
	answer := &membershipv1.ResetMemberPasswordResponse{Method: membershipv1.OrganizationPolicy_RESET_LINK}
	account, organization, operation := op.Account.String(), key.String(), op.Seat.String()
	var err error
	if org.Reset(op.Cause) == org.ByTempPassword {
		var issued *identityv1.IssueTemporaryPasswordResponse
		issued, err = s.Accounts.IssueTemporaryPassword(ctx, &identityv1.IssueTemporaryPasswordRequest{
			AccountId: account, OrganizationId: organization, OperationId: operation})
		answer.Method = membershipv1.OrganizationPolicy_RESET_TEMP_PASSWORD
		answer.TemporaryPassword, answer.ExpireTime = issued.GetPassword(), issued.GetExpireTime()
	} else {
		var sent *identityv1.SendPasswordResetResponse
		sent, err = s.Accounts.SendPasswordReset(ctx, &identityv1.SendPasswordResetRequest{
			AccountId: account, OrganizationId: organization, OperationId: operation})
		answer.ResetUrl, answer.ExpireTime = sent.GetResetUrl(), sent.GetExpireTime()
	}
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED, errorv1.Reason_REASON_EMAIL_UNVERIFIED, errorv1.Reason_REASON_PASSWORD_MISSING,
		errorv1.Reason_REASON_RATE_LIMITED, errorv1.Reason_REASON_ACCOUNT_NOT_FOUND:
		return nil, fault.From(err), nil
	}
	if err != nil {
		return nil, nil, saga.Unfinished(fmt.Errorf("reset the password at identity: %w", err))
	}
	return answer, nil, nil
}
