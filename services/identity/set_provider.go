package identity

import (
	"context"
	"errors"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/federation"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
)

// PrepareProvider checks a provider of an organization, and seals its secret.
func (s *Service) PrepareProvider(_ context.Context, req *identityv1.PrepareProviderRequest) (*identityv1.PrepareProviderResponse, error) {
	key, err := id.ParseProvider(req.GetProviderId())
	if err != nil {
		return nil, err
	}
	org, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	if _, err := federation.NewProvider(req.GetDisplayName(), req.GetIssuer(), req.GetClientId(), s.Outbound.Plain); err != nil {
		return nil, err
	}
	return &identityv1.PrepareProviderResponse{SealedSecret: s.sealClientSecret(org, key, req.GetClientSecret())}, nil
}

// SetProvider makes a provider of an organization what membership says that it is.
func (s *Service) SetProvider(ctx context.Context, req *identityv1.SetProviderRequest) (*identityv1.SetProviderResponse, error) {
	key, err := id.ParseProvider(req.GetProviderId())
	if err != nil {
		return nil, err
	}
	org, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	told := federation.Provider{
		ID: key, OrganizationID: org, DisplayName: req.GetDisplayName(), Issuer: req.GetIssuer(), ClientID: req.GetClientId(),
		Enabled: req.GetEnabled() && !req.GetDeleted(), Deleted: req.GetDeleted(), Version: req.GetVersion(),
	}
	err = s.inTx(ctx, postgres.Scope{}, func(q store.Queries) error {
		p := told
		was, err := q.LockProvider(ctx, org, key)
		known := !errors.Is(err, federation.ErrProviderNotFound)
		switch {
		case known && err != nil:
			return err
		case known && (was.Deleted || was.Version >= p.Version):
			return nil
		}
		p.CreateTime, p.UpdateTime, p.SealedSecret = q.Now(), q.Now(), was.SealedSecret
		if sealed := req.GetSealedSecret(); len(sealed) > 0 {
			p.SealedSecret = sealed
		}
		if !req.GetClientSecretSet() || p.Deleted {
			p.SealedSecret = nil
		}
		q.PutProvider(p)
		if known && !p.Enabled {
			q.ScheduleLinked(key, providedTask)
		}
		if known && p.Deleted {
			q.DeleteLinksTo(key)
		}
		return nil
	})
	return &identityv1.SetProviderResponse{}, err
}

// endProvided ends the sessions of an account that came from a provider with which nobody gets in any more.
func (s *Service) endProvided(ctx context.Context, task saga.Task) error {
	owner, from := id.Account(task.Aggregate), id.Provider(task.ID)
	err := s.inTx(ctx, postgres.In(owner), func(q store.Queries) error {
		if _, err := q.LockManagement(ctx, owner); err != nil {
			return err
		}
		live, err := q.ListSessions(ctx, owner)
		if err != nil {
			return err
		}
		because := outbox.Origin{Service: s.DB.Name, Cause: eventv1.Cause_KIND_PROVIDER, CauseID: from.String()}.Context(ctx)
		for _, one := range live {
			if one.ProviderID != from {
				continue
			}
			if err := endSession(q, one, because); err != nil {
				return err
			}
		}
		task.Done(q.Tx)
		return nil
	})
	if errors.Is(err, account.ErrNotFound) { // it is gone, and its sessions with it
		return s.inTx(ctx, postgres.In(owner), func(q store.Queries) error {
			task.Done(q.Tx)
			return nil
		})
	}
	return err
}
