package membership

import (
	"context"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/page"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// ListAuditEvents returns what happened in the organization, the newest first.
func (s *Service) ListAuditEvents(ctx context.Context, req *membershipv1.ListAuditEventsRequest) (*membershipv1.ListAuditEventsResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	filter := auditFilterOf(req)
	bound := slices.Concat([]string{"audit", caller.From(ctx).Account.String(), key.String(), filter.Actor, filter.Target, filter.Query,
		strconv.FormatInt(filter.Start.UnixMicro(), 10), strconv.FormatInt(filter.End.UnixMicro(), 10)}, filter.Types)
	var after store.AuditCursor
	if err := page.Open(s.PageKey, req.GetPageToken(), &after, bound...); err != nil {
		return nil, err
	}
	_, actor, err := s.admit(ctx, key, org.ReadAudit)
	if err != nil {
		return nil, err
	}
	filter.Contacts = actor.May(org.ReadContacts)
	found, next, err := s.readAuditEvents(ctx, key, filter, after, page.Size(req.GetPageSize()))
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.ListAuditEventsResponse{AuditEvents: found}
	if next != nil {
		if answer.NextPageToken, err = page.Next(s.PageKey, next, bound...); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// readAuditEvents reads a page, with the names that people and things have now, people whether they still belong or not.
func (s *Service) readAuditEvents(ctx context.Context, key id.Organization, filter store.AuditFilter, after store.AuditCursor, size int) (shown []*membershipv1.AuditEvent, next *store.AuditCursor, err error) {
	var found []store.AuditEvent
	var names map[id.Any]string
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		if found, next, err = q.ListAuditEvents(ctx, key, filter, after, size); err != nil || len(found) == 0 {
			return err
		}
		names, err = q.ListNames(ctx, key, thingsIn(found))
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	for account, name := range s.namesOf(ctx, key, unnamed(found, names)) {
		names[id.Any(account)] = name
	}
	for _, e := range found {
		event, err := auditEventToProto(e, names, filter.Contacts)
		if err != nil {
			return nil, nil, err
		}
		shown = append(shown, event)
	}
	return shown, next, nil
}

func auditFilterOf(req interface {
	GetActor() string
	GetTarget() string
	GetTypes() []string
	GetStartTime() *timestamppb.Timestamp
	GetEndTime() *timestamppb.Timestamp
	GetQuery() string
}) store.AuditFilter {
	f := store.AuditFilter{
		Actor: req.GetActor(), Target: req.GetTarget(), Types: slices.Sorted(slices.Values(req.GetTypes())),
		Start: timeOf(req.GetStartTime()), End: timeOf(req.GetEndTime()), Query: req.GetQuery(),
	}
	f.Types = slices.Compact(f.Types)
	return f
}

// timeOf is the zero time when nothing is given.
func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
