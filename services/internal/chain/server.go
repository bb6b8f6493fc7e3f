// Package chain proves that the history of an organization is what was written. It looks at the log as somebody would who
// trusts the service and not its database: whoever can change rows there, its administrator included, is found out.
package chain

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/seal"
)

// Server implements ChainService for the service whose database it is.
type Server struct {
	membershipv1.UnimplementedChainServiceServer
	DB  *postgres.DB
	Key *seal.Key           // signs checkpoints
	JS  jetstream.JetStream // keeps them
}

// mostEvents is how many events one answer may tell of.
const mostEvents = 1000

// VerifyChain verifies the part of the history behind a revision.
func (s *Server) VerifyChain(ctx context.Context, req *membershipv1.VerifyChainRequest) (*membershipv1.VerifyChainResponse, error) {
	organization, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	from := outbox.Begin(id.Any(organization))
	if req.GetRevision() > 0 {
		from.Revision, from.Hash = req.GetRevision(), req.GetHash()
	}
	l := log{s.DB, organization}
	checkpoints, err := s.kept(ctx, organization) // before the history is read, which must have come as far
	if err != nil {
		return nil, err
	}
	part, err := l.verify(ctx, from, min(max(int(req.GetLimit()), 1), mostEvents))
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.VerifyChainResponse{
		Revision: part.end.Revision, Hash: part.end.Hash, Complete: part.complete, Finding: part.finding, PublicKey: s.Key.Verifiers()[0],
	}
	for _, e := range part.intact {
		event, err := e.Envelope(s.DB.Name)
		if err != nil { // with the right hash, so somebody knew how to make one
			answer.Complete, answer.Finding = false, found(membershipv1.AuditFinding_KIND_EDITED, e.Revision, e.ID, "The event cannot be read: %v.", err)
			return answer, nil
		}
		answer.Events = append(answer.Events, event)
	}
	if part.complete {
		for _, c := range checkpoints {
			if c.GetEpoch() >= answer.GetCheckpoint().GetEpoch() {
				answer.Checkpoint = c.AuditCheckpoint
			}
		}
		for _, c := range append(bare(checkpoints), req.GetCheckpoints()...) {
			answer.Checkpoints++
			if answer.Finding, err = s.compare(ctx, l, part.end.Revision, c); err != nil {
				return nil, err
			}
			if answer.Finding != nil {
				break
			}
		}
	}
	return answer, nil
}
