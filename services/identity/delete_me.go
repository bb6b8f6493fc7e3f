package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
)

// DeleteMe ends the caller's account. What is committed first is that it is to end, and with it the sessions and keys; then membership ends what
// the person is in organizations, and only then what is kept here is erased. Whoever is found to be indispensable in between keeps the
// account. Other services hear the event, and erase what they keep.
func (s *Service) DeleteMe(ctx context.Context, req *identityv1.DeleteMeRequest) (*identityv1.DeleteMeResponse, error) {
	me := caller.From(ctx).Account
	if err := s.mayEnd(ctx, me); err != nil || req.GetValidateOnly() {
		return &identityv1.DeleteMeResponse{}, err
	}
	err := s.inTx(ctx, postgres.In(me), func(q store.Queries) error {
		err := s.beginErasing(ctx, q, me, id.Operator{}, "")
		if errors.Is(err, account.ErrNotFound) { // somebody else was faster
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	deleted, err := s.eraseNow(ctx, me)
	if err != nil {
		return nil, err
	}
	return &identityv1.DeleteMeResponse{Deleted: deleted}, nil
}

// mayEnd asks whether organizations can do without an account.
func (s *Service) mayEnd(ctx context.Context, key id.Account) error {
	asked, err := s.Departs.EndMemberships(ctx, &membershipv1.EndMembershipsRequest{AccountId: key.String(), ValidateOnly: true})
	if err != nil {
		return fmt.Errorf("ask who cannot do without the account: %w", err)
	}
	return indispensable(asked.GetOrganizations())
}

// beginErasing notes that the account is to end, because its person wants that, or an operator. Nobody is signed in to it after the commit.
func (s *Service) beginErasing(ctx context.Context, q store.Queries, key id.Account, by id.Operator, reason string) error {
	e, err := q.LockErasure(ctx, key)
	if err != nil || e.EraseTime != nil { // it is being done
		return err
	}
	q.SaveErasing(key, by, reason)
	saga.For(key, eraseTask, key).At(q.Tx, q.Now().Add(saga.Grace))
	live, err := q.ListSessions(ctx, key)
	if err != nil {
		return err
	}
	from := endedBy(ctx, key, by)
	if err := endSessions(q, live, id.Session{}, from); err != nil {
		return err
	}
	if err := endAPIKeys(ctx, q, key, from); err != nil {
		return err
	}
	told := mail.AccountDeleted{Notice: s.notice(ctx, q)}
	if !by.IsZero() { // where operators are is nobody else's business
		told = mail.AccountDeleted{Notice: mail.Notice{Time: q.Now()}, Operator: true}
	}
	return s.notify(q, e.Account, told)
}

// endedBy is what an event says of the end of an account: that its person wants it, or an operator.
func endedBy(ctx context.Context, key id.Account, by id.Operator) *eventv1.Context {
	if by.IsZero() {
		return origin(ctx, key, "")
	}
	return outbox.Origin{Operator: by, Cause: eventv1.Cause_KIND_OPERATOR}.Context(ctx)
}

// eraseNow ends an account that is to end, at once if that can be done; deleted tells whether it was. Otherwise the sweeper does it.
func (s *Service) eraseNow(ctx context.Context, key id.Account) (deleted bool, err error) {
	err = s.erase(ctx, key)
	if fault.ReasonOf(err) == errorv1.Reason_REASON_LAST_OWNER {
		return false, err
	}
	if err != nil {
		s.Log.WarnContext(ctx, "an account is erased later", "account", key.String(), "error", err)
	}
	return err == nil, nil
}

// finishErasing is the sweeper's step that ends an account.
func (s *Service) finishErasing(ctx context.Context, task saga.Task) error {
	err := s.erase(ctx, id.Account(task.Aggregate))
	if fault.ReasonOf(err) == errorv1.Reason_REASON_LAST_OWNER {
		return nil // its person was told
	}
	return err
}

// errKept says that an account was found to be indispensable before.
var errKept = fault.New(errorv1.Reason_REASON_LAST_OWNER, "The account stays: an organization could not do without it. A mail to its person says which.")

// erase ends an account that is to end, as far as that is still to be done. The error is LAST_OWNER when the account stays, because an organization cannot do
// without it by now.
func (s *Service) erase(ctx context.Context, key id.Account) error {
	var asked store.Ending
	var there bool
	err := s.view(ctx, postgres.In(key), func(q store.Queries) (err error) {
		asked, there, err = q.Ending(ctx, key)
		return err
	})
	if err != nil || !there {
		return err
	}
	if asked.EraseTime == nil {
		return errKept
	}
	ended, err := s.Departs.EndMemberships(ctx, &membershipv1.EndMembershipsRequest{AccountId: key.String(), OperatorId: asked.EraseOperator.String()})
	if err != nil {
		return fmt.Errorf("end memberships: %w", err)
	}
	stays := indispensable(ended.GetOrganizations())
	err = s.inTx(ctx, postgres.In(key), func(q store.Queries) error {
		e, err := q.LockErasure(ctx, key)
		if errors.Is(err, account.ErrNotFound) { // somebody else was faster
			return nil
		}
		if err != nil {
			return err
		}
		if e.EraseTime == nil { // it was found to be indispensable before, perhaps by this very call
			return cmp.Or[error](stays, errKept)
		}
		saga.For(key, eraseTask, key).Done(q.Tx)
		if stays != nil {
			q.SaveKept(key)
			return s.notify(q, e.Account, mail.AccountKept{Organizations: names(ended.GetOrganizations())})
		}
		if err := outbox.Publish(q.Tx, key, q.Now(), &eventv1.AccountDeleted{
			Context: endedBy(ctx, key, e.EraseOperator), Account: &eventv1.Account{AccountId: key.String()}, Reason: e.EraseReason}); err != nil {
			return err
		}
		q.Erase(e)
		return s.notify(q, e.Account, mail.AccountDeleted{Done: true})
	})
	if err != nil {
		return err
	}
	return stays
}

// indispensable refuses to end an account that organizations cannot do without.
func indispensable(organizations []*membershipv1.StandingOrganization) error {
	if len(organizations) == 0 {
		return nil
	}
	var keys []string
	for _, o := range organizations {
		keys = append(keys, o.GetOrganizationId())
	}
	return fault.New(errorv1.Reason_REASON_LAST_OWNER,
		"Nobody else can do everything in "+strings.Join(names(organizations), ", ")+". Hand that over first, or delete the organization.").
		With("organizationIds", strings.Join(keys, ","))
}

func names(organizations []*membershipv1.StandingOrganization) (names []string) {
	for _, o := range organizations {
		names = append(names, o.GetDisplayName())
	}
	return names
}
