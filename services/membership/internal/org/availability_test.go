package org_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// at reads a time with its offset.
func at(t *testing.T, text string) time.Time {
	t.Helper()
	when, err := time.Parse("2006-01-02 15:04 -07:00", text)
	require.NoError(t, err)
	return when
}

func zone(t *testing.T, name string) org.Zone {
	t.Helper()
	z, err := org.ParseZone(name)
	require.NoError(t, err)
	return z
}

func weekly(t *testing.T, zone string, intervals ...org.Interval) org.WeeklyHours {
	t.Helper()
	h, err := org.NewWeeklyHours(zone, intervals)
	require.NoError(t, err)
	return h
}

// told is what periods say, as the clock of the zone shows it.
func told(t *testing.T, in string, periods []org.Period) (lines []string) {
	t.Helper()
	place, err := time.LoadLocation(in)
	require.NoError(t, err)
	for _, p := range periods {
		lines = append(lines, p.Start.In(place).Format("Mon 15:04 MST")+" "+string(p.State))
	}
	return lines
}

func TestWeeklyHours(t *testing.T) {
	t.Parallel()
	const berlin = "Europe/Berlin"
	for name, c := range map[string]struct {
		zone      string
		intervals []org.Interval
		from, to  string
		want      []string
	}{
		"two intervals a day": {berlin, []org.Interval{{time.Monday, 9 * 60, 12 * 60}, {time.Monday, 13 * 60, 17*60 + 30}},
			"2026-01-05 00:00 +01:00", "2026-01-06 00:00 +01:00",
			[]string{"Mon 00:00 CET UNAVAILABLE", "Mon 09:00 CET AVAILABLE", "Mon 12:00 CET UNAVAILABLE", "Mon 13:00 CET AVAILABLE", "Mon 17:30 CET UNAVAILABLE"}},
		"over midnight, and over the end of the week": {berlin, []org.Interval{{time.Sunday, 22 * 60, 6 * 60}},
			"2026-01-11 12:00 +01:00", "2026-01-12 12:00 +01:00",
			[]string{"Sun 12:00 CET UNAVAILABLE", "Sun 22:00 CET AVAILABLE", "Mon 06:00 CET UNAVAILABLE"}},
		"asked in the middle of one over midnight": {berlin, []org.Interval{{time.Sunday, 22 * 60, 6 * 60}},
			"2026-01-12 05:00 +01:00", "2026-01-12 07:00 +01:00", []string{"Mon 05:00 CET AVAILABLE", "Mon 06:00 CET UNAVAILABLE"}},
		"a whole day": {berlin, []org.Interval{{time.Monday, 0, 24 * 60}},
			"2026-01-04 12:00 +01:00", "2026-01-06 12:00 +01:00",
			[]string{"Sun 12:00 CET UNAVAILABLE", "Mon 00:00 CET AVAILABLE", "Tue 00:00 CET UNAVAILABLE"}},
		"days that meet are one period": {berlin, []org.Interval{{time.Monday, 12 * 60, 24 * 60}, {time.Tuesday, 0, 12 * 60}},
			"2026-01-05 00:00 +01:00", "2026-01-07 00:00 +01:00",
			[]string{"Mon 00:00 CET UNAVAILABLE", "Mon 12:00 CET AVAILABLE", "Tue 12:00 CET UNAVAILABLE"}},
		"intervals that overlap are one period": {berlin, []org.Interval{{time.Monday, 9 * 60, 13 * 60}, {time.Monday, 12 * 60, 17 * 60}},
			"2026-01-05 00:00 +01:00", "2026-01-06 00:00 +01:00",
			[]string{"Mon 00:00 CET UNAVAILABLE", "Mon 09:00 CET AVAILABLE", "Mon 17:00 CET UNAVAILABLE"}},
		"the clock counts on both sides of spring": {berlin, []org.Interval{{time.Saturday, 9 * 60, 17 * 60}, {time.Sunday, 9 * 60, 17 * 60}},
			"2026-03-28 00:00 +01:00", "2026-03-30 00:00 +02:00",
			[]string{"Sat 00:00 CET UNAVAILABLE", "Sat 09:00 CET AVAILABLE", "Sat 17:00 CET UNAVAILABLE", "Sun 09:00 CEST AVAILABLE", "Sun 17:00 CEST UNAVAILABLE"}},
		"and on both sides of autumn": {berlin, []org.Interval{{time.Saturday, 9 * 60, 17 * 60}, {time.Sunday, 9 * 60, 17 * 60}},
			"2026-10-24 00:00 +02:00", "2026-10-26 00:00 +01:00",
			[]string{"Sat 00:00 CEST UNAVAILABLE", "Sat 09:00 CEST AVAILABLE", "Sat 17:00 CEST UNAVAILABLE", "Sun 09:00 CET AVAILABLE", "Sun 17:00 CET UNAVAILABLE"}},
		"what begins in the hour that spring leaves out begins after it": {berlin, []org.Interval{{time.Sunday, 2*60 + 30, 5 * 60}},
			"2026-03-29 00:00 +01:00", "2026-03-29 12:00 +02:00",
			[]string{"Sun 00:00 CET UNAVAILABLE", "Sun 03:00 CEST AVAILABLE", "Sun 05:00 CEST UNAVAILABLE"}},
		"what ends in it ends with it": {berlin, []org.Interval{{time.Saturday, 22 * 60, 2*60 + 30}},
			"2026-03-28 12:00 +01:00", "2026-03-29 12:00 +02:00",
			[]string{"Sat 12:00 CET UNAVAILABLE", "Sat 22:00 CET AVAILABLE", "Sun 03:00 CEST UNAVAILABLE"}},
		"what is all in it does not happen": {berlin, []org.Interval{{time.Sunday, 2 * 60, 3 * 60}},
			"2026-03-29 00:00 +01:00", "2026-03-29 12:00 +02:00", []string{"Sun 00:00 CET UNAVAILABLE"}},
		"what begins in the hour that autumn shows twice begins the first time": {berlin, []org.Interval{{time.Sunday, 2*60 + 30, 5 * 60}},
			"2026-10-25 00:00 +02:00", "2026-10-25 12:00 +01:00",
			[]string{"Sun 00:00 CEST UNAVAILABLE", "Sun 02:30 CEST AVAILABLE", "Sun 05:00 CET UNAVAILABLE"}},
		"what ends in it ends the first time": {berlin, []org.Interval{{time.Saturday, 22 * 60, 2*60 + 30}},
			"2026-10-24 12:00 +02:00", "2026-10-25 12:00 +01:00",
			[]string{"Sat 12:00 CEST UNAVAILABLE", "Sat 22:00 CEST AVAILABLE", "Sun 02:30 CEST UNAVAILABLE"}},
		"what ends after it lasts for both": {berlin, []org.Interval{{time.Sunday, 2 * 60, 3 * 60}},
			"2026-10-25 00:00 +02:00", "2026-10-25 12:00 +01:00",
			[]string{"Sun 00:00 CEST UNAVAILABLE", "Sun 02:00 CEST AVAILABLE", "Sun 03:00 CET UNAVAILABLE"}},
		"midnight that spring leaves out": {"America/Santiago", []org.Interval{{time.Sunday, 0, 8 * 60}},
			"2026-09-05 12:00 -04:00", "2026-09-06 12:00 -03:00",
			[]string{"Sat 12:00 -04 UNAVAILABLE", "Sun 01:00 -03 AVAILABLE", "Sun 08:00 -03 UNAVAILABLE"}},
		"the other side of the date line": {"Pacific/Auckland", []org.Interval{{time.Monday, 9 * 60, 10 * 60}},
			"2026-06-28 12:00 +00:00", "2026-06-29 12:00 +00:00",
			[]string{"Mon 00:00 NZST UNAVAILABLE", "Mon 09:00 NZST AVAILABLE", "Mon 10:00 NZST UNAVAILABLE"}},
	} {
		schedule := org.Schedule{Hours: weekly(t, c.zone, c.intervals...)}
		from, to := at(t, c.from), at(t, c.to)
		periods := schedule.Periods(from, to)
		require.Equal(t, c.want, told(t, c.zone, periods), name)
		for i, p := range periods { // one follows the other
			require.True(t, p.Start.Before(p.End), name)
			if i > 0 {
				require.True(t, p.Start.Equal(periods[i-1].End), name)
			}
			state, next := schedule.At(p.Start)
			require.Equal(t, p.State, state, name)
			if i+1 < len(periods) {
				require.True(t, next.Equal(p.End), name)
			}
		}
	}

	t.Run("WhatMakesNoSenseIsRefused", func(t *testing.T) {
		t.Parallel()
		nine := []org.Interval{{time.Monday, 9 * 60, 17 * 60}}
		for _, name := range []string{"", "Local", "Mars/Olympus", "../etc/passwd", "europe"} {
			_, err := org.NewWeeklyHours(name, nine)
			require.Equal(t, errorv1.Reason_REASON_VALIDATION_FAILED, fault.ReasonOf(err), name)
		}
		_, err := org.NewWeeklyHours(berlin, []org.Interval{{time.Monday, 60, 60}})
		require.Equal(t, errorv1.Reason_REASON_VALIDATION_FAILED, fault.ReasonOf(err))
		_, err = org.NewWeeklyHours(berlin, make([]org.Interval, 51))
		require.Equal(t, errorv1.Reason_REASON_VALIDATION_FAILED, fault.ReasonOf(err))
	})
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	const utc = "Etc/UTC"
	me, other := id.NewAccount(), id.NewAccount()
	noon := at(t, "2026-01-07 12:00 +00:00") // a Wednesday
	in := func(hours int) time.Time { return noon.Add(time.Duration(hours) * time.Hour) }
	now := func(state org.Availability) []org.Override {
		return []org.Override{{State: state, Start: in(-1), End: in(1)}}
	}
	working := weekly(t, utc, org.Interval{Day: time.Wednesday, Start: 9 * 60, End: 17 * 60})
	away := weekly(t, utc, org.Interval{Day: time.Monday, Start: 9 * 60, End: 17 * 60})
	duty := []org.Rotation{{RotationWords: org.RotationWords{Zone: zone(t, utc), Start: in(-2), Days: 1, Participants: []id.Account{me, other}}}}
	reported := func(state org.Availability) org.Report { return org.Report{State: state, Time: in(-1), Until: in(1)} }

	for name, c := range map[string]struct {
		schedule org.Schedule
		want     org.Availability
	}{
		"S2-07 without a schedule":             {org.Schedule{}, org.Available},
		"S2-07 within the hours":               {org.Schedule{Hours: working}, org.Available},
		"S2-07 beyond the hours":               {org.Schedule{Hours: away}, org.Unavailable},
		"S2-07 on duty":                        {org.Schedule{Hours: working, Rotations: duty}, org.OnCall},
		"duty, beyond the hours":               {org.Schedule{Hours: away, Rotations: duty}, org.OnCall},
		"RULING 32 duty, through an absence":   {org.Schedule{Rotations: duty, Overrides: now(org.Unavailable)}, org.OnCall},
		"duty is not waived by being there":    {org.Schedule{Rotations: duty, Overrides: now(org.Available)}, org.OnCall},
		"an absence within the hours":          {org.Schedule{Hours: working, Overrides: now(org.Unavailable)}, org.Unavailable},
		"at work beyond the hours":             {org.Schedule{Hours: away, Overrides: now(org.Available)}, org.Available},
		"RULING 32 an absence and being there": {org.Schedule{Hours: away, Overrides: append(now(org.Available), now(org.Unavailable)...)}, org.Unavailable},
		"a shift and an absence":               {org.Schedule{Overrides: append(now(org.Unavailable), now(org.OnCall)...)}, org.OnCall},
		"a report in place of the hours":       {org.Schedule{Hours: away, Report: reported(org.Available)}, org.Available},
		"a reported absence":                   {org.Schedule{Hours: working, Report: reported(org.Unavailable)}, org.Unavailable},
		"a reported duty through an absence":   {org.Schedule{Report: reported(org.OnCall), Overrides: now(org.Unavailable)}, org.OnCall},
		"an absence from what is reported":     {org.Schedule{Report: reported(org.Available), Overrides: now(org.Unavailable)}, org.Unavailable},
		"at work against a report":             {org.Schedule{Report: reported(org.Unavailable), Overrides: now(org.Available)}, org.Available},
		"a report that counts no more":         {org.Schedule{Hours: away, Report: org.Report{State: org.OnCall, Time: in(-2), Until: noon}}, org.Unavailable},
		"an override that has ended":           {org.Schedule{Overrides: []org.Override{{State: org.Unavailable, Start: in(-1), End: noon}}}, org.Available},
		"an override that begins":              {org.Schedule{Overrides: []org.Override{{State: org.Unavailable, Start: noon, End: in(1)}}}, org.Unavailable},
	} {
		c.schedule.Account = me
		state, _ := c.schedule.At(noon)
		require.Equal(t, c.want, state, name)
	}

	t.Run("TheNextChangeIsTheNextThatShows", func(t *testing.T) {
		t.Parallel()
		schedule := org.Schedule{Account: me, Hours: working, Overrides: []org.Override{
			{State: org.Available, Start: in(1), End: in(2)},   // changes nothing
			{State: org.Unavailable, Start: in(3), End: in(4)}, // does
		}}
		_, next := schedule.At(noon)
		require.True(t, in(3).Equal(*next))
		_, next = org.Schedule{Overrides: []org.Override{{State: org.Unavailable, Start: in(24 * 40), End: in(24 * 41)}}}.At(noon)
		require.Nil(t, next, "beyond the horizon")
		require.False(t, org.Schedule{Overrides: now(org.Available)}.Empty())
		require.True(t, org.Schedule{Account: id.NewAccount(), Rotations: duty}.Empty(), "others' duty")
	})

	t.Run("ShiftsRepeatByTheClock", func(t *testing.T) {
		t.Parallel()
		until := at(t, "2026-04-12 20:00 +02:00")
		shift := org.Override{State: org.OnCall, Start: at(t, "2026-03-22 20:00 +01:00"), End: at(t, "2026-03-23 08:00 +01:00"),
			Repeat: org.Repeat{Days: 7, Zone: zone(t, "Europe/Berlin"), Until: &until}}
		schedule := org.Schedule{Overrides: []org.Override{shift}}
		require.Equal(t, []string{
			"Sun 12:00 CET AVAILABLE", "Sun 20:00 CET ON_CALL", "Mon 08:00 CET AVAILABLE",
			"Sun 20:00 CEST ON_CALL", "Mon 08:00 CEST AVAILABLE", "Sun 20:00 CEST ON_CALL", "Mon 08:00 CEST AVAILABLE",
		}, told(t, "Europe/Berlin", schedule.Periods(at(t, "2026-03-22 12:00 +01:00"), at(t, "2026-04-20 12:00 +02:00"))), "not on 12 April")
		state, next := schedule.At(at(t, "2026-04-06 03:00 +02:00"))
		require.Equal(t, org.OnCall, state)
		require.True(t, at(t, "2026-04-06 08:00 +02:00").Equal(*next))

		forever := shift
		forever.Repeat.Until = nil
		require.Nil(t, forever.Over())
		state, next = org.Schedule{Overrides: []org.Override{forever}}.At(at(t, "2926-03-25 21:00 +01:00"))
		require.Equal(t, org.Available, state)
		require.NotNil(t, next, "after nine centuries, too")
	})
}

func TestRotation(t *testing.T) {
	t.Parallel()
	a, b, c := id.NewAccount(), id.NewAccount(), id.NewAccount()
	rotation := org.Rotation{RotationWords: org.RotationWords{
		DisplayName: "Pager", Zone: zone(t, "America/New_York"), Start: at(t, "2026-03-02 09:30 -05:00"), Days: 7, Participants: []id.Account{a, b, c},
	}}
	who := func(when string) (on []id.Account) {
		for _, account := range rotation.Participants {
			if state, _ := (org.Schedule{Account: account, Rotations: []org.Rotation{rotation}}).At(at(t, when)); state == org.OnCall {
				on = append(on, account)
			}
		}
		return on
	}
	require.Empty(t, who("2026-03-02 09:29 -05:00"))
	require.Equal(t, []id.Account{a}, who("2026-03-02 09:30 -05:00"))
	require.Equal(t, []id.Account{a}, who("2026-03-09 09:29 -04:00"), "the clock was put forward in between")
	require.Equal(t, []id.Account{b}, who("2026-03-09 09:30 -04:00"))
	require.Equal(t, []id.Account{c}, who("2026-03-16 09:30 -04:00"))
	require.Equal(t, []id.Account{a}, who("2026-03-23 09:30 -04:00"))
	require.Equal(t, []id.Account{b}, who("2026-11-02 09:29 -05:00"), "and back")
	require.Equal(t, []id.Account{c}, who("2026-11-02 09:30 -05:00"), "35 weeks after the first turn")

	turns := rotation.Turns(at(t, "2026-03-10 00:00 -04:00"), 3)
	require.Len(t, turns, 3)
	require.Equal(t, []id.Account{b, c, a}, []id.Account{turns[0].Account, turns[1].Account, turns[2].Account})
	require.True(t, turns[0].Start.Equal(at(t, "2026-03-09 09:30 -04:00")))
	for i := range turns[1:] {
		require.True(t, turns[i].End.Equal(turns[i+1].Start))
	}

	end := at(t, "2026-03-11 09:30 -04:00")
	rotation.End = &end
	require.Equal(t, []id.Account{b}, who("2026-03-11 09:29 -04:00"))
	require.Empty(t, who("2026-03-11 09:30 -04:00"))
	require.Len(t, rotation.Turns(at(t, "2026-03-10 00:00 -04:00"), 3), 1)

	gap := rotation
	gap.End, gap.Participants = nil, []id.Account{a, {}, c}
	turns = gap.Turns(at(t, "2026-03-10 00:00 -04:00"), 2)
	require.Equal(t, []id.Account{{}, c}, []id.Account{turns[0].Account, turns[1].Account}, "whoever has left leaves a gap, and others keep their turns")
}

func TestPlanning(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	o := org.New(id.NewOrganization(), "Acme", org.RBAC)
	o.Open()
	as := func(o org.Organization, role string) (org.Actor, org.Member) {
		r, _ := o.Roles.ByKey(role)
		m := org.Member{Account: id.NewAccount(), Role: r.ID, State: org.MemberActive}
		actor, err := o.Admit(m)
		require.NoError(t, err)
		return actor, m
	}
	owner, ownerRow := as(o, "owner")
	admin, adminRow := as(o, "admin")
	member, memberRow := as(o, "member")
	reasonOf := func(err error) errorv1.Reason { return fault.ReasonOf(err) }
	none := errorv1.Reason_REASON_UNSPECIFIED

	t.Run("EverybodyPlansForThemselvesAndWhoManagesProfilesForOthers", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, none, reasonOf(member.Plan(memberRow)))
		require.Equal(t, none, reasonOf(owner.Plan(ownerRow)))
		require.Equal(t, none, reasonOf(admin.Plan(memberRow)))
		require.Equal(t, none, reasonOf(owner.Plan(adminRow)))
		require.Equal(t, errorv1.Reason_REASON_PERMISSION_MISSING, reasonOf(member.Plan(adminRow)))
		require.Equal(t, errorv1.Reason_REASON_OWNER_PROTECTED, reasonOf(admin.Plan(ownerRow)))
		require.Equal(t, errorv1.Reason_REASON_MEMBER_NOT_FOUND, reasonOf(owner.Plan(org.Member{})))
		require.False(t, member.SeesNotes(adminRow))
		require.True(t, member.SeesNotes(memberRow))
		require.Equal(t, none, reasonOf(member.SeePlan(adminRow)))
		require.Equal(t, errorv1.Reason_REASON_MEMBER_NOT_FOUND, reasonOf(member.SeePlan(org.Member{})))
		require.Equal(t, none, reasonOf(admin.PlanRotations()))
		require.Equal(t, errorv1.Reason_REASON_PERMISSION_MISSING, reasonOf(member.PlanRotations()))
	})

	t.Run("C25 Where it is switched off nobody plans", func(t *testing.T) {
		t.Parallel()
		off := o
		off.Policy.Availability = false
		owner, row := as(off, "owner")
		for _, err := range []error{owner.Plan(row), owner.SeePlan(row), owner.PlanRotations(), off.TakesReports()} {
			require.Equal(t, errorv1.Reason_REASON_FEATURE_OFF, reasonOf(err))
		}
	})

	t.Run("OverridesThatMakeNoSenseAreRefused", func(t *testing.T) {
		t.Parallel()
		hour := org.Override{State: org.Unavailable, Start: noon, End: noon.Add(time.Hour)}
		past := noon.Add(-time.Hour)
		for name, edit := range map[string]func(*org.Override){
			"no state":      func(o *org.Override) { o.State = "" },
			"no start":      func(o *org.Override) { o.Start = time.Time{} },
			"no end":        func(o *org.Override) { o.End = time.Time{} },
			"ends at once":  func(o *org.Override) { o.End = o.Start },
			"too long":      func(o *org.Override) { o.End = o.Start.AddDate(0, 0, 367) },
			"over":          func(o *org.Override) { o.Start, o.End = noon.Add(-2*time.Hour), past },
			"never repeats": func(o *org.Override) { o.Repeat = org.Repeat{Days: -1, Zone: zone(t, "Etc/UTC")} },
			"too seldom":    func(o *org.Override) { o.Repeat = org.Repeat{Days: 367, Zone: zone(t, "Etc/UTC")} },
			"nowhere":       func(o *org.Override) { o.Repeat = org.Repeat{Days: 1} },
			"over itself": func(o *org.Override) {
				o.End, o.Repeat = noon.AddDate(0, 0, 2), org.Repeat{Days: 1, Zone: zone(t, "Etc/UTC")}
			},
			"repeated never": func(o *org.Override) { o.Repeat = org.Repeat{Days: 1, Zone: zone(t, "Etc/UTC"), Until: &o.Start} },
		} {
			o := hour
			edit(&o)
			err := member.AddOverride(memberRow, &org.Schedule{}, o, noon)
			require.Equal(t, errorv1.Reason_REASON_VALIDATION_FAILED, reasonOf(err), name)
		}
		schedule := org.Schedule{}
		for range 100 {
			require.NoError(t, member.AddOverride(memberRow, &schedule, hour, noon))
		}
		require.Equal(t, errorv1.Reason_REASON_LIMIT_REACHED, reasonOf(member.AddOverride(memberRow, &schedule, hour, noon)))
		later := org.Override{State: org.Unavailable, Start: noon.Add(2 * time.Hour), End: noon.Add(3 * time.Hour)}
		require.NoError(t, member.AddOverride(memberRow, &schedule, later, noon.Add(time.Hour)), "those that are over do not count")
	})

	t.Run("RotationsThatMakeNoSenseAreRefused", func(t *testing.T) {
		t.Parallel()
		good := org.Rotation{ID: id.NewRotation(), Version: 1, RotationWords: org.RotationWords{
			DisplayName: "Pager", Zone: zone(t, "Etc/UTC"), Start: noon, Days: 7, Participants: []id.Account{adminRow.Account, memberRow.Account},
		}}
		everybody := func(id.Account) bool { return true }
		for name, edit := range map[string]func(*org.Rotation){
			"nowhere":        func(r *org.Rotation) { r.Zone = org.Zone{} },
			"never":          func(r *org.Rotation) { r.Start = time.Time{} },
			"no turn":        func(r *org.Rotation) { r.Days = 0 },
			"a long turn":    func(r *org.Rotation) { r.Days = 367 },
			"nobody":         func(r *org.Rotation) { r.Participants = nil },
			"too many":       func(r *org.Rotation) { r.Participants = make([]id.Account, 51) },
			"somebody twice": func(r *org.Rotation) { r.Participants = []id.Account{adminRow.Account, adminRow.Account} },
			"ends at once":   func(r *org.Rotation) { r.End = &r.Start },
		} {
			r := good
			edit(&r)
			_, err := admin.AddRotation(nil, r, everybody)
			require.Equal(t, errorv1.Reason_REASON_VALIDATION_FAILED, reasonOf(err), name)
			_, _, _, err = admin.ChangeRotation(org.Rotations{good}, good.ID, r.RotationWords, "", everybody)
			require.Equal(t, errorv1.Reason_REASON_VALIDATION_FAILED, reasonOf(err), name)
		}
		_, err := admin.AddRotation(nil, good, func(account id.Account) bool { return account != memberRow.Account })
		require.Equal(t, errorv1.Reason_REASON_MEMBER_NOT_FOUND, reasonOf(err))
		_, err = admin.AddRotation(make(org.Rotations, 50), good, everybody)
		require.Equal(t, errorv1.Reason_REASON_LIMIT_REACHED, reasonOf(err))
		_, err = member.AddRotation(nil, good, everybody)
		require.Equal(t, errorv1.Reason_REASON_PERMISSION_MISSING, reasonOf(err))

		after, was, is, err := admin.ChangeRotation(org.Rotations{good}, good.ID, org.RotationWords{
			DisplayName: "Phone", Zone: good.Zone, Start: noon, Days: 1, Participants: []id.Account{ownerRow.Account, memberRow.Account},
		}, "1", everybody)
		require.NoError(t, err)
		require.Equal(t, org.Rotations{is}, after)
		require.EqualValues(t, 2, is.Version)
		require.Equal(t, []id.Account{adminRow.Account, memberRow.Account, ownerRow.Account}, was.Affects(is))
		_, _, _, err = admin.ChangeRotation(after, good.ID, good.RotationWords, "1", everybody)
		require.Equal(t, errorv1.Reason_REASON_ETAG_MISMATCH, reasonOf(err))
		_, _, err = admin.DeleteRotation(after, id.NewRotation(), "")
		require.Equal(t, errorv1.Reason_REASON_SCHEDULE_NOT_FOUND, reasonOf(err))
		_, _, err = admin.DeleteRotation(after, good.ID, "1")
		require.Equal(t, errorv1.Reason_REASON_ETAG_MISMATCH, reasonOf(err))
		left, _, err := admin.DeleteRotation(after, good.ID, "2")
		require.NoError(t, err)
		require.Empty(t, left)
	})

	t.Run("ReportsThatMakeNoSenseAreRefused", func(t *testing.T) {
		t.Parallel()
		good := org.Report{State: org.OnCall, Time: noon, Until: noon.Add(time.Hour)}
		require.NoError(t, good.Check(noon))
		require.NoError(t, good.Check(noon.Add(2*time.Hour)), "it takes back what was said before")
		for name, edit := range map[string]func(*org.Report){
			"no state":     func(r *org.Report) { r.State = "" },
			"no time":      func(r *org.Report) { r.Time = time.Time{} },
			"tomorrow's":   func(r *org.Report) { r.Time = noon.AddDate(0, 0, 1) },
			"ends at once": func(r *org.Report) { r.Until = r.Time },
			"for ever":     func(r *org.Report) { r.Until = noon.AddDate(0, 0, 32) },
		} {
			r := good
			edit(&r)
			require.Equal(t, errorv1.Reason_REASON_VALIDATION_FAILED, reasonOf(r.Check(noon)), name)
		}
		require.True(t, good.Follows(org.Report{}))
		require.False(t, good.Follows(good), "the same once more")
		require.False(t, org.Report{State: org.Available, Time: noon.Add(-time.Second)}.Follows(good), "one that comes late")
	})
}
