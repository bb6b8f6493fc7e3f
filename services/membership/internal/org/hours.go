package org

import (
	"cmp"
	"fmt"
	"slices"
	"time"
	_ "time/tzdata" // the zones are there wherever this runs

	"github.com/rosterhq/roster/pkg/fault"
)

// Zone is a time zone of the IANA database. The zero Zone is UTC.
type Zone struct {
	Name string
	at   *time.Location
}

// ParseZone reads the name of a time zone, such as Europe/Berlin.
func ParseZone(name string) (Zone, error) {
	at, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" { // which is wherever this happens to run
		return Zone{}, fault.Invalid("time_zone", "must be the name of a time zone, such as Europe/Berlin")
	}
	return Zone{name, at}, nil
}

func (z Zone) location() *time.Location { return cmp.Or(z.at, time.UTC) }

// clock is what a wall clock in the zone shows at an instant, written as if in UTC.
func (z Zone) clock(at time.Time) time.Time {
	at = at.In(z.location())
	return time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.UTC)
}

// reach returns the first instant at which a wall clock in the zone shows this or, where it is put forward over it, later.
// So two intervals that meet on the clock meet in time, whenever the clock is changed.
func (z Zone) reach(clock time.Time) time.Time {
	at := time.Date(clock.Year(), clock.Month(), clock.Day(), clock.Hour(), clock.Minute(), clock.Second(), clock.Nanosecond(), z.location())
	begin, end := at.ZoneBounds()
	switch shown := z.clock(at); {
	case shown.After(clock): // reckoned by the offset from before the change
		return begin
	case shown.Before(clock): // by the one from after it
		return end
	case begin.IsZero():
		return at
	}
	_, offset := begin.Add(-1).Zone()
	if first := clock.Add(-time.Duration(offset) * time.Second); first.Before(begin) { // the clock shows it twice
		return first.In(z.location())
	}
	return at
}

// every visits what happens every so many days, from the first time on: when the clock shows start, until it shows end.
// Only what touches the range is visited.
func (z Zone) every(days int, start, end, from, to time.Time, visit func(i int, start, end time.Time)) {
	for i := max(0, int((from.Unix()-end.Unix())/(24*60*60))/days-1); ; i++ {
		begin := z.reach(start.AddDate(0, 0, i*days))
		if !begin.Before(to) {
			return
		}
		if over := z.reach(end.AddDate(0, 0, i*days)); over.After(from) {
			visit(i, begin, over)
		}
	}
}

// WeeklyHours are when a member works. Without intervals there are none.
type WeeklyHours struct {
	Zone      Zone
	Intervals []Interval
	Version   int64
}

// Interval is a time of every week, in minutes of the wall clock. It ends on the next day if the end is not after the start.
type Interval struct {
	Day   time.Weekday `json:"day"`
	Start int          `json:"start"`
	End   int          `json:"end"`
}

// NewWeeklyHours returns the hours; none without intervals.
func NewWeeklyHours(zone string, intervals []Interval) (h WeeklyHours, err error) {
	if len(intervals) == 0 {
		return h, nil
	}
	if len(intervals) > maxIntervals {
		return h, fault.Invalid("intervals", fmt.Sprintf("must be at most %d", maxIntervals))
	}
	for _, i := range intervals {
		if i.Start == i.End {
			return h, fault.Invalid("intervals", "must not begin when they end; a whole day is from 00:00 to 24:00")
		}
	}
	if h.Zone, err = ParseZone(zone); err != nil {
		return h, err
	}
	h.Intervals = slices.Clone(intervals)
	slices.SortFunc(h.Intervals, func(a, b Interval) int {
		monday := func(day time.Weekday) int { return int(day+6) % 7 }
		return cmp.Or(monday(a.Day)-monday(b.Day), a.Start-b.Start, a.End-b.End)
	})
	h.Intervals = slices.Compact(h.Intervals)
	return h, nil
}

// Same tells whether the hours are the same, whatever the version.
func (h WeeklyHours) Same(other WeeklyHours) bool {
	return h.Zone.Name == other.Zone.Name && slices.Equal(h.Intervals, other.Intervals)
}

func (h WeeklyHours) each(from, to time.Time, visit func(start, end time.Time)) {
	if len(h.Intervals) == 0 {
		return
	}
	day := h.Zone.clock(from).Truncate(24*time.Hour).AddDate(0, 0, -1) // one that began the day before may last
	for ; h.Zone.reach(day).Before(to); day = day.AddDate(0, 0, 1) {
		for _, i := range h.Intervals {
			if i.Day != day.Weekday() {
				continue
			}
			end := day.Add(time.Duration(i.End) * time.Minute)
			if i.End <= i.Start {
				end = end.AddDate(0, 0, 1)
			}
			visit(h.Zone.reach(day.Add(time.Duration(i.Start)*time.Minute)), h.Zone.reach(end))
		}
	}
}

// SetHours replaces the target's weekly hours.
func (a Actor) SetHours(target Member, hours *WeeklyHours, zone string, intervals []Interval, etag string) error {
	if err := a.Plan(target); err != nil {
		return err
	}
	if err := match(etag, hours.Version); err != nil {
		return err
	}
	after, err := NewWeeklyHours(zone, intervals)
	if err != nil || after.Same(*hours) {
		return err
	}
	after.Version = hours.Version + 1
	*hours = after
	return nil
}
