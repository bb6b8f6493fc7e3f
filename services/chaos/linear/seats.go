package linear

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/rosterhq/roster/services/chaos/load"
	"github.com/rosterhq/roster/services/internal/verify"
)

// seats are those of an organization, with how many may still be taken and freed by what was never answered, or follows.
type seats struct {
	used, limit  int32
	takes, frees int32
	limits       string // that may still come, a line each
}

const unlimited = math.MaxInt32

func newSeats() *machine[seats] {
	return &machine[seats]{
		first: seats{used: 1, limit: unlimited}, // the creator's
		drift: func(s seats) (next []seats) {
			if s.takes > 0 && s.used < s.limit {
				next = append(next, seats{s.used + 1, s.limit, s.takes - 1, s.frees, s.limits})
			}
			if s.frees > 0 && s.used > 0 {
				next = append(next, seats{s.used - 1, s.limit, s.takes, s.frees - 1, s.limits})
			}
			for line := range strings.Lines(s.limits) {
				var limit int32
				fmt.Sscan(line, &limit)
				next = append(next, seats{s.used, limit, s.takes, s.frees, strings.Replace(s.limits, line, "", 1)})
			}
			return next
		},
	}
}

func take(s seats) []seats {
	return only(s.used < s.limit, seats{s.used + 1, s.limit, s.takes, s.frees, s.limits})
}

func free(s seats) []seats {
	return only(s.used > 0, seats{s.used - 1, s.limit, s.takes, s.frees, s.limits})
}

func full(s seats) []seats { return only(s.used >= s.limit, s) }

func limited(limit *int32) int32 {
	if limit == nil {
		return unlimited
	}
	return *limit
}

// noteSeat adds what an operation says of the organization's seats.
func noteSeat(m *machine[seats], o load.Operation, history *organization) {
	what := fmt.Sprintf("%s: %s %s", o.Verb, o.Outcome, o.Reason)
	switch o.Verb {
	case load.GetSeatUsage:
		what += fmt.Sprintf("%d of %d", o.Used, limited(o.Total))
	case verify.SetSeatLimit:
		what += fmt.Sprint(limited(o.Limit))
	}
	what += ids(o)
	mayTake := func() { m.expect(o, what, func(s seats) seats { s.takes++; return s }) }
	mayFree := func() { m.expect(o, what, func(s seats) seats { s.frees++; return s }) }
	freed := func() {
		if o.SeatReleased {
			m.tell(o, what, free)
		} else {
			mayFree()
		}
	}
	ok := o.Outcome == verify.OK
	switch {
	case o.Reason == "SEAT_LIMIT_REACHED" && o.Outcome == verify.Refused:
		m.tell(o, what, full)
	case o.Verb == load.GetSeatUsage && ok:
		m.tell(o, what, func(s seats) []seats { return only(s.used == o.Used && s.limit == limited(o.Total), s) })
	case o.Verb == verify.SetSeatLimit && ok:
		m.tell(o, what, func(s seats) []seats {
			s.limit = limited(o.Limit)
			return []seats{s}
		})
	case o.Verb == verify.SetSeatLimit && o.Outcome == verify.Unknown:
		m.expect(o, what, func(s seats) seats {
			lines := append(slices.Collect(strings.Lines(s.limits)), fmt.Sprintln(limited(o.Limit)))
			slices.Sort(lines)
			s.limits = strings.Join(lines, "")
			return s
		})

	case o.Verb == verify.Invite && ok:
		m.tell(o, what, take)
	case o.Verb == verify.Invite && o.Outcome == verify.Unknown:
		mayTake()
	case o.Verb == verify.Revoke && ok:
		freed()
	case o.Verb == verify.Decline && ok:
		mayFree() // its answer does not say when
	case o.Verb == verify.Revoke && o.Outcome == verify.Unknown, o.Verb == verify.Decline && o.Outcome == verify.Unknown:
		mayFree()
	case o.Verb == verify.Resend && o.Outcome != verify.Refused && history.failing(o):
		mayTake()
	case o.Verb == verify.Accept && (o.Outcome == verify.Unknown || o.Reason == "ALREADY_MEMBER" || o.Reason == "INVITATION_FAILED"):
		mayFree() // of an invitation that failed

	case o.Verb == verify.Enable && ok && !history.shared(o):
		m.tell(o, what, take)
	case o.Verb == verify.Enable && (ok || o.Outcome == verify.Unknown || o.Reason == "MEMBER_NOT_FOUND"):
		mayTake()
		if !ok { // it was given back, if they have left meanwhile
			mayFree()
		}
	case o.Verb == verify.Disable && ok, o.Verb == verify.Remove && ok && history.seated(o):
		freed()
	case o.Verb == verify.Remove && ok, o.Verb == verify.Remove && o.Outcome == verify.Unknown, o.Verb == verify.Disable && o.Outcome == verify.Unknown:
		mayFree()
	}
}
