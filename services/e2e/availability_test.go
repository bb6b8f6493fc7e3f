package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

const (
	available   = membershipv1.Availability_STATE_AVAILABLE
	onCall      = membershipv1.Availability_STATE_ON_CALL
	unavailable = membershipv1.Availability_STATE_UNAVAILABLE
)

// in is a time from now.
func in(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(time.Now().Add(d)) }

// listed is a member's row on the list.
func (o *organization) listed(t *testing.T, of *person) *membershipv1.Person {
	t.Helper()
	for _, row := range o.people(t, o.owner) {
		if row.GetAccountId() == of.ID {
			return row
		}
	}
	t.Fatalf("%s is not on the list", of.ID)
	return nil
}

func (o *organization) override(t *testing.T, of *person, state membershipv1.Availability_State, from, to time.Duration) *membershipv1.Override {
	t.Helper()
	made, err := of.CreateOverride(t.Context(), &membershipv1.CreateOverrideRequest{
		OrganizationId: o.ID, AccountId: of.ID, State: state, StartTime: in(from), EndTime: in(to), Note: "dentist"})
	require.NoError(t, err)
	return made.GetOverride()
}

// showing are the members that the list shows, by availability.
func (o *organization) showing(t *testing.T, show membershipv1.ListPeopleRequest_Show, narrow ...func(*membershipv1.ListPeopleRequest)) (accounts []string) {
	t.Helper()
	narrow = append(narrow, func(r *membershipv1.ListPeopleRequest) { r.Availability = show })
	for _, row := range o.people(t, o.owner, narrow...) {
		accounts = append(accounts, row.GetAccountId())
	}
	return accounts
}

func TestAvailability(t *testing.T) {
	t.Parallel()

	scenario(t, "S2-02 S2-07 every row has role, availability and status, and the availability follows the schedule by itself", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member := org.join(t, "member")
		row := org.listed(t, member)
		require.Equal(t, "member", row.GetRole())
		require.Equal(t, membershipv1.Person_STATE_ACTIVE, row.GetState())
		require.Equal(t, available, row.GetAvailability(), "without a schedule")

		day := time.Now().UTC().AddDate(0, 0, -2).Weekday()
		hours, err := member.SetWeeklyHours(t.Context(), &membershipv1.SetWeeklyHoursRequest{
			OrganizationId: org.ID, AccountId: member.ID, WeeklyHours: &membershipv1.WeeklyHours{TimeZone: "Etc/UTC", Intervals: []*membershipv1.WeeklyHours_Interval{
				{Day: membershipv1.WeeklyHours_Day((day+6)%7 + 1), Start: "22:00", End: "06:00"}}}})
		require.NoError(t, err)
		require.Equal(t, unavailable, hours.GetAvailability().GetState())
		require.Equal(t, unavailable, org.listed(t, member).GetAvailability(), "not in these hours")

		org.override(t, member, onCall, 500*time.Millisecond, 2*time.Second)
		eventually(t, func() bool { return org.listed(t, member).GetAvailability() == onCall }, "the shift begins")
		eventually(t, func() bool { return org.listed(t, member).GetAvailability() == unavailable }, "the shift ends")

		rotation, err := org.owner.CreateRotation(t.Context(), &membershipv1.CreateRotationRequest{
			OrganizationId: org.ID, DisplayName: "Pager", TimeZone: "Europe/Berlin", StartTime: in(-time.Hour), EndTime: in(40 * time.Hour),
			Turn: &membershipv1.Every{Count: 1}, Participants: []string{member.ID, org.owner.ID}})
		require.NoError(t, err)
		require.Equal(t, onCall, org.listed(t, member).GetAvailability())
		require.Equal(t, available, org.listed(t, org.owner).GetAvailability())
		listed, err := member.ListRotations(t.Context(), &membershipv1.ListRotationsRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		require.Len(t, listed.GetRotations()[0].GetTurns(), 2)
		at, err := member.GetAvailabilityAt(t.Context(), &membershipv1.GetAvailabilityAtRequest{
			OrganizationId: org.ID, AccountId: org.owner.ID, StartTime: in(30 * time.Hour), EndTime: in(50 * time.Hour)})
		require.NoError(t, err)
		require.Equal(t, onCall, at.GetState())
		require.Len(t, at.GetPeriods(), 2)
		_, err = org.owner.UpdateRotation(t.Context(), &membershipv1.UpdateRotationRequest{
			OrganizationId: org.ID, RotationId: rotation.GetRotation().GetId(), DisplayName: "Pager", TimeZone: "Europe/Berlin", StartTime: in(-time.Hour),
			Turn: &membershipv1.Every{Count: 1, Unit: membershipv1.Every_UNIT_WEEK}, Participants: []string{org.owner.ID}, Etag: rotation.GetRotation().GetEtag()})
		require.NoError(t, err)
		require.Equal(t, unavailable, org.listed(t, member).GetAvailability())
		require.Equal(t, onCall, org.listed(t, org.owner).GetAvailability())
		_, err = org.owner.DeleteRotation(t.Context(), &membershipv1.DeleteRotationRequest{OrganizationId: org.ID, RotationId: rotation.GetRotation().GetId()})
		require.NoError(t, err)
		require.Equal(t, available, org.listed(t, org.owner).GetAvailability())

		require.Equal(t, 1, org.events(t, "membership", "member.hours_changed"))
		require.Equal(t, 1, org.events(t, "membership", "member.override_added"))
		require.Zero(t, org.events(t, "membership", "member.override_removed"), "time is nobody's doing")
		require.Equal(t, 1, org.events(t, "membership", "organization.rotation_updated"))
	})

	scenario(t, "S2-11 S2-12 C24 the toggle and the search narrow the list together, and so does everything else", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		away, duty, there := org.join(t, "member"), org.join(t, "member"), org.join(t, "admin")
		org.override(t, away, unavailable, -time.Hour, time.Hour)
		org.override(t, duty, onCall, -time.Hour, time.Hour)
		org.invite(t, unique("later")+"@example.com", "member")
		all, can, cannot := membershipv1.ListPeopleRequest_SHOW_ALL, membershipv1.ListPeopleRequest_SHOW_AVAILABLE, membershipv1.ListPeopleRequest_SHOW_UNAVAILABLE
		members := func(r *membershipv1.ListPeopleRequest) { r.View = membershipv1.ListPeopleRequest_VIEW_MEMBERS }
		require.ElementsMatch(t, []string{org.owner.ID, away.ID, duty.ID, there.ID}, org.showing(t, all, members))
		require.ElementsMatch(t, []string{org.owner.ID, duty.ID, there.ID}, org.showing(t, can))
		require.Equal(t, []string{away.ID}, org.showing(t, cannot))
		search := func(r *membershipv1.ListPeopleRequest) { r.Query = "grace" }
		require.ElementsMatch(t, []string{duty.ID, there.ID}, org.showing(t, can, search))
		require.Equal(t, []string{duty.ID}, org.showing(t, can, search, func(r *membershipv1.ListPeopleRequest) {
			r.Roles, r.States = []string{"member"}, []membershipv1.Person_State{membershipv1.Person_STATE_ACTIVE}
		}))
		_, err := org.owner.DisableMember(t.Context(), &membershipv1.DisableMemberRequest{OrganizationId: org.ID, AccountId: away.ID})
		require.NoError(t, err)
		require.Empty(t, org.showing(t, cannot), "who is disabled is neither")
		require.Equal(t, membershipv1.Availability_STATE_UNSPECIFIED, org.listed(t, away).GetAvailability())
	})

	scenario(t, "C25 a scheduler of the deployment's own reports, and where there is no use for availability there is none", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		member := org.join(t, "member")
		scheduler := operator(over)
		report := func(o *organization, of *person, state membershipv1.Availability_State, at, until time.Duration) (*membershipv1.ReportAvailabilityResponse, error) {
			return scheduler.ReportAvailability(t.Context(), &membershipv1.ReportAvailabilityRequest{OrganizationId: o.ID,
				Reports: []*membershipv1.ReportAvailabilityRequest_Report{{AccountId: of.ID, State: state, ReportTime: in(at), UntilTime: in(until)}}})
		}
		told, err := report(org, member, onCall, -time.Second, 2*time.Second)
		require.NoError(t, err)
		require.Equal(t, []membershipv1.ReportAvailabilityResponse_Outcome{membershipv1.ReportAvailabilityResponse_OUTCOME_APPLIED}, told.GetOutcomes())
		require.Equal(t, onCall, org.listed(t, member).GetAvailability())
		told, err = report(org, member, unavailable, -time.Minute, time.Hour)
		require.NoError(t, err)
		require.Equal(t, []membershipv1.ReportAvailabilityResponse_Outcome{membershipv1.ReportAvailabilityResponse_OUTCOME_SUPERSEDED}, told.GetOutcomes())
		eventually(t, func() bool { return org.listed(t, member).GetAvailability() == available }, "the report counts no more")
		_, err = org.owner.ReportAvailability(t.Context(), &membershipv1.ReportAvailabilityRequest{OrganizationId: org.ID,
			Reports: []*membershipv1.ReportAvailabilityRequest_Report{{AccountId: member.ID, State: onCall, ReportTime: in(0), UntilTime: in(time.Hour)}}})
		refused(t, err, errorv1.Reason_REASON_CALLER_REFUSED)

		without := create(t, over, pipeline)
		require.Equal(t, membershipv1.Availability_STATE_UNSPECIFIED, without.listed(t, without.owner).GetAvailability())
		_, err = report(without, without.owner, onCall, -time.Second, time.Hour)
		refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
		_, err = without.owner.GetAvailability(t.Context(), &membershipv1.GetAvailabilityRequest{OrganizationId: without.ID, AccountId: without.owner.ID})
		refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
		_, err = without.owner.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: without.ID, Availability: membershipv1.ListPeopleRequest_SHOW_AVAILABLE})
		refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
	})
}
