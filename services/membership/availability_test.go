package membership_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

const (
	available   = membershipv1.Availability_STATE_AVAILABLE
	onCall      = membershipv1.Availability_STATE_ON_CALL
	unavailable = membershipv1.Availability_STATE_UNAVAILABLE
	nothing     = membershipv1.Availability_STATE_UNSPECIFIED
)

// in is a time from now.
func in(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(time.Now().Add(d)) }

// shown is what the list tells of a member.
func (o organization) shown(account id.Account) *membershipv1.Person {
	o.Helper()
	for _, p := range o.list(o.creator, nil).GetPeople() {
		if p.GetAccountId() == account.String() {
			return p
		}
	}
	o.Fatalf("%s is not on the list", account)
	return nil
}

func (o organization) override(actor, target id.Account, state membershipv1.Availability_State, from, to time.Duration) (*membershipv1.CreateOverrideResponse, error) {
	return o.availability.CreateOverride(o.as(actor), &membershipv1.CreateOverrideRequest{
		OrganizationId: o.id.String(), AccountId: target.String(), State: state, StartTime: in(from), EndTime: in(to), Note: "dentist"})
}

func (o organization) overrides(actor, target id.Account) []*membershipv1.Override {
	o.Helper()
	answer, err := o.availability.ListOverrides(o.as(actor), &membershipv1.ListOverridesRequest{OrganizationId: o.id.String(), AccountId: target.String()})
	require.NoError(o, err)
	return answer.GetOverrides()
}

func (o organization) available(actor, target id.Account) (*membershipv1.Availability, error) {
	answer, err := o.availability.GetAvailability(o.as(actor), &membershipv1.GetAvailabilityRequest{OrganizationId: o.id.String(), AccountId: target.String()})
	return answer.GetAvailability(), err
}

func (o organization) rotate(actor id.Account, participants ...id.Account) (*membershipv1.Rotation, error) {
	req := &membershipv1.CreateRotationRequest{OrganizationId: o.id.String(), DisplayName: "Pager", TimeZone: "Europe/Berlin",
		StartTime: in(-time.Hour), Turn: &membershipv1.Every{Count: 1, Unit: membershipv1.Every_UNIT_WEEK}}
	for _, account := range participants {
		req.Participants = append(req.Participants, account.String())
	}
	answer, err := o.availability.CreateRotation(o.as(actor), req)
	return answer.GetRotation(), err
}

// never is hours in which it is not now: the day before yesterday, in UTC.
func never() *membershipv1.WeeklyHours {
	day := time.Now().UTC().AddDate(0, 0, -2).Weekday()
	return &membershipv1.WeeklyHours{TimeZone: "Etc/UTC", Intervals: []*membershipv1.WeeklyHours_Interval{
		{Day: membershipv1.WeeklyHours_Day((int(day)+6)%7 + 1), Start: "09:00", End: "12:30"}}}
}

func TestSetWeeklyHours(t *testing.T) {
	t.Parallel()

	t.Run("S2-07 The hours count at once, on the list too", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		account := o.add("member")
		before, err := o.available(o.creator, account)
		require.NoError(t, err)
		require.Equal(t, available, before.GetState())
		require.Nil(t, before.GetWeeklyHours())
		require.Equal(t, available, o.shown(account).GetAvailability())

		req := &membershipv1.SetWeeklyHoursRequest{OrganizationId: o.id.String(), AccountId: account.String(), WeeklyHours: never(),
			Etag: before.GetEtag(), RequestId: "once"}
		answer, err := o.availability.SetWeeklyHours(o.as(account), req)
		require.NoError(t, err)
		require.Equal(t, unavailable, answer.GetAvailability().GetState())
		require.True(t, answer.GetAvailability().GetNextChangeTime().AsTime().After(time.Now()))
		require.Equal(t, unavailable, o.shown(account).GetAvailability())
		require.True(t, proto.Equal(answer.GetAvailability().GetNextChangeTime(), o.shown(account).GetAvailabilityChangeTime()))
		require.Equal(t, 1, o.due(), "somebody looks again then")
		after, err := o.available(o.creator, account)
		require.NoError(t, err)
		require.True(t, proto.Equal(after, answer.GetAvailability()), "%v\n%v", after, answer.GetAvailability())
		require.True(t, proto.Equal(never(), after.GetWeeklyHours()), after)

		again, err := o.availability.SetWeeklyHours(o.as(account), req)
		require.NoError(t, err)
		require.True(t, proto.Equal(answer, again))
		req.RequestId = "twice"
		_, err = o.availability.SetWeeklyHours(o.as(account), req)
		refused(t, err, errorv1.Reason_REASON_ETAG_MISMATCH)
		req.Etag = ""
		_, err = o.availability.SetWeeklyHours(o.as(account), req)
		require.NoError(t, err, "they are set already")

		_, err = o.availability.SetWeeklyHours(o.as(o.creator), &membershipv1.SetWeeklyHoursRequest{OrganizationId: o.id.String(), AccountId: account.String()})
		require.NoError(t, err)
		require.Equal(t, available, o.shown(account).GetAvailability(), "without hours")
		require.Nil(t, o.shown(account).GetAvailabilityChangeTime())
		require.Zero(t, o.due())

		log := o.history()[3:]
		require.Len(t, log, 2)
		require.Equal(t, "member.hours_changed", log[0].Type)
		require.Contains(t, log[0].Data, `"before":{},"after":{"timeZone":"Etc/UTC","intervals":[{"day":`)
		require.Contains(t, log[0].Data, `"start":"09:00","end":"12:30"}]}`)
		require.Contains(t, log[0].Data, `"cause":{"kind":"KIND_SELF"}`)
		require.Contains(t, log[1].Data, `"cause":{"kind":"KIND_ADMIN"}`)
	})

	t.Run("Refusals", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, foreign := h.create(rbac), h.create(rbac)
		admin, member, peer := o.add("admin"), o.add("member"), o.add("member")
		events := len(o.history())
		set := func(actor, target id.Account) error {
			_, err := o.availability.SetWeeklyHours(o.as(actor), &membershipv1.SetWeeklyHoursRequest{
				OrganizationId: o.id.String(), AccountId: target.String(), WeeklyHours: never()})
			return err
		}
		refused(t, set(member, peer), errorv1.Reason_REASON_PERMISSION_MISSING)
		refused(t, set(admin, o.creator), errorv1.Reason_REASON_OWNER_PROTECTED)
		refused(t, set(foreign.creator, member), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		refused(t, set(admin, foreign.creator), errorv1.Reason_REASON_MEMBER_NOT_FOUND)
		_, err := o.available(foreign.creator, member)
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		_, err = o.available(admin, foreign.creator)
		refused(t, err, errorv1.Reason_REASON_MEMBER_NOT_FOUND)
		require.Len(t, o.history(), events)
		require.NoError(t, set(admin, member))
	})

	t.Run("C25 Where it is off nothing is shown, and nothing taken", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		account := o.add("viewer")
		_, err := o.available(o.creator, account)
		refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
		_, err = o.override(account, account, unavailable, -time.Hour, time.Hour)
		refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
		_, err = o.rotate(o.creator, account)
		refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
		_, err = o.availability.ListRotations(o.as(o.creator), &membershipv1.ListRotationsRequest{OrganizationId: o.id.String()})
		refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
		_, err = o.members.ListPeople(o.as(o.creator), &membershipv1.ListPeopleRequest{
			OrganizationId: o.id.String(), Availability: membershipv1.ListPeopleRequest_SHOW_AVAILABLE})
		refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
		require.Equal(t, nothing, o.shown(account).GetAvailability())
	})
}

func TestOverrides(t *testing.T) {
	t.Parallel()

	t.Run("S2-07 One that begins and ends is on the list by itself", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		account := o.add("member")
		_, err := o.override(account, account, unavailable, 300*time.Millisecond, time.Second)
		require.NoError(t, err)
		require.Equal(t, available, o.shown(account).GetAvailability())
		until := func(state membershipv1.Availability_State) {
			t.Helper()
			require.Eventually(t, func() bool {
				o.sweep()
				return o.shown(account).GetAvailability() == state
			}, 20*time.Second, 10*time.Millisecond)
		}
		until(unavailable)
		until(available)
		require.Empty(t, o.overrides(account, account), "it is over")
		require.Len(t, o.history(), 4, "what is computed is no event")
	})

	t.Run("RULING 32 Duty counts before absence, and taking one back leaves the other", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		account := o.add("member")
		away, err := o.override(account, account, unavailable, -time.Hour, time.Hour)
		require.NoError(t, err)
		require.Equal(t, unavailable, o.shown(account).GetAvailability())
		shift, err := o.override(o.creator, account, onCall, -time.Hour, 2*time.Hour)
		require.NoError(t, err)
		require.Equal(t, onCall, shift.GetAvailability().GetState())
		require.Equal(t, onCall, o.shown(account).GetAvailability())
		require.True(t, proto.Equal(shift.GetOverride().GetEndTime(), o.shown(account).GetAvailabilityChangeTime()), "the absence is over by then")

		require.Len(t, o.overrides(account, account), 2)
		require.True(t, proto.Equal(away.GetOverride(), o.overrides(account, account)[0]))
		require.Equal(t, "dentist", o.overrides(o.creator, account)[0].GetNote())
		require.Empty(t, o.overrides(o.add("member"), account)[0].GetNote(), "why is nobody else's business")

		del := &membershipv1.DeleteOverrideRequest{OrganizationId: o.id.String(), AccountId: account.String(), OverrideId: shift.GetOverride().GetId(), RequestId: "once"}
		answer, err := o.availability.DeleteOverride(o.as(o.creator), del)
		require.NoError(t, err)
		require.Equal(t, unavailable, answer.GetAvailability().GetState())
		require.Equal(t, unavailable, o.shown(account).GetAvailability())
		again, err := o.availability.DeleteOverride(o.as(o.creator), del)
		require.NoError(t, err)
		require.True(t, proto.Equal(answer, again))
		del.RequestId = ""
		_, err = o.availability.DeleteOverride(o.as(o.creator), del)
		refused(t, err, errorv1.Reason_REASON_SCHEDULE_NOT_FOUND)

		log := o.history()
		require.Equal(t, "member.override_removed", log[len(log)-1].Type)
		for _, e := range log {
			require.NotContains(t, e.Data, "dentist")
		}
	})

	t.Run("R77 Another's override is none of mine", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, foreign := h.create(rbac), h.create(rbac)
		account, other := o.add("member"), o.add("member")
		mine, err := o.override(account, account, unavailable, -time.Hour, time.Hour)
		require.NoError(t, err)
		theirs, err := foreign.override(foreign.creator, foreign.creator, unavailable, -time.Hour, time.Hour)
		require.NoError(t, err)
		events := len(o.history()) + len(foreign.history())
		for _, c := range []struct {
			actor, target id.Account
			override      string
			reason        errorv1.Reason
		}{
			{account, account, theirs.GetOverride().GetId(), errorv1.Reason_REASON_SCHEDULE_NOT_FOUND},
			{other, other, mine.GetOverride().GetId(), errorv1.Reason_REASON_SCHEDULE_NOT_FOUND},
			{other, account, mine.GetOverride().GetId(), errorv1.Reason_REASON_PERMISSION_MISSING},
			{foreign.creator, account, mine.GetOverride().GetId(), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND},
		} {
			_, err := o.availability.DeleteOverride(o.as(c.actor), &membershipv1.DeleteOverrideRequest{
				OrganizationId: o.id.String(), AccountId: c.target.String(), OverrideId: c.override})
			refused(t, err, c.reason)
		}
		require.Len(t, o.history(), events-len(foreign.history()))
		require.Len(t, foreign.overrides(foreign.creator, foreign.creator), 1)
	})

	t.Run("WhoIsDisabledHasNoneAndWhoComesBackBeginsAnew", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		account := o.add("member")
		_, err := o.override(account, account, onCall, -time.Hour, time.Hour)
		require.NoError(t, err)
		_, err = o.rotate(o.creator, o.creator, account)
		require.NoError(t, err)
		_, err = o.disable(o.creator, account)
		require.NoError(t, err)
		require.Equal(t, nothing, o.shown(account).GetAvailability())
		got, err := o.available(o.creator, account)
		require.NoError(t, err)
		require.Equal(t, nothing, got.GetState())
		require.Empty(t, o.shownAs(membershipv1.ListPeopleRequest_SHOW_UNAVAILABLE))
		require.NotContains(t, o.shownAs(membershipv1.ListPeopleRequest_SHOW_AVAILABLE), account.String())
		_, err = o.enable(o.creator, account)
		require.NoError(t, err)
		require.Equal(t, onCall, o.shown(account).GetAvailability())

		_, err = o.remove(o.creator, account)
		require.NoError(t, err)
		o.sweep()
		require.Equal(t, 1, o.due(), "the other's turns")
		require.NoError(t, o.addAs(account, id.NewSeat(), "member"))
		require.Equal(t, available, o.shown(account).GetAvailability())
		require.Empty(t, o.overrides(account, account))
		listed, err := o.availability.ListRotations(o.as(o.creator), &membershipv1.ListRotationsRequest{OrganizationId: o.id.String()})
		require.NoError(t, err)
		require.Equal(t, []string{o.creator.String(), ""}, listed.GetRotations()[0].GetParticipants())
	})
}

// shownAs are the members that the list shows under a filter.
func (o organization) shownAs(show membershipv1.ListPeopleRequest_Show) (accounts []string) {
	o.Helper()
	for _, p := range o.list(o.creator, func(r *membershipv1.ListPeopleRequest) { r.Availability = show }).GetPeople() {
		accounts = append(accounts, p.GetAccountId())
	}
	return accounts
}

func TestListByAvailability(t *testing.T) {
	t.Parallel()

	t.Run("S2-11 Whoever is on call can be reached, and it goes with search and pages", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		away, duty, there := o.add("member"), o.add("admin"), o.add("member")
		_, err := o.override(away, away, unavailable, -time.Hour, time.Hour)
		require.NoError(t, err)
		_, err = o.override(duty, duty, onCall, -time.Hour, time.Hour)
		require.NoError(t, err)
		require.Equal(t, []string{away.String()}, o.shownAs(membershipv1.ListPeopleRequest_SHOW_UNAVAILABLE))
		require.ElementsMatch(t, []string{o.creator.String(), duty.String(), there.String()}, o.shownAs(membershipv1.ListPeopleRequest_SHOW_AVAILABLE))
		require.Len(t, o.shownAs(membershipv1.ListPeopleRequest_SHOW_ALL), 4)
		searched := o.list(o.creator, func(r *membershipv1.ListPeopleRequest) {
			r.Availability, r.Query = membershipv1.ListPeopleRequest_SHOW_AVAILABLE, "member"
		}).GetPeople()
		require.Len(t, searched, 2)

		first := o.list(o.creator, func(r *membershipv1.ListPeopleRequest) {
			r.Availability, r.PageSize = membershipv1.ListPeopleRequest_SHOW_AVAILABLE, 2
		})
		next := func(show membershipv1.ListPeopleRequest_Show) (*membershipv1.ListPeopleResponse, error) {
			return o.members.ListPeople(o.as(o.creator), &membershipv1.ListPeopleRequest{
				OrganizationId: o.id.String(), Availability: show, PageSize: 2, PageToken: first.GetNextPageToken()})
		}
		second, err := next(membershipv1.ListPeopleRequest_SHOW_AVAILABLE)
		require.NoError(t, err)
		require.Len(t, second.GetPeople(), 1)
		_, err = next(membershipv1.ListPeopleRequest_SHOW_UNAVAILABLE)
		refused(t, err, errorv1.Reason_REASON_PAGE_TOKEN_INVALID)
	})
}

func TestRotations(t *testing.T) {
	t.Parallel()

	t.Run("S2-07 Duty is taken in turns, and a change counts at once", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		a, b := o.add("member"), o.add("admin")
		rotation, err := o.rotate(b, a, b)
		require.NoError(t, err)
		require.Equal(t, onCall, o.shown(a).GetAvailability())
		require.Equal(t, available, o.shown(b).GetAvailability())
		require.Len(t, rotation.GetTurns(), 5)
		require.Equal(t, a.String(), rotation.GetTurns()[0].GetAccountId())
		require.True(t, proto.Equal(rotation.GetTurns()[1].GetStartTime(), o.shown(b).GetAvailabilityChangeTime()))
		listed, err := o.availability.ListRotations(o.as(a), &membershipv1.ListRotationsRequest{OrganizationId: o.id.String()})
		require.NoError(t, err)
		require.Len(t, listed.GetRotations(), 1)
		require.True(t, proto.Equal(rotation, listed.GetRotations()[0]), "%v\n%v", rotation, listed)

		update := &membershipv1.UpdateRotationRequest{OrganizationId: o.id.String(), RotationId: rotation.GetId(), DisplayName: "Phone",
			TimeZone: "America/New_York", StartTime: in(-time.Hour), Turn: &membershipv1.Every{Count: 2}, Participants: []string{b.String(), o.creator.String()},
			Etag: rotation.GetEtag(), RequestId: "once"}
		updated, err := o.availability.UpdateRotation(o.as(b), update)
		require.NoError(t, err)
		require.Equal(t, "Phone", updated.GetRotation().GetDisplayName())
		require.Equal(t, available, o.shown(a).GetAvailability())
		require.Equal(t, onCall, o.shown(b).GetAvailability())
		again, err := o.availability.UpdateRotation(o.as(b), update)
		require.NoError(t, err)
		require.True(t, proto.Equal(updated, again))
		update.RequestId = ""
		_, err = o.availability.UpdateRotation(o.as(b), update)
		refused(t, err, errorv1.Reason_REASON_ETAG_MISMATCH)

		at, err := o.availability.GetAvailabilityAt(o.as(a), &membershipv1.GetAvailabilityAtRequest{
			OrganizationId: o.id.String(), AccountId: b.String(), StartTime: in(0), EndTime: in(4 * 24 * time.Hour)})
		require.NoError(t, err)
		require.Equal(t, onCall, at.GetState())
		require.Len(t, at.GetPeriods(), 3, at)
		instant, err := o.availability.GetAvailabilityAt(o.as(a), &membershipv1.GetAvailabilityAtRequest{
			OrganizationId: o.id.String(), AccountId: o.creator.String(), StartTime: in(3 * 24 * time.Hour)})
		require.NoError(t, err)
		require.Equal(t, onCall, instant.GetState())
		require.Empty(t, instant.GetPeriods())
		_, err = o.availability.GetAvailabilityAt(o.as(a), &membershipv1.GetAvailabilityAtRequest{
			OrganizationId: o.id.String(), AccountId: b.String(), EndTime: in(32 * 24 * time.Hour)})
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)

		_, err = o.availability.DeleteRotation(o.as(b), &membershipv1.DeleteRotationRequest{OrganizationId: o.id.String(), RotationId: rotation.GetId()})
		require.NoError(t, err)
		require.Equal(t, available, o.shown(b).GetAvailability())
		require.Zero(t, o.due())
		require.Equal(t, []string{"organization.rotation_created", "organization.rotation_updated", "organization.rotation_deleted"}, o.types()[4:])
		require.Contains(t, o.history()[5].Data, `"before":{"rotationId":"`+rotation.GetId()+`","displayName":"Pager"`)
	})

	t.Run("R77 Refusals", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, foreign := h.create(rbac), h.create(rbac)
		member := o.add("member")
		theirs, err := foreign.rotate(foreign.creator, foreign.creator)
		require.NoError(t, err)
		events := len(o.history())
		_, err = o.rotate(member, member)
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = o.rotate(o.creator, member, foreign.creator)
		refused(t, err, errorv1.Reason_REASON_MEMBER_NOT_FOUND)
		_, err = o.rotate(foreign.creator, member)
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		_, err = o.availability.DeleteRotation(o.as(o.creator), &membershipv1.DeleteRotationRequest{OrganizationId: o.id.String(), RotationId: theirs.GetId()})
		refused(t, err, errorv1.Reason_REASON_SCHEDULE_NOT_FOUND)
		require.Len(t, o.history(), events)
		require.Equal(t, onCall, foreign.shown(foreign.creator).GetAvailability())
	})
}

// fakeScheduler is a scheduler that a deployment has already: it knows who is on shift, and tells.
type fakeScheduler struct {
	organization
	operator id.Operator
	clock    time.Time
}

func (f *fakeScheduler) tell(state membershipv1.Availability_State, accounts ...id.Account) (*membershipv1.ReportAvailabilityResponse, error) {
	f.clock = f.clock.Add(time.Second)
	return f.report(f.clock, state, time.Hour, accounts...)
}

func (f *fakeScheduler) report(at time.Time, state membershipv1.Availability_State, lasting time.Duration, accounts ...id.Account) (*membershipv1.ReportAvailabilityResponse, error) {
	req := &membershipv1.ReportAvailabilityRequest{OrganizationId: f.id.String()}
	for _, account := range accounts {
		req.Reports = append(req.Reports, &membershipv1.ReportAvailabilityRequest_Report{
			AccountId: account.String(), State: state, ReportTime: timestamppb.New(at), UntilTime: in(lasting)})
	}
	ctx := metadata.AppendToOutgoingContext(context.WithoutCancel(f.Context()), "authorization", "Bearer "+f.operator.String())
	return f.scheduler.ReportAvailability(ctx, req)
}

func TestReportAvailability(t *testing.T) {
	t.Parallel()
	const applied, superseded, absent = membershipv1.ReportAvailabilityResponse_OUTCOME_APPLIED,
		membershipv1.ReportAvailabilityResponse_OUTCOME_SUPERSEDED, membershipv1.ReportAvailabilityResponse_OUTCOME_MEMBER_NOT_FOUND

	t.Run("C25 Another scheduler says who can be reached, and the hours count when it falls silent", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, foreign := h.create(rbac), h.create(rbac)
		a, b := o.add("member"), o.add("member")
		_, err := o.availability.SetWeeklyHours(o.as(a), &membershipv1.SetWeeklyHoursRequest{OrganizationId: o.id.String(), AccountId: a.String(), WeeklyHours: never()})
		require.NoError(t, err)
		events := len(o.history())
		f := &fakeScheduler{organization: o, operator: id.NewOperator(), clock: time.Now().Add(-time.Minute)}

		answer, err := f.tell(available, a, foreign.creator, b)
		require.NoError(t, err)
		require.Equal(t, []membershipv1.ReportAvailabilityResponse_Outcome{applied, absent, applied}, answer.GetOutcomes())
		require.Equal(t, available, o.shown(a).GetAvailability())
		_, err = f.tell(onCall, b)
		require.NoError(t, err)
		require.Equal(t, onCall, o.shown(b).GetAvailability())

		for _, late := range []time.Time{f.clock, f.clock.Add(-time.Second)} { // the same once more; one that was on its way for long
			answer, err = f.report(late, unavailable, time.Hour, b)
			require.NoError(t, err)
			require.Equal(t, []membershipv1.ReportAvailabilityResponse_Outcome{superseded}, answer.GetOutcomes())
			require.Equal(t, onCall, o.shown(b).GetAvailability())
		}

		_, err = o.override(b, b, unavailable, -time.Hour, time.Hour)
		require.NoError(t, err)
		require.Equal(t, onCall, o.shown(b).GetAvailability(), "duty counts first")
		_, err = f.tell(available, b)
		require.NoError(t, err)
		require.Equal(t, unavailable, o.shown(b).GetAvailability(), "then what people say of themselves")

		f.clock = f.clock.Add(time.Second)
		_, err = f.report(f.clock, onCall, 300*time.Millisecond, a)
		require.NoError(t, err)
		require.Equal(t, onCall, o.shown(a).GetAvailability())
		require.Eventually(t, func() bool {
			o.sweep()
			return o.shown(a).GetAvailability() == unavailable
		}, 20*time.Second, 10*time.Millisecond, "it has said nothing since")
		require.Len(t, o.history(), events+1, "the one is the absence")
		require.Equal(t, available, foreign.shown(foreign.creator).GetAvailability())
	})

	t.Run("Refusals", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, off := h.create(rbac), h.create(pipeline)
		a, b := o.add("member"), o.add("member")
		f := &fakeScheduler{organization: o, operator: id.NewOperator(), clock: time.Now().Add(-time.Minute)}
		_, err := f.tell(onCall, a, a)
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		_, err = f.report(time.Now(), onCall, 40*24*time.Hour, a)
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		_, err = f.tell(nothing, a, b)
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		_, err = f.tell(onCall)
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		require.Equal(t, available, o.shown(a).GetAvailability())
		_, err = o.scheduler.ReportAvailability(o.as(o.creator), &membershipv1.ReportAvailabilityRequest{
			OrganizationId: o.id.String(), Reports: []*membershipv1.ReportAvailabilityRequest_Report{{AccountId: a.String()}}})
		refused(t, err, errorv1.Reason_REASON_CALLER_REFUSED)
		f.organization = off
		_, err = f.tell(onCall, off.creator)
		refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
		f.id = id.NewOrganization()
		_, err = f.tell(onCall, off.creator)
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
	})
}
