package membership_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// disabled returns an organization with a disabled member.
func disabled(t *testing.T, preset membershipv1.Preset) (organization, id.Account) {
	t.Helper()
	o := newHarness(t).create(preset)
	account := o.add("viewer")
	_, err := o.disable(o.creator, account)
	require.NoError(t, err)
	return o, account
}

func TestEnableMember(t *testing.T) {
	t.Parallel()

	t.Run("S0-26 S2-51 D14 The access comes back on a new seat", func(t *testing.T) {
		t.Parallel()
		o, account := disabled(t, pipeline)
		require.Len(t, o.seats.occupied(), 1)
		req := &membershipv1.EnableMemberRequest{OrganizationId: o.id.String(), AccountId: account.String(), RequestId: "once"}
		answer, err := o.members.EnableMember(o.as(o.creator), req)
		require.NoError(t, err)
		require.Len(t, o.seats.occupied(), 2)
		member, err := o.get(o.creator, account)
		require.NoError(t, err)
		require.True(t, proto.Equal(member, answer.GetMember()), "%v\n%v", member, answer.GetMember())
		require.Equal(t, membershipv1.Member_STATE_ACTIVE, member.GetState())
		require.Nil(t, member.GetDisableTime())
		require.Empty(t, member.GetDisablerAccountId())
		require.Zero(t, o.due())
		require.Equal(t, "member.enabled", o.types()[4])

		again, err := o.members.EnableMember(o.as(o.creator), req)
		require.NoError(t, err)
		require.True(t, proto.Equal(answer, again), "%v\n%v", answer, again)
		_, err = o.disable(o.creator, account)
		require.NoError(t, err)
		later, err := o.members.EnableMember(o.as(o.creator), req)
		require.NoError(t, err)
		require.True(t, proto.Equal(answer, later), "a replay is the first answer, and enables nobody")
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_MEMBER_DISABLED, o.decision(account, "org.read"))
	})

	t.Run("S1-43 S1-45 D14 At the limit nobody is enabled, until a seat is free", func(t *testing.T) {
		t.Parallel()
		o, account := disabled(t, pipeline)
		o.seats.limit = 1
		req := &membershipv1.EnableMemberRequest{OrganizationId: o.id.String(), AccountId: account.String(), RequestId: "once"}
		_, err := o.members.EnableMember(o.as(o.creator), req)
		f := refused(t, err, errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
		require.Equal(t, "1", f.Metadata["used"])
		require.Equal(t, "1", f.Metadata["total"])
		require.Equal(t, "0", f.Metadata["available"])
		require.Equal(t, "1", f.Metadata["requested"])
		require.Equal(t, "https://roster.example/organizations/"+o.id.String()+"/seats", f.Help)
		require.Zero(t, o.due())
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_MEMBER_DISABLED, o.decision(account, "org.read"))

		o.seats.limit = 2
		_, err = o.members.EnableMember(o.as(o.creator), req)
		require.Equal(t, f, refused(t, err, errorv1.Reason_REASON_SEAT_LIMIT_REACHED), "the answer to a request stays")
		_, err = o.enable(o.creator, account)
		require.NoError(t, err)
	})

	t.Run("D9 Parallel calls enable once, on one seat", func(t *testing.T) {
		t.Parallel()
		o, account := disabled(t, pipeline)
		var enabled atomic.Int32
		together(10, func(int) {
			if second(o.enable(o.creator, account)) == nil {
				enabled.Add(1)
			}
		})
		require.Positive(t, enabled.Load())
		require.Len(t, o.seats.occupied(), 2)
		count := 0
		for _, kind := range o.types() {
			if kind == "member.enabled" {
				count++
			}
		}
		require.Equal(t, 1, count)
		require.Zero(t, o.due())
	})

	t.Run("A member who was removed meanwhile stays removed, and the seat goes back", func(t *testing.T) {
		t.Parallel()
		o, account := disabled(t, pipeline)
		point := crashPoint{"OccupySeat", true}
		point.arm(o.seats)
		refused(t, second(o.enable(o.creator, account)), errorv1.Reason_REASON_UNAVAILABLE)
		_, err := o.remove(o.creator, account)
		require.NoError(t, err)
		point.disarm(o.seats)
		o.sweep()
		o.sweep()
		require.Zero(t, o.due())
		require.Len(t, o.seats.occupied(), 1)
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_NOT_A_MEMBER, o.decision(account, "org.read"))
	})

	t.Run("What was begun for a membership does nothing to the next one", func(t *testing.T) {
		t.Parallel()
		o, account := disabled(t, pipeline)
		point := crashPoint{"ReserveSeats", false}
		point.arm(o.seats)
		refused(t, second(o.enable(o.creator, account)), errorv1.Reason_REASON_UNAVAILABLE)
		_, err := o.remove(o.creator, account)
		require.NoError(t, err)
		point.disarm(o.seats)
		seat := id.NewSeat()
		require.NoError(t, o.addAs(account, seat, "viewer"))
		_, err = o.disable(o.creator, account)
		require.NoError(t, err)
		o.sweep()
		o.sweep()
		require.Zero(t, o.due())
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_MEMBER_DISABLED, o.decision(account, "org.read"))
		require.Len(t, o.seats.occupied(), 1)
	})

	t.Run("Rows that others hold do not undo what was begun, and nobody is told that they do", func(t *testing.T) {
		t.Parallel()
		o, account := disabled(t, pipeline)
		held, err := o.owner().Begin(t.Context())
		require.NoError(t, err)
		o.seats.after = func(string) error {
			_, err := held.Exec(t.Context(), `SELECT FROM members WHERE organization_id = $1 AND account_id = $2 FOR UPDATE`, o.id, account)
			return err
		}
		refused(t, second(o.enable(o.creator, account)), errorv1.Reason_REASON_UNAVAILABLE)
		require.NoError(t, held.Rollback(t.Context()))
		o.seats.after = func(string) error { return nil }
		o.sweep()
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(account, "org.read"))
	})

	t.Run("G2 A seat that billing has given up is not used", func(t *testing.T) {
		t.Parallel()
		o, account := disabled(t, pipeline)
		o.seats.before = func(method string) error {
			if method == "OccupySeat" {
				o.seats.mu.Lock()
				defer o.seats.mu.Unlock()
				for seat, state := range o.seats.states {
					if state == billingv1.SeatState_SEAT_STATE_RESERVED {
						o.seats.states[seat] = billingv1.SeatState_SEAT_STATE_RELEASED
					}
				}
			}
			return nil
		}
		refused(t, second(o.enable(o.creator, account)), errorv1.Reason_REASON_UNAVAILABLE)
		require.Zero(t, o.due())
		o.seats.before = func(string) error { return nil }
		_, err := o.enable(o.creator, account)
		require.NoError(t, err)
	})
}

// TestEnableMemberCrashes stops the verb at each call to billing, before and after its effect. The sweeper, or a repeated
// call, finishes.
func TestEnableMemberCrashes(t *testing.T) {
	t.Parallel()
	for _, point := range crashPoints("ReserveSeats", "OccupySeat") {
		for _, finish := range []string{"the sweeper", "the same request", "another request"} {
			t.Run(point.String()+", finished by "+finish, func(t *testing.T) {
				t.Parallel()
				o, account := disabled(t, pipeline)
				req := &membershipv1.EnableMemberRequest{OrganizationId: o.id.String(), AccountId: account.String(), RequestId: "once"}
				point.arm(o.seats)
				_, err := o.members.EnableMember(o.as(o.creator), req)
				refused(t, err, errorv1.Reason_REASON_UNAVAILABLE)
				require.Equal(t, membershipv1.CheckAccessResponse_DECISION_MEMBER_DISABLED, o.decision(account, "org.read"), "G4: seat first, member second")
				point.disarm(o.seats)
				switch finish {
				case "the sweeper":
					o.sweep()
					o.sweep()
				case "another request":
					req.RequestId = "twice"
					fallthrough
				default:
					_, err := o.members.EnableMember(o.as(o.creator), req)
					require.NoError(t, err)
				}
				require.Zero(t, o.due())
				require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(account, "org.read"))
				require.Len(t, o.seats.occupied(), 2)
			})
		}
	}
}
