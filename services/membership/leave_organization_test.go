package membership_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func (o organization) leave(account id.Account) (*membershipv1.LeaveOrganizationResponse, error) {
	return o.members.LeaveOrganization(o.as(account), &membershipv1.LeaveOrganizationRequest{OrganizationId: o.id.String(), RequestId: "leave"})
}

// setPolicy changes one field of the policy, behind the service's back.
func (o organization) setPolicy(field, value string) {
	o.Helper()
	tag, err := o.owner().Exec(o.Context(), `UPDATE organizations SET policy = jsonb_set(policy, ARRAY[$2], $3::jsonb) WHERE organization_id = $1`,
		o.id, field, value)
	require.NoError(o, err)
	require.EqualValues(o, 1, tag.RowsAffected())
}

func TestLeaveOrganization(t *testing.T) {
	t.Parallel()

	t.Run("C15 RB7 Whoever leaves belongs no more, and the seat is free", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, other := h.create(rbac), h.create(rbac)
		account, seat := id.NewAccount(), id.NewSeat()
		require.NoError(t, o.addAs(account, seat, "admin"))
		require.NoError(t, other.addAs(account, id.NewSeat(), "member"))
		answer, err := o.leave(account)
		require.NoError(t, err)
		require.True(t, answer.GetSeatReleased())
		require.Equal(t, "SEAT_STATE_RELEASED", h.seats.snapshot()[seat.String()].String())
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_NOT_A_MEMBER, o.decision(account, "org.read"))
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, other.decision(account, "org.read"))
		require.Equal(t, int32(1), o.list(o.creator, nil).GetTotalSize())
		left := o.history()[3]
		require.Equal(t, "member.left", left.Type)
		require.Contains(t, left.Data, `"kind":"KIND_SELF"`)

		again, err := o.leave(account)
		require.NoError(t, err, "who repeats the request is told what became of it")
		require.True(t, proto.Equal(answer, again), "%v\n%v", answer, again)
		_, err = o.members.LeaveOrganization(o.as(account), &membershipv1.LeaveOrganizationRequest{OrganizationId: o.id.String()})
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		require.Len(t, o.types(), 4)
		require.Zero(t, h.due())
		require.Empty(t, h.mails.sent)
		require.NoError(t, o.addAs(account, id.NewSeat(), "member"), "the way back is open")
	})

	t.Run("C15 The last with all rights stays", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		single, none, several := h.create(pipeline), h.create(flat), h.create(rbac)
		several.setPolicy("ownership", `"MULTIPLE"`)
		for _, o := range []organization{single, none, several} {
			before := len(o.types())
			refused(t, second(o.leave(o.creator)), errorv1.Reason_REASON_LAST_OWNER)
			require.Len(t, o.types(), before)
		}
		two := none.add("member")
		require.NoError(t, second(none.leave(none.creator)))
		refused(t, second(none.leave(two)), errorv1.Reason_REASON_LAST_OWNER)
	})

	t.Run("Refusals", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		member, disabled := o.add("viewer"), o.add("viewer")
		require.NoError(t, second(o.disable(o.creator, disabled)))
		refused(t, second(o.leave(disabled)), errorv1.Reason_REASON_MEMBER_DISABLED)
		refused(t, second(o.leave(id.NewAccount())), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		o.setPolicy("allow_leave", "false")
		f := refused(t, second(o.leave(member)), errorv1.Reason_REASON_FEATURE_OFF)
		require.Equal(t, "allow_leave", f.Metadata["policy"])
		require.Equal(t, "member.disabled", o.types()[len(o.types())-1])
	})

	t.Run("RB21 When all leave at once, one stays", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(flat)
		everybody := []id.Account{o.creator}
		for range 7 {
			everybody = append(everybody, o.add("member"))
		}
		errs := make([]error, len(everybody))
		together(len(everybody), func(i int) { _, errs[i] = o.leave(everybody[i]) })
		stayed := 0
		for _, err := range errs {
			if err != nil {
				refused(t, err, errorv1.Reason_REASON_LAST_OWNER)
				stayed++
			}
		}
		require.Equal(t, 1, stayed)
	})

	t.Run("RB21 The last with full rights is the last by role: groups do not replace it, gates do not hide it", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(flat)
		o.policy(`{"groups": true, "custom_roles": true}`)
		_, err := o.roles.CreateRole(o.as(o.creator), &membershipv1.CreateRoleRequest{
			OrganizationId: o.id.String(), DisplayName: "Helper", Permissions: []string{"org.read"}})
		require.NoError(t, err)
		helper, group := o.add("helper"), o.group("Everything")
		require.NoError(t, o.bind(o.creator, group, "member"))
		require.NoError(t, o.enroll(o.creator, helper, group))
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(helper, "org.delete"))
		_, err = o.leave(o.creator)
		refused(t, err, errorv1.Reason_REASON_LAST_OWNER)

		second := o.add("member")
		o.policy(`{"gated_permissions": ["groups.manage", "groups.members.manage", "members.assign_role", "members.remove", "policy.update"]}`)
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_GATE_CLOSED, o.decision(second, "members.remove"))
		_, err = o.leave(o.creator)
		require.NoError(t, err, "another is left with the role")
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(second, "policy.update"), "and can lift the gates")
		_, err = o.leave(second)
		refused(t, err, errorv1.Reason_REASON_LAST_OWNER)
	})
}
