package membership

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rosterhq/roster/pkg/fault"
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

// RevokeMemberSessions signs a member out everywhere. The decision is committed first, as an operation; then identity does it, asked by
// this call or, after a crash, by the sweeper, and says whether the organization manages the account.
func (s *Service) RevokeMemberSessions(ctx context.Context, req *membershipv1.RevokeMemberSessionsRequest) (*membershipv1.RevokeMemberSessionsResponse, error) {
	key, target, err := parseMember(req)
	if err != nil {
		return nil, err
	}
	once := s.managed(ctx, key, org.RevokeSessions, req.GetRequestId(), "RevokeMemberSessions", req)
	begun, _, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*wrapperspb.StringValue, error) {
		q, me := queries(tx), caller.From(ctx).Account
		at, err := q.LockMembers(ctx, key, me, target)
		if err != nil {
			return nil, err
		}
		actor, err := at.Organization.Admit(at.Members[me])
		if err != nil {
			return nil, err
		}
		if err := actor.Manage(at.Members[target], org.RevokeSessions); err != nil {
			return nil, err
		}
		op := org.Begin(org.RevokeOperation, target, me, causeAdmin, once.ID, q.Now())
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
	if err := s.finishRevoke(ctx, key, operation); err != nil {
		return nil, err
	}
	var op org.Operation
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		op, _, err = q.GetOperation(ctx, key, operation, org.RevokeOperation)
		return err
	})
	if err != nil {
		return nil, err
	}
	if op.State != org.Done {
		return nil, outcome(op)
	}
	return &membershipv1.RevokeMemberSessionsResponse{Token: outbox.Token(key, s.DB.Name, op.Revision)}, nil
}

// finishRevoke has identity do it, and records the outcome. Identity's answer for an operation is always the same.
func (s *Service) finishRevoke(ctx context.Context, key id.Organization, operation id.Seat) error {
	var op org.Operation
	err := s.view(ctx, key, func(q store.Queries) (err error) {
		op, _, err = q.GetOperation(ctx, key, operation, org.RevokeOperation)
		return err
	})
	if err != nil || op.State != org.Pending {
		return err
	}
	answer, err := s.Accounts.EndSessions(ctx, &identityv1.EndSessionsRequest{
		OperationId: op.Seat.String(), AccountId: op.Account.String(), OrganizationId: key.String(), ActorAccountId: op.Actor.String()})
	if err != nil {
		return saga.Unfinished(fmt.Errorf("end sessions: %w", err))
	}
	var refusal *fault.Fault
	if !answer.GetManaged() {
		refusal = org.ErrSessionsNotManaged
	}
	return s.conclude(ctx, key, op, refusal, func(q store.Queries, now org.Operation, at store.Standing) error {
		member := at.Members[now.Account]
		if err := outbox.Publish(q.Tx, key, q.Now(), &eventv1.MemberSessionsRevoked{
			Context: byAdmin(ctx, now), Member: memberToEvent(at.Organization, member)}); err != nil {
			return err
		}
		q.FinishOperation(key, now, member)
		return nil
	})
}
