package org

import (
	"fmt"
	"slices"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// Availability is whether a member can be reached for work.
type Availability string

// Availabilities.
const (
	Available   Availability = "AVAILABLE"
	OnCall      Availability = "ON_CALL"
	Unavailable Availability = "UNAVAILABLE"
)

// Horizon is how far ahead changes are looked for, and the longest range that can be asked about.
const Horizon = 31 * 24 * time.Hour

// Limits of schedules.
const (
	maxIntervals    = 50  // of a week
	maxOverrides    = 100 // of a member
	maxRotations    = 50  // of an organization
	maxParticipants = 50  // of a rotation
	longest         = 366 // days, of an override and of what repeats
)

// Faults about schedules.
var (
	ErrNoOverride = fault.New(errorv1.Reason_REASON_SCHEDULE_NOT_FOUND, "There is no such override in this organization.")
	ErrNoRotation = fault.New(errorv1.Reason_REASON_SCHEDULE_NOT_FOUND, "There is no such rotation in this organization.")
)

// Schedule is everything that a member's availability follows from. A member without any is available.
//
// Duty counts before everything else: whoever is on call by a rotation, by an override or by a report is ON_CALL, also
// outside of working hours and through an override that says otherwise; to be relieved, the rotation is changed. Then
// overrides stand in place of what is planned: UNAVAILABLE before AVAILABLE, where both do. What is planned is, as long as it
// lasts, the report of another scheduler, or else the weekly hours.
type Schedule struct {
	Account   id.Account
	Hours     WeeklyHours
	Overrides []Override
	Rotations []Rotation
	Report    Report
}

// Period is a time in which the availability does not change. The end is not part of it.
type Period struct {
	State      Availability
	Start, End time.Time
}

// Empty tells whether there is nothing that could ever change the availability.
func (s Schedule) Empty() bool {
	return len(s.Hours.Intervals) == 0 && len(s.Overrides) == 0 && s.Report.State == "" &&
		!slices.ContainsFunc(s.Rotations, func(r Rotation) bool { return slices.Contains(r.Participants, s.Account) })
}

// At returns the availability at an instant, and when it changes next; nil: not within the horizon.
func (s Schedule) At(at time.Time) (Availability, *time.Time) {
	to := at.Add(Horizon)
	periods := s.Periods(at, to)
	if periods[0].End.Before(to) {
		return periods[0].State, &periods[0].End
	}
	return periods[0].State, nil
}

// Periods divides a range by availability. It must not be empty, nor longer than the horizon.
func (s Schedule) Periods(from, to time.Time) (periods []Period) {
	type edge struct {
		at    time.Time
		of    source
		delta int
	}
	var edges []edge
	note := func(of source) func(start, end time.Time) {
		return func(start, end time.Time) {
			start, end = later(start, from), earlier(end, to)
			if start.Before(end) {
				edges = append(edges, edge{start, of, 1}, edge{end, of, -1})
			}
		}
	}
	s.Hours.each(from, to, note(source{planned, Available}))
	for _, o := range s.Overrides {
		o.each(from, to, note(source{overridden, o.State}))
	}
	for _, r := range s.Rotations {
		r.each(from, to, func(account id.Account, start, end time.Time) {
			if account == s.Account {
				note(source{planned, OnCall})(start, end)
			}
		})
	}
	if s.Report.State != "" {
		note(source{reported, s.Report.State})(from, s.Report.Until)
	}
	slices.SortFunc(edges, func(a, b edge) int { return a.at.Compare(b.at) })

	live := make(map[source]int)
	for at := from; at.Before(to); {
		for len(edges) > 0 && !edges[0].at.After(at) {
			live[edges[0].of] += edges[0].delta
			edges = edges[1:]
		}
		end := to
		if len(edges) > 0 {
			end = edges[0].at
		}
		state := s.decide(func(layer layer, state Availability) bool { return live[source{layer, state}] > 0 })
		if n := len(periods); n > 0 && periods[n-1].State == state {
			periods[n-1].End = end
		} else {
			periods = append(periods, Period{state, at, end})
		}
		at = end
	}
	return periods
}

// source is what says something about the availability, and what it says.
type source struct {
	layer
	Availability
}

type layer int

const (
	planned layer = iota
	reported
	overridden
)

// decide returns the availability where these sources speak.
func (s Schedule) decide(says func(layer, Availability) bool) Availability {
	switch {
	case says(planned, OnCall), says(reported, OnCall), says(overridden, OnCall):
		return OnCall
	case says(overridden, Unavailable):
		return Unavailable
	case says(overridden, Available), says(reported, Available):
		return Available
	case says(reported, Unavailable):
		return Unavailable
	case len(s.Hours.Intervals) == 0, says(planned, Available):
		return Available
	}
	return Unavailable
}

// Override is a time for which somebody has said how a member is available. One that says ON_CALL is a shift.
type Override struct {
	ID         id.Override
	Account    id.Account
	State      Availability
	Start, End time.Time
	Repeat     Repeat
	Note       string
}

// Repeat says that the same happens again, by the clock of the zone. The zero Repeat says that it does not.
type Repeat struct {
	Days  int // from one to the next
	Zone  Zone
	Until *time.Time // none begins then or later; nil: it never stops
}

func (o Override) each(from, to time.Time, visit func(start, end time.Time)) {
	if o.Repeat.Days == 0 {
		visit(o.Start, o.End)
		return
	}
	if o.Repeat.Until != nil {
		to = earlier(to, *o.Repeat.Until)
	}
	z := o.Repeat.Zone
	z.every(o.Repeat.Days, z.clock(o.Start), z.clock(o.End), from, to, func(_ int, start, end time.Time) { visit(start, end) })
}

// Over returns when the override has ended for good; nil: never.
func (o Override) Over() *time.Time {
	switch {
	case o.Repeat.Days == 0:
		return &o.End
	case o.Repeat.Until == nil:
		return nil
	}
	over := o.Repeat.Until.Add(o.End.Sub(o.Start))
	return &over
}

// check refuses what makes no sense at the time of asking.
func (o Override) check(now time.Time) error {
	if o.State == "" {
		return fault.Invalid("state", "must be given")
	}
	if err := between("end_time", o.Start, o.End); err != nil {
		return err
	}
	if over := o.Over(); over != nil && !over.After(now) {
		return fault.Invalid("end_time", "is in the past")
	}
	switch r := o.Repeat; {
	case r.Days == 0:
		return nil
	case r.Days < 0 || r.Days > longest:
		return fault.Invalid("repeat", fmt.Sprintf("must be after 1 to %d days", longest))
	case r.Zone.Name == "":
		return fault.Invalid("repeat.time_zone", "must be given: the clock of which place counts?")
	case r.Until != nil && !r.Until.After(o.Start):
		return fault.Invalid("repeat.until_time", "must be after the start")
	case r.Zone.clock(o.End).After(r.Zone.clock(o.Start).AddDate(0, 0, r.Days)):
		return fault.Invalid("repeat", "must not begin again before it has ended")
	}
	return nil
}

// between refuses times that are not in order, or too far apart.
func between(field string, start, end time.Time) error {
	switch {
	case start.IsZero():
		return fault.Invalid("start_time", "must be given")
	case !start.Before(end):
		return fault.Invalid(field, "must be after the start")
	case end.After(start.AddDate(0, 0, longest)):
		return fault.Invalid(field, fmt.Sprintf("must be at most %d days after the start", longest))
	}
	return nil
}

// Report is what another scheduler says of a member. The zero Report says nothing.
type Report struct {
	State Availability
	Time  time.Time // when it was so
	Until time.Time // what is planned here counts again from then on
}

// Follows tells whether a report is newer than another. One that comes twice, or late, changes nothing.
func (r Report) Follows(other Report) bool { return other.State == "" || r.Time.After(other.Time) }

// Check refuses a report that makes no sense when it comes. How long it may count is bounded, so that what a scheduler has
// said does not outlive it for long.
func (r Report) Check(now time.Time) error {
	switch {
	case r.State == "":
		return fault.Invalid("state", "must be given")
	case r.Time.IsZero():
		return fault.Invalid("report_time", "must be given")
	case r.Time.After(now.Add(time.Minute)):
		return fault.Invalid("report_time", "must not be in the future")
	case !r.Until.After(r.Time):
		return fault.Invalid("until_time", "must be after the time of the report")
	case r.Until.After(now.Add(Horizon)):
		return fault.Invalid("until_time", "must be within 31 days")
	}
	return nil
}

// TakesReports refuses what another scheduler says where it is of no use.
func (o Organization) TakesReports() error {
	if o.State != Active {
		return ErrNotFound
	}
	return o.UsesAvailability()
}

// UsesAvailability refuses where the policy has no use for availability.
func (o Organization) UsesAvailability() error {
	if !o.Policy.Availability {
		return SwitchedOff("availability")
	}
	return nil
}

// Plan refuses those who may not change the target's hours and overrides. Everybody may change their own.
func (a Actor) Plan(target Member) error {
	if !target.Belongs() {
		return ErrNoMember
	}
	if err := a.organization.UsesAvailability(); err != nil || target.Account == a.Account {
		return err
	}
	return a.Manage(target, UpdateProfiles)
}

// SeePlan refuses those who may not see how the target is available.
func (a Actor) SeePlan(target Member) error {
	if err := a.Need(ReadMembers); err != nil {
		return err
	}
	if !target.Belongs() {
		return ErrNoMember
	}
	return a.organization.UsesAvailability()
}

// SeesAvailability tells whether there is anything to see.
func (a Actor) SeesAvailability() bool { return a.organization.Policy.Availability }

// SeesNotes tells whether the actor may read what is noted about the target's absences.
func (a Actor) SeesNotes(target Member) bool { return a.Plan(target) == nil }

// AddOverride adds an override to the target's.
func (a Actor) AddOverride(target Member, schedule *Schedule, o Override, now time.Time) error {
	if err := a.Plan(target); err != nil {
		return err
	}
	if err := o.check(now); err != nil {
		return err
	}
	current := 0
	for _, other := range schedule.Overrides {
		if over := other.Over(); over == nil || over.After(now) {
			current++
		}
	}
	if current >= maxOverrides {
		return limitReached("overrides", maxOverrides)
	}
	schedule.Overrides = append(schedule.Overrides, o)
	return nil
}

// RemoveOverride takes an override from the target's, and returns it.
func (a Actor) RemoveOverride(target Member, schedule *Schedule, key id.Override) (Override, error) {
	if !target.Belongs() {
		return Override{}, ErrNoMember
	}
	i := slices.IndexFunc(schedule.Overrides, func(o Override) bool { return o.ID == key })
	if i < 0 {
		return Override{}, ErrNoOverride
	}
	if err := a.Plan(target); err != nil {
		return Override{}, err
	}
	removed := schedule.Overrides[i]
	schedule.Overrides = slices.Delete(slices.Clone(schedule.Overrides), i, i+1)
	return removed, nil
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
