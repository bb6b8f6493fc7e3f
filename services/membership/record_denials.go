package membership

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"time"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

const (
	denied      = "access.denied" // the type of a denial in the audit view
	denialsTask = "denials"       // takes away the last of them; its id is the organization's
)

// RecordDenials shows in the audit views what members and service accounts were not allowed to do.
func (s *Service) RecordDenials(ctx context.Context, req *membershipv1.RecordDenialsRequest) (*membershipv1.RecordDenialsResponse, error) {
	told := make(map[id.Organization][]*membershipv1.Denial)
	for _, d := range req.GetDenials() {
		key, err := id.ParseOrganization(d.GetOrganizationId())
		if err != nil {
			return nil, err
		}
		told[key] = append(told[key], d)
	}
	var failed []error
	for key, denials := range told {
		failed = append(failed, s.recordDenials(ctx, key, denials))
	}
	return &membershipv1.RecordDenialsResponse{}, errors.Join(failed...)
}

func (s *Service) recordDenials(ctx context.Context, key id.Organization, told []*membershipv1.Denial) error {
	accounts := make([]id.Account, len(told))
	for i, d := range told {
		var err error
		if accounts[i], err = id.ParseAccount(d.GetAccountId()); err != nil {
			return err
		}
	}
	return s.inTx(ctx, key, func(q store.Queries) error {
		minute, kinds, err := q.LockDenials(ctx, key, accounts, id.NewEvent())
		if err != nil || len(kinds) == 0 {
			return err
		}
		for i, d := range told {
			kind, here := kinds[accounts[i]]
			if !here {
				continue
			}
			minute.Omitted += d.GetOmitted()
			if minute.Recorded == store.MostDenials {
				minute.Omitted++
				continue
			}
			minute.Recorded++
			shown, err := denialOf(d, q.Now())
			if err != nil {
				return err
			}
			if kind == "SERVICE_ACCOUNT" {
				shown.ActorKind, shown.ActorID = kind, id.ServiceAccount(accounts[i]).String()
			}
			q.InsertDenial(key, shown)
		}
		rest, err := json.Marshal(map[string]int64{"omitted": minute.Omitted})
		if err != nil {
			return err
		}
		q.SaveDenials(key, minute, store.AuditEvent{ID: minute.EventID, Time: minute.Minute, Service: "membership", Type: denied,
			ActorKind: "SYSTEM", ActorID: "membership", Targets: []string{}, Data: rest})
		q.DeleteDenials(key, 1000)
		saga.For(key, denialsTask, key).At(q.Tx, q.Now().Add(store.DenialsKept))
		return nil
	})
}

// denialOf is a denial as the audit view shows it. Services are believed about who was refused what, not about the time.
func denialOf(d *membershipv1.Denial, now time.Time) (store.AuditEvent, error) {
	at := d.GetTime().AsTime().UTC().Truncate(time.Microsecond)
	if at.After(now) || now.Sub(at) > time.Minute {
		at = now
	}
	details := map[string]string{"method": d.GetMethod()}
	if d.GetPermission() != "" {
		details["permission"] = d.GetPermission()
	}
	data, err := json.Marshal(details)
	if err != nil {
		return store.AuditEvent{}, err
	}
	e := store.AuditEvent{ID: id.NewEvent(), Time: at, Service: d.GetService(), Type: denied, ActorKind: "ACCOUNT", ActorID: d.GetAccountId(),
		Targets: append([]string{}, d.GetTargetIds()...), Reason: d.GetReason(), RequestID: clean(d.GetRequestId()), TraceID: d.GetTraceId(), Data: data}
	if _, err := netip.ParseAddr(d.GetClientAddress()); err == nil {
		e.Personal = &store.AuditPersonal{ClientAddress: d.GetClientAddress()}
	}
	return e, nil
}

// forgetDenials is the sweeper's step that takes away the denials of an organization where nothing was denied for long.
func (s *Service) forgetDenials(ctx context.Context, key id.Organization) error {
	return s.inTx(ctx, key, func(q store.Queries) error {
		if err := q.Fetch(ctx); err != nil {
			return err
		}
		q.DeleteDenials(key, 1_000_000)
		saga.For(key, denialsTask, key).Done(q.Tx)
		return nil
	})
}
