package membership_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestAddMember(t *testing.T) {
	t.Parallel()

	t.Run("G3 A repeated call gets the first answer and adds a removed member never again", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		req := &membershipv1.AddMemberRequest{OrganizationId: o.id.String(), AccountId: id.NewAccount().String(), SeatId: id.NewSeat().String(),
			Role: "developer", InvitationId: id.NewInvitation().String(), InviterAccountId: o.creator.String()}
		first, err := o.admission.AddMember(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, int64(3), first.GetRevision())
		again, err := o.admission.AddMember(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, first.GetRevision(), again.GetRevision())

		account, err := id.ParseAccount(req.GetAccountId())
		require.NoError(t, err)
		_, err = o.remove(o.creator, account)
		require.NoError(t, err)
		late, err := o.admission.AddMember(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, first.GetRevision(), late.GetRevision())
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_NOT_A_MEMBER, o.decision(account, "org.read"))
		require.Equal(t, []string{"organization.created", "member.added", "member.added", "member.removed"}, o.types())
	})

	t.Run("G3 On a lost seat the first answer stays, and without one nobody is added", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		req := &membershipv1.AddMemberRequest{OrganizationId: o.id.String(), AccountId: id.NewAccount().String(), SeatId: id.NewSeat().String(),
			Role: "developer", InvitationId: id.NewInvitation().String(), InviterAccountId: o.creator.String()}
		first, err := o.admission.AddMember(t.Context(), req)
		require.NoError(t, err)
		req.SeatLost = true
		again, err := o.admission.AddMember(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, first.GetRevision(), again.GetRevision())

		req.AccountId, req.SeatId = id.NewAccount().String(), id.NewSeat().String()
		for _, lost := range []bool{true, false} { // a late copy of a call from before changes nothing
			req.SeatLost = lost
			_, err = o.admission.AddMember(t.Context(), req)
			refused(t, err, errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
		}
		require.Equal(t, int32(2), o.list(o.creator, nil).GetTotalSize())
	})

	t.Run("S0-32 A member is not added twice, and the answer stays", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		account := o.add("viewer")
		seat := id.NewSeat()
		f := refused(t, o.addAs(account, seat, "viewer"), errorv1.Reason_REASON_ALREADY_MEMBER)
		require.Equal(t, account.String(), f.Metadata["accountId"])
		_, err := o.remove(o.creator, account)
		require.NoError(t, err)
		refused(t, o.addAs(account, seat, "viewer"), errorv1.Reason_REASON_ALREADY_MEMBER)
		require.NoError(t, o.addAs(account, id.NewSeat(), "viewer"))
	})

	t.Run("A seat is one account's", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		seat := id.NewSeat()
		require.NoError(t, o.addAs(id.NewAccount(), seat, "viewer"))
		refused(t, o.addAs(id.NewAccount(), seat, "viewer"), errorv1.Reason_REASON_INTERNAL)
		require.Equal(t, int32(2), o.list(o.creator, nil).GetTotalSize())
	})

	t.Run("What is no id is refused", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		for field, edit := range map[string]func(*membershipv1.AddMemberRequest){
			"organization_id":    func(r *membershipv1.AddMemberRequest) { r.OrganizationId = r.GetAccountId() },
			"account_id":         func(r *membershipv1.AddMemberRequest) { r.AccountId = r.GetSeatId() },
			"seat_id":            func(r *membershipv1.AddMemberRequest) { r.SeatId = "seat_x" },
			"invitation_id":      func(r *membershipv1.AddMemberRequest) { r.InvitationId = "inv_x" },
			"inviter_account_id": func(r *membershipv1.AddMemberRequest) { r.InviterAccountId = "acc_x" },
		} {
			req := &membershipv1.AddMemberRequest{OrganizationId: o.id.String(), AccountId: id.NewAccount().String(), SeatId: id.NewSeat().String(), Role: "viewer"}
			edit(req)
			_, err := o.admission.AddMember(t.Context(), req)
			f := refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
			require.Equal(t, field, f.Fields[0].Name)
		}
	})

	t.Run("RB23 S1-35 Whoever comes back begins with the new role", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		account := o.add("admin")
		_, err := o.disable(o.creator, account)
		require.NoError(t, err)
		before, err := o.get(o.creator, account)
		require.NoError(t, err)
		_, err = o.remove(o.creator, account)
		require.NoError(t, err)
		require.NoError(t, o.addAs(account, id.NewSeat(), "viewer"))
		member, err := o.get(o.creator, account)
		require.NoError(t, err)
		require.Equal(t, "viewer", member.GetRole())
		require.Equal(t, membershipv1.Member_STATE_ACTIVE, member.GetState())
		require.Nil(t, member.GetDisableTime())
		require.True(t, member.GetJoinTime().AsTime().After(before.GetJoinTime().AsTime()))
		require.NotEqual(t, before.GetEtag(), member.GetEtag())
	})

	t.Run("RB11 The inviter must still be allowed to give the role", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		add := func(inviter id.Account, role string) error {
			_, err := o.admission.AddMember(t.Context(), &membershipv1.AddMemberRequest{OrganizationId: o.id.String(),
				AccountId: id.NewAccount().String(), SeatId: id.NewSeat().String(), Role: role, InviterAccountId: inviter.String()})
			return err
		}
		admin, member := o.add("admin"), o.add("member")
		require.NoError(t, add(admin, "member"))
		require.NoError(t, add(o.creator, "admin"))
		refused(t, add(admin, "admin"), errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		refused(t, add(member, "member"), errorv1.Reason_REASON_PERMISSION_MISSING)
		refused(t, add(id.NewAccount(), "member"), errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err := o.disable(o.creator, admin)
		require.NoError(t, err)
		refused(t, add(admin, "member"), errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = o.remove(o.creator, admin)
		require.NoError(t, err)
		refused(t, add(admin, "member"), errorv1.Reason_REASON_PERMISSION_MISSING)
	})

	t.Run("RB4 S0-09 Nobody is added as owner or with an unknown role", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		for _, role := range []string{"owner", "developer", ""} {
			refused(t, o.addAs(id.NewAccount(), id.NewSeat(), role), errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		}
	})

	t.Run("NobodyIsAddedToAnOrganizationThatIsNotThere", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		absent := o
		absent.id = id.NewOrganization()
		refused(t, absent.addAs(id.NewAccount(), id.NewSeat(), "member"), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		_, err := o.organizations.DeleteOrganization(o.as(o.creator), &membershipv1.DeleteOrganizationRequest{OrganizationId: o.id.String()})
		require.NoError(t, err)
		refused(t, o.addAs(id.NewAccount(), id.NewSeat(), "member"), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
	})

	t.Run("G3 Fifty parallel calls for a seat make one member", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		account, seat := id.NewAccount(), id.NewSeat()
		var added atomic.Int32
		together(50, func(int) {
			if o.addAs(account, seat, "developer") == nil {
				added.Add(1)
			}
		})
		require.Equal(t, int32(50), added.Load())
		require.Equal(t, []string{"organization.created", "member.added", "member.added"}, o.types())
		require.Equal(t, int32(2), o.list(o.creator, nil).GetTotalSize())
	})

	t.Run("A5 Of parallel calls for a person on different seats one wins", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		account := id.NewAccount()
		var added atomic.Int32
		together(8, func(int) {
			if o.addAs(account, id.NewSeat(), "developer") == nil {
				added.Add(1)
			}
		})
		require.Equal(t, int32(1), added.Load())
	})
}

func TestCheckSeatOwners(t *testing.T) {
	t.Parallel()

	t.Run("G6 A seat is alive while a member names it", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		account, seat := id.NewAccount(), id.NewSeat()
		require.NoError(t, o.addAs(account, seat, "developer"))
		require.Equal(t, []bool{true, false}, o.alive(seat, id.NewSeat()))
		_, err := o.disable(o.creator, account)
		require.NoError(t, err)
		require.Equal(t, []bool{false}, o.alive(seat))
	})

	t.Run("G6 A seat is alive while an operation under way names it", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		account := o.add("developer")
		_, err := o.disable(o.creator, account)
		require.NoError(t, err)
		before := o.seats.snapshot()
		point := crashPoint{"OccupySeat", false}
		point.arm(o.seats)
		_, err = o.enable(o.creator, account)
		refused(t, err, errorv1.Reason_REASON_UNAVAILABLE)
		for text := range o.seats.snapshot() {
			if _, old := before[text]; !old {
				seat, err := id.ParseSeat(text)
				require.NoError(t, err)
				require.Equal(t, []bool{true}, o.alive(seat))
			}
		}
	})
}
