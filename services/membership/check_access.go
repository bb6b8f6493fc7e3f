package membership

import (
	"context"

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
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	if err := org.Known(req.GetPermission()); err != nil {
		return nil, err
	}
	asker := caller.From(ctx).Account // zero: a service asks
	account := asker
	if req.GetAccountId() != "" {
		if account, err = id.ParseAccount(req.GetAccountId()); err != nil {
			return nil, err
		}
	}
	if account.IsZero() {
		return nil, fault.Invalid("account_id", "must be given by services")
	}
	var project id.Project
	if req.GetProjectId() != "" {
		if project, err = id.ParseProject(req.GetProjectId()); err != nil {
			return nil, err
		}
	}
	a, err := store.GetAccess(ctx, s.DB, key, []id.Account{account, asker}, project)
	if err != nil {
		return nil, err
	}
	member := a.Members[account]
	if !asker.IsZero() && asker != account {
		if err := a.Organization.MayAsk(a.Members[asker]); err != nil {
			return nil, err
		}
	} else if !asker.IsZero() && !a.Organization.Knows(member, project) {
		a = store.Access{} // what an outsider asks about is nowhere
	}
	if member.State == org.MemberActive && (asker.IsZero() || asker == account) { // a product asks on behalf of whoever uses it
		s.activity.note(key, account)
	}
	if !project.IsZero() && !a.Projects[project] && a.Organization.State == org.Active {
		return nil, org.ErrNoProject
	}
	verdict := a.Organization.Decide(member, req.GetPermission(), project)
	decision := membershipv1.CheckAccessResponse_Decision(
		membershipv1.CheckAccessResponse_Decision_value["DECISION_"+string(verdict.Decision)])
	return &membershipv1.CheckAccessResponse{
		Allowed:  decision == membershipv1.CheckAccessResponse_DECISION_ALLOWED,
		Decision: decision,
		Revision: a.Revision,
		Token:    outbox.Token(key, s.DB.Name, a.Revision),
	}, nil
}
