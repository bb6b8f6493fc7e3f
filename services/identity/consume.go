package identity

import (
	"context"
	"fmt"
	"time"

	"github.com/rosterhq/roster/pkg/events"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// heard are the events of membership that Consume follows.
var heard = []string{"member.added", "member.removed", "member.left", "domain.lost", "domain.removed", "organization.deleted"}

// Consume ends the say of the organization that manages an account: when the account joins another one, unless it has its address on a domain of the
// first; then, when that has the domain or the member no more. Hearing anything again, however late, finds nothing to do.
func (s *Service) Consume(ctx context.Context, e events.Event) error {
	org, err := id.ParseOrganization(e.Aggregate)
	if err != nil {
		return err
	}
	message, err := e.Message()
	if err != nil {
		return err
	}
	switch m := message.(type) {
	case *eventv1.MemberAdded:
		key, err := id.ParseAccount(m.GetMember().GetAccountId())
		if err != nil {
			return err
		}
		return s.joined(ctx, key, org, m.GetContext())
	case *eventv1.MemberRemoved:
		return s.left(ctx, org, m.GetBefore())
	case *eventv1.MemberLeft:
		return s.left(ctx, org, m.GetBefore())
	case *eventv1.DomainLost:
		return s.lost(ctx, org, m.GetBefore())
	case *eventv1.DomainRemoved:
		return s.lost(ctx, org, m.GetBefore())
	case *eventv1.OrganizationDeleted:
		return s.lose(ctx, func(q store.Queries) { q.LoseOrganization(org, unmanagedTask) })
	}
	return fmt.Errorf("%s is no event of membership that is followed here", e.Type)
}

// left hears that somebody is no member any more, and lost that a domain is not the organization's any more.
func (s *Service) left(ctx context.Context, org id.Organization, was *eventv1.Member) error {
	key, err := id.ParseAccount(was.GetAccountId())
	if err != nil {
		return err
	}
	return s.lose(ctx, func(q store.Queries) { q.LoseMember(org, unmanagedTask, key, was.GetJoinTime().AsTime()) })
}

func (s *Service) lost(ctx context.Context, org id.Organization, was *eventv1.Domain) error {
	key, err := id.ParseDomain(was.GetDomainId())
	if err != nil {
		return err
	}
	var verified *time.Time // nil: it never was, or an earlier version has not told
	if t := was.GetVerifyTime(); t != nil {
		verified = new(t.AsTime())
	}
	return s.lose(ctx, func(q store.Queries) { q.LoseDomain(org, unmanagedTask, key, verified) })
}

// lose ends managements in one statement, however many they are.
func (s *Service) lose(ctx context.Context, which func(store.Queries)) error {
	return s.inTx(ctx, postgres.Scope{}, func(q store.Queries) error {
		which(q)
		return nil
	})
}
