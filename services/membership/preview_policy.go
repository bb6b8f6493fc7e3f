package membership

import (
	"context"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// PreviewPolicy decides as UpdatePolicy does, and writes nothing.
func (s *Service) PreviewPolicy(ctx context.Context, req *membershipv1.PreviewPolicyRequest) (*membershipv1.PreviewPolicyResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	fields, owner, err := parseReform(req)
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	s.activity.note(key, me)
	var at store.Standing
	var has org.Facts
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		at, has, err = q.GetPolicy(ctx, key, me, owner)
		return err
	})
	if err != nil {
		return nil, err
	}
	actor, err := at.Organization.Admit(at.Members[me])
	if err != nil {
		return nil, err
	}
	r, err := actor.Reform(reformOf(at, req, fields, owner), has, "", at.Organization.UpdateTime)
	if err != nil {
		return nil, err
	}
	if owner == me {
		_, err := s.reachable(ctx, me)
		switch fault.ReasonOf(err) {
		case errorv1.Reason_REASON_EMAIL_UNVERIFIED:
			r.Obstacles = append(r.Obstacles, org.Finding{Subject: "owner_account_id", Description: org.ErrUnproven.Message})
		case errorv1.Reason_REASON_UNAVAILABLE:
			return nil, err
		}
	}
	return &membershipv1.PreviewPolicyResponse{
		Policy: policyToProto(r.Policy), Violations: findingsToProto(r.Obstacles), Effects: findingsToProto(r.Effects(actor, has))}, nil
}

func findingsToProto(findings []org.Finding) (shown []*membershipv1.PolicyFinding) {
	for _, f := range findings {
		shown = append(shown, &membershipv1.PolicyFinding{Subject: f.Subject, Count: f.Count, Description: f.Description})
	}
	return shown
}
