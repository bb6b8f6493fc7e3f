package membership

import (
	"context"
	"time"

	"google.golang.org/grpc"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

const (
	exportTime = 10 * time.Minute // for the whole export
	exportPage = 500              // events that are read at a time, and sent before it is asked again whether the caller may
	exportPart = 64 << 10         // bytes that are sent at once
)

// ExportAuditEvents sends what happened in the organization as a file. Nothing of it is kept: it is read in pages, each in a
// transaction of its own, and sent before the next is read.
func (s *Service) ExportAuditEvents(req *membershipv1.ExportAuditEventsRequest, stream grpc.ServerStreamingServer[membershipv1.ExportAuditEventsResponse]) error {
	ctx, cancel := context.WithTimeout(stream.Context(), exportTime)
	defer cancel()
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return err
	}
	filter := auditFilterOf(req)
	revision, err := s.tellExport(ctx, key, filter, req)
	if err != nil {
		return err
	}
	token := outbox.Token(key, s.DB.Name, revision)
	file := newAuditFile(req.GetFormat())
	send := func() error {
		part := &membershipv1.ExportAuditEventsResponse{Data: file.take(), ContentType: file.contentType(), Token: token}
		token = ""
		return stream.Send(part)
	}
	for after := (store.AuditCursor{}); ; {
		_, actor, err := s.admit(ctx, key, org.ExportAudit)
		if err != nil {
			return err
		}
		filter.Contacts = actor.May(org.ReadContacts)
		events, next, err := s.readAuditEvents(ctx, key, filter, after, exportPage)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := file.add(e); err != nil {
				return err
			}
			if file.size() >= exportPart {
				if err := send(); err != nil {
					return err
				}
			}
		}
		if next == nil {
			return send()
		}
		after = *next
	}
}

// tellExport commits who exports what, before the first row leaves.
func (s *Service) tellExport(ctx context.Context, key id.Organization, filter store.AuditFilter, req *membershipv1.ExportAuditEventsRequest) (revision int64, err error) {
	me := caller.From(ctx).Account
	once := s.managed(ctx, key, org.ExportAudit, req.GetRequestId(), "ExportAuditEvents", req)
	_, revision, err = postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.ExportAuditEventsResponse, error) {
		q := queries(tx)
		at, err := q.LockMembers(ctx, key, me, me)
		if err != nil {
			return nil, err
		}
		actor, err := at.Organization.Admit(at.Members[me])
		if err != nil {
			return nil, err
		}
		if err := actor.Need(org.ExportAudit); err != nil {
			return nil, err
		}
		format := eventv1.AuditExport_FORMAT_CSV
		if req.GetFormat() == membershipv1.ExportAuditEventsRequest_FORMAT_JSON_LINES {
			format = eventv1.AuditExport_FORMAT_JSON_LINES
		}
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, RequestID: req.GetRequestId()}
		exported := &eventv1.OrganizationAuditExported{Context: because.Context(ctx), After: &eventv1.AuditExport{
			Format: format, Actor: filter.Actor, Target: filter.Target, Types: filter.Types,
			StartTime: req.GetStartTime(), EndTime: req.GetEndTime()}}
		if filter.Query != "" {
			exported.Personal = &eventv1.AuditQuery{Query: filter.Query}
		}
		return &membershipv1.ExportAuditEventsResponse{}, outbox.Publish(tx, key, tx.Now(), exported)
	})
	return revision, err
}
