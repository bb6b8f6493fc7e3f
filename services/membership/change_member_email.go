package membership

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// ChangeMemberEmail gives a member's account another address. The decision is committed first, as an operation; then identity does it, asked by
// this call or, after a crash, by the sweeper, and says whether the organization manages the account and the address is free. That tells who has
// an account, so it counts with the members that the organization tries to create.
func (s *Service) ChangeMemberEmail(ctx context.Context, req *membershipv1.ChangeMemberEmailRequest) (*membershipv1.ChangeMemberEmailResponse, error) {
	key, target, err := parseMember(req)
	if err != nil {
		return nil, err
	}
	address, err := email.ParseField("email", req.GetEmail())
	if err != nil {
		return nil, err
	}
	once := s.managed(ctx, key, org.UpdateProfiles, req.GetRequestId(), "ChangeMemberEmail", req)
	begun, _, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*wrapperspb.StringValue, error) {
		q, me := queries(tx), caller.From(ctx).Account
		var asked int
		q.AskedToday(key, &asked)
		at, err := q.LockMembers(ctx, key, me, target)
		if err != nil {
			return nil, err
		}
		actor, err := at.Organization.Admit(at.Members[me])
		if err != nil {
			return nil, err
		}
		if err := actor.ChangeEmail(at.Members[target]); err != nil {
			return nil, err
		}
		if err := at.Organization.MayLookUp(asked, q.Now()); err != nil {
			return nil, err
		}
		q.CountAsked(key)
		op := org.Begin(org.ChangeEmailOperation, target, me, causeAdmin, once.ID, q.Now())
		op.Person.Email = address.Display
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
	if err := s.finishChangeEmail(ctx, key, operation); err != nil {
		return nil, err
	}
	var op org.Operation
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		op, _, err = q.GetOperation(ctx, key, operation, org.ChangeEmailOperation)
		return err
	})
	if err != nil {
		return nil, err
	}
	if op.State != org.Done {
		return nil, outcome(op)
	}
	return &membershipv1.ChangeMemberEmailResponse{Token: outbox.Token(key, s.DB.Name, op.Revision)}, nil
}

// finishChangeEmail has identity do it, and records the outcome. Identity does it once for an operation.
func (s *Service) finishChangeEmail(ctx context.Context, key id.Organization, operation id.Seat) error {
	var op org.Operation
	var seen store.Standing
	err := s.view(ctx, key, func(q store.Queries) (err error) {
		op, seen, err = q.GetOperation(ctx, key, operation, org.ChangeEmailOperation)
		return err
	})
	if err != nil || op.State != org.Pending {
		return err
	}
	_, err = s.Accounts.ChangeAccountEmail(ctx, &identityv1.ChangeAccountEmailRequest{
		OperationId: op.Seat.String(), AccountId: op.Account.String(), OrganizationId: key.String(),
		OrganizationDisplayName: seen.Organization.DisplayName, ActorAccountId: op.Actor.String(), Email: op.Person.Email,
	})
	var refusal *fault.Fault
	switch fault.ReasonOf(err) {
	case errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED, errorv1.Reason_REASON_STATE_CONFLICT, errorv1.Reason_REASON_ACCOUNT_NOT_FOUND:
		refusal, err = fault.From(err), nil
	case errorv1.Reason_REASON_EMAIL_TAKEN:
		refusal, err = org.ErrEmailTaken, nil
	}
	if err != nil {
		return saga.Unfinished(fmt.Errorf("change the address at identity: %w", err))
	}
	return s.conclude(ctx, key, op, refusal, func(q store.Queries, now org.Operation, at store.Standing) error {
		member := at.Members[now.Account]
		if err := outbox.Publish(q.Tx, key, q.Now(), &eventv1.MemberEmailChanged{
			Context: byAdmin(ctx, now), Member: memberToEvent(at.Organization, member)}); err != nil {
			return err
		}
		q.FinishOperation(key, now, member)
		return nil
	})
}
