package crash

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// sessions is what signing in makes, again for whoever did not hear of the first, and not for whose process died before.
var sessions = []string{"identity: session", "identity: event account.signed_in", "identity: task session", "identity: answer InTx"}

func organization(preset membershipv1.Preset) func(*testing.T, *scene) {
	return func(t *testing.T, s *scene) {
		t.Helper()
		made, err := s.owner.CreateOrganization(t.Context(), &membershipv1.CreateOrganizationRequest{DisplayName: "Engines " + s.tag, Preset: preset})
		require.NoError(t, err)
		s.org, s.preset = made.GetOrganization().GetId(), preset
	}
}

func (s *scene) invite(t *testing.T, role string) {
	t.Helper()
	made, err := s.owner.CreateInvitation(t.Context(), &invitationv1.CreateInvitationRequest{
		OrganizationId: s.org, Email: s.email, Role: role, DisplayName: "Grace " + s.tag})
	require.NoError(t, err)
	s.inv = made.GetInvitation().GetId()
}

func invitedByMail(t *testing.T, s *scene) {
	t.Helper()
	organization(membershipv1.Preset_PRESET_RBAC)(t, s)
	s.invite(t, "admin")
	s.token = s.link(t, s.email)
}

func invitedGuest(t *testing.T, s *scene) {
	t.Helper()
	organization(membershipv1.Preset_PRESET_RBAC)(t, s)
	inviteGuest(t, s)
}

func inviteGuest(t *testing.T, s *scene) {
	t.Helper()
	mine, own := s.guest.email, s.email
	known := len(s.links(mine))
	s.email = mine
	s.invite(t, "admin")
	s.settle(t)
	all := s.links(mine)
	require.Len(t, all, known+1)
	s.token, s.email = all[known], own
}

// invitedGuestJoins makes the guest a member.
func invitedGuestJoins(t *testing.T, s *scene) {
	t.Helper()
	invitedGuest(t, s)
	accepted, err := s.guest.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: s.token})
	require.NoError(t, err)
	s.account = accepted.GetAccountId()
}

func offerTransfer(ctx context.Context, s *scene) (proto.Message, error) {
	return s.owner.OfferTransfer(ctx, &membershipv1.OfferTransferRequest{OrganizationId: s.org, AccountId: s.account, RequestId: s.request()})
}

// offered makes the guest a member to whom the ownership is offered.
func offered(t *testing.T, s *scene) {
	t.Helper()
	invitedGuestJoins(t, s)
	_, err := offerTransfer(t.Context(), s)
	require.NoError(t, err)
	s.tag += "o" // another request
}

func acceptAsNew(ctx context.Context, s *scene) (proto.Message, error) {
	accepted, err := s.as("").AcceptInvitation(ctx, &invitationv1.AcceptInvitationRequest{
		LinkToken: s.token, Password: password, DisplayName: "Grace " + s.tag, Delivery: identityv1.Delivery_DELIVERY_TOKEN, RequestId: s.request()})
	s.account = accepted.GetAccountId()
	return accepted, err
}

// member is somebody whose account the organization made.
func member(t *testing.T, s *scene) {
	t.Helper()
	invitedByMail(t, s)
	_, err := acceptAsNew(t.Context(), s)
	require.NoError(t, err)
}

// ownRole is one that can be changed.
func ownRole(t *testing.T, s *scene) {
	t.Helper()
	organization(membershipv1.Preset_PRESET_RBAC)(t, s)
	made, err := s.owner.CreateRole(t.Context(), &membershipv1.CreateRoleRequest{OrganizationId: s.org, DisplayName: "Support"})
	require.NoError(t, err)
	s.role = made.GetRole().GetId()
}

// domain is one that only the scene speaks of.
func (s *scene) domain() string { return s.tag + ".example" }

// addedDomain can be verified.
func addedDomain(t *testing.T, s *scene) {
	t.Helper()
	organization(membershipv1.Preset_PRESET_PORTAL)(t, s)
	added, err := s.owner.AddDomain(t.Context(), &membershipv1.AddDomainRequest{OrganizationId: s.org, Domain: s.domain()})
	require.NoError(t, err)
	s.dns.Set(added.GetDomain().GetRecordName(), added.GetDomain().GetRecordValue())
}

func verifyDomain(ctx context.Context, s *scene) (proto.Message, error) {
	return s.owner.VerifyDomain(ctx, &membershipv1.VerifyDomainRequest{OrganizationId: s.org, Domain: s.domain(), RequestId: s.request()})
}

func verifiedDomain(t *testing.T, s *scene) {
	t.Helper()
	addedDomain(t, s)
	_, err := verifyDomain(t.Context(), s)
	require.NoError(t, err)
}

func resend(ctx context.Context, s *scene) (proto.Message, error) {
	return s.owner.ResendInvitation(ctx, &invitationv1.ResendInvitationRequest{OrganizationId: s.org, InvitationId: s.inv, RequestId: s.request()})
}

func disable(ctx context.Context, s *scene) (proto.Message, error) {
	return s.owner.DisableMember(ctx, &membershipv1.DisableMemberRequest{OrganizationId: s.org, AccountId: s.account, RequestId: s.request()})
}

// newcomer has an account, and one session.
func newcomer(t *testing.T, s *scene) {
	t.Helper()
	s.token = s.signUp(t, s.email).session
}

func (s *scene) limit(t *testing.T, seats int32) {
	t.Helper()
	_, err := s.operator.SetSeatLimit(t.Context(), &billingv1.SetSeatLimitRequest{OrganizationId: s.org, Limit: &seats, Reason: "a plan"})
	require.NoError(t, err)
}

// expire lets the invitation's time run out.
func (s *scene) expire(t *testing.T) {
	t.Helper()
	s.settle(t)
	inv, err := id.ParseInvitation(s.inv)
	require.NoError(t, err)
	db := s.databases["invitation"]
	_, err = db.Exec(t.Context(), `
		UPDATE invitations
		SET expire_time = now() - interval '1 second'
		WHERE invitation_id = $1`, inv)
	require.NoError(t, err)
	tag, err := db.Exec(t.Context(), `UPDATE due SET next_time = now() WHERE id = $1`, inv)
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())
	s.settle(t)
}

func linkWorks(t *testing.T, s *scene) string {
	t.Helper()
	seen, err := s.as("").PreviewInvitation(t.Context(), &invitationv1.PreviewInvitationRequest{LinkToken: s.token})
	require.NoError(t, err)
	return seen.GetOrganizationDisplayName()
}

func signsIn(t *testing.T, s *scene) string {
	t.Helper()
	return s.signIn(t, s.email).email
}

func last(link string) string { return link[strings.LastIndex(link, "/")+1:] }
