package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func TestAvailability(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	state := &membershipv1.Availability{AccountId: "acc_2", State: membershipv1.Availability_STATE_ON_CALL, NextChangeTime: away(day), Etag: "3",
		WeeklyHours: &membershipv1.WeeklyHours{TimeZone: "Europe/Berlin", Intervals: []*membershipv1.WeeklyHours_Interval{
			{Day: membershipv1.WeeklyHours_DAY_MONDAY, Start: "09:00", End: "12:30"}}}}
	shift := &membershipv1.Override{Id: "ovr_1", AccountId: "acc_2", State: membershipv1.Availability_STATE_ON_CALL, StartTime: away(-day), EndTime: away(day),
		Repeat: &membershipv1.Repeat{Every: &membershipv1.Every{Count: 2, Unit: membershipv1.Every_UNIT_WEEK}}, Note: "pager"}
	rotation := &membershipv1.Rotation{Id: "rot_1", DisplayName: "Pager", Turn: &membershipv1.Every{Count: 1, Unit: membershipv1.Every_UNIT_WEEK},
		Participants: []string{"acc_2", "acc_3"}, Turns: []*membershipv1.Rotation_Turn{{AccountId: "acc_2", EndTime: away(day)}}, Etag: "1"}
	gives(w, &membershipv1.GetAvailabilityRequest{}, &membershipv1.GetAvailabilityResponse{Availability: state})
	gives(w, &membershipv1.SetWeeklyHoursRequest{}, &membershipv1.SetWeeklyHoursResponse{Availability: state})
	gives(w, &membershipv1.CreateOverrideRequest{}, &membershipv1.CreateOverrideResponse{Override: shift})
	gives(w, &membershipv1.ListOverridesRequest{}, &membershipv1.ListOverridesResponse{Overrides: []*membershipv1.Override{shift}})
	gives(w, &membershipv1.DeleteOverrideRequest{}, &membershipv1.DeleteOverrideResponse{Availability: state})
	gives(w, &membershipv1.CreateRotationRequest{}, &membershipv1.CreateRotationResponse{Rotation: rotation})
	gives(w, &membershipv1.UpdateRotationRequest{}, &membershipv1.UpdateRotationResponse{Rotation: rotation})
	gives(w, &membershipv1.ListRotationsRequest{}, &membershipv1.ListRotationsResponse{Rotations: []*membershipv1.Rotation{rotation}})
	gives(w, &membershipv1.DeleteRotationRequest{}, &membershipv1.DeleteRotationResponse{})

	shown := w.ok("availability", "show", "acc_2")
	require.Contains(t, shown, "on call")
	require.Contains(t, shown, "monday 09:00-12:30")
	gives(w, &identityv1.GetMeRequest{}, me)
	require.Equal(t, shown, w.ok("availability", "show"), "without a name: oneself")
	require.Equal(t, me.GetAccount().GetId(), w.last().request.(*membershipv1.GetAvailabilityRequest).GetAccountId())
	require.Equal(t, shown, w.ok("availability", "hours", "acc_2", "monday=09:00-12:30", "sunday=22:00-06:00", "--zone", "Europe/Berlin", "--etag", "2"))
	hours := w.last().request.(*membershipv1.SetWeeklyHoursRequest)
	require.Equal(t, "Europe/Berlin", hours.GetWeeklyHours().GetTimeZone())
	require.Equal(t, membershipv1.WeeklyHours_DAY_SUNDAY, hours.GetWeeklyHours().GetIntervals()[1].GetDay())
	require.Equal(t, "22:00 06:00", hours.GetWeeklyHours().GetIntervals()[1].GetStart()+" "+hours.GetWeeklyHours().GetIntervals()[1].GetEnd())
	require.Equal(t, exitUsage, w.run("availability", "hours", "acc_2", "monday").code)
	require.Equal(t, exitUsage, w.run("availability", "hours", "acc_2", "someday=09:00-10:00").code)

	table := w.ok("availability", "override", "add", "acc_2", "on_call", "--from", "2026-03-10T09:00:00Z", "--to", "2026-03-10T17:00:00Z",
		"--repeat", "2w", "--zone", "Europe/Berlin", "--note", "pager")
	require.Contains(t, table, "2w")
	added := w.last().request.(*membershipv1.CreateOverrideRequest)
	require.Equal(t, membershipv1.Every_UNIT_WEEK, added.GetRepeat().GetEvery().GetUnit())
	require.EqualValues(t, 2, added.GetRepeat().GetEvery().GetCount())
	require.Equal(t, "pager", added.GetNote())
	require.Equal(t, table, w.ok("availability", "override", "list", "acc_2"))
	require.Equal(t, shown, w.ok("availability", "override", "remove", "acc_2", "ovr_1"))
	require.Equal(t, exitUsage, w.run("availability", "override", "add", "acc_2", "on_call", "--from", "tomorrow", "--to", "2026-03-10T17:00:00Z").code)

	listed := w.ok("availability", "rotation", "create", "Pager", "acc_2", "acc_3", "--zone", "Europe/Berlin", "--from", "2026-03-10T09:00:00Z")
	require.Contains(t, listed, "acc_2")
	require.Equal(t, []string{"acc_2", "acc_3"}, w.last().request.(*membershipv1.CreateRotationRequest).GetParticipants())
	require.Equal(t, listed, w.ok("availability", "rotation", "list"))
	require.Equal(t, listed, w.ok("availability", "rotation", "update", "rot_1", "Pager", "acc_2", "--zone", "Europe/Berlin", "--from", "2026-03-10T09:00:00Z", "--turn", "3d", "--etag", "1"))
	require.EqualValues(t, 3, w.last().request.(*membershipv1.UpdateRotationRequest).GetTurn().GetCount())
	require.Equal(t, exitUsage, w.run("availability", "rotation", "create", "Pager", "acc_2", "--zone", "Europe/Berlin", "--from", "2026-03-10T09:00:00Z", "--turn", "soon").code)
	require.Equal(t, "rot_1 is deleted.\n", w.ok("availability", "rotation", "delete", "rot_1"))
}
