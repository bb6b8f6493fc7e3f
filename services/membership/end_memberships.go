package membership

import (
	"context"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// EndMemberships ends what an account is in all organizations, because it is going to be deleted; or nothing, where one could not do without
// it. Who becomes indispensable after that was looked at stays, and what has ended by then has.
func (s *Service) EndMemberships(ctx context.Context, req *membershipv1.EndMembershipsRequest) (*membershipv1.EndMembershipsResponse, error) {
	account, err := id.ParseAccount(req.GetAccountId())
	if err != nil {
		return nil, err
	}
	because := outbox.Origin{Account: account, Cause: eventv1.Cause_KIND_SELF}
	if req.GetOperatorId() != "" {
		because = outbox.Origin{Cause: eventv1.Cause_KIND_OPERATOR}
		if because.Operator, err = id.ParseOperator(req.GetOperatorId()); err != nil {
			return nil, err
		}
	}
	keys, err := s.memberships(ctx, account)
	if err != nil {
		return nil, err
	}
	answer := &membershipv1.EndMembershipsResponse{}
	stays := func(o org.Organization) {
		answer.Organizations = append(answer.Organizations, &membershipv1.StandingOrganization{OrganizationId: o.ID.String(), DisplayName: o.DisplayName})
	}
	for _, key := range keys {
		var at store.Standing
		err := s.view(ctx, key, func(q store.Queries) (err error) {
			at, err = q.GetMany(ctx, key, account, []id.Account{account})
			return err
		})
		if err != nil {
			return nil, err
		}
		if member := at.Members[account]; member.Belongs() {
			if _, err := at.Organization.Depart(&member, at.OthersFull); err != nil {
				stays(at.Organization)
			}
		}
	}
	if req.GetValidateOnly() || len(answer.GetOrganizations()) > 0 {
		return answer, nil
	}
	for _, key := range keys {
		o, err := s.depart(ctx, key, account, because)
		switch {
		case fault.ReasonOf(err) == errorv1.Reason_REASON_LAST_OWNER:
			stays(o)
		case err != nil:
			return nil, err
		}
		s.releaseSoon(ctx, key, account)
	}
	return answer, nil
}

// memberships are the organizations that an account belongs to or has belonged to.
func (s *Service) memberships(ctx context.Context, account id.Account) (keys []id.Organization, err error) {
	err = s.DB.View(ctx, postgres.Across(account), func(tx *postgres.Tx) (err error) {
		keys, err = queries(tx).ListOrganizationsOf(ctx, account)
		return err
	})
	return keys, err
}

// depart ends what an account is in an organization, if it is anything, also what it is in projects as a guest, because its person or an operator wants
// that. Again is as once.
func (s *Service) depart(ctx context.Context, key id.Organization, account id.Account, by outbox.Origin) (o org.Organization, err error) {
	err = s.inTx(ctx, key, func(q store.Queries) error {
		at, err := q.LockMembers(ctx, key, account, account)
		if err != nil {
			return err
		}
		o = at.Organization
		member := at.Members[account]
		before := member
		left := o.Left(before, true)
		because := by
		if !before.Belongs() {
			return leaveProjects(ctx, q, key, account, left, because)
		}
		seat, err := o.Depart(&member, at.OthersFull)
		if err != nil {
			return err
		}
		end(q, key, member, left, org.Release(seat, account, account, causeSelf, q.Now()))
		because.CauseID = seat.String()
		if err := outbox.Publish(q.Tx, key, q.Now(), &eventv1.MemberLeft{
			Context: because.Context(ctx), Before: memberToEvent(o, before), After: memberToEvent(o, member), LeftProjectIds: projectIDs(left)}); err != nil {
			return err
		}
		return followMember(ctx, q, at, before, member, because)
	})
	return o, err
}

// leaveProjects ends what somebody who belongs no more is in projects.
func leaveProjects(ctx context.Context, q store.Queries, key id.Organization, account id.Account, left []org.Grant, because outbox.Origin) error {
	if len(left) == 0 {
		return nil
	}
	q.DeleteProjectMemberships(key, account)
	for _, g := range left {
		if err := outbox.Publish(q.Tx, key, q.Now(), &eventv1.ProjectMemberRemoved{Context: because.Context(ctx), Membership: &eventv1.ProjectMembership{
			ProjectId: g.Project.String(), AccountId: account.String(), Role: g.Role}}); err != nil {
			return err
		}
	}
	return nil
}
