package membership_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// waiting returns who waits for a seat, as somebody sees it.
func (o organization) waiting(by id.Account) (found []*membershipv1.WaitingJoin) {
	o.Helper()
	req := &membershipv1.ListWaitingJoinsRequest{OrganizationId: o.id.String(), PageSize: 2}
	for {
		answer, err := o.domains.ListWaitingJoins(o.as(by), req)
		require.NoError(o, err)
		found = append(found, answer.GetJoins()...)
		if req.PageToken = answer.GetNextPageToken(); req.PageToken == "" {
			return found
		}
	}
}

func (o organization) roleOf(account id.Account) string {
	o.Helper()
	member, err := o.get(o.creator, account)
	if err != nil {
		refused(o, err, errorv1.Reason_REASON_MEMBER_NOT_FOUND)
		return ""
	}
	return member.GetRole()
}

// seatFreed tells as billing does that a seat is free.
func (o organization) seatFreed() {
	o.Helper()
	o.hear("billing", "seat.released", o.id.String(), 1, &eventv1.SeatReleased{})
}

func (h *harness) setLimit(seats int) {
	h.seats.mu.Lock()
	defer h.seats.mu.Unlock()
	h.seats.limit = seats
}

func TestJoin(t *testing.T) {
	t.Parallel()

	t.Run("S1-48_ANewSignUpOfAVerifiedDomainBecomesAMember", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		d := o.verified("join.example")
		account := h.signUp("Ada@JOIN.example")
		h.sweep()
		require.Equal(t, "member", o.roleOf(account))
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(account, "products.use"))
		require.Equal(t, []string{"organization.created", "member.added", "domain.added", "domain.verified", "member.added"}, o.types())
		added := o.history()[4].Data
		require.Contains(t, added, "KIND_DOMAIN")
		require.Contains(t, added, d.GetId())
		require.Len(t, h.seats.occupied(), 2)
		require.Empty(t, o.waiting(o.creator))
		h.sweep()
		require.Len(t, o.types(), 5, "once")
		var email string
		for _, p := range o.list(o.creator, nil).GetPeople() {
			if p.GetAccountId() == account.String() {
				email = p.GetEmail()
			}
		}
		require.Equal(t, "Ada@JOIN.example", email)
	})

	t.Run("R69_AdminsAreToldAndTwentyAreEnough", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		o.verified("told.example")
		told := func() (mails int) {
			require.NoError(t, h.owner().QueryRow(t.Context(), `SELECT count(*) FROM mails WHERE aggregate_id = $1 AND kind = 'mail.Joined'`, o.id).Scan(&mails))
			return mails
		}
		o.add("admin")
		o.add("member")
		h.signUp("ada@told.example")
		h.sweep()
		require.Equal(t, 2, told(), "the owner and the admin")
		for range 20 {
			o.add("admin")
		}
		h.signUp("grace@told.example")
		h.sweep()
		h.sweep()
		require.Equal(t, 2+20, told())
	})

	t.Run("R69_NobodyElseJoins", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		pending, err := o.addDomain(o.creator, "pending.example")
		require.NoError(t, err)
		early := h.signUp("early@pending.example") // before it was proven
		h.dns.Set(pending.GetRecordName(), pending.GetRecordValue())
		_, err = o.verifyDomain(o.creator, "pending.example")
		require.NoError(t, err)
		off := h.create(membershipv1.Preset_PRESET_RBAC)
		off.verified("off.example")
		for name, account := range map[string]id.Account{
			"BeforeTheDomainWasVerified": early,
			"HeardOfLate":                h.signUpAt("late@pending.example", time.Now().Add(-time.Minute)),
			"ASubdomain":                 h.signUp("x@mail.pending.example"),
			"AnotherDomain":              h.signUp("x@notpending.example"),
			"AHomoglyph":                 h.signUp("x@pеnding.example"), // a Cyrillic letter
			"NoAddress":                  h.signUp(""),
		} {
			h.sweep()
			require.Empty(t, o.roleOf(account), name)
		}
		account := h.signUp("x@off.example")
		h.sweep()
		require.Empty(t, off.roleOf(account), "the policy says no")
		off.setPolicy("auto_join", "true")
		off.seatFreed()
		h.sweep()
		require.Empty(t, off.roleOf(account), "nor later")
	})

	t.Run("RB20_AnAddressThatIsNotProvenJoinsNothing", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		o.verified("unproven.example")
		account := h.signUp("x@unproven.example")
		h.accounts.mu.Lock()
		h.accounts.unverified[account.String()] = true // an admin has changed something since
		h.accounts.mu.Unlock()
		moved := h.signUp("y@unproven.example")
		h.accounts.set(moved, "y@elsewhere.example")
		h.sweep()
		h.sweep()
		require.Empty(t, o.roleOf(account))
		require.Empty(t, o.roleOf(moved))
		require.Empty(t, o.waiting(o.creator))
		require.Len(t, h.seats.occupied(), 1)
	})

	t.Run("RB14_ARoleThatReachesFurtherIsGivenToNobody", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		o.verified("role.example")
		o.setPolicy("default_join_role", `"admin"`)
		account := h.signUp("x@role.example")
		h.sweep()
		require.Empty(t, o.roleOf(account))
		require.Len(t, h.seats.occupied(), 1)
		o.setPolicy("default_join_role", `"member"`)
		o.seatFreed()
		h.sweep()
		require.Equal(t, "member", o.roleOf(account))
	})

	t.Run("RB14_TheRoleIsLookedAtAgainWhenTheSeatIsTaken", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		o.verified("late.example")
		account := h.signUp("x@late.example")
		h.seats.after = func(method string) error {
			if method == "OccupySeat" {
				o.setPolicy("default_join_role", `"admin"`)
			}
			return nil
		}
		h.sweep()
		h.sweep()
		require.Empty(t, o.roleOf(account))
		require.Len(t, h.seats.occupied(), 1, "the seat is given back")
		require.Len(t, o.waiting(o.creator), 1)
	})

	t.Run("R69_WhoWasRemovedOrDisabledStaysSo", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		o.verified("sticky.example")
		removed, disabled, left := h.signUp("a@sticky.example"), h.signUp("b@sticky.example"), h.signUp("c@sticky.example")
		for range 3 {
			h.sweep()
		}
		require.Equal(t, "member", o.roleOf(removed))
		require.Equal(t, "member", o.roleOf(disabled))
		_, err := o.remove(o.creator, removed)
		require.NoError(t, err)
		_, err = o.disable(o.creator, disabled)
		require.NoError(t, err)
		_, err = o.leave(left)
		require.NoError(t, err)
		for _, account := range []id.Account{removed, disabled, left} { // the address is proven once more
			h.hear("identity", "account.email_verified", account.String(), 9,
				&eventv1.AccountEmailVerified{Personal: &eventv1.Personal{Email: "a@sticky.example"}})
		}
		h.sweep()
		require.Empty(t, o.roleOf(removed))
		require.Empty(t, o.roleOf(left))
		member, err := o.get(o.creator, disabled)
		require.NoError(t, err)
		require.Equal(t, membershipv1.Member_STATE_DISABLED, member.GetState())
		require.Empty(t, o.waiting(o.creator))
		require.NoError(t, o.addAs(removed, id.NewSeat(), "member"), "an invitation brings them back")
	})

	t.Run("S1-48_WithoutASeatTheyWaitInOrder", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		o.verified("wait.example")
		h.setLimit(1)
		var queue []id.Account
		for i := range 3 {
			queue = append(queue, h.signUp(fmt.Sprintf("p%d@wait.example", i)))
			h.sweep()
		}
		all, err := o.domains.ListWaitingJoins(o.as(o.creator), &membershipv1.ListWaitingJoinsRequest{OrganizationId: o.id.String(), PageSize: 500})
		require.NoError(t, err)
		require.Len(t, all.GetJoins(), 3)
		waiting := o.waiting(o.creator)
		require.Len(t, waiting, 3)
		for i, account := range queue {
			require.Equal(t, account.String(), waiting[i].GetAccountId())
			require.Equal(t, fmt.Sprintf("p%d@wait.example", i), waiting[i].GetEmail())
			require.Equal(t, "wait.example", waiting[i].GetDomain())
			require.Equal(t, "Ada Lovelace", waiting[i].GetDisplayName())
			require.Empty(t, o.roleOf(account))
		}
		require.Zero(t, h.due()-1, "nothing but the domain's next check")
		o.seatFreed()
		h.sweep()
		require.Len(t, o.waiting(o.creator), 3, "the seat was somebody else's")

		h.setLimit(2)
		o.seatFreed()
		h.sweep()
		h.sweep()
		require.Equal(t, "member", o.roleOf(queue[0]))
		require.Len(t, o.waiting(o.creator), 2)
		h.setLimit(0)
		o.hear("billing", "seat.limit_changed", o.id.String(), 2, &eventv1.SeatLimitChanged{})
		h.sweep()
		h.sweep()
		require.Equal(t, "member", o.roleOf(queue[1]), "one lets in the next")
		require.Equal(t, "member", o.roleOf(queue[2]))
		require.Empty(t, o.waiting(o.creator))
		require.Len(t, h.seats.occupied(), 4)
	})

	t.Run("WhoWaitsIsNotSeenByOthers", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, other := h.create(portal), h.create(portal)
		o.verified("seen.example")
		h.setLimit(2)
		h.signUp("x@seen.example")
		h.sweep()
		require.Empty(t, other.waiting(other.creator))
		_, err := o.domains.ListWaitingJoins(o.as(other.creator), &membershipv1.ListWaitingJoinsRequest{OrganizationId: o.id.String()})
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		require.Len(t, o.waiting(o.creator), 1)
	})

	t.Run("AnInvitationToTheAddressGoesFirst", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		o.verified("invited.example")
		invitation := id.NewInvitation()
		invited := &eventv1.Invitation{InvitationId: invitation.String(), Role: "admin", State: eventv1.Invitation_STATE_PENDING}
		h.hear("invitation", "invitation.created", o.id.String(), 1, &eventv1.InvitationCreated{
			Invitation: invited, Personal: &eventv1.Personal{Email: "Ada@invited.example"}})
		account := h.signUp("ada@invited.example")
		h.sweep()
		require.Empty(t, o.roleOf(account), "or the invitation would find them a member, with the smaller role")
		require.Empty(t, o.waiting(o.creator), "and not for a seat")

		h.hear("invitation", "invitation.revoked", o.id.String(), 2, &eventv1.InvitationRevoked{
			Before: invited, After: &eventv1.Invitation{InvitationId: invitation.String(), State: eventv1.Invitation_STATE_REVOKED}})
		h.sweep()
		require.Equal(t, "member", o.roleOf(account))
	})

	t.Run("ADomainThatIsRemovedLetsNobodyInAnyMore", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		o.verified("removed.example")
		h.setLimit(1)
		account := h.signUp("x@removed.example")
		h.sweep()
		_, err := h.domains.RemoveDomain(o.as(o.creator), &membershipv1.RemoveDomainRequest{OrganizationId: o.id.String(), Domain: "removed.example"})
		require.NoError(t, err)
		require.Empty(t, o.waiting(o.creator))
		h.setLimit(0)
		o.seatFreed()
		h.sweep()
		require.Empty(t, o.roleOf(account))
	})

	t.Run("WhatHappensWhileTheSeatIsTakenCounts", func(t *testing.T) {
		t.Parallel()
		for name, test := range map[string]struct {
			meanwhile func(organization, id.Account) error
			role      string
		}{
			"AnInvitationIsAccepted": {func(o organization, account id.Account) error { return o.addAs(account, id.NewSeat(), "admin") }, "admin"},
			"TheDomainIsRemoved": {func(o organization, _ id.Account) error {
				_, err := o.domains.RemoveDomain(o.as(o.creator), &membershipv1.RemoveDomainRequest{OrganizationId: o.id.String(), Domain: "busy.example"})
				return err
			}, ""},
			"TheOrganizationIsDeleted": {func(o organization, _ id.Account) error {
				_, err := o.organizations.DeleteOrganization(o.as(o.creator), &membershipv1.DeleteOrganizationRequest{OrganizationId: o.id.String()})
				return err
			}, "gone"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				h := newHarness(t)
				o := h.create(portal)
				o.verified("busy.example")
				account := h.signUp("x@busy.example")
				h.seats.after = func(method string) error {
					if method == "OccupySeat" {
						return test.meanwhile(o, account)
					}
					return nil
				}
				h.sweep()
				h.sweep()
				require.Len(t, h.seats.occupied(), 1, "the seat is given back")
				if test.role == "gone" {
					require.Equal(t, "organization.deleted", o.types()[len(o.types())-1])
					require.Zero(t, h.due())
					return
				}
				require.Equal(t, test.role, o.roleOf(account))
				require.Empty(t, o.waiting(o.creator))
			})
		}
	})

	t.Run("BillingThatDoesNotAnswerLosesNobody", func(t *testing.T) {
		t.Parallel()
		for _, method := range []string{"ReserveSeats", "OccupySeat"} {
			for _, lost := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s lost=%t", method, lost), func(t *testing.T) {
					t.Parallel()
					h := newHarness(t)
					o := h.create(portal)
					o.verified("away.example")
					failed := false
					fail := func(called string) error {
						if called == method && !failed {
							failed = true
							return errors.New("billing is away")
						}
						return nil
					}
					if lost {
						h.seats.after = fail
					} else {
						h.seats.before = fail
					}
					account := h.signUp("x@away.example")
					require.Error(t, h.sweepOne("join", account))
					var seat id.Seat
					require.NoError(t, o.owner().QueryRow(t.Context(), `SELECT seat_id FROM member_operations WHERE kind = 'JOIN'`).Scan(&seat))
					require.Equal(t, []bool{true}, o.alive(seat), "billing leaves the seat alone")
					h.sweep()
					require.Equal(t, "member", o.roleOf(account))
					require.Len(t, h.seats.occupied(), 2)
				})
			}
		}
	})
}
