package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/devmail"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/rest"
)

// password is everybody's.
const password = "plum harbor violin quartz"

var counter atomic.Int64

// unique makes a name that no other test uses.
func unique(word string) string {
	return fmt.Sprintf("%s-%d-%d", word, time.Now().UnixNano()%1_000_000, counter.Add(1))
}

// person is somebody with an account, signed in.
type person struct {
	client
	ID, Email, Name, Token string
	transport              string
}

// signUp makes a person the way people do: sign up, follow the mail, sign in.
func signUp(t *testing.T, transport string) *person {
	t.Helper()
	return signUpAs(t, transport, unique("ada")+"@example.com")
}

func signUpAs(t *testing.T, transport, email string) *person {
	t.Helper()
	ctx := t.Context()
	anybody := connect(transport, "")
	name := "Ada " + unique("Lovelace")
	_, err := anybody.SignUp(ctx, &identityv1.SignUpRequest{Email: email, Password: password, DisplayName: name})
	require.NoError(t, err)
	link := mailLink(t, email, "/verify/")
	verified, err := anybody.VerifyEmail(ctx, &identityv1.VerifyEmailRequest{Token: link})
	require.NoError(t, err)
	p := signIn(t, transport, email)
	p.ID, p.Name = verified.GetAccount().GetId(), name
	return p
}

// signIn returns somebody with a new session.
func signIn(t *testing.T, transport, email string) *person {
	t.Helper()
	session, err := connect(transport, "").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
		Email: email, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
	require.NoError(t, err)
	return as(t, transport, session.GetToken())
}

// as returns whoever a session belongs to.
func as(t *testing.T, transport, token string) *person {
	t.Helper()
	p := &person{client: connect(transport, token), Token: token, transport: transport}
	me, err := p.GetMe(t.Context(), &identityv1.GetMeRequest{})
	require.NoError(t, err)
	p.ID, p.Email, p.Name = me.GetAccount().GetId(), me.GetAccount().GetEmail(), me.GetAccount().GetDisplayName()
	return p
}

// operator is the deployment's.
func operator(transport string) client { return connect(transport, suite.operator) }

// mailLink waits for a mail to an address and returns the last segment of the newest link that holds part.
func mailLink(t *testing.T, email, part string) string {
	t.Helper()
	mail := mailTo(t, email, func(m devmail.Received) bool { return linkWith(m, part) != "" })
	link := linkWith(mail, part)
	return link[strings.LastIndex(link, "/")+1:]
}

func mailTo(t *testing.T, email string, match func(devmail.Received) bool) devmail.Received {
	t.Helper()
	mail, err := suite.Mail.Wait(t.Context(), email, match)
	require.NoError(t, err, "a mail to "+email)
	return mail
}

func linkWith(m devmail.Received, part string) string {
	for _, link := range m.Links {
		if strings.Contains(link, part) {
			return link
		}
	}
	return ""
}

// organization is one with its creator.
type organization struct {
	ID, Name string
	owner    *person
}

// create makes an organization of a preset, owned by a new person.
func create(t *testing.T, transport string, preset membershipv1.Preset) *organization {
	t.Helper()
	return createBy(t, signUp(t, transport), preset)
}

func createBy(t *testing.T, owner *person, preset membershipv1.Preset) *organization {
	t.Helper()
	name := unique("Analytical Engines")
	made, err := owner.CreateOrganization(t.Context(), &membershipv1.CreateOrganizationRequest{DisplayName: name, Preset: preset})
	require.NoError(t, err)
	return &organization{ID: made.GetOrganization().GetId(), Name: name, owner: owner}
}

// invite invites an address with a role.
func (o *organization) invite(t *testing.T, email, role string) *invitationv1.CreateInvitationResponse {
	t.Helper()
	made, err := o.owner.CreateInvitation(t.Context(), &invitationv1.CreateInvitationRequest{
		OrganizationId: o.ID, Email: email, Role: role, Username: o.username(t), DisplayName: o.displayName(t)})
	require.NoError(t, err)
	return made
}

// username and displayName are what the pipeline preset asks of an invitation.
func (o *organization) username(t *testing.T) string {
	if o.policy(t).GetUsername() == membershipv1.Requirement_REQUIREMENT_REQUIRED {
		return unique("grace")
	}
	return ""
}

func (o *organization) displayName(t *testing.T) string {
	if o.policy(t).GetUsername() == membershipv1.Requirement_REQUIREMENT_REQUIRED {
		return "Grace Hopper"
	}
	return ""
}

func (o *organization) policy(t *testing.T) *membershipv1.OrganizationPolicy {
	t.Helper()
	policy, err := o.owner.GetPolicy(t.Context(), &membershipv1.GetPolicyRequest{OrganizationId: o.ID})
	require.NoError(t, err)
	return policy.GetPolicy()
}

// join invites a new person, who accepts by the mail and makes an account.
func (o *organization) join(t *testing.T, role string) *person {
	t.Helper()
	email := unique("grace") + "@example.com"
	o.invite(t, email, role)
	return o.accept(t, mailLink(t, email, "/invite/"))
}

// accept accepts with a new account, and waits until the list of people has heard of it.
func (o *organization) accept(t *testing.T, link string) *person {
	t.Helper()
	accepted, err := connect(o.owner.transport, "").AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{
		LinkToken: link, Password: password, DisplayName: "Grace Hopper", Delivery: identityv1.Delivery_DELIVERY_TOKEN})
	require.NoError(t, err)
	require.Equal(t, invitationv1.Invitation_STATE_ACCEPTED, accepted.GetInvitation().GetState())
	o.settled(t, accepted.GetInvitation().GetId())
	return as(t, o.owner.transport, accepted.GetSessionToken())
}

// people lists everybody in a view.
func (o *organization) people(t *testing.T, by *person, narrow ...func(*membershipv1.ListPeopleRequest)) []*membershipv1.Person {
	t.Helper()
	req := &membershipv1.ListPeopleRequest{OrganizationId: o.ID}
	for _, n := range narrow {
		n(req)
	}
	var all []*membershipv1.Person
	for {
		page, err := by.ListPeople(t.Context(), req)
		require.NoError(t, err)
		all = append(all, page.GetPeople()...)
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			return all
		}
	}
}

// including makes a list wait for what a token names.
func including(token string) func(*membershipv1.ListPeopleRequest) {
	return func(req *membershipv1.ListPeopleRequest) { req.Token = token }
}

// seats returns the usage.
func (o *organization) seats(t *testing.T) *billingv1.SeatUsage {
	t.Helper()
	usage, err := o.owner.GetSeatUsage(t.Context(), &billingv1.GetSeatUsageRequest{OrganizationId: o.ID})
	require.NoError(t, err)
	return usage.GetUsage()
}

// limit sets the number of seats.
func (o *organization) limit(t *testing.T, seats int32) {
	t.Helper()
	_, err := operator(o.owner.transport).SetSeatLimit(t.Context(), &billingv1.SetSeatLimitRequest{
		OrganizationId: o.ID, Limit: &seats, Reason: "the plan of a test"})
	require.NoError(t, err)
}

// can tells whether somebody may do something here.
func (o *organization) can(t *testing.T, who *person, permission string) bool {
	t.Helper()
	answer, err := o.owner.CheckAccess(t.Context(), &membershipv1.CheckAccessRequest{
		OrganizationId: o.ID, AccountId: who.ID, Permission: permission})
	require.NoError(t, err)
	return answer.GetAllowed()
}

// refused asserts the reason of a refusal, and over REST the HTTP status that goes with it.
func refused(t *testing.T, err error, reason errorv1.Reason) *fault.Fault {
	t.Helper()
	require.Error(t, err)
	f := fault.From(err)
	require.NotNil(t, f, "%v is no fault", err)
	require.Equal(t, reason.String(), f.Reason.String(), "%v", err)
	if overHTTP, ok := err.(*rest.Error); ok {
		require.Equal(t, f.HTTPStatus(), overHTTP.HTTPStatus)
	}
	require.NotEmpty(t, f.Message)
	return f
}

func lastSegment(link string) string { return link[strings.LastIndex(link, "/")+1:] }

// invitation is a request that the organization's policy accepts.
func (o *organization) invitation(t *testing.T, email string) *invitationv1.CreateInvitationRequest {
	t.Helper()
	return &invitationv1.CreateInvitationRequest{OrganizationId: o.ID, Email: email, Username: o.username(t), DisplayName: o.displayName(t), Role: o.everyday(t)}
}

// everyday is a role that is given without thought.
func (o *organization) everyday(t *testing.T) string {
	if role := o.policy(t).GetDefaultInviteRole(); role != "" {
		return role
	}
	return "member"
}

func (o *organization) disable(t *testing.T, who *person) *membershipv1.DisableMemberResponse {
	t.Helper()
	done, err := o.owner.DisableMember(t.Context(), &membershipv1.DisableMemberRequest{OrganizationId: o.ID, AccountId: who.ID})
	require.NoError(t, err)
	return done
}

func (o *organization) remove(t *testing.T, who *person) *membershipv1.RemoveMemberResponse {
	t.Helper()
	done, err := o.owner.RemoveMember(t.Context(), &membershipv1.RemoveMemberRequest{OrganizationId: o.ID, AccountId: who.ID})
	require.NoError(t, err)
	return done
}

// row is a member's row of the list.
func (o *organization) row(t *testing.T, account string) *membershipv1.Person {
	t.Helper()
	for _, p := range o.people(t, o.owner) {
		if p.GetAccountId() == account {
			return p
		}
	}
	require.Fail(t, "no row for "+account)
	return nil
}

// pending lists the pending invitations, as of a token.
func (o *organization) pending(t *testing.T, token string) []*membershipv1.Person {
	t.Helper()
	return o.people(t, o.owner, including(token), func(req *membershipv1.ListPeopleRequest) {
		req.View = membershipv1.ListPeopleRequest_VIEW_INVITATIONS
	})
}

// settled waits until an invitation that is not pending any more has left the list.
func (o *organization) settled(t *testing.T, invitation string) {
	t.Helper()
	eventually(t, func() bool {
		return !slices.ContainsFunc(o.pending(t, ""), func(p *membershipv1.Person) bool { return p.GetInvitationId() == invitation })
	}, "the invitation has left the list")
}

// revision is how far a service's history of the organization goes.
func (o *organization) revision(t *testing.T, service string) (revision int64) {
	t.Helper()
	err := suite.owners[service].QueryRow(t.Context(), `SELECT coalesce(max(revision), 0) FROM events WHERE aggregate_id = $1`, uuidOf(t, o.ID)).Scan(&revision)
	require.NoError(t, err)
	return revision
}

// management are the calls that manage members, made by an actor on a target.
func (o *organization) management(t *testing.T, actor, target *person) map[string]func() error {
	ctx := t.Context()
	invitation := o.invitation(t, unique("x")+"@example.com")
	return map[string]func() error{
		"invite": func() error { _, err := actor.CreateInvitation(ctx, invitation); return err },
		"change role": func() error {
			_, err := actor.ChangeMemberRole(ctx, &membershipv1.ChangeMemberRoleRequest{OrganizationId: o.ID, AccountId: target.ID, Role: "viewer"})
			return err
		},
		"edit": func() error {
			_, err := actor.UpdateMember(ctx, &membershipv1.UpdateMemberRequest{OrganizationId: o.ID, AccountId: target.ID, DisplayName: "Robert"})
			return err
		},
		"disable": func() error {
			_, err := actor.DisableMember(ctx, &membershipv1.DisableMemberRequest{OrganizationId: o.ID, AccountId: target.ID})
			return err
		},
		"enable": func() error {
			_, err := actor.EnableMember(ctx, &membershipv1.EnableMemberRequest{OrganizationId: o.ID, AccountId: target.ID})
			return err
		},
		"remove": func() error {
			_, err := actor.RemoveMember(ctx, &membershipv1.RemoveMemberRequest{OrganizationId: o.ID, AccountId: target.ID})
			return err
		},
	}
}

// uuidOf is an id as the databases hold it.
func uuidOf(t *testing.T, text string) string {
	t.Helper()
	org, err := id.ParseOrganization(text)
	require.NoError(t, err)
	return fmt.Sprintf("%x", org[:])
}

// newLink waits for a mail with another invitation link than an older one.
func newLink(t *testing.T, email, older string) string {
	t.Helper()
	mail := mailTo(t, email, func(m devmail.Received) bool {
		link := linkWith(m, "/invite/")
		return link != "" && lastSegment(link) != older
	})
	return lastSegment(linkWith(mail, "/invite/"))
}

// age moves an invitation into the past, as if time had gone by.
func (o *organization) age(t *testing.T, inv *invitationv1.Invitation, by time.Duration) {
	t.Helper()
	key, err := id.ParseInvitation(inv.GetId())
	require.NoError(t, err)
	tag, err := suite.owners["invitation"].Exec(t.Context(), `
		UPDATE invitations
		SET create_time = create_time - $3::interval, send_time = send_time - $3::interval, expire_time = expire_time - $3::interval
		WHERE organization_id = $1 AND invitation_id = $2`, uuidOf(t, o.ID), fmt.Sprintf("%x", key[:]), by)
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())
}

// events counts a service's events of a type in the organization.
func (o *organization) events(t *testing.T, service, kind string) (n int) {
	t.Helper()
	err := suite.owners[service].QueryRow(t.Context(), `SELECT count(*) FROM events WHERE aggregate_id = $1 AND type = $2`, uuidOf(t, o.ID), kind).Scan(&n)
	require.NoError(t, err)
	return n
}
