package membership

import (
	"context"
	"maps"
	"slices"

	"github.com/rosterhq/roster/pkg/fault"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// CheckAccess answers from the primary, in one statement. Outsiders learn nothing: an organization that they do not belong
// to looks like one that does not exist.
func (s *Service) CheckAccess(ctx context.Context, req *membershipv1.CheckAccessRequest) (*membershipv1.CheckAccessResponse, error) {
	key, asked, err := parseQuestion(ctx, req)
	if err != nil {
		return nil, err
	}
	verdicts, a, err := s.decide(ctx, key, asked)
	if err != nil {
		return nil, err
	}
	decision := decisionToProto(verdicts[0])
	return &membershipv1.CheckAccessResponse{
		Allowed:  decision == membershipv1.CheckAccessResponse_DECISION_ALLOWED,
		Decision: decision,
		Revision: a.Revision,
		Token:    outbox.Token(key, s.DB.Name, a.Revision),
	}, nil
}

// BatchCheckAccess is CheckAccess for many questions, in one statement too.
func (s *Service) BatchCheckAccess(ctx context.Context, req *membershipv1.BatchCheckAccessRequest) (*membershipv1.BatchCheckAccessResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	asked := make([]question, len(req.GetQuestions()))
	for i, q := range req.GetQuestions() {
		if asked[i], err = parseAsked(ctx, q); err != nil {
			return nil, err
		}
	}
	verdicts, a, err := s.decide(ctx, key, asked...)
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.BatchCheckAccessResponse{Revision: a.Revision, Token: outbox.Token(key, s.DB.Name, a.Revision)}
	for _, v := range verdicts {
		answer.Answers = append(answer.Answers, &membershipv1.BatchCheckAccessResponse_Answer{
			Allowed: v.Decision == org.Allowed, Decision: decisionToProto(v)})
	}
	return answer, nil
}

// question is one about access.
type question struct {
	account    id.Account
	permission string
	project    id.Project // zero: the organization as a whole
}

type asked interface {
	GetAccountId() string
	GetPermission() string
	GetProjectId() string
}

func parseQuestion(ctx context.Context, req interface {
	asked
	GetOrganizationId() string
}) (key id.Organization, q question, err error) {
	if key, err = id.ParseOrganization(req.GetOrganizationId()); err != nil {
		return key, q, err
	}
	q, err = parseAsked(ctx, req)
	return key, q, err
}

func parseAsked(ctx context.Context, req asked) (q question, err error) {
	q = question{account: caller.From(ctx).Account, permission: req.GetPermission()}
	if req.GetAccountId() != "" {
		if q.account, err = id.ParseAccount(req.GetAccountId()); err != nil {
			return q, err
		}
	}
	if q.account.IsZero() {
		return q, fault.Invalid("account_id", "must be given by services")
	}
	if req.GetProjectId() != "" {
		q.project, err = id.ParseProject(req.GetProjectId())
	}
	return q, err
}

// decide answers questions from one reading. Of an organization that the caller may not know of it tells no revision.
func (s *Service) decide(ctx context.Context, key id.Organization, questions ...question) ([]org.Verdict, store.Access, error) {
	asker := caller.From(ctx).Account // zero: a service asks
	accounts := map[id.Account]bool{asker: true}
	projects := make(map[id.Project]bool)
	for _, q := range questions {
		accounts[q.account], projects[q.project] = true, true
	}
	a, err := store.GetAccess(ctx, s.DB, key, slices.Collect(maps.Keys(accounts)), slices.Collect(maps.Keys(projects))...)
	if err != nil {
		return nil, a, err
	}
	for _, q := range questions {
		if err := a.Registry.Known(q.permission); err != nil {
			return nil, a, err
		}
	}
	verdicts, known := make([]org.Verdict, len(questions)), false
	for i, q := range questions {
		member := a.Members[q.account]
		switch {
		case asker.IsZero():
		case q.account != asker:
			if err := a.Organization.MayAsk(a.Members[asker]); err != nil {
				return nil, a, err
			}
		case !a.Organization.Knows(member, q.project): // what an outsider asks about is nowhere
			verdicts[i] = org.Verdict{Decision: org.NotAMember}
			continue
		}
		known = true
		if member.State == org.MemberActive && (asker.IsZero() || q.account == asker) { // a product asks on behalf of whoever uses it
			s.activity.note(key, q.account)
		}
		if !q.project.IsZero() && !a.Projects[q.project] && a.Organization.State == org.Active {
			return nil, a, org.ErrNoProject
		}
		if q.account == asker {
			verdicts[i] = a.Organization.DecideSelf(member, q.permission, q.project)
			continue
		}
		verdicts[i] = a.Organization.Decide(member, q.permission, q.project)
	}
	if !known {
		a.Revision = 0
	}
	return verdicts, a, nil
}

func decisionToProto(v org.Verdict) membershipv1.CheckAccessResponse_Decision {
	return membershipv1.CheckAccessResponse_Decision(membershipv1.CheckAccessResponse_Decision_value["DECISION_"+string(v.Decision)])
}
