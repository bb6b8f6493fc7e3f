package membership_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

func TestDisableMember(t *testing.T) {
	t.Parallel()

	t.Run("S0-25 S2-35 S2-50 S1-36 The row stays, the access ends, the seat is free", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		account := o.add("member")
		req := &membershipv1.DisableMemberRequest{OrganizationId: o.id.String(), AccountId: account.String(), RequestId: "once"}
		answer, err := o.members.DisableMember(o.as(o.creator), req)
		require.NoError(t, err)
		require.True(t, answer.GetSeatReleased())
		require.Equal(t, membershipv1.Member_STATE_DISABLED, answer.GetMember().GetState())
		require.Equal(t, o.creator.String(), answer.GetMember().GetDisablerAccountId())
		require.NotNil(t, answer.GetMember().GetDisableTime())
		require.Zero(t, o.due())
		require.Equal(t, membershipv1.Person_STATE_DISABLED, o.list(o.creator, nil).GetPeople()[1].GetState())
		require.Equal(t, int32(2), o.list(o.creator, nil).GetTotalSize())
		_, err = o.organizations.GetOrganization(o.as(account), &membershipv1.GetOrganizationRequest{OrganizationId: o.id.String()})
		refused(t, err, errorv1.Reason_REASON_MEMBER_DISABLED)

		again, err := o.members.DisableMember(o.as(o.creator), req)
		require.NoError(t, err)
		require.True(t, proto.Equal(answer, again), "%v\n%v", answer, again)
		f := refused(t, second(o.disable(o.creator, account)), errorv1.Reason_REASON_STATE_CONFLICT)
		require.Equal(t, "DISABLED", f.Metadata["state"])
		require.Equal(t, "member.disabled", o.types()[3])
		require.NotContains(t, o.history()[3].Data[strings.Index(o.history()[3].Data, `"after"`):], "seatId")
	})

	t.Run("RULING 7 The access ends also when billing is away, and the sweeper frees the seat", func(t *testing.T) {
		t.Parallel()
		for _, point := range crashPoints("ReleaseSeats") {
			o := newHarness(t).create(rbac)
			account := o.add("member")
			point.arm(o.seats)
			begin := time.Now()
			req := &membershipv1.DisableMemberRequest{OrganizationId: o.id.String(), AccountId: account.String(), RequestId: "once"}
			answer, err := o.members.DisableMember(o.as(o.creator), req)
			require.NoError(t, err)
			require.Less(t, time.Since(begin), 3*time.Second)
			require.False(t, answer.GetSeatReleased())
			require.Equal(t, membershipv1.CheckAccessResponse_DECISION_MEMBER_DISABLED, o.decision(account, "org.read"))
			require.Equal(t, 1, o.due())
			point.disarm(o.seats)
			o.sweep()
			require.Zero(t, o.due())
			again, err := o.members.DisableMember(o.as(o.creator), req)
			require.NoError(t, err)
			require.True(t, again.GetSeatReleased())
		}
	})

	t.Run("Refusals", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		admin, peer, member := o.add("admin"), o.add("admin"), o.add("member")
		for name, c := range map[string]struct {
			actor, target id.Account
			reason        errorv1.Reason
		}{
			"S2-54 S2-47": {admin, o.creator, errorv1.Reason_REASON_OWNER_PROTECTED},
			"S2-52":       {admin, admin, errorv1.Reason_REASON_SELF_ACTION},
			"RB3":         {admin, peer, errorv1.Reason_REASON_PERMISSION_MISSING},
			"S0-08":       {member, admin, errorv1.Reason_REASON_PERMISSION_MISSING},
			"R77":         {id.NewAccount(), member, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND},
			"absent":      {admin, id.NewAccount(), errorv1.Reason_REASON_MEMBER_NOT_FOUND},
		} {
			t.Log(name)
			refused(t, second(o.disable(c.actor, c.target)), c.reason)
			refused(t, second(o.remove(c.actor, c.target)), c.reason)
			refused(t, second(o.enable(c.actor, c.target)), c.reason)
		}
		refused(t, second(o.enable(admin, member)), errorv1.Reason_REASON_STATE_CONFLICT)
	})

	t.Run("LAST_OWNER Somebody with full rights is always left", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(flat)
		everybody := []id.Account{o.creator, o.add("member"), o.add("member"), o.add("member")}
		errs := make([]error, 2*len(everybody))
		together(2*len(everybody), func(i int) {
			actor, target := everybody[i%4], everybody[(i+1)%4]
			if i < 4 {
				_, errs[i] = o.remove(actor, target)
			} else {
				_, errs[i] = o.disable(actor, target)
			}
		})
		refusals := 0
		for _, err := range errs {
			if err == nil {
				continue
			}
			refusals++
			require.Contains(t, []errorv1.Reason{errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND, errorv1.Reason_REASON_MEMBER_DISABLED,
				errorv1.Reason_REASON_MEMBER_NOT_FOUND, errorv1.Reason_REASON_STATE_CONFLICT}, fault.ReasonOf(err), "%v", err)
		}
		left := 0
		for _, account := range everybody {
			if o.decision(account, "org.delete") == membershipv1.CheckAccessResponse_DECISION_ALLOWED {
				left++
			}
		}
		require.Positive(t, left)
		require.Positive(t, refusals)
	})

	t.Run("LAST_OWNER Of the last two with full rights one stays, whoever takes them away", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(flat)
		second := o.add("member")
		// A role as an organization with roles of its own may make: it removes, and cannot do everything.
		helper := id.NewRole()
		_, err := o.owner().Exec(t.Context(), `
			INSERT INTO roles (organization_id, role_id, key, display_name, description, color, rank, owner, permissions)
			VALUES ($1, $2, 'helper', 'Helper', '', '', 1, false, '{admins.manage,members.disable,members.remove}')`, o.id, helper)
		require.NoError(t, err)
		actors := []id.Account{o.add("helper"), o.add("helper")}
		targets := []id.Account{o.creator, second}
		errs := make([]error, 2)
		together(2, func(i int) {
			if i == 0 {
				_, errs[i] = o.remove(actors[i], targets[i])
			} else {
				_, errs[i] = o.disable(actors[i], targets[i])
			}
		})
		lost := errs[0]
		if lost == nil {
			lost = errs[1]
		}
		refused(t, lost, errorv1.Reason_REASON_LAST_OWNER)
		require.True(t, errs[0] == nil || errs[1] == nil, "exactly one is refused")
	})
}

// second drops the answer.
func second[T any](_ T, err error) error { return err }

func TestRemoveMember(t *testing.T) {
	t.Parallel()
	t.Run("G4 a removal that is refused frees no seat", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		admin, before := o.add("admin"), o.seats.snapshot()
		_, err := o.remove(admin, o.creator)
		refused(t, err, errorv1.Reason_REASON_OWNER_PROTECTED)
		require.Equal(t, before, o.seats.snapshot(), "not even for a moment: billing was not asked")
	})

	t.Run("S0-28 S1-33 S2-53 S1-42 The membership ends, and nothing else", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, other := h.create(pipeline), h.create(pipeline)
		account, seat := id.NewAccount(), id.NewSeat()
		require.NoError(t, o.addAs(account, seat, "viewer"))
		require.NoError(t, other.addAs(account, id.NewSeat(), "viewer"))
		req := &membershipv1.RemoveMemberRequest{OrganizationId: o.id.String(), AccountId: account.String(), RequestId: "once"}
		answer, err := o.members.RemoveMember(o.as(o.creator), req)
		require.NoError(t, err)
		require.True(t, answer.GetSeatReleased())
		require.Equal(t, membershipv1.Member_STATE_REMOVED, answer.GetMember().GetState())
		require.Equal(t, "SEAT_STATE_RELEASED", h.seats.snapshot()[seat.String()].String())
		require.Equal(t, int32(1), o.list(o.creator, nil).GetTotalSize())
		refused(t, second(o.get(o.creator, account)), errorv1.Reason_REASON_MEMBER_NOT_FOUND)
		refused(t, second(o.remove(o.creator, account)), errorv1.Reason_REASON_MEMBER_NOT_FOUND)
		refused(t, second(o.get(account, o.creator)), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, other.decision(account, "org.read"))

		again, err := o.members.RemoveMember(o.as(o.creator), req)
		require.NoError(t, err)
		require.True(t, proto.Equal(answer, again), "%v\n%v", answer, again)
		require.Empty(t, h.mails.sent)
	})

	t.Run("S3-16 S3-19 S3-20 Any member removes any other, who is told by mail", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(flat)
		one, two := o.add("member"), o.add("member")
		refused(t, second(o.remove(one, one)), errorv1.Reason_REASON_SELF_ACTION)
		_, err := o.remove(one, o.creator)
		require.NoError(t, err)
		_, err = o.remove(two, one)
		require.NoError(t, err)
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_NOT_A_MEMBER, o.decision(o.creator, "org.read"))
		o.sweep()
		require.Len(t, o.mails.sent, 2)
		var to []string
		for _, m := range o.mails.sent {
			to = append(to, m.To)
			require.Contains(t, m.Text, "Acme")
		}
		require.ElementsMatch(t, []string{"ada@example.com", one.String() + "@example.com"}, to)
		require.Zero(t, o.due())
	})

	t.Run("S1-31 A disabled member is removed without a seat to free", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		account := o.add("member")
		_, err := o.disable(o.creator, account)
		require.NoError(t, err)
		answer, err := o.remove(o.creator, account)
		require.NoError(t, err)
		require.True(t, answer.GetSeatReleased())
		require.Zero(t, o.due())
	})
}
