package membership

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/rosterhq/roster/pkg/events"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/page"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

const (
	verifiedAtOnce = 20_000 // events in a call, at most and by default
	verifiedInPart = 1000   // and in one question to a service
)

// verified is how far the history of a service is verified. What is complete is not looked at again.
type verified struct {
	Revision int64
	Hash     []byte
	Copied   int64 // how far the audit view was compared with it
	Complete bool
}

// VerifyAuditEvents has every service verify its history of the organization, and compares what the audit view shows with it.
func (s *Service) VerifyAuditEvents(ctx context.Context, req *membershipv1.VerifyAuditEventsRequest) (*membershipv1.VerifyAuditEventsResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	bound := []string{"verify", caller.From(ctx).Account.String(), key.String()}
	at := make(map[string]verified)
	if err := page.Open(s.PageKey, req.GetPageToken(), &at, bound...); err != nil {
		return nil, err
	}
	if _, _, err := s.admit(ctx, key, org.ReadAudit); err != nil {
		return nil, err
	}
	left := verifiedAtOnce
	if asked := int(req.GetPageSize()); asked > 0 {
		left = min(asked, verifiedAtOnce)
	}
	answer := &membershipv1.VerifyAuditEventsResponse{Intact: true}
	more := false
	for _, service := range audited {
		verdict := &membershipv1.AuditVerdict{Service: service, Revision: at[service].Revision, CopiedRevision: at[service].Copied}
		for !at[service].Complete && left > 0 && inTime(ctx) {
			next, err := s.verifyPart(ctx, key, verdict, at[service], &membershipv1.VerifyChainRequest{
				OrganizationId: key.String(), Limit: int32(min(left, verifiedInPart)), Checkpoints: of(service, req.GetCheckpoints())})
			if err != nil {
				return nil, err
			}
			left -= int(next.Revision - at[service].Revision)
			at[service] = next
		}
		answer.Verdicts = append(answer.Verdicts, verdict)
		answer.Intact = answer.Intact && len(verdict.GetFindings()) == 0
		more = more || !at[service].Complete
	}
	if more {
		answer.NextPageToken, err = page.Next(s.PageKey, at, bound...)
	}
	return answer, err
}

// audited are the services whose histories the audit view shows.
var audited = []string{"membership", "invitation", "billing"}

// of are the checkpoints of a service's history. Those of no service that has one are given to the first, which says that they are not its own.
func of(service string, all []*membershipv1.AuditCheckpoint) (own []*membershipv1.AuditCheckpoint) {
	for _, c := range all {
		if c.GetService() == service || service == audited[0] && !slices.Contains(audited, c.GetService()) {
			own = append(own, c)
		}
	}
	return own
}

// inTime tells whether the call has time for another part.
func inTime(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) > 4*time.Second
}

// verifyPart verifies the next part of the history of a service, adds to the verdict what it finds, and returns how far it came.
func (s *Service) verifyPart(ctx context.Context, key id.Organization, verdict *membershipv1.AuditVerdict, from verified, req *membershipv1.VerifyChainRequest) (verified, error) {
	ask := s.Chain.VerifyChain
	if service := verdict.GetService(); service != s.DB.Name {
		peer := s.Chains[service]
		ask = func(ctx context.Context, req *membershipv1.VerifyChainRequest) (*membershipv1.VerifyChainResponse, error) {
			return peer.VerifyChain(ctx, req)
		}
	}
	req.Revision, req.Hash = from.Revision, from.Hash
	part, err := ask(ctx, req)
	if err != nil {
		return from, err
	}
	verdict.Revision = part.GetRevision()
	verdict.Checkpoint, verdict.Checkpoints, verdict.PublicKey = part.GetCheckpoint(), part.GetCheckpoints(), part.GetPublicKey()
	verdict.Events += int64(len(part.GetEvents()))
	complete := part.GetComplete()
	if part.GetFinding() != nil {
		verdict.Findings, complete = append(verdict.GetFindings(), part.GetFinding()), true
	}
	if err := s.compareCopy(ctx, key, verdict, from.Revision, part); err != nil {
		return from, err
	}
	return verified{part.GetRevision(), part.GetHash(), verdict.GetCopiedRevision(), complete}, nil
}

// compareCopy compares what the audit view shows with a part of the history that was verified.
func (s *Service) compareCopy(ctx context.Context, key id.Organization, verdict *membershipv1.AuditVerdict, after int64, part *membershipv1.VerifyChainResponse) error {
	var copied []store.AuditEvent
	var state store.Copied
	err := s.view(ctx, key, func(q store.Queries) error {
		q.Copied(key, verdict.GetService(), &state)
		q.ListCopied(key, verdict.GetService(), after, part.GetRevision(), &copied)
		return q.Fetch(ctx)
	})
	if err != nil {
		return err
	}
	verdict.CopiedRevision = min(state.Position, part.GetRevision())
	differs := func(revision int64, event, detail string, args ...any) {
		for _, f := range verdict.GetFindings() {
			if f.GetKind() == membershipv1.AuditFinding_KIND_COPY_DIFFERS {
				return // the first says it
			}
		}
		verdict.Findings = append(verdict.Findings, &membershipv1.AuditFinding{
			Kind: membershipv1.AuditFinding_KIND_COPY_DIFFERS, Revision: revision, EventId: event, Detail: fmt.Sprintf(detail, args...)})
	}
	shown := make(map[int64]store.AuditEvent, len(copied))
	for _, e := range copied {
		shown[e.Revision] = e
	}
	for _, body := range part.GetEvents() {
		event, err := events.Parse(body)
		if err != nil {
			return err
		}
		written, err := auditEventOf(event)
		if err != nil {
			differs(event.Revision, event.ID, "The event cannot be shown: %v.", err)
			continue
		}
		switch is, ok := shown[event.Revision]; {
		case !ok && event.Revision > state.Position: // not heard of yet
		case !ok:
			differs(event.Revision, event.ID, "The list of events lacks this one.")
		default:
			if what := difference(written, is); what != "" {
				differs(event.Revision, is.ID.String(), "The list of events shows another %s than was written.", what)
			}
		}
	}
	if part.GetComplete() && state.Stray != nil {
		differs(*state.Stray, "", "The list of events shows what no service has told of.")
	}
	return nil
}

// difference says in what an event that is shown is not the one that was written. What is personal may be erased here or there.
func difference(written, shown store.AuditEvent) string {
	switch {
	case written.ID != shown.ID:
		return "event"
	case written.Type != shown.Type:
		return "type"
	case !written.Time.Equal(shown.Time):
		return "time"
	case written.ActorKind != shown.ActorKind, written.ActorID != shown.ActorID:
		return "actor"
	case written.Reason != shown.Reason, written.Cause != shown.Cause, written.CauseID != shown.CauseID:
		return "reason"
	case written.RequestID != shown.RequestID, written.TraceID != shown.TraceID:
		return "request"
	case !slices.Equal(written.Targets, shown.Targets):
		return "target"
	case !sameJSON(written.Data, shown.Data):
		return "content"
	case written.Personal != nil && shown.Personal != nil && *written.Personal != withoutWords(*shown.Personal):
		return "name or address"
	}
	return ""
}

// withoutWords is what is shown of a person, without what it is found by.
func withoutWords(p store.AuditPersonal) store.AuditPersonal {
	p.Words, p.Contact = "", ""
	return p
}

// sameJSON compares what was written with what PostgreSQL makes of it.
func sameJSON(a, b []byte) bool {
	var left, right structpb.Struct
	return protojson.Unmarshal(a, &left) == nil && protojson.Unmarshal(b, &right) == nil && proto.Equal(&left, &right)
}
