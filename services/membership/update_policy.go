package membership

import (
	"context"
	"time"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// UpdatePolicy changes how the organization works. All that follows for roles, for who has them and for the ownership is the same
// transaction; what other services have to do follows from its events.
func (s *Service) UpdatePolicy(ctx context.Context, req *membershipv1.UpdatePolicyRequest) (*membershipv1.UpdatePolicyResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	fields, owner, err := parseReform(req)
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	var unproven error
	if owner == me { // as who accepts the ownership
		_, unproven = s.reachable(ctx, me)
	}
	once := s.managed(ctx, key, org.UpdatePolicy, req.GetRequestId(), "UpdatePolicy", req)
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.UpdatePolicyResponse, error) {
		q := queries(tx)
		at, has, err := q.LockPolicy(ctx, key, me, owner)
		if err != nil {
			return nil, err
		}
		actor, err := at.Organization.Admit(at.Members[me])
		if err != nil {
			return nil, err
		}
		want := reformOf(at, req, fields, owner)
		if want.Policy.MfaRequired != at.Organization.Policy.MfaRequired {
			if err := caller.From(ctx).StepUp(tx.Now(), 10*time.Minute); err != nil {
				return nil, err
			}
		}
		r, err := actor.Reform(want, has, req.GetEtag(), tx.Now())
		if err != nil {
			return nil, err
		}
		if err := r.Possible(); err != nil {
			return nil, err
		}
		if unproven != nil {
			return nil, unproven
		}
		if !r.Unchanged() {
			because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, RequestID: req.GetRequestId()}
			if err := s.reform(ctx, q, at, has, r, because); err != nil {
				return nil, err
			}
		}
		return &membershipv1.UpdatePolicyResponse{
			Policy: policyToProto(r.Policy), Etag: org.Etag(r.Version), Preset: presetToProto(r.Preset)}, nil
	})
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(key, s.DB.Name, revision)
	return answer, nil
}

// reform writes what becomes of the organization and tells of it: roles first, then who owns it, then the policy.
func (s *Service) reform(ctx context.Context, q store.Queries, at store.Standing, has org.Facts, r org.Reformed, because outbox.Origin) error {
	why := because.Context(ctx)
	if err := reshape(ctx, q, r, why); err != nil {
		return err
	}
	if err := s.changeOwners(ctx, q, at, has, r, because); err != nil {
		return err
	}
	q.SaveOrganization(r.Organization)
	q.ScheduleJoin(r.ID, joinTask)
	if r.Policy.DisableBlocksSignIn != r.Before.Policy.DisableBlocksSignIn {
		q.ScheduleDisabled(r.ID, signInTask)
	}
	return outbox.Publish(q.Tx, r.ID, q.Now(), &eventv1.OrganizationPolicyChanged{
		Context: why, Before: policyToEvent(r.Before), After: policyToEvent(r.Organization)})
}

// reshape makes, changes and replaces roles. Each is told as if it were done alone: whoever follows roles need not know about
// policies.
func reshape(ctx context.Context, q store.Queries, r org.Reformed, why *eventv1.Context) error {
	for _, role := range r.Roles {
		was, known := r.Before.Roles.ByID(role.ID)
		if !known || role.Rank != was.Rank || !role.Same(was) {
			q.PutRole(r.ID, role)
		}
		var err error
		switch {
		case !known:
			err = outbox.Publish(q.Tx, r.ID, q.Now(), &eventv1.RoleCreated{Context: why, Role: roleToEvent(role)})
		case !role.Same(was):
			err = outbox.Publish(q.Tx, r.ID, q.Now(), &eventv1.RoleUpdated{Context: why, Before: roleToEvent(was), After: roleToEvent(role)})
		}
		if err != nil {
			return err
		}
	}
	if err := q.Fetch(ctx); err != nil {
		return err
	}
	for _, gone := range r.Replaced {
		if gone.Members > 0 {
			if err := q.MoveMembers(ctx, r.ID, gone.Role, gone.By); err != nil {
				return err
			}
		}
		q.DeleteRole(r.ID, gone.Role, gone.By)
		if err := outbox.Publish(q.Tx, r.ID, q.Now(), &eventv1.RoleDeleted{
			Context: why, Before: roleToEvent(gone.Role), Replacement: gone.By.Key, Members: gone.Members}); err != nil {
			return err
		}
	}
	return nil
}

// changeOwners makes the owners what the policy says they are. Where there are none any more, they have got another role by now.
func (s *Service) changeOwners(ctx context.Context, q store.Queries, at store.Standing, has org.Facts, r org.Reformed, because outbox.Origin) error {
	is, was := r.Policy.Ownership, r.Before.Policy.Ownership
	if is == was {
		return nil
	}
	why := because.Context(ctx)
	if at.Transfer.Exists() {
		if err := cancelTransfer(ctx, q, r.ID, at.Transfer, because); err != nil {
			return err
		}
	}
	if is == org.None {
		for _, account := range has.Owners {
			if err := outbox.Publish(q.Tx, r.ID, q.Now(), &eventv1.OrganizationOwnerChanged{Context: why, BeforeAccountId: account.String()}); err != nil {
				return err
			}
		}
		return nil
	}
	owner, _ := r.Roles.OwnerRole()
	if r.Owner == nil {
		q.SaveSoleOwner(r.ID, owner.ID, is == org.Single)
		return nil
	}
	before := *r.Owner
	if role := r.Becomes(before.Role); role.ID != before.Role { // with all others, just now
		before.Role = role.ID
		before.Version++
	}
	after := before
	after.Role, after.SoleOwner = owner.ID, is == org.Single
	after.Version++
	at.Organization = r.Organization
	if err := s.changedRole(q, at, before, after, because.Account, why); err != nil {
		return err
	}
	return outbox.Publish(q.Tx, r.ID, q.Now(), &eventv1.OrganizationOwnerChanged{Context: why, AfterAccountId: after.Account.String()})
}
