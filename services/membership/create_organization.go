package membership

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// CreateOrganization makes an organization with its creator as the first member. The first transaction commits the
// organization, which nobody can see yet, with the id of its first seat; then the seat is taken and the organization
// opened, by this call or, after a crash, by the sweeper.
func (s *Service) CreateOrganization(ctx context.Context, req *membershipv1.CreateOrganizationRequest) (*membershipv1.CreateOrganizationResponse, error) {
	name, err := naming.ParseDisplayName("display_name", req.GetDisplayName())
	if err != nil {
		return nil, err
	}
	preset := presets[req.GetPreset()]
	creator, err := s.getAccount(ctx, caller.From(ctx).Account)
	if err != nil {
		return nil, err
	}
	key, err := s.organizationFor(ctx, req)
	if err != nil {
		return nil, err
	}
	var creation org.Operation
	err = s.inTx(ctx, key, func(q store.Queries) error {
		if creation, err = q.GetCreation(ctx, key); err != nil || creation.Seat != (id.Seat{}) {
			return err // begun before
		}
		o := org.New(key, name, preset)
		o.CreateTime = q.Now()
		me := caller.From(ctx).Account
		creation = org.Begin(org.CreateOperation, me, me, causeOrganization, req.GetRequestId(), q.Now())
		creation.Person = creator
		q.InsertOrganization(o, me)
		begin(q, key, creation)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.finishCreate(ctx, key, creation.Seat); err != nil {
		return nil, err
	}
	return s.created(ctx, key, name, preset)
}

// organizationFor returns the id of the organization that a request makes: the same for the same request id. The caller's
// own aggregate remembers it, for there is no organization yet that could.
func (s *Service) organizationFor(ctx context.Context, req *membershipv1.CreateOrganizationRequest) (id.Organization, error) {
	fresh := id.NewOrganization()
	if req.GetRequestId() == "" {
		return fresh, nil
	}
	minted, _, err := postgres.Once(ctx, s.DB, postgres.In(caller.From(ctx).Account), request(ctx, req.GetRequestId(), "CreateOrganization", req),
		func(*postgres.Tx) (*wrapperspb.StringValue, error) { return wrapperspb.String(fresh.String()), nil })
	if err != nil {
		return id.Organization{}, err
	}
	return id.ParseOrganization(minted.GetValue())
}

// getAccount asks identity how the account is shown.
func (s *Service) getAccount(ctx context.Context, account id.Account) (org.Person, error) {
	found, err := s.Accounts.GetAccounts(ctx, &identityv1.GetAccountsRequest{AccountIds: []string{account.String()}})
	if err != nil {
		return org.Person{}, fmt.Errorf("%w (%v)", fault.New(errorv1.Reason_REASON_UNAVAILABLE,
			"A part of the suite does not answer. Try again.").WithRetry(5*time.Second), err)
	}
	for _, a := range found.GetAccounts() {
		if a.GetId() == account.String() {
			return org.Person{DisplayName: clean(a.GetDisplayName()), Email: clean(a.GetEmail()), Username: clean(a.GetUsername())}, nil
		}
	}
	return org.Person{}, fault.New(errorv1.Reason_REASON_UNAUTHENTICATED, "Your account is gone. Sign in again.")
}

// finishCreate takes the creator's seat and opens the organization.
func (s *Service) finishCreate(ctx context.Context, key id.Organization, seat id.Seat) error {
	return s.finish(ctx, key, seat, org.CreateOperation, s.open)
}

// open makes the organization exist, with its roles and its first member.
func (s *Service) open(ctx context.Context, q store.Queries, op org.Operation, at store.Standing) error {
	o := at.Organization
	o.Open()
	role, _ := o.Roles.ByKey(o.Policy.CreatorRole)
	member := org.Member{Account: op.Account}
	member.Join(role, op.Seat, id.Invitation{}, q.Now())
	member.SoleOwner = role.Owner && o.Policy.Ownership == org.Single

	q.SaveOrganization(o)
	q.InsertRoles(o.ID, o.Roles...)
	q.SaveMember(o.ID, member, true)
	list(q, o.ID, member, role, op.Person)
	because := outbox.Origin{Account: op.Actor, Cause: eventv1.Cause_KIND_ORGANIZATION, CauseID: o.ID.String(), RequestID: op.RequestID}.Context(ctx)
	if err := outbox.Publish(q.Tx, o.ID, q.Now(), &eventv1.OrganizationCreated{Context: because, Organization: organizationToEvent(o)}); err != nil {
		return err
	}
	if err := outbox.Publish(q.Tx, o.ID, q.Now(), &eventv1.MemberAdded{
		Context: because, Member: memberToEvent(o, member), Personal: personToEvent(op.Person)}); err != nil {
		return err
	}
	q.FinishOperation(o.ID, op, member)
	return nil
}

// created is the answer about an organization as it began, whatever became of it since.
func (s *Service) created(ctx context.Context, key id.Organization, name string, preset org.Preset) (*membershipv1.CreateOrganizationResponse, error) {
	var creation org.Operation
	var registry org.Registry
	err := s.view(ctx, key, func(q store.Queries) (err error) {
		q.Registry(&registry)
		creation, err = q.GetCreation(ctx, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	if creation.State != org.Done {
		return nil, outcome(creation)
	}
	o := org.New(key, name, preset)
	o.CreateTime, o.UpdateTime = creation.CreateTime, creation.CreateTime
	role, _ := org.Roles(preset.Roles()).ByKey(o.Policy.CreatorRole)
	return &membershipv1.CreateOrganizationResponse{
		Organization: organizationToProto(o, role.Key, registry.Of(role)),
		Token:        outbox.Token(key, s.DB.Name, creation.Revision),
	}, nil
}
