package membership

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/fault"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// availabilityTask is the kind of the task that follows a member's schedule. Its id is the account's.
const availabilityTask = "availability"

// follow puts on the list how a member is available by now, and has the sweeper do it again when that changes.
func follow(q store.Queries, key id.Organization, schedule org.Schedule) {
	state, next := schedule.At(q.Now())
	q.SaveAvailability(key, schedule.Account, state, next)
	task := saga.For(key, availabilityTask, schedule.Account)
	switch {
	case next != nil:
		task.At(q.Tx, *next)
	case schedule.Empty():
		task.Done(q.Tx)
	default: // something may come beyond the horizon
		task.At(q.Tx, q.Now().Add(org.Horizon))
	}
}

// followSchedule brings a member's availability up to date.
func (s *Service) followSchedule(ctx context.Context, key id.Organization, account id.Account) error {
	return s.inTx(ctx, key, func(q store.Queries) error {
		at, schedules, err := q.LockSchedules(ctx, key, account)
		if err != nil {
			return err
		}
		if at.Members[account].Belongs() {
			follow(q, key, schedules[account])
		} else {
			saga.For(key, availabilityTask, account).Done(q.Tx)
		}
		return nil
	})
}

// plan is what a change of one member's schedule is decided on. The member's row is held.
type plan struct {
	store.Queries
	key      id.Organization
	actor    org.Actor
	target   org.Member
	schedule org.Schedule
	because  *eventv1.Context
}

// replan runs a change of a member's hours or overrides. What change returns is answered and published; nil for nothing. The
// token comes with it.
func replan[R proto.Message](ctx context.Context, s *Service, method string,
	req interface {
		proto.Message
		GetOrganizationId() string
		GetAccountId() string
		GetRequestId() string
	}, change func(*plan) (R, proto.Message, error),
) (answer R, token string, err error) {
	key, target, err := parseMember(req)
	if err != nil {
		return answer, "", err
	}
	me := caller.From(ctx).Account
	once := request(ctx, req.GetRequestId(), method, req)
	once.Admit = func(ctx context.Context) error {
		_, p, err := s.readPlan(ctx, key, target)
		if err != nil {
			return err
		}
		return p.actor.Plan(p.target)
	}
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (R, error) {
		p := plan{Queries: queries(tx), key: key}
		at, schedules, err := p.LockSchedules(ctx, key, me, target)
		if err != nil {
			return answer, err
		}
		p.target, p.schedule = at.Members[target], schedules[target]
		if p.actor, err = at.Organization.Admit(at.Members[me]); err != nil {
			return answer, err
		}
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, RequestID: req.GetRequestId()}
		if me == target {
			because.Cause = eventv1.Cause_KIND_SELF
		}
		p.because = because.Context(ctx)
		answer, event, err := change(&p)
		if err != nil || event == nil {
			return answer, err
		}
		follow(p.Queries, key, p.schedule)
		return answer, outbox.Publish(tx, key, tx.Now(), event)
	})
	return answer, outbox.Token(key, s.DB.Name, revision), err
}

// readPlan admits the caller and reads a member's schedule, and the time.
func (s *Service) readPlan(ctx context.Context, key id.Organization, target id.Account) (now time.Time, p plan, err error) {
	me := caller.From(ctx).Account
	var at store.Standing
	var schedules map[id.Account]org.Schedule
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		at, schedules, err = q.Schedules(ctx, key, me, target)
		now = q.Now()
		return err
	})
	if err != nil {
		return now, p, err
	}
	p.target, p.schedule = at.Members[target], schedules[target]
	p.actor, err = at.Organization.Admit(at.Members[me])
	return now, p, err
}

// seePlan is readPlan for those who only look.
func (s *Service) seePlan(ctx context.Context, req interface {
	GetOrganizationId() string
	GetAccountId() string
}) (now time.Time, p plan, err error) {
	key, target, err := parseMember(req)
	if err != nil {
		return now, p, err
	}
	if now, p, err = s.readPlan(ctx, key, target); err != nil {
		return now, p, err
	}
	return now, p, p.actor.SeePlan(p.target)
}

// instant reads a time; the zero one when it is absent.
func instant(field string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, fault.Invalid(field, "must be a time between the years 1 and 9999")
	}
	return t.AsTime().Truncate(time.Microsecond), nil
}

// ending reads the time when something ends; nil when it is absent.
func ending(field string, t *timestamppb.Timestamp) (*time.Time, error) {
	at, err := instant(field, t)
	if t == nil || err != nil {
		return nil, err
	}
	return &at, nil
}

// zoneOf reads a time zone. That there is one is for the rules to ask.
func zoneOf(name string) (org.Zone, error) {
	if name == "" {
		return org.Zone{}, nil
	}
	return org.ParseZone(name)
}

func daysOf(e *membershipv1.Every) int {
	if e.GetUnit() == membershipv1.Every_UNIT_WEEK {
		return 7 * int(e.GetCount())
	}
	return int(e.GetCount())
}

func everyToProto(days int) *membershipv1.Every {
	if days%7 == 0 {
		return &membershipv1.Every{Count: int32(days / 7), Unit: membershipv1.Every_UNIT_WEEK}
	}
	return &membershipv1.Every{Count: int32(days), Unit: membershipv1.Every_UNIT_DAY}
}

func stateToProto(s org.Availability) membershipv1.Availability_State {
	return membershipv1.Availability_State(membershipv1.Availability_State_value["STATE_"+string(s)])
}

// stateOf reads a state; empty when there is none.
func stateOf(s membershipv1.Availability_State) org.Availability {
	if s == membershipv1.Availability_STATE_UNSPECIFIED {
		return ""
	}
	return org.Availability(strings.TrimPrefix(s.String(), "STATE_"))
}

// availabilityToProto shows how a member is available. Who is disabled is not.
func availabilityToProto(m org.Member, schedule org.Schedule, now time.Time) *membershipv1.Availability {
	shown := &membershipv1.Availability{
		AccountId: m.Account.String(), WeeklyHours: hoursToProto(schedule.Hours), Etag: org.Etag(schedule.Hours.Version),
	}
	if m.State == org.MemberActive {
		state, next := schedule.At(now)
		shown.State, shown.NextChangeTime = stateToProto(state), stamp(next)
	}
	return shown
}

// clockOf reads hours and minutes, whose form the proto ensures.
func clockOf(text string) (minutes int) {
	var hour, minute int
	fmt.Sscanf(text, "%d:%d", &hour, &minute)
	return 60*hour + minute
}

func clockToProto(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

func intervalsOf(h *membershipv1.WeeklyHours) (intervals []org.Interval) {
	for _, i := range h.GetIntervals() {
		intervals = append(intervals, org.Interval{Day: time.Weekday(i.GetDay() % 7), Start: clockOf(i.GetStart()), End: clockOf(i.GetEnd())})
	}
	return intervals
}

// dayOf numbers the days of the week from 1 for Monday.
func dayOf(day time.Weekday) int32 { return int32(day+6)%7 + 1 }

func hoursToProto(h org.WeeklyHours) *membershipv1.WeeklyHours {
	if len(h.Intervals) == 0 {
		return nil
	}
	shown := &membershipv1.WeeklyHours{TimeZone: h.Zone.Name}
	for _, i := range h.Intervals {
		shown.Intervals = append(shown.Intervals, &membershipv1.WeeklyHours_Interval{
			Day: membershipv1.WeeklyHours_Day(dayOf(i.Day)), Start: clockToProto(i.Start), End: clockToProto(i.End)})
	}
	return shown
}

func hoursToEvent(h org.WeeklyHours) *eventv1.WeeklyHours {
	shown := &eventv1.WeeklyHours{TimeZone: h.Zone.Name}
	for _, i := range h.Intervals {
		shown.Intervals = append(shown.Intervals, &eventv1.WeeklyHours_Interval{Day: dayOf(i.Day), Start: clockToProto(i.Start), End: clockToProto(i.End)})
	}
	return shown
}

// overrideToProto shows an override; its note only to those who may read it.
func overrideToProto(o org.Override, notes bool) *membershipv1.Override {
	shown := &membershipv1.Override{
		Id: o.ID.String(), AccountId: o.Account.String(), State: stateToProto(o.State),
		StartTime: timestamppb.New(o.Start), EndTime: timestamppb.New(o.End),
	}
	if o.Repeat.Days > 0 {
		shown.Repeat = &membershipv1.Repeat{Every: everyToProto(o.Repeat.Days), TimeZone: o.Repeat.Zone.Name, UntilTime: stamp(o.Repeat.Until)}
	}
	if notes {
		shown.Note = o.Note
	}
	return shown
}

func overrideToEvent(o org.Override) *eventv1.Override {
	return &eventv1.Override{
		OverrideId: o.ID.String(), AccountId: o.Account.String(), State: eventv1.Override_State(stateToProto(o.State)),
		StartTime: timestamppb.New(o.Start), EndTime: timestamppb.New(o.End),
		RepeatDays: int32(o.Repeat.Days), TimeZone: o.Repeat.Zone.Name, UntilTime: stamp(o.Repeat.Until),
	}
}
