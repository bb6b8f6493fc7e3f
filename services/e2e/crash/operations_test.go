package crash

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// operation is something that a client asks for, once. Whatever dies meanwhile, it has the effect and the answer that it has
// when nothing dies.
type operation struct {
	name    string
	arrange func(*testing.T, *scene) // what there is before
	act     func(context.Context, *scene) (proto.Message, error)
	see     func(*testing.T, *scene) string // what a client sees of the effect; nil: what the services keep is enough

	// done is what a repeated call is told of an operation that takes no request id, when the first did it and its answer was
	// lost.
	done errorv1.Reason
	// repeats is what a repeated call of such an operation does again, to no harm, or what varies by nature: beginnings of lines
	// of the outcome.
	repeats []string

	refusal errorv1.Reason // of an operation that is refused

	brief []string // the deaths in it that every test run tries
}

// scene is one operation in its surroundings, new each time.
type scene struct {
	*world
	tag      string // in every name that the scene makes up
	org      string
	preset   membershipv1.Preset // of the organization
	email    string              // who is invited, or signs up
	inv      string
	account  string   // whom it is about
	group    string   // nobody is in it
	full     string   // a group that account is in
	project  string   // nobody is in it
	staffed  string   // a project that account is in
	absence  string   // an override of account's
	duty     string   // a rotation that account takes part in
	token    string   // of a link or a session
	role     string   // of the organization's own
	pair     []string // accounts of two members
	factor   string
	provider string // of identities
	code     string // of a factor, or to recover without

	goThere func(context.Context) (*identityv1.CompleteLinkProviderRequest, error) // to an identity provider, and back
}

func (s *scene) request() string { return "once-" + s.tag }

func newScene(w *world) *scene {
	tag := strings.ToLower(rand.Text()[:12])
	return &scene{world: w, tag: tag, email: tag + "@example.com"}
}

var operations = []operation{
	{
		name:    "T43 accept with a new account",
		arrange: invitedByMail,
		act:     acceptAsNew,
		see:     signsIn,
		repeats: sessions,
		brief: []string{"invitation call.before OccupySeat", "billing postgres.after_commit", "membership server.before_answer AddMember",
			"identity postgres.before_commit"},
	},
	{
		name:    "T43 accept with an account",
		arrange: invitedGuest,
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.guest.AcceptInvitation(ctx, &invitationv1.AcceptInvitationRequest{LinkToken: s.token, RequestId: s.request()})
		},
		brief: []string{"invitation call.after AddMember"},
	},
	{
		name: "sign up",
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.as("").SignUp(ctx, &identityv1.SignUpRequest{Email: s.email, Password: password, DisplayName: "Ada " + s.tag})
		},
		see: func(t *testing.T, s *scene) string {
			_, err := s.as("").VerifyEmail(t.Context(), &identityv1.VerifyEmailRequest{Token: s.link(t, s.email), RequestId: s.request()})
			require.NoError(t, err)
			return signsIn(t, s)
		},
		repeats: []string{"identity: mail mail.VerifyEmail", "identity: sign-up", "identity: task sign_up"},
		brief:   []string{"identity mail.after_send"},
	},
	{
		name: "verify an address",
		arrange: func(t *testing.T, s *scene) {
			_, err := s.as("").SignUp(t.Context(), &identityv1.SignUpRequest{Email: s.email, Password: password, DisplayName: "Ada " + s.tag})
			require.NoError(t, err)
			s.token = s.link(t, s.email)
		},
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.as("").VerifyEmail(ctx, &identityv1.VerifyEmailRequest{Token: s.token, RequestId: s.request()})
		},
		see:   signsIn,
		brief: []string{"identity relay.after_event account.created"},
	},
	{
		name:    "sign in",
		arrange: newcomer,
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			opened, err := s.as("").CreateSession(ctx, &identityv1.CreateSessionRequest{
				Email: s.email, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
			s.token = opened.GetToken()
			return opened, err
		},
		see: func(t *testing.T, s *scene) string {
			me, err := s.as(s.token).GetMe(t.Context(), &identityv1.GetMeRequest{})
			require.NoError(t, err)
			return me.GetAccount().GetEmail()
		},
		repeats: sessions,
	},
	{
		name:    "end a session",
		arrange: newcomer,
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.as(s.token).SignOut(ctx, &identityv1.SignOutRequest{})
		},
		done: errorv1.Reason_REASON_UNAUTHENTICATED,
	},
	{
		name: "end another session",
		arrange: func(t *testing.T, s *scene) {
			newcomer(t, s)
			listed, err := s.as(s.token).ListSessions(t.Context(), &identityv1.ListSessionsRequest{})
			require.NoError(t, err)
			require.Len(t, listed.GetSessions(), 1)
			s.account = listed.GetSessions()[0].GetId()
			s.token = s.signIn(t, s.email).session
		},
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.as(s.token).DeleteSession(ctx, &identityv1.DeleteSessionRequest{SessionId: s.account})
		},
		done: errorv1.Reason_REASON_SESSION_NOT_FOUND,
	},
	{
		name:    "change a name",
		arrange: organization(membershipv1.Preset_PRESET_RBAC),
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.UpdateMe(ctx, &identityv1.UpdateMeRequest{DisplayName: "Ada " + s.tag, RequestId: s.request()})
		},
		see: func(t *testing.T, s *scene) string {
			people, err := s.owner.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: s.org})
			require.NoError(t, err)
			require.Len(t, people.GetPeople(), 1)
			return people.GetPeople()[0].GetDisplayName()
		},
		brief: []string{"membership consumer.before_handle account.updated"},
	},
	{
		name: "create an organization",
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.CreateOrganization(ctx, &membershipv1.CreateOrganizationRequest{
				DisplayName: "Engines " + s.tag, Preset: membershipv1.Preset_PRESET_PIPELINE, RequestId: s.request()})
		},
		brief: []string{"membership relay.after_read"},
	},
	{
		name:    "rename an organization",
		arrange: organization(membershipv1.Preset_PRESET_RBAC),
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.UpdateOrganization(ctx, &membershipv1.UpdateOrganizationRequest{
				OrganizationId: s.org, DisplayName: "Looms " + s.tag, RequestId: s.request()})
		},
		brief: []string{"membership relay.after_delete"},
	},
	{
		name: "delete an organization",
		arrange: func(t *testing.T, s *scene) {
			member(t, s)
			s.email = "second." + s.email
			s.invite(t, "admin")
		},
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			deleted, err := s.owner.DeleteOrganization(ctx, &membershipv1.DeleteOrganizationRequest{OrganizationId: s.org, RequestId: s.request()})
			return deleted, err
		},
		see: func(t *testing.T, s *scene) string {
			_, err := s.owner.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: s.org})
			s.org = ""
			return fault.ReasonOf(err).String()
		},
		// Billing frees all seats, and invitation frees its own: one event or two, as they come.
		repeats: []string{"billing: event seat.released", "billing: ledger RELEASE"},
		brief:   []string{"billing consumer.after_handle organization.deleted"},
	},
	{
		name:    "invite by mail",
		arrange: organization(membershipv1.Preset_PRESET_RBAC),
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.CreateInvitation(ctx, &invitationv1.CreateInvitationRequest{
				OrganizationId: s.org, Email: s.email, Role: "admin", DisplayName: "Grace " + s.tag, RequestId: s.request()})
		},
		brief: []string{"invitation relay.after_publish", "invitation saga.after_step mail", "invitation saga.before_step mail"},
	},
	{
		name:    "invite through the gateway",
		arrange: organization(membershipv1.Preset_PRESET_RBAC),
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.atGateway(s.owner.session).CreateInvitation(ctx, &invitationv1.CreateInvitationRequest{
				OrganizationId: s.org, Email: s.email, Role: "admin", DisplayName: "Grace " + s.tag, RequestId: s.request()})
		},
		brief: []string{"gateway call.after CreateInvitation"},
	},
	{
		name:    "invite by link",
		arrange: organization(membershipv1.Preset_PRESET_PIPELINE),
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			made, err := s.owner.CreateInvitation(ctx, &invitationv1.CreateInvitationRequest{
				OrganizationId: s.org, Username: s.tag, DisplayName: "Grace " + s.tag, RequestId: s.request()})
			s.token = last(made.GetLink())
			return made, err
		},
		see: linkWorks,
	},
	{
		name: "invite without a seat",
		arrange: func(t *testing.T, s *scene) {
			organization(membershipv1.Preset_PRESET_RBAC)(t, s)
			s.limit(t, 1)
		},
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.CreateInvitation(ctx, &invitationv1.CreateInvitationRequest{
				OrganizationId: s.org, Email: s.email, Role: "admin", DisplayName: "Grace " + s.tag, RequestId: s.request()})
		},
		see: func(t *testing.T, s *scene) string {
			s.limit(t, 100)
			return ""
		},
		refusal: errorv1.Reason_REASON_SEAT_LIMIT_REACHED,
	},
	{name: "resend", arrange: invitedByMail, act: resend},
	{
		name: "resend an expired one",
		arrange: func(t *testing.T, s *scene) {
			invitedByMail(t, s)
			s.expire(t)
		},
		act: resend,
	},
	{
		name: "make a new link",
		arrange: func(t *testing.T, s *scene) {
			organization(membershipv1.Preset_PRESET_PIPELINE)(t, s)
			made, err := s.owner.CreateInvitation(t.Context(), &invitationv1.CreateInvitationRequest{
				OrganizationId: s.org, Email: s.email, Username: s.tag, DisplayName: "Grace " + s.tag})
			require.NoError(t, err)
			s.inv = made.GetInvitation().GetId()
		},
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			made, err := s.owner.CreateInvitationLink(ctx, &invitationv1.CreateInvitationLinkRequest{
				OrganizationId: s.org, InvitationId: s.inv, RequestId: s.request()})
			s.token = last(made.GetLink())
			return made, err
		},
		see: linkWorks,
	},
	{
		name:    "revoke",
		arrange: invitedByMail,
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.RevokeInvitation(ctx, &invitationv1.RevokeInvitationRequest{OrganizationId: s.org, InvitationId: s.inv, RequestId: s.request()})
		},
	},
	{
		name:    "decline",
		arrange: invitedByMail,
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.as("").DeclineInvitation(ctx, &invitationv1.DeclineInvitationRequest{LinkToken: s.token, RequestId: s.request()})
		},
	},
	{
		name:    "add a domain",
		arrange: organization(membershipv1.Preset_PRESET_PORTAL),
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.AddDomain(ctx, &membershipv1.AddDomainRequest{OrganizationId: s.org, Domain: s.domain(), RequestId: s.request()})
		},
	},
	{
		name:    "verify a domain",
		arrange: addedDomain,
		act:     verifyDomain,
	},
	{
		name:    "remove a domain",
		arrange: verifiedDomain,
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.RemoveDomain(ctx, &membershipv1.RemoveDomainRequest{OrganizationId: s.org, Domain: s.domain(), RequestId: s.request()})
		},
	},
	{
		name: "join through a domain",
		arrange: func(t *testing.T, s *scene) {
			verifiedDomain(t, s)
			s.email = s.tag + "@" + s.domain()
			_, err := s.as("").SignUp(t.Context(), &identityv1.SignUpRequest{Email: s.email, Password: password, DisplayName: "Ada " + s.tag})
			require.NoError(t, err)
			s.token = s.link(t, s.email)
		},
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.as("").VerifyEmail(ctx, &identityv1.VerifyEmailRequest{Token: s.token, RequestId: s.request()})
		},
		see: func(t *testing.T, s *scene) string {
			mine, err := s.signIn(t, s.email).ListOrganizations(t.Context(), &membershipv1.ListOrganizationsRequest{})
			require.NoError(t, err)
			require.Len(t, mine.GetOrganizations(), 1)
			return mine.GetOrganizations()[0].GetMyRole()
		},
		brief: []string{"membership consumer.after_handle account.email_verified", "membership saga.before_step join", "membership call.before OccupySeat",
			"membership saga.after_step join"},
	},
	{
		name:    "make a role",
		arrange: organization(membershipv1.Preset_PRESET_RBAC),
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.CreateRole(ctx, &membershipv1.CreateRoleRequest{OrganizationId: s.org, DisplayName: "Support", Key: "support", RequestId: s.request()})
		},
	},
	{
		name:    "change what a role allows",
		arrange: ownRole,
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.UpdateRole(ctx, &membershipv1.UpdateRoleRequest{
				OrganizationId: s.org, RoleId: s.role, Permissions: []string{"members.read"}, RequestId: s.request()})
		},
	},
	{
		name: "delete a role that an invitation gives",
		arrange: func(t *testing.T, s *scene) {
			ownRole(t, s)
			_, err := s.owner.CreateInvitation(t.Context(), &invitationv1.CreateInvitationRequest{OrganizationId: s.org, Email: s.email, Role: "support"})
			require.NoError(t, err)
		},
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.DeleteRole(ctx, &membershipv1.DeleteRoleRequest{OrganizationId: s.org, RoleId: s.role, Replacement: "member", RequestId: s.request()})
		},
		brief: []string{"invitation consumer.after_handle role.deleted", "invitation postgres.after_commit"},
	},
	{
		name:    "change a role",
		arrange: member,
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.ChangeMemberRole(ctx, &membershipv1.ChangeMemberRoleRequest{
				OrganizationId: s.org, AccountId: s.account, Role: "member", RequestId: s.request()})
		},
	},
	{
		name:    "change a profile",
		arrange: member,
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.UpdateMember(ctx, &membershipv1.UpdateMemberRequest{
				OrganizationId: s.org, AccountId: s.account, Phone: "12345", RequestId: s.request()})
		},
	},
	{
		name:    "disable",
		arrange: member,
		act:     disable,
	},
	{
		name: "enable",
		arrange: func(t *testing.T, s *scene) {
			member(t, s)
			_, err := disable(t.Context(), s)
			require.NoError(t, err)
			s.tag += "e" // another request
		},
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.EnableMember(ctx, &membershipv1.EnableMemberRequest{OrganizationId: s.org, AccountId: s.account, RequestId: s.request()})
		},
	},
	{
		name:    "reset a password with a temporary one",
		arrange: member,
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			issued, err := s.owner.ResetMemberPassword(ctx, &membershipv1.ResetMemberPasswordRequest{
				OrganizationId: s.org, AccountId: s.account, RequestId: s.request()})
			s.token = issued.GetTemporaryPassword()
			return issued, err
		},
		see: func(t *testing.T, s *scene) string {
			in, err := s.as("").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
				Email: s.email, Password: s.token, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
			require.NoError(t, err)
			require.True(t, in.GetPasswordChangeRequired())
			return "signed in"
		},
		repeats: sessions,
		brief: []string{"membership call.before IssueTemporaryPassword", "membership call.after IssueTemporaryPassword",
			"identity postgres.after_commit", "membership postgres.before_commit"},
	},
	{
		name:    "reset a password with a link",
		arrange: member,
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.ResetMemberPassword(ctx, &membershipv1.ResetMemberPasswordRequest{
				OrganizationId: s.org, AccountId: s.account, Method: membershipv1.OrganizationPolicy_RESET_LINK, RequestId: s.request()})
		},
		brief: []string{"membership call.after SendPasswordReset"},
	},
	{
		name:    "create a member",
		arrange: organization(membershipv1.Preset_PRESET_RBAC),
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			made, err := s.owner.CreateMember(ctx, &membershipv1.CreateMemberRequest{
				OrganizationId: s.org, Email: s.email, DisplayName: "Grace " + s.tag, Role: "member", RequestId: s.request()})
			s.token = made.GetTemporaryPassword()
			return made, err
		},
		see: func(t *testing.T, s *scene) string {
			in, err := s.as("").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
				Email: s.email, Password: s.token, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
			require.NoError(t, err)
			require.True(t, in.GetPasswordChangeRequired())
			return "signed in"
		},
		brief: []string{"membership call.before ReserveSeats", "membership call.after OccupySeat", "membership call.before CreateManagedAccount",
			"membership call.after CreateManagedAccount", "identity postgres.after_commit", "membership postgres.before_commit"},
	},
	{
		name: "make somebody a member who has an account",
		arrange: func(t *testing.T, s *scene) {
			organization(membershipv1.Preset_PRESET_RBAC)(t, s)
			newcomer(t, s)
		},
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.CreateMember(ctx, &membershipv1.CreateMemberRequest{
				OrganizationId: s.org, Email: s.email, DisplayName: "Grace " + s.tag, Role: "member", RequestId: s.request()})
		},
		see: func(t *testing.T, s *scene) string {
			mine, err := s.as(s.token).ListOrganizations(t.Context(), &membershipv1.ListOrganizationsRequest{})
			require.NoError(t, err)
			require.Len(t, mine.GetOrganizations(), 1)
			return mine.GetOrganizations()[0].GetMyRole()
		},
		brief: []string{"membership saga.before_step mail"},
	},
	{
		name: "create a member without a seat",
		arrange: func(t *testing.T, s *scene) {
			organization(membershipv1.Preset_PRESET_RBAC)(t, s)
			s.limit(t, 1)
		},
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.CreateMember(ctx, &membershipv1.CreateMemberRequest{
				OrganizationId: s.org, Email: s.email, DisplayName: "Grace " + s.tag, Role: "member", RequestId: s.request()})
		},
		see: func(t *testing.T, s *scene) string {
			s.limit(t, 100)
			return ""
		},
		refusal: errorv1.Reason_REASON_SEAT_LIMIT_REACHED,
	},
	{
		name:    "remove",
		arrange: member,
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.RemoveMember(ctx, &membershipv1.RemoveMemberRequest{OrganizationId: s.org, AccountId: s.account, RequestId: s.request()})
		},
	},
	{
		name:    "leave",
		arrange: invitedGuestJoins,
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.guest.LeaveOrganization(ctx, &membershipv1.LeaveOrganizationRequest{OrganizationId: s.org, RequestId: s.request()})
		},
	},
	{
		name: "leave by a link",
		arrange: func(t *testing.T, s *scene) {
			organization(membershipv1.Preset_PRESET_RBAC)(t, s)
			newcomer(t, s)
			_, err := s.owner.CreateMember(t.Context(), &membershipv1.CreateMemberRequest{
				OrganizationId: s.org, Email: s.email, DisplayName: "Grace " + s.tag, Role: "member"})
			require.NoError(t, err)
			s.settle(t)
			links := s.links(s.email)
			s.token = links[len(links)-1]
		},
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.as("").LeaveByLink(ctx, &membershipv1.LeaveByLinkRequest{Token: s.token, RequestId: s.request()})
		},
	},
	{
		name: "become an operator",
		arrange: func(t *testing.T, s *scene) {
			_, err := s.databases["identity"].Exec(t.Context(), `UPDATE operator_keys SET expire_time = now()`)
			require.NoError(t, err)
			s.token = s.claim(t)
		},
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			claimed, err := s.as("").ClaimOperator(ctx, &identityv1.ClaimOperatorRequest{
				Token: s.token, DisplayName: "Ada " + s.tag, RequestId: s.request()})
			if err == nil {
				s.operator = s.as(claimed.GetApiKey())
			}
			return claimed, err
		},
		see: func(t *testing.T, s *scene) string {
			organization(membershipv1.Preset_PRESET_RBAC)(t, s)
			s.limit(t, 7)
			return ""
		},
		brief: []string{"identity postgres.before_commit", "identity postgres.after_commit"},
	},
	{
		name:    "offer the ownership",
		arrange: invitedGuestJoins,
		act:     offerTransfer,
		brief:   []string{"membership saga.after_step mail"},
	},
	{
		name:    "accept the ownership",
		arrange: offered,
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.guest.AcceptTransfer(ctx, &membershipv1.AcceptTransferRequest{OrganizationId: s.org, RequestId: s.request()})
		},
	},
	{
		name:    "decline the ownership",
		arrange: offered,
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.guest.DeclineTransfer(ctx, &membershipv1.DeclineTransferRequest{OrganizationId: s.org, RequestId: s.request()})
		},
	},
	{
		name:    "take the offered ownership back",
		arrange: offered,
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.CancelTransfer(ctx, &membershipv1.CancelTransferRequest{OrganizationId: s.org, RequestId: s.request()})
		},
	},
	{
		name: "step down",
		arrange: func(t *testing.T, s *scene) {
			invitedGuestJoins(t, s)
			_, err := s.owner.UpdatePolicy(t.Context(), &membershipv1.UpdatePolicyRequest{
				OrganizationId: s.org, Policy: &membershipv1.OrganizationPolicy{Ownership: membershipv1.OrganizationPolicy_OWNERSHIP_MULTIPLE}})
			require.NoError(t, err)
			_, err = offerTransfer(t.Context(), s)
			require.NoError(t, err)
			s.tag += "o" // another request
			_, err = s.guest.AcceptTransfer(t.Context(), &membershipv1.AcceptTransferRequest{OrganizationId: s.org})
			require.NoError(t, err)
		},
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			return s.owner.StepDown(ctx, &membershipv1.StepDownRequest{OrganizationId: s.org, RequestId: s.request()})
		},
	},
	{
		name:    "set a seat limit",
		arrange: organization(membershipv1.Preset_PRESET_RBAC),
		act: func(ctx context.Context, s *scene) (proto.Message, error) {
			seats := int32(50)
			return s.operator.SetSeatLimit(ctx, &billingv1.SetSeatLimitRequest{OrganizationId: s.org, Limit: &seats, Reason: "a plan", RequestId: s.request()})
		},
	},
}
