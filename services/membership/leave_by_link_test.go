package membership_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// added makes the account of grace@works.example a member, and returns the token in the mail that tells them.
func (o organization) added(account id.Account) string {
	o.Helper()
	o.accounts.claims = claimed(account)
	_, err := o.createMember(o.creator)
	require.NoError(o, err)
	o.sweep()
	_, token, found := strings.Cut(o.mails.sent[len(o.mails.sent)-1].Text, "https://roster.example/leave/")
	require.True(o, found)
	token, _, _ = strings.Cut(token, "\n")
	return token
}

// leaveByLink is called by nobody in particular.
func (o organization) leaveByLink(token, request string) (*membershipv1.LeaveByLinkResponse, error) {
	return o.members.LeaveByLink(o.Context(), &membershipv1.LeaveByLinkRequest{Token: token, RequestId: request})
}

func TestLeaveByLink(t *testing.T) {
	t.Parallel()

	t.Run("S2-13 It ends the membership that it is of, once, for whoever holds it", func(t *testing.T) {
		t.Parallel()
		o, grace := newHarness(t).create(rbac), id.NewAccount()
		first := o.added(grace)
		left, err := o.leaveByLink(first, "once")
		require.NoError(t, err)
		require.Equal(t, "Acme", left.GetOrganizationDisplayName())
		require.True(t, left.GetSeatReleased())
		require.Len(t, o.seats.occupied(), 1)
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_NOT_A_MEMBER, o.decision(grace, "org.read"))
		last := o.history()[len(o.history())-1]
		require.Equal(t, "member.left", last.Type)
		require.Contains(t, last.Data, `"actor":{"kind":"KIND_ACCOUNT","id":"`+grace.String()+`"},"cause":{"kind":"KIND_SELF"`)

		again, err := o.leaveByLink(first, "once")
		require.NoError(t, err)
		require.Equal(t, left.String(), again.String())
		_, err = o.leaveByLink(first, "twice")
		refused(t, err, errorv1.Reason_REASON_LINK_INVALID)

		second := o.added(grace)
		_, err = o.leaveByLink(first, "")
		refused(t, err, errorv1.Reason_REASON_LINK_INVALID)
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(grace, "org.read"))
		_, err = o.leaveByLink(second, "")
		require.NoError(t, err)
	})

	t.Run("R77 What was not made here, was changed, or is of another deployment is no link", func(t *testing.T) {
		t.Parallel()
		o, grace := newHarness(t).create(rbac), id.NewAccount()
		token := o.added(grace)
		other := newHarness(t).create(rbac)
		foreign := other.added(grace)
		for _, text := range []string{
			"x", foreign, token[:len(token)-1], token + "A", "\n" + token, strings.ToUpper(token), strings.ToLower(token), o.id.String() + "." + token,
		} {
			_, err := o.leaveByLink(text, "")
			refused(t, err, errorv1.Reason_REASON_LINK_INVALID)
		}
		_, err := o.leaveByLink("", "")
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(grace, "org.read"))
	})

	t.Run("C15 Who is disabled, or holds the organization together, does not leave by it, either", func(t *testing.T) {
		t.Parallel()
		o, grace := newHarness(t).create(rbac), id.NewAccount()
		token := o.added(grace)
		_, err := o.members.DisableMember(o.as(o.creator), &membershipv1.DisableMemberRequest{OrganizationId: o.id.String(), AccountId: grace.String()})
		require.NoError(t, err)
		_, err = o.leaveByLink(token, "")
		refused(t, err, errorv1.Reason_REASON_MEMBER_DISABLED)
		_, err = o.members.EnableMember(o.as(o.creator), &membershipv1.EnableMemberRequest{OrganizationId: o.id.String(), AccountId: grace.String()})
		require.NoError(t, err)
		_, err = o.leaveByLink(token, "")
		require.NoError(t, err, "it is the same membership")
	})
}
