package identity

import (
	"context"
	"errors"
	"fmt"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
)

// joined asks membership whether there is a ground for managing an account that has come to belong to another organization, until the answer is that there is
// none, or the one that was committed before the question. Only so is none kept that is gone: the domain and the member are another organization's
// history than the event, so what ends them may be heard before the ground is noted; what ends them after the last answer is heard after it.
func (s *Service) joined(ctx context.Context, key id.Account, org id.Organization, from *eventv1.Context) error {
	for {
		var m account.Management
		var who account.Account
		err := s.view(ctx, postgres.In(key), func(q store.Queries) (err error) {
			if m, err = q.GetManagement(ctx, key); err == nil {
				who, err = q.GetAccount(ctx, key)
			}
			return err
		})
		if errors.Is(err, account.ErrNotFound) {
			return nil
		}
		if err != nil || m.Manager().IsZero() || m.By(org) {
			return err
		}
		now, err := s.ground(ctx, key, m, who)
		if err != nil {
			return err
		}
		if !now.IsZero() && m.Ground.Is(now) {
			return nil
		}
		if err := s.rest(ctx, key, m, who, now, from); err != nil {
			return err
		}
	}
}

// ground asks membership for a ground on which the organization goes on managing an account; zero: there is none.
func (s *Service) ground(ctx context.Context, key id.Account, m account.Management, who account.Account) (now account.Ground, err error) {
	domain := m.Ground.Domain
	if address, ok := email.Parse(who.Email); m.Ground.IsZero() && ok && who.Proven() {
		domain = address.Domain()
	}
	if domain == "" {
		return now, nil
	}
	answer, err := s.Domains.HasDomain(ctx, &membershipv1.HasDomainRequest{
		OrganizationId: m.ManagedBy.String(), Domain: domain, AccountId: key.String()})
	if err != nil {
		return now, fmt.Errorf("has domain: %w", err)
	}
	if !answer.GetVerified() {
		return now, nil
	}
	now = account.Ground{Domain: domain, VerifyTime: answer.GetVerifyTime().AsTime(), JoinTime: answer.GetJoinTime().AsTime()}
	now.DomainID, err = id.ParseDomain(answer.GetDomainId())
	return now, err
}

// rest commits what follows from the answer, unless the account is not what was asked about any more.
func (s *Service) rest(ctx context.Context, key id.Account, asked account.Management, about account.Account, now account.Ground, from *eventv1.Context) error {
	err := s.inTx(ctx, postgres.In(key), func(q store.Queries) error {
		m, err := q.LockManagement(ctx, key)
		if err != nil {
			return err
		}
		who, err := q.GetAccount(ctx, key)
		if err != nil {
			return err
		}
		if m.ManagedBy != asked.ManagedBy || !m.Ground.Is(asked.Ground) || m.Ground.Lost || who.Email != about.Email || who.Proven() != about.Proven() {
			return nil
		}
		_, enabled := m.Join(now)
		return s.saveManagement(ctx, q, key, m, enabled, from)
	})
	if errors.Is(err, account.ErrNotFound) {
		return nil
	}
	return err
}

// saveManagement writes a management that has begun to rest on a ground, or has ended; enabled says that its person may sign in again.
func (s *Service) saveManagement(ctx context.Context, q store.Queries, key id.Account, m account.Management, enabled bool, from *eventv1.Context) error {
	q.SaveManagement(key, m)
	if !enabled {
		return nil
	}
	return s.publishSignIn(ctx, q, key, m, from)
}

// endManaged is the sweeper's step that makes an account its person's own, which nobody manages since the ground for that was lost.
func (s *Service) endManaged(ctx context.Context, task saga.Task) error {
	key, org := id.Account(task.Aggregate), id.Organization(task.ID)
	return s.inTx(ctx, postgres.In(key), func(q store.Queries) error {
		task.Done(q.Tx)
		m, err := q.LockManagement(ctx, key)
		if errors.Is(err, account.ErrNotFound) || err == nil && (m.ManagedBy != org || !m.Ground.Lost) {
			return nil
		}
		if err != nil {
			return err
		}
		because := outbox.Origin{Service: s.DB.Name, Cause: eventv1.Cause_KIND_ORGANIZATION, CauseID: org.String()}
		return s.saveManagement(ctx, q, key, m, m.End(), because.Context(ctx))
	})
}

// savePrimaryEmail writes which address is the primary one. A management that rests on the domain of the one before ends with it.
func (s *Service) savePrimaryEmail(ctx context.Context, q store.Queries, a account.Account, from *eventv1.Context) error {
	q.SavePrimaryEmail(a)
	m, err := q.LockManagement(ctx, a.ID)
	if err != nil {
		return err
	}
	address, _ := email.Parse(a.Email)
	ended, enabled := m.Move(address.Domain())
	if !ended {
		return nil
	}
	return s.saveManagement(ctx, q, a.ID, m, enabled, from)
}
