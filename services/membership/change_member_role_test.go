package membership_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestChangeMemberRole(t *testing.T) {
	t.Parallel()

	t.Run("S2-30 S2-32 The new role counts at once", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		account := o.add("member")
		before, err := o.get(o.creator, account)
		require.NoError(t, err)
		req := &membershipv1.ChangeMemberRoleRequest{OrganizationId: o.id.String(), AccountId: account.String(), Role: "admin",
			Etag: before.GetEtag(), RequestId: "once"}
		answer, err := o.members.ChangeMemberRole(o.as(o.creator), req)
		require.NoError(t, err)
		require.Equal(t, "admin", answer.GetMember().GetRole())
		require.Equal(t, "Admin", answer.GetMember().GetRoleDisplayName())
		after, err := o.get(o.creator, account)
		require.NoError(t, err)
		require.True(t, proto.Equal(after, answer.GetMember()), "%v\n%v", after, answer.GetMember())
		require.Equal(t, "admin", o.list(o.creator, func(r *membershipv1.ListPeopleRequest) { r.Query = "example.com" }).GetPeople()[1].GetRole())

		again, err := o.members.ChangeMemberRole(o.as(o.creator), req)
		require.NoError(t, err)
		require.True(t, proto.Equal(answer, again))
		last := o.history()
		require.Len(t, last, 4)
		require.Equal(t, "member.role_changed", last[3].Type)
		require.Contains(t, last[3].Data, `"before":{"accountId":"`+account.String()+`","role":"member","state":"STATE_ACTIVE"`)
		require.Contains(t, last[3].Data, `"after":{"accountId":"`+account.String()+`","role":"admin","state":"STATE_ACTIVE"`)
		require.Contains(t, last[3].Data, `"actor":{"kind":"KIND_ACCOUNT","id":"`+o.creator.String()+`"},"cause":{"kind":"KIND_ADMIN"},"requestId":"once"`)
		require.NotContains(t, last[3].Data, "example.com")
	})

	t.Run("R86 Who may do something that they could not do before is told, and nobody else", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(rbac)
		account := o.add("member")
		h.sweep()
		require.Empty(t, h.mails.sent)
		require.NoError(t, o.changeRole(o.creator, account, "admin"))
		require.NoError(t, o.changeRole(o.creator, account, "member"))
		h.sweep()
		require.Len(t, h.mails.sent, 1)
		require.Equal(t, "Your role in Acme is Admin now", h.mails.sent[0].Subject)
		require.Contains(t, h.mails.sent[0].Text, "gave you the role Admin")
	})

	t.Run("Refusals", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		admin, peer, member := o.add("admin"), o.add("admin"), o.add("member")
		foreign := h.create(portal)
		for name, c := range map[string]struct {
			actor, target id.Account
			role          string
			reason        errorv1.Reason
			says          string
		}{
			"S0-10 S0-23 S2-18 RB4": {o.creator, member, "owner", errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE, "Owner is reserved and cannot be assigned."},
			"S0-24 S1-21 RB6":       {admin, o.creator, "member", errorv1.Reason_REASON_OWNER_PROTECTED, "Owner is reserved and immutable"},
			"S1-49 S1-54 RB3":       {admin, peer, "member", errorv1.Reason_REASON_PERMISSION_MISSING, "Contact the organization owner."},
			"RB8":                   {admin, member, "admin", errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE, "Contact the organization owner."},
			"RB7":                   {admin, admin, "member", errorv1.Reason_REASON_SELF_ACTION, ""},
			"S1-24 S2-04 S0-08":     {member, peer, "member", errorv1.Reason_REASON_PERMISSION_MISSING, ""},
			"unknown role":          {o.creator, member, "developer", errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE, "admin, member"},
			"same role":             {o.creator, member, "member", errorv1.Reason_REASON_STATE_CONFLICT, ""},
			"R77 stranger":          {foreign.creator, member, "admin", errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND, ""},
			"no such member":        {o.creator, foreign.creator, "admin", errorv1.Reason_REASON_MEMBER_NOT_FOUND, ""},
		} {
			t.Log(name)
			f := refused(t, o.changeRole(c.actor, c.target, c.role), c.reason)
			require.Contains(t, f.Message, c.says)
		}
		require.Equal(t, "members.assign_role", refused(t, o.changeRole(member, peer, "member"), errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"])
		require.Equal(t, "admins.manage", refused(t, o.changeRole(admin, peer, "member"), errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"])

		_, err := o.members.ChangeMemberRole(o.as(o.creator), &membershipv1.ChangeMemberRoleRequest{
			OrganizationId: o.id.String(), AccountId: member.String(), Role: "admin", Etag: "7"})
		refused(t, err, errorv1.Reason_REASON_ETAG_MISMATCH)
		_, err = o.disable(o.creator, admin)
		require.NoError(t, err)
		refused(t, o.changeRole(admin, member, "member"), errorv1.Reason_REASON_MEMBER_DISABLED)
		_, err = o.remove(o.creator, admin)
		require.NoError(t, err)
		refused(t, o.changeRole(admin, member, "member"), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		refused(t, o.changeRole(o.creator, admin, "member"), errorv1.Reason_REASON_MEMBER_NOT_FOUND)
		require.Len(t, o.history(), 7, "a refusal leaves no trace")
	})

	t.Run("S0-06 Where admins manage admins they do", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		admin, peer, viewer := o.add("admin"), o.add("admin"), o.add("viewer")
		require.NoError(t, o.changeRole(admin, viewer, "admin"))
		require.NoError(t, o.changeRole(admin, peer, "developer"))
		refused(t, o.changeRole(peer, viewer, "viewer"), errorv1.Reason_REASON_PERMISSION_MISSING)
	})
}

// TestDemotionRace lets an admin change roles while being demoted: what the admin does after the demotion has committed is
// refused, however the calls meet.
func TestDemotionRace(t *testing.T) {
	t.Parallel()
	t.Run("R17 RB17 What follows a demotion in the log was not done by the demoted", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		admin := o.add("admin")
		targets := make([]id.Account, 24)
		for i := range targets {
			targets[i] = o.add("viewer")
		}
		errs := make([]error, len(targets))
		together(len(targets)+1, func(i int) {
			if i == len(targets)/2 {
				if err := o.changeRole(o.creator, admin, "viewer"); err != nil {
					panic(err)
				}
				return
			}
			if i > len(targets)/2 {
				i--
			}
			errs[i] = o.changeRole(admin, targets[i], "developer")
		})
		changed := 0
		for _, err := range errs {
			if err == nil {
				changed++
				continue
			}
			require.Equal(t, errorv1.Reason_REASON_PERMISSION_MISSING, fault.ReasonOf(err), "%v", err)
		}
		demoted, by := false, 0
		for _, e := range o.history() {
			if e.Type != "member.role_changed" {
				continue
			}
			require.False(t, demoted && contains(e.Data, `"actor":{"kind":"KIND_ACCOUNT","id":"`+admin.String()), "the demoted went on")
			if contains(e.Data, `"before":{"accountId":"`+admin.String()) {
				demoted = true
				continue
			}
			by++
		}
		require.True(t, demoted)
		require.Equal(t, changed, by)
	})
}
