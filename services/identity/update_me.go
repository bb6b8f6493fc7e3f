package identity

import (
	"context"

	"github.com/rosterhq/roster/pkg/fault"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// UpdateMe changes the caller's profile. What says already what it shall say changes nothing, and others are told of the names alone.
func (s *Service) UpdateMe(ctx context.Context, req *identityv1.UpdateMeRequest) (*identityv1.UpdateMeResponse, error) {
	who := caller.From(ctx)
	change, err := parseProfile(req)
	if err != nil {
		return nil, err
	}
	once := s.ownRequest(ctx, req.GetRequestId(), "UpdateMe", req)
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(who.Account), once, func(tx *postgres.Tx) (*identityv1.UpdateMeResponse, error) {
		q := store.Queries{Tx: tx}
		before, had, err := q.LockProfile(ctx, who.Account)
		if err != nil {
			return nil, err
		}
		me := before
		change(&me)
		if wanted, err := naming.ParseUsername("username", me.Username); err == nil && me.Username != before.Username {
			isNew, err := account.TakeUsername(had, wanted.Key)
			if err != nil {
				return nil, err
			}
			q.TakeUsername(me.ID, wanted.Key, isNew)
		}
		if me != before {
			q.SaveAccount(me)
		}
		if me.DisplayName != before.DisplayName || me.Username != before.Username {
			if err := outbox.Publish(q.Tx, me.ID, q.Now(), &eventv1.AccountUpdated{
				Context: origin(ctx, me.ID, req.GetRequestId()), Personal: personal(me),
			}); err != nil {
				return nil, err
			}
		}
		return &identityv1.UpdateMeResponse{Account: meToProto(me)}, nil
	})
	return answer, err
}

// parseProfile reads what is to change of a profile: the fields that the mask names, or without one those that are given.
func parseProfile(req *identityv1.UpdateMeRequest) (func(*account.Account), error) {
	paths := req.GetUpdateMask().GetPaths()
	if len(paths) == 0 {
		for _, field := range []struct{ name, given string }{
			{"display_name", req.GetDisplayName()}, {"username", req.GetUsername()}, {"phone", req.GetPhone()},
			{"locale", req.GetLocale()}, {"time_zone", req.GetTimeZone()},
		} {
			if field.given != "" {
				paths = append(paths, field.name)
			}
		}
	}
	if len(paths) == 0 {
		return nil, fault.Invalid("update_mask", "must name display_name, username, phone, locale or time_zone when none of them is given")
	}
	var changes []func(*account.Account)
	for _, path := range paths {
		var text string
		var err error
		var change func(*account.Account)
		switch path {
		case "display_name":
			text, err = naming.ParseDisplayName(path, req.GetDisplayName())
			change = func(a *account.Account) { a.DisplayName = text }
		case "username":
			var name naming.Username
			name, err = naming.ParseUsername(path, req.GetUsername())
			change = func(a *account.Account) { a.Username = name.Display }
		case "phone":
			text, err = account.ParsePhone(req.GetPhone())
			change = func(a *account.Account) { a.Phone = text }
		case "locale":
			text, err = account.ParseLocale(req.GetLocale())
			change = func(a *account.Account) { a.Locale = text }
		case "time_zone":
			text, err = account.ParseTimeZone(req.GetTimeZone())
			change = func(a *account.Account) { a.TimeZone = text }
		default:
			err = fault.Invalid("update_mask", "may name display_name, username, phone, locale and time_zone")
		}
		if err != nil {
			return nil, err
		}
		changes = append(changes, change)
	}
	return func(a *account.Account) {
		for _, change := range changes {
			change(a)
		}
	}, nil
}
