package identity

import (
	"context"
	"errors"
	"fmt"

	"github.com/rosterhq/roster/pkg/events"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// MemberAdded ends the say of the organization that manages an account when the account joins another. Hearing it again
// finds nothing to do.
func (s *Service) MemberAdded(ctx context.Context, e events.Event) error {
	org, err := id.ParseOrganization(e.Aggregate)
	if err != nil {
		return err
	}
	message, err := e.Message()
	if err != nil {
		return err
	}
	added, ok := message.(*eventv1.MemberAdded)
	if !ok {
		return fmt.Errorf("%s is no member.added", e.Type)
	}
	key, err := id.ParseAccount(added.GetMember().GetAccountId())
	if err != nil {
		return err
	}
	err = s.inTx(ctx, postgres.In(key), func(q store.Queries) error {
		m, err := q.LockManagement(ctx, key)
		if err != nil {
			return err
		}
		ended, enabled := m.Join(org)
		if ended {
			q.SaveManagement(key, m)
		}
		if !enabled {
			return nil
		}
		return s.publishSignIn(ctx, q, key, m, added.GetContext())
	})
	if errors.Is(err, account.ErrNotFound) {
		return nil
	}
	return err
}
