package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/rosterhq/roster/pkg/client"
	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// stage makes an organization what the cast says. Whoever is in it, or was ever invited, is left alone, but for an
// invitation that a run before did not finish.
func (d *demo) stage(ctx context.Context, o organization) error {
	owner, err := d.signedIn(ctx, o.founder)
	if err != nil {
		return fmt.Errorf("%s: %w", o.founder.name, err)
	}
	id, found, err := d.organization(ctx, owner, o)
	if err != nil {
		return err
	}
	s := scene{demo: d, organization: o, id: id, owner: owner}
	if err := s.look(ctx); err != nil {
		return err
	}
	played := 0
	for _, p := range o.parts {
		did, err := s.play(ctx, p)
		if fault.ReasonOf(err) == errorv1.Reason_REASON_SEAT_LIMIT_REACHED {
			d.say("%s has no seat left for %s.", o.name, p.name)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if did {
			played++
		}
	}
	switch {
	case !found:
		d.say("%s: made, with %d people.", o.name, 1+played)
	case played > 0:
		d.say("%s: found, and %d people added.", o.name, played)
	default:
		d.say("%s: found as it should be.", o.name)
	}
	return s.fill(ctx)
}

// signedIn returns a client with a session of somebody who has an account, or makes the account.
func (d *demo) signedIn(ctx context.Context, p person) (*client.Client, error) {
	c, err := d.signIn(ctx, p)
	if fault.ReasonOf(err) != errorv1.Reason_REASON_CREDENTIALS_INVALID {
		return c, err
	}
	if _, err := d.anybody.Accounts.SignUp(ctx, &identityv1.SignUpRequest{Email: p.email, Password: password, DisplayName: p.name}); err != nil {
		return nil, err
	}
	token, err := d.link(ctx, p.email, "/verify/", func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	if _, err := d.anybody.Accounts.VerifyEmail(ctx, &identityv1.VerifyEmailRequest{Token: token}); err != nil {
		return nil, err
	}
	return d.signIn(ctx, p)
}

func (d *demo) signIn(ctx context.Context, p person) (*client.Client, error) {
	req := &identityv1.CreateSessionRequest{Email: p.email, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN}
	if p.email == "" {
		req.Username = p.username
	}
	session, err := d.anybody.Sessions.CreateSession(ctx, req)
	if err != nil {
		return nil, err
	}
	return d.dial(session.GetToken())
}

// organization finds the organization among its founder's, or makes it.
func (d *demo) organization(ctx context.Context, owner *client.Client, o organization) (id string, found bool, err error) {
	req := &membershipv1.ListOrganizationsRequest{}
	for {
		page, err := owner.Organizations.ListOrganizations(ctx, req)
		if err != nil {
			return "", false, err
		}
		for _, has := range page.GetOrganizations() {
			if has.GetDisplayName() == o.name {
				return has.GetId(), true, nil
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	made, err := owner.Organizations.CreateOrganization(ctx, &membershipv1.CreateOrganizationRequest{DisplayName: o.name, Preset: o.preset})
	return made.GetOrganization().GetId(), false, err
}

// scene is an organization of the cast as it is.
type scene struct {
	*demo
	organization
	id    string
	owner *client.Client

	people      []*membershipv1.Person
	invitations []*invitationv1.Invitation
}

func (s *scene) look(ctx context.Context) error {
	people := &membershipv1.ListPeopleRequest{OrganizationId: s.id, View: membershipv1.ListPeopleRequest_VIEW_MEMBERS}
	for more := true; more; more = people.PageToken != "" {
		page, err := s.owner.Members.ListPeople(ctx, people)
		if err != nil {
			return err
		}
		s.people = append(s.people, page.GetPeople()...)
		people.PageToken = page.GetNextPageToken()
	}
	invitations := &invitationv1.ListInvitationsRequest{OrganizationId: s.id}
	for more := true; more; more = invitations.PageToken != "" {
		page, err := s.owner.Invitations.ListInvitations(ctx, invitations)
		if err != nil {
			return err
		}
		s.invitations = append(s.invitations, page.GetInvitations()...)
		invitations.PageToken = page.GetNextPageToken()
	}
	return nil
}

// is tells whether an address and a username are a person's; by the address, if there is one.
func (p person) is(email, username string) bool {
	if p.email != "" {
		return strings.EqualFold(p.email, email)
	}
	return strings.EqualFold(p.username, username)
}

// play invites somebody and answers for them; false when there was nothing to do.
func (s *scene) play(ctx context.Context, p part) (did bool, err error) {
	for _, has := range s.people {
		if p.is(has.GetEmail(), has.GetUsername()) {
			return false, nil
		}
	}
	for _, has := range s.invitations {
		if !p.is(has.GetEmail(), has.GetUsername()) {
			continue
		}
		if has.GetState() != invitationv1.Invitation_STATE_PENDING || p.end == pending {
			return false, nil
		}
		return true, s.answer(ctx, p, has, "")
	}
	req := &invitationv1.CreateInvitationRequest{OrganizationId: s.id, Email: p.email, DisplayName: p.name, Role: p.role}
	if s.preset == membershipv1.Preset_PRESET_PIPELINE {
		req.Username = p.username
	}
	made, err := s.owner.Invitations.CreateInvitation(ctx, req)
	if err != nil {
		return false, err
	}
	return true, s.answer(ctx, p, made.GetInvitation(), made.GetLink())
}

// answer ends a pending invitation as the cast says. link is known of one that was just made without an address.
func (s *scene) answer(ctx context.Context, p part, i *invitationv1.Invitation, link string) error {
	switch p.end {
	case pending:
		return nil
	case revoked:
		_, err := s.owner.Invitations.RevokeInvitation(ctx, &invitationv1.RevokeInvitationRequest{OrganizationId: s.id, InvitationId: i.GetId()})
		return err
	}
	token, preview, err := s.open(ctx, p, i, link)
	if err != nil {
		return err
	}
	if p.end == declined {
		_, err := s.anybody.Invitations.DeclineInvitation(ctx, &invitationv1.DeclineInvitationRequest{LinkToken: token})
		return err
	}
	accepted, err := s.accept(ctx, p, token, preview.GetSignInRequired())
	if err != nil || p.end != disabled {
		return err
	}
	_, err = s.owner.Members.DisableMember(ctx, &membershipv1.DisableMemberRequest{
		OrganizationId: s.id, AccountId: accepted.GetInvitation().GetAcceptedAccountId()})
	return err
}

// open finds the link of an invitation, in a mail or by making another, and looks at what it is for.
func (s *scene) open(ctx context.Context, p part, i *invitationv1.Invitation, link string) (token string, preview *invitationv1.PreviewInvitationResponse, err error) {
	look := func(token string) bool { // somebody may be invited by several organizations
		preview, err = s.anybody.Invitations.PreviewInvitation(ctx, &invitationv1.PreviewInvitationRequest{LinkToken: token})
		return err == nil && preview.GetOrganizationId() == s.id
	}
	if p.email != "" {
		token, err := s.link(ctx, p.email, "/invite/", look)
		return token, preview, err
	}
	if link == "" {
		fresh, err := s.owner.Invitations.CreateInvitationLink(ctx, &invitationv1.CreateInvitationLinkRequest{OrganizationId: s.id, InvitationId: i.GetId()})
		if err != nil {
			return "", nil, err
		}
		link = fresh.GetLink()
	}
	token = link[strings.LastIndex(link, "/")+1:]
	look(token)
	return token, preview, err
}

func (s *scene) accept(ctx context.Context, p part, token string, hasAccount bool) (*invitationv1.AcceptInvitationResponse, error) {
	req := &invitationv1.AcceptInvitationRequest{LinkToken: token}
	if !hasAccount {
		req.Password, req.DisplayName, req.Delivery = password, p.name, identityv1.Delivery_DELIVERY_TOKEN
		return s.anybody.Invitations.AcceptInvitation(ctx, req)
	}
	invitee, err := s.signIn(ctx, p.person)
	if err != nil {
		return nil, err
	}
	return invitee.Invitations.AcceptInvitation(ctx, req)
}

// fill limits the seats to those that are taken, where the cast says so and an operator is there to do it.
func (s *scene) fill(ctx context.Context) error {
	if !s.full {
		return nil
	}
	answer, err := s.owner.SeatUsage.GetSeatUsage(ctx, &billingv1.GetSeatUsageRequest{OrganizationId: s.id})
	if err != nil {
		return err
	}
	usage := answer.GetUsage()
	switch {
	case usage.Total != nil: // by a run before, or by somebody who tries things
		s.say("%s: %d of %d seats are taken.", s.name, usage.GetUsed(), usage.GetTotal())
		return nil
	case s.operator == nil:
		s.say("%s: its seats are not limited, for lack of an operator; give --claim TOKEN, which rosterd dev prints, or --operator-key.", s.name)
		return nil
	}
	_, err = s.operator.SeatLimits.SetSeatLimit(ctx, &billingv1.SetSeatLimitRequest{
		OrganizationId: s.id, Limit: new(usage.GetUsed()), Reason: "The demo shows what happens when all seats are taken."})
	if err == nil {
		s.say("%s: all %d seats are taken.", s.name, usage.GetUsed())
	}
	return err
}
