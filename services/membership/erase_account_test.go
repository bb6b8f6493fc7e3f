package membership_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// deleted tells as identity does that an account was deleted.
func (h *harness) deleted(account id.Account) {
	h.Helper()
	h.accounts.mu.Lock()
	if h.accounts.gone == nil {
		h.accounts.gone = make(map[string]bool)
	}
	h.accounts.gone[account.String()] = true
	h.accounts.mu.Unlock()
	h.hear("identity", "account.deleted", account.String(), 100, &eventv1.AccountDeleted{Account: &eventv1.Account{AccountId: account.String()}})
}

// erase deletes an account and runs the task that follows from it.
func (h *harness) erase(account id.Account) {
	h.Helper()
	h.deleted(account)
	require.NoError(h, h.sweepOne("erase", account))
}

// rows counts what the owner of the database sees.
func (h *harness) rows(from string, args ...any) (n int) {
	h.Helper()
	require.NoError(h, h.owner().QueryRow(h.Context(), `SELECT count(*) FROM `+from, args...).Scan(&n))
	return n
}

// forgotten expects that an account is nobody in the organization, which has nothing of what it was called.
func (o organization) forgotten(account id.Account, words ...string) {
	o.Helper()
	for _, table := range []string{"people", "people_search", "overrides", "weekly_hours", "availability_reports", "rotation_participants"} {
		column := "account_id"
		if table == "people" || table == "people_search" {
			column = "person_id"
		}
		require.Zero(o, o.rows(table+` WHERE `+column+` = $1`, account), table)
	}
	for _, table := range []string{"group_members", "project_members", "joins"} {
		require.Zero(o, o.rows(table+` WHERE account_id = $1`, account), table)
	}
	require.Zero(o, o.rows(`members WHERE account_id = $1 AND state <> 'REMOVED'`, account))
	for _, table := range []string{"people", "people_search", "overrides", "events", "audit_events", "member_operations", "mails", "idempotency", "joins"} {
		for _, word := range words {
			require.Zero(o, o.rows(table+` r WHERE position(lower($1) IN lower(to_jsonb(r)::text)) > 0
				OR position(encode(convert_to($1, 'UTF8'), 'hex') IN to_jsonb(r)::text) > 0`, word), "%s in %s", word, table)
		}
	}
}

func TestEraseAccount(t *testing.T) {
	t.Parallel()
	const outsider = membershipv1.CheckAccessResponse_DECISION_NOT_A_MEMBER

	t.Run("C14 What a person was goes with the account: groups, projects, hours, notes, turns and reports", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(flat)
		o.policy(`{"availability": true, "groups": true}`)
		ada, bob := o.add("member"), o.add("member")
		group, project := o.group("Engineering"), o.project("Apollo")
		for _, who := range []id.Account{ada, bob} {
			require.NoError(t, o.enroll(o.creator, who, group))
			require.NoError(t, o.engage(o.creator, who, project, "member"))
			_, err := o.override(who, who, unavailable, -time.Minute, time.Hour)
			require.NoError(t, err)
			_, err = o.availability.SetWeeklyHours(o.as(who), &membershipv1.SetWeeklyHoursRequest{OrganizationId: o.id.String(), AccountId: who.String(), WeeklyHours: never()})
			require.NoError(t, err)
		}
		_, err := o.rotate(o.creator, ada, bob)
		require.NoError(t, err)
		f := &fakeScheduler{organization: o, operator: id.NewOperator(), clock: time.Now().Add(-time.Minute)}
		_, err = f.tell(onCall, ada, bob)
		require.NoError(t, err)
		_, err = o.retouch(o.creator, ada, &membershipv1.UpdateMemberRequest{DisplayName: "Nickname of Ada"})
		require.NoError(t, err)
		o.hearOwn()

		o.erase(ada)
		o.forgotten(ada, ada.String()+"@example.com", "Nickname of Ada")
		require.Equal(t, outsider, o.decision(ada, "products.use"))
		require.Equal(t, outsider, o.in(project, ada, "resources.read"), "not as a guest either")
		require.Equal(t, 1, o.rows(`overrides WHERE account_id = $1 AND note = 'dentist'`, bob), "nobody else's is touched")
		require.Equal(t, 1, o.rows(`group_members WHERE account_id = $1`, bob))
		require.Equal(t, 1, o.rows(`project_members WHERE account_id = $1`, bob))
		require.Equal(t, 1, o.rows(`rotation_participants WHERE account_id = $1`, bob))
	})

	t.Run("C14 A guest is nobody in any project", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(flat)
		guest := o.add("member")
		here, there := o.project("Apollo"), o.project("Gemini")
		for _, project := range []*membershipv1.Project{here, there} {
			require.NoError(t, o.engage(o.creator, guest, project, "member"))
		}
		_, err := o.remove(o.creator, guest)
		require.NoError(t, err)
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.in(here, guest, "resources.read"))
		before := len(o.types())
		for range 2 {
			_, err := o.departures.EndMemberships(t.Context(), &membershipv1.EndMembershipsRequest{AccountId: guest.String()})
			require.NoError(t, err)
		}
		require.Equal(t, []string{"project.member_removed", "project.member_removed"}, o.types()[before:])
		require.Equal(t, outsider, o.in(here, guest, "resources.read"))
		require.Equal(t, outsider, o.in(there, guest, "resources.read"))
		o.erase(guest)
		o.forgotten(guest, guest.String()+"@example.com")
		require.Len(t, o.types(), before+2)
	})

	t.Run("RB22 Whom an operator deletes leaves in the operator's name", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		ada, operator := o.add("admin"), id.NewOperator().String()
		_, err := o.departures.EndMemberships(t.Context(), &membershipv1.EndMembershipsRequest{AccountId: ada.String(), OperatorId: operator})
		require.NoError(t, err)
		log := o.history()
		left := log[len(log)-1]
		require.Equal(t, "member.left", left.Type)
		require.Contains(t, left.Data, `"actor":{"kind":"KIND_OPERATOR","id":"`+operator+`"}`)
		_, err = o.departures.EndMemberships(t.Context(), &membershipv1.EndMembershipsRequest{AccountId: ada.String(), OperatorId: "x"})
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
	})

	t.Run("C14 Nobody adds an account that was deleted, and the answer stays no", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		ada, seat := id.NewAccount(), id.NewSeat()
		o.deleted(ada)
		for range 2 {
			refused(t, o.addAs(ada, seat, "member"), errorv1.Reason_REASON_ACCOUNT_NOT_FOUND)
		}
		require.NoError(t, o.sweepOne("erase", ada))
		refused(t, o.addAs(ada, seat, "member"), errorv1.Reason_REASON_ACCOUNT_NOT_FOUND)
		refused(t, o.addAs(ada, id.NewSeat(), "member"), errorv1.Reason_REASON_ACCOUNT_NOT_FOUND)
		o.forgotten(ada, ada.String()+"@example.com")
		require.Zero(t, o.rows(`members WHERE account_id = $1`, ada))
	})

	t.Run("C14 Who was added while the account was being deleted is taken away again, with the seat", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		ada, seat := id.NewAccount(), id.NewSeat()
		_, err := o.departures.EndMemberships(t.Context(), &membershipv1.EndMembershipsRequest{AccountId: ada.String()})
		require.NoError(t, err) // which was nothing yet
		require.NoError(t, o.addAs(ada, seat, "member"))
		o.seats.mu.Lock()
		o.seats.states[seat.String()] = billingv1.SeatState_SEAT_STATE_OCCUPIED
		o.seats.mu.Unlock()
		o.deleted(ada)
		require.NoError(t, o.addAs(ada, seat, "member"), "what was answered stays the answer")
		require.NoError(t, o.sweepOne("erase", ada))
		o.sweep()
		o.forgotten(ada, ada.String()+"@example.com")
		require.NotContains(t, o.seats.occupied(), seat.String())
		types := o.types()
		require.Equal(t, []string{"member.added", "member.left"}, types[len(types)-2:])
	})

	t.Run("C14 An organization whose creator is deleted before it opens never was", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		ada := id.NewAccount()
		h.accounts.name = func(string) string { return "Personal Ada" }
		h.seats.after = func(method string) error {
			if method == "OccupySeat" {
				h.deleted(ada)
			}
			return nil
		}
		_, err := h.organizations.CreateOrganization(h.as(ada), &membershipv1.CreateOrganizationRequest{DisplayName: "Acme", Preset: portal, RequestId: "once"})
		refused(t, err, errorv1.Reason_REASON_ACCOUNT_NOT_FOUND)
		h.sweep()
		require.Equal(t, 1, h.rows(`organizations WHERE state = 'FAILED'`))
		require.Zero(t, h.rows(`members`))
		require.Zero(t, h.rows(`events`))
		require.Empty(t, h.seats.occupied(), "the seat is given back")
		organization{harness: h}.forgotten(ada, "Personal Ada", "ada@example.com")
	})

	t.Run("C14 An organization that opens before its creator is deleted ends with them", func(t *testing.T) {
		t.Parallel()
		for _, preset := range []membershipv1.Preset{portal, flat} {
			h := newHarness(t)
			ada := id.NewAccount()
			h.accounts.name = func(string) string { return "Personal Ada" }
			_, err := h.departures.EndMemberships(t.Context(), &membershipv1.EndMembershipsRequest{AccountId: ada.String()})
			require.NoError(t, err) // they were nothing yet
			answer, err := h.organizations.CreateOrganization(h.as(ada), &membershipv1.CreateOrganizationRequest{DisplayName: "Acme", Preset: preset})
			require.NoError(t, err)
			key, err := id.ParseOrganization(answer.GetOrganization().GetId())
			require.NoError(t, err)
			o := organization{harness: h, id: key, creator: ada}
			o.hearOwn()
			o.erase(ada)
			require.Equal(t, []string{"organization.created", "member.added", "organization.deleted"}, o.types())
			o.hear("identity", "account.deleted", ada.String(), 101, &eventv1.AccountDeleted{Account: &eventv1.Account{AccountId: ada.String()}})
			require.NoError(t, o.sweepOne("erase", ada))
			require.Len(t, o.types(), 3, "once")
			for _, table := range []string{"events", "audit_events", "member_operations"} {
				require.Zero(t, o.rows(table+` r WHERE to_jsonb(r)::text ~ 'Personal Ada' OR to_jsonb(r)::text ~ encode('Personal Ada', 'hex')`), table)
			}
		}
	})

	t.Run("C14 Whoever becomes indispensable meanwhile keeps the account, and is told where", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		ada := o.add("admin")
		answer, err := o.departures.EndMemberships(t.Context(), &membershipv1.EndMembershipsRequest{AccountId: ada.String(), ValidateOnly: true})
		require.NoError(t, err)
		require.Empty(t, answer.GetOrganizations())
		require.NoError(t, o.offer(o.creator, ada))
		require.NoError(t, o.acceptOffer(ada))
		for range 2 {
			answer, err = o.departures.EndMemberships(t.Context(), &membershipv1.EndMembershipsRequest{AccountId: ada.String()})
			require.NoError(t, err)
			require.Len(t, answer.GetOrganizations(), 1)
			require.Equal(t, o.id.String(), answer.GetOrganizations()[0].GetOrganizationId())
		}
		require.Equal(t, "owner", o.roleOf(ada))
	})

	t.Run("C14 An offer of ownership ends with whoever it is to", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		ada := o.add("admin")
		require.NoError(t, o.offer(o.creator, ada))
		_, err := o.departures.EndMemberships(t.Context(), &membershipv1.EndMembershipsRequest{AccountId: ada.String()})
		require.NoError(t, err)
		require.Error(t, o.acceptOffer(ada))
		require.Zero(t, o.rows(`ownership_transfers`))
		o.erase(ada)
		o.forgotten(ada, ada.String()+"@example.com")
	})

	t.Run("C14 Heard twice or late it erases once, and what is heard after it shows nobody", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		ada, invitation := id.NewAccount(), id.NewInvitation()
		_, err := o.admission.AddMember(t.Context(), &membershipv1.AddMemberRequest{OrganizationId: o.id.String(), AccountId: ada.String(), SeatId: id.NewSeat().String(),
			Role: "member", InvitationId: invitation.String(), DisplayName: "Personal Ada", Email: "personal@example.com"})
		require.NoError(t, err)
		told := func(revision int64) {
			o.hear("invitation", "invitation.created", o.id.String(), revision, &eventv1.InvitationCreated{
				Context:    &eventv1.Context{Actor: &eventv1.Actor{Kind: eventv1.Actor_KIND_ACCOUNT, Id: o.creator.String()}},
				Invitation: &eventv1.Invitation{InvitationId: invitation.String(), State: eventv1.Invitation_STATE_PENDING},
				Personal:   &eventv1.Personal{DisplayName: "Personal Ada", Email: "personal@example.com"}})
			o.hear("invitation", "invitation.accepted", o.id.String(), revision+1, &eventv1.InvitationAccepted{
				Context:  &eventv1.Context{Actor: &eventv1.Actor{Kind: eventv1.Actor_KIND_ACCOUNT, Id: ada.String()}},
				After:    &eventv1.Invitation{InvitationId: invitation.String(), State: eventv1.Invitation_STATE_ACCEPTED},
				Personal: &eventv1.Client{ClientAddress: "192.0.2.77"}})
		}
		o.hearOwn()
		told(1)
		o.deny(ada, 1, func(d *membershipv1.Denial) { d.ClientAddress = "192.0.2.77" })
		require.NotZero(t, o.rows(`audit_events WHERE personal::text ~ '192.0.2.77'`))
		o.erase(ada)
		o.forgotten(ada, "Personal Ada", "personal@example.com", "192.0.2.77")

		before := o.types()
		o.deleted(ada) // redelivered
		require.Zero(t, o.rows(`due WHERE kind = 'erase'`))
		o.hearIn(2, "identity", "account.deleted", ada.String(), 100, &eventv1.AccountDeleted{Account: &eventv1.Account{AccountId: ada.String()}}) // published again
		o.sweep()
		require.Equal(t, before, o.types())
		told(3) // on its way until now
		o.deny(ada, 1, func(d *membershipv1.Denial) { d.ClientAddress = "192.0.2.77" })
		o.hear("identity", "account.updated", ada.String(), 99, &eventv1.AccountUpdated{Personal: &eventv1.Personal{DisplayName: "Personal Ada", Email: "personal@example.com"}})
		o.hear("identity", "account.mfa_changed", ada.String(), 98, &eventv1.AccountMfaChanged{After: &eventv1.Mfa{Methods: []string{"TOTP"}}})
		o.forgotten(ada, "Personal Ada", "personal@example.com", "192.0.2.77")
		require.Zero(t, o.rows(`account_factors WHERE account_id = $1`, ada))
		for _, e := range o.deniedEvents() {
			require.Equal(t, "Deleted user", e.GetActor().GetDisplayName())
			require.Empty(t, e.GetClientAddress())
		}
	})

	t.Run("C14 Whoever waits for a seat lets the next one pass", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		h.setLimit(1)
		p, err := o.provider(nil)
		require.NoError(t, err)
		first, second := id.NewAccount(), id.NewAccount()
		o.signsIn(first, p.GetId())
		h.sweep()
		o.signsIn(second, p.GetId())
		h.sweep()
		require.Len(t, o.waiting(o.creator), 2)
		h.erase(first)
		o.signsIn(first, p.GetId()) // redelivered
		calls := 0
		h.seats.before = func(method string) error {
			if method == "ReserveSeats" {
				calls++
			}
			return nil
		}
		h.setLimit(3)
		o.seatFreed()
		for range 3 {
			h.sweep()
		}
		require.NotEmpty(t, o.roleOf(second))
		require.Equal(t, 1, calls, "no seat is taken for who is gone")
		require.Empty(t, o.roleOf(first))
		require.Empty(t, o.waiting(o.creator))
		o.forgotten(first)
	})

	t.Run("C14 Whose seat is taken just then does not join", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		p, err := o.provider(nil)
		require.NoError(t, err)
		ada := id.NewAccount()
		o.signsIn(ada, p.GetId())
		h.seats.after = func(method string) error {
			if method == "OccupySeat" {
				h.deleted(ada)
			}
			return nil
		}
		for range 3 {
			h.sweep()
			o.hear("billing", "seat.released", o.id.String(), int64(h.rows(`positions`)), &eventv1.SeatReleased{})
		}
		require.Empty(t, o.roleOf(ada))
		require.Zero(t, o.rows(`members WHERE account_id = $1`, ada))
		require.Len(t, h.seats.occupied(), 1)
		o.forgotten(ada)
		require.Zero(t, h.due())
	})
}
