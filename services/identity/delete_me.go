package identity

import (
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
	ask := &membershipv1.EndMembershipsRequest{AccountId: me.String(), ValidateOnly: true}
	asked, err := s.Departs.EndMemberships(ctx, ask)
	if err != nil {
		return nil, fmt.Errorf("ask who cannot do without the account: %w", err)
	}
	if err := indispensable(asked.GetOrganizations()); err != nil || req.GetValidateOnly() {
		return &identityv1.DeleteMeResponse{}, err
	}
	if err := s.beginErasing(ctx, me); err != nil {
		return nil, err
	}
	err = s.erase(ctx, me)
	if fault.ReasonOf(err) == errorv1.Reason_REASON_LAST_OWNER {
		return nil, err
	}
	if err != nil {
		s.Log.WarnContext(ctx, "an account is erased later", "account", me.String(), "error", err)
	}
	return &identityv1.DeleteMeResponse{Deleted: err == nil}, nil
}

// beginErasing commits that the account is to end. Nobody is signed in to it after that.
func (s *Service) beginErasing(ctx context.Context, key id.Account) error {
	return s.inTx(ctx, postgres.In(key), func(q store.Queries) error {
		e, err := q.LockErasure(ctx, key)
		if errors.Is(err, account.ErrNotFound) || err == nil && e.EraseTime != nil { // somebody else was faster
			return nil
		}
		if err != nil {
			return err
		}
		q.SaveErasing(key, true)
		saga.For(key, eraseTask, key).At(q.Tx, q.Now().Add(saga.Grace))
		live, err := q.ListSessions(ctx, key)
		if err != nil {
			return err
		}
		from := origin(ctx, key, "")
		if err := endSessions(q, live, id.Session{}, from); err != nil {
			return err
		}
		if err := endAPIKeys(ctx, q, key, from); err != nil {
			return err
		}
		return s.notify(q, e.Account, mail.AccountDeleted{Notice: s.notice(ctx, q)})
	})
}

// finishErasing is the sweeper's step that ends an account.
func (s *Service) finishErasing(ctx context.Context, task saga.Task) error {
	err := s.erase(ctx, id.Account(task.Aggregate))
	if fault.ReasonOf(err) == errorv1.Reason_REASON_LAST_OWNER {
		return nil // its person was told
	}
	return err
}

// erase ends an account that is to end, as far as that is still to be done. The error is LAST_OWNER when the account stays, because an organization cannot do
// without it by now.
func (s *Service) erase(ctx context.Context, key id.Account) error {
	var erasing bool
	err := s.view(ctx, postgres.In(key), func(q store.Queries) (err error) {
		erasing, err = q.Erasing(ctx, key)
		return err
	})
	if err != nil || !erasing { // it is gone, or stays
		return err
	}
	ended, err := s.Departs.EndMemberships(ctx, &membershipv1.EndMembershipsRequest{AccountId: key.String()})
	if err != nil {
		return fmt.Errorf("end memberships: %w", err)
	}
	stays := indispensable(ended.GetOrganizations())
	err = s.inTx(ctx, postgres.In(key), func(q store.Queries) error {
		e, err := q.LockErasure(ctx, key)
		if errors.Is(err, account.ErrNotFound) || err == nil && e.EraseTime == nil { // somebody else was faster
			return nil
		}
		if err != nil {
			return err
		}
		saga.For(key, eraseTask, key).Done(q.Tx)
		if stays != nil {
			q.SaveErasing(key, false)
			return s.notify(q, e.Account, mail.AccountKept{Organizations: names(ended.GetOrganizations())})
		}
		if err := outbox.Publish(q.Tx, key, q.Now(), &eventv1.AccountDeleted{
			Context: origin(ctx, key, ""), Account: &eventv1.Account{AccountId: key.String()}}); err != nil {
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
