package membership_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestCheckAccess(t *testing.T) {
	t.Parallel()
	const (
		allowed  = membershipv1.CheckAccessResponse_DECISION_ALLOWED
		outsider = membershipv1.CheckAccessResponse_DECISION_NOT_A_MEMBER
		disabled = membershipv1.CheckAccessResponse_DECISION_MEMBER_DISABLED
		lacking  = membershipv1.CheckAccessResponse_DECISION_PERMISSION_MISSING
	)

	t.Run("S1-33 S2-32 S0-25 Every change counts at once", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		account := id.NewAccount()
		require.Equal(t, outsider, o.decision(account, "resources.write"))
		require.NoError(t, o.addAs(account, id.NewSeat(), "developer"))
		require.Equal(t, allowed, o.decision(account, "resources.write"))
		require.NoError(t, o.changeRole(o.creator, account, "viewer"))
		require.Equal(t, lacking, o.decision(account, "resources.write"))
		require.Equal(t, allowed, o.decision(account, "resources.read"))
		_, err := o.disable(o.creator, account)
		require.NoError(t, err)
		require.Equal(t, disabled, o.decision(account, "resources.read"))
		_, err = o.enable(o.creator, account)
		require.NoError(t, err)
		require.Equal(t, allowed, o.decision(account, "resources.read"))
		_, err = o.remove(o.creator, account)
		require.NoError(t, err)
		require.Equal(t, outsider, o.decision(account, "resources.read"))
	})

	t.Run("RB24 People ask about themselves, and with members.read about others", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		viewer := o.add("viewer")
		ask := func(asker, about id.Account) (*membershipv1.CheckAccessResponse, error) {
			return o.access.CheckAccess(o.as(asker), &membershipv1.CheckAccessRequest{
				OrganizationId: o.id.String(), AccountId: about.String(), Permission: "members.remove"})
		}
		own, err := ask(viewer, id.Account{})
		require.NoError(t, err)
		require.Equal(t, lacking, own.GetDecision())
		require.Equal(t, int64(3), own.GetRevision())
		other, err := ask(viewer, o.creator)
		require.NoError(t, err)
		require.Equal(t, allowed, other.GetDecision())
		_, err = ask(id.NewAccount(), viewer)
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		_, err = o.disable(o.creator, viewer)
		require.NoError(t, err)
		_, err = ask(viewer, o.creator)
		refused(t, err, errorv1.Reason_REASON_MEMBER_DISABLED)
	})

	t.Run("R77 A foreign organization looks like an absent one", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		stranger := id.NewAccount()
		ask := func(key id.Organization) *membershipv1.CheckAccessResponse {
			answer, err := o.access.CheckAccess(o.as(stranger), &membershipv1.CheckAccessRequest{OrganizationId: key.String(), Permission: "org.read"})
			require.NoError(t, err)
			require.Equal(t, outsider, answer.GetDecision())
			answer.Token = ""
			return answer
		}
		require.True(t, proto.Equal(ask(o.id), ask(id.NewOrganization())))
	})

	t.Run("RB1 Unknown permissions are refused, not denied", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		for _, permission := range []string{"members.*", "Members.read", "nothing"} {
			_, err := o.access.CheckAccess(o.as(o.creator), &membershipv1.CheckAccessRequest{OrganizationId: o.id.String(), Permission: permission})
			f := refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
			require.Equal(t, "permission", f.Fields[0].Name)
		}
		_, err := o.asked.CheckAccess(t.Context(), &membershipv1.CheckAccessRequest{OrganizationId: o.id.String(), Permission: "org.read"})
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
	})

	t.Run("R81 Rights in one organization are none in another", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		one, other := h.create(pipeline), h.create(flat)
		require.Equal(t, allowed, one.decision(one.creator, "org.delete"))
		require.Equal(t, outsider, other.decision(one.creator, "org.read"))
		both := one.add("viewer")
		require.NoError(t, other.addAs(both, id.NewSeat(), "member"))
		_, err := one.disable(one.creator, both)
		require.NoError(t, err)
		require.Equal(t, disabled, one.decision(both, "org.read"))
		require.Equal(t, allowed, other.decision(both, "org.delete"))
	})

	t.Run("S1-16 Nobody has access to a deleted organization", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		member := o.add("member")
		_, err := o.organizations.DeleteOrganization(o.as(o.creator), &membershipv1.DeleteOrganizationRequest{OrganizationId: o.id.String()})
		require.NoError(t, err)
		require.Equal(t, outsider, o.decision(member, "org.read"))
		require.Equal(t, outsider, o.decision(o.creator, "org.read"))
	})
}

func TestAuthorizeInvitation(t *testing.T) {
	t.Parallel()

	t.Run("S0-18 The policy's role is given when none is named", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		member := o.add("viewer")
		answer, err := o.authorize(o.creator, func(r *membershipv1.AuthorizeInvitationRequest) {
			r.AccountIds = []string{id.NewAccount().String(), member.String(), o.creator.String()}
		})
		require.NoError(t, err)
		require.Equal(t, "developer", answer.GetRole())
		require.Equal(t, "Developer", answer.GetRoleDisplayName())
		require.Equal(t, "Acme", answer.GetOrganizationDisplayName())
		require.False(t, answer.GetFullAccess())
		require.Equal(t, membershipv1.Requirement_REQUIREMENT_REQUIRED, answer.GetUsername())
		require.Equal(t, membershipv1.Requirement_REQUIREMENT_OPTIONAL, answer.GetEmail())
		require.True(t, answer.GetLinkInvites())
		require.ElementsMatch(t, []string{member.String(), o.creator.String()}, answer.GetMemberAccountIds())
	})

	t.Run("S3-06 The flat role is full access", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(flat)
		answer, err := o.authorize(o.creator, nil)
		require.NoError(t, err)
		require.Equal(t, "member", answer.GetRole())
		require.True(t, answer.GetFullAccess())
	})

	t.Run("S0-09 S0-19 S2-16 Refusals", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		admin, member := o.add("admin"), o.add("member")
		for name, c := range map[string]struct {
			actor  id.Account
			edit   func(*membershipv1.AuthorizeInvitationRequest)
			reason errorv1.Reason
		}{
			"no default": {admin, nil, errorv1.Reason_REASON_VALIDATION_FAILED},
			"owner":      {o.creator, role("owner"), errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE},
			"unknown":    {o.creator, role("developer"), errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE},
			"RB8":        {admin, role("admin"), errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE},
			"S1-24":      {member, role("member"), errorv1.Reason_REASON_PERMISSION_MISSING},
			"R77":        {id.NewAccount(), role("member"), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND},
			"RB1": {admin, func(r *membershipv1.AuthorizeInvitationRequest) { r.Permission = "invitations.all" },
				errorv1.Reason_REASON_VALIDATION_FAILED},
		} {
			_, err := o.authorize(c.actor, c.edit)
			t.Log(name)
			refused(t, err, c.reason)
		}
		_, err := o.authorize(o.creator, role("admin"))
		require.NoError(t, err)
		_, err = o.authorize(admin, role("member"))
		require.NoError(t, err)
		_, err = o.disable(o.creator, admin)
		require.NoError(t, err)
		_, err = o.authorize(admin, role("member"))
		refused(t, err, errorv1.Reason_REASON_MEMBER_DISABLED)
	})

	t.Run("WithoutAnActorOnlyFactsAreAnswered", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		answer, err := o.authorize(id.Account{}, func(r *membershipv1.AuthorizeInvitationRequest) { r.Permission, r.Role = "", "admin" })
		require.NoError(t, err)
		require.Equal(t, "Admin", answer.GetRoleDisplayName())
		answer, err = o.authorize(id.Account{}, func(r *membershipv1.AuthorizeInvitationRequest) { r.Permission, r.GrantsRole = "", false })
		require.NoError(t, err)
		require.Empty(t, answer.GetRole())
	})
}

func role(key string) func(*membershipv1.AuthorizeInvitationRequest) {
	return func(r *membershipv1.AuthorizeInvitationRequest) { r.Role = key }
}

func (o organization) authorize(actor id.Account, edit func(*membershipv1.AuthorizeInvitationRequest)) (*membershipv1.AuthorizeInvitationResponse, error) {
	req := &membershipv1.AuthorizeInvitationRequest{
		OrganizationId: o.id.String(), ActorAccountId: actor.String(), Permission: "invitations.create", GrantsRole: true}
	if edit != nil {
		edit(req)
	}
	return o.admission.AuthorizeInvitation(o.Context(), req)
}
