package e2e

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// TestSeats holds the seat scenarios T of the billing rules.
func TestSeats(t *testing.T) {
	t.Parallel()

	scenario(t, "T01 active and pending members are used, the rest is available", func(t *testing.T, over string) {
		org := create(t, over, portal)
		org.limit(t, 10)
		for range 3 {
			org.join(t, "member")
		}
		org.invite(t, unique("x")+"@example.com", "member")
		usage := org.seats(t)
		require.EqualValues(t, []int32{5, 4, 1, 10, 5}, []int32{usage.GetUsed(), usage.GetOccupied(), usage.GetReserved(), usage.GetTotal(), usage.GetAvailable()})
	})

	scenario(t, "T02 the last seat is taken, then invitations are refused and nobody is affected", func(t *testing.T, over string) {
		org := create(t, over, portal)
		org.limit(t, 2)
		org.invite(t, unique("x")+"@example.com", "member")
		require.EqualValues(t, 2, org.seats(t).GetUsed())
		email := unique("y") + "@example.com"
		_, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, email))
		refused(t, err, errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
		require.EqualValues(t, 2, org.seats(t).GetUsed())
		var atLimit int
		require.NoError(t, suite.owners["billing"].QueryRow(t.Context(),
			`SELECT count(*) FROM events WHERE aggregate_id = $1 AND type = 'seat.at_limit'`, uuidOf(t, org.ID)).Scan(&atLimit))
		require.Equal(t, 1, atLimit)
	})

	scenario(t, "T03 64 invitations for one free seat: one success, 63 refusals", func(t *testing.T, over string) {
		org := create(t, over, portal)
		org.limit(t, 2)
		outcomes := atOnce(64, func(int) error {
			req := &invitationv1.CreateInvitationRequest{
				OrganizationId: org.ID, Email: unique("x") + "@example.com", Role: "member", RequestId: unique("request")}
			for {
				_, err := org.owner.CreateInvitation(t.Context(), req)
				if fault.ReasonOf(err) != errorv1.Reason_REASON_UNAVAILABLE { // noted, and under way for too long: ask again
					return err
				}
			}
		})
		succeeded := 0
		for _, err := range outcomes {
			if err == nil {
				succeeded++
				continue
			}
			refused(t, err, errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
		}
		require.Equal(t, 1, succeeded)
		require.EqualValues(t, 2, org.seats(t).GetUsed())
		var live, ledger int
		require.NoError(t, suite.owners["billing"].QueryRow(t.Context(), `
			SELECT (SELECT count(*) FROM seats WHERE organization_id = $1 AND state IN ('RESERVED', 'OCCUPIED')),
			       (SELECT used_after FROM seat_ledger WHERE organization_id = $1 ORDER BY revision DESC LIMIT 1)`, uuidOf(t, org.ID)).Scan(&live, &ledger))
		require.Equal(t, []int{2, 2}, []int{live, ledger})
	})

	scenario(t, "T04 an invitation is accepted at the limit, with no change of use", func(t *testing.T, over string) {
		org := create(t, over, portal)
		org.limit(t, 2)
		org.join(t, "member")
		require.EqualValues(t, 2, org.seats(t).GetUsed())
		require.EqualValues(t, 2, org.seats(t).GetOccupied())
	})

	scenario(t, "T05 cancelling at the limit frees the seat, and the next invitation works", func(t *testing.T, over string) {
		org := create(t, over, portal)
		org.limit(t, 2)
		made := org.invite(t, unique("x")+"@example.com", "member")
		_, err := org.owner.RevokeInvitation(t.Context(), &invitationv1.RevokeInvitationRequest{OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
		require.NoError(t, err)
		require.EqualValues(t, 1, org.seats(t).GetUsed())
		org.invite(t, unique("y")+"@example.com", "member")
	})

	scenario(t, "T06 an expired invitation that nobody has swept blocks no new one, and its link is dead", func(t *testing.T, over string) {
		org := create(t, over, portal)
		org.limit(t, 2)
		email := unique("x") + "@example.com"
		made := org.invite(t, email, "member")
		link := mailLink(t, email, "/invite/")
		org.age(t, made.GetInvitation(), 8*24*time.Hour)
		org.invite(t, unique("y")+"@example.com", "member")
		_, err := connect(over, "").AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: link, Password: password, DisplayName: "X", Delivery: 2})
		refused(t, err, errorv1.Reason_REASON_INVITATION_EXPIRED)
		require.EqualValues(t, 2, org.seats(t).GetUsed())
	})

	scenario(t, "T07 a live invitation is sent again at the limit, an expired one is not", func(t *testing.T, over string) {
		org := create(t, over, portal)
		org.limit(t, 2)
		made := org.invite(t, unique("x")+"@example.com", "member")
		again := &invitationv1.ResendInvitationRequest{OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()}
		_, err := org.owner.ResendInvitation(t.Context(), again)
		require.NoError(t, err)
		require.EqualValues(t, 2, org.seats(t).GetUsed())

		org.age(t, made.GetInvitation(), 8*24*time.Hour)
		org.invite(t, unique("y")+"@example.com", "member") // takes the lapsed seat
		_, err = org.owner.ResendInvitation(t.Context(), again)
		refused(t, err, errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
		got, err := org.owner.GetInvitation(t.Context(), &invitationv1.GetInvitationRequest{OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
		require.NoError(t, err)
		require.Equal(t, invitationv1.Invitation_STATE_EXPIRED, got.GetInvitation().GetState(), "it stays what it was")
	})

	scenario(t, "T09 case makes no second person, a plus sign does", func(t *testing.T, over string) {
		org := create(t, over, portal)
		name := unique("foo")
		org.invite(t, strings.ToUpper(name)+"@X.example.com", "member")
		_, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, name+"@x.example.com"))
		refused(t, err, errorv1.Reason_REASON_INVITATION_PENDING)
		require.EqualValues(t, 2, org.seats(t).GetUsed())
		org.invite(t, name+"+b@x.example.com", "member")
		require.EqualValues(t, 3, org.seats(t).GetUsed())
	})

	scenario(t, "T15 a removed member's seat is free before the call returns", func(t *testing.T, over string) {
		org := create(t, over, portal)
		org.limit(t, 2)
		member := org.join(t, "member")
		require.True(t, org.remove(t, member).GetSeatReleased())
		org.invite(t, unique("x")+"@example.com", "member")
		var released int
		require.NoError(t, suite.owners["billing"].QueryRow(t.Context(),
			`SELECT count(*) FROM events WHERE aggregate_id = $1 AND type = 'seat.released'`, uuidOf(t, org.ID)).Scan(&released))
		require.Equal(t, 1, released)
	})

	scenario(t, "T16 disabling frees the seat, and enabling at the limit is refused", func(t *testing.T, over string) {
		org := create(t, over, portal)
		org.limit(t, 2)
		member := org.join(t, "member")
		require.True(t, org.disable(t, member).GetSeatReleased())
		require.EqualValues(t, 1, org.seats(t).GetUsed())
		org.invite(t, unique("x")+"@example.com", "member")
		enable := &membershipv1.EnableMemberRequest{OrganizationId: org.ID, AccountId: member.ID}
		_, err := org.owner.EnableMember(t.Context(), enable)
		refused(t, err, errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
		require.False(t, org.can(t, member, "products.use"))
		org.limit(t, 3)
		_, err = org.owner.EnableMember(t.Context(), enable)
		require.NoError(t, err)
		require.EqualValues(t, 3, org.seats(t).GetUsed())
	})
}

// atOnce runs n calls in parallel, released together, and returns how each ended.
func atOnce(n int, call func(i int) error) []error {
	outcomes := make([]error, n)
	start := make(chan struct{})
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			<-start
			outcomes[i] = call(i)
		})
	}
	close(start)
	running.Wait()
	return outcomes
}
