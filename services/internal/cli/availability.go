package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func (a *app) availabilityCommand() *cobra.Command {
	return groupOf("availability", "Who can be reached for work: hours, absences, shifts and rotations",
		a.availabilityShowCommand(), a.availabilityHoursCommand(),
		groupOf("override", "Absences, extra work and on-call shifts of a member",
			a.overrideAddCommand(), a.overrideListCommand(), a.overrideRemoveCommand()),
		groupOf("rotation", "Duties that members take in turns",
			a.rotationCreateCommand(), a.rotationListCommand(), a.rotationUpdateCommand(), a.rotationDeleteCommand()))
}

func availabilityFields(p *page, v *membershipv1.Availability) {
	var hours []string
	for _, i := range v.GetWeeklyHours().GetIntervals() {
		hours = append(hours, fmt.Sprintf("%s %s-%s", word(i.GetDay()), i.GetStart(), i.GetEnd()))
	}
	p.fields(
		"Account", v.GetAccountId(),
		"Availability", word(v.GetState()),
		"Until", p.at(v.GetNextChangeTime()),
		"Hours", strings.Join(hours, ", "),
		"Time zone", v.GetWeeklyHours().GetTimeZone(),
		"Etag", v.GetEtag(),
	)
}

func (a *app) availabilityShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [ACCOUNT]",
		Short: "Show how a member is available, you if none is named, until when, and the weekly hours",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				me, err := call(cmd.Context(), a, c.Accounts.GetMe, &identityv1.GetMeRequest{})
				if err != nil {
					return err
				}
				args = []string{me.GetAccount().GetId()}
			}
			answer, err := call(cmd.Context(), a, c.Availability.GetAvailability,
				&membershipv1.GetAvailabilityRequest{OrganizationId: org, AccountId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { availabilityFields(p, answer.GetAvailability()) })
		},
	}
}

func (a *app) availabilityHoursCommand() *cobra.Command {
	req := &membershipv1.SetWeeklyHoursRequest{}
	var zone string
	c := &cobra.Command{
		Use:   "hours ACCOUNT [DAY=HH:MM-HH:MM...]",
		Short: "Replace a member's weekly hours, as in monday=09:00-12:30; none takes them away",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			hours := &membershipv1.WeeklyHours{TimeZone: zone}
			for _, arg := range args[1:] {
				day, times, dayGiven := strings.Cut(arg, "=")
				start, end, timesGiven := strings.Cut(times, "-")
				if !dayGiven || !timesGiven {
					return usageError{fmt.Sprintf("%q: must be as monday=09:00-17:00", arg)}
				}
				interval := &membershipv1.WeeklyHours_Interval{Start: start, End: end}
				if interval.Day, err = value[membershipv1.WeeklyHours_Day]("day", day, membershipv1.WeeklyHours_Day_name); err != nil {
					return err
				}
				hours.Intervals = append(hours.Intervals, interval)
			}
			org, c, err := a.within()
			if err != nil {
				return err
			}
			req.OrganizationId, req.AccountId, req.WeeklyHours = org, args[0], hours
			answer, err := call(cmd.Context(), a, c.Availability.SetWeeklyHours, req)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { availabilityFields(p, answer.GetAvailability()) })
		},
	}
	c.Flags().StringVar(&zone, "zone", "", "time zone whose clock counts, as Europe/Berlin")
	etagFlag(c, &req.Etag)
	return c
}

// moment reads a time that was typed.
func moment(flag, text string) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, usageError{fmt.Sprintf("--%s %q: must be a time as 2026-03-01T09:00:00+01:00", flag, text)}
	}
	return timestamppb.New(at), nil
}

// every reads a number of days or weeks that was typed: 3d, 2w.
func every(flag, text string) (*membershipv1.Every, error) {
	units := map[string]membershipv1.Every_Unit{"d": membershipv1.Every_UNIT_DAY, "w": membershipv1.Every_UNIT_WEEK}
	if len(text) > 1 {
		count, err := strconv.ParseInt(text[:len(text)-1], 10, 32)
		if unit := units[text[len(text)-1:]]; err == nil && unit != 0 {
			return &membershipv1.Every{Count: int32(count), Unit: unit}, nil
		}
	}
	return nil, usageError{fmt.Sprintf("--%s %q: must be days or weeks, as 1d or 2w", flag, text)}
}

func (a *app) overrideAddCommand() *cobra.Command {
	req := &membershipv1.CreateOverrideRequest{}
	var from, to, repeat, zone, until string
	states := words(membershipv1.Availability_State_name)
	c := &cobra.Command{
		Use:   "add ACCOUNT STATE",
		Short: "Say how a member is available for a time; on_call is a shift",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			req.AccountId = args[0]
			if req.State, err = value[membershipv1.Availability_State]("state", args[1], membershipv1.Availability_State_name); err != nil {
				return err
			}
			if req.StartTime, err = moment("from", from); err != nil {
				return err
			}
			if req.EndTime, err = moment("to", to); err != nil {
				return err
			}
			if repeat != "" {
				req.Repeat = &membershipv1.Repeat{TimeZone: zone}
				if req.Repeat.Every, err = every("repeat", repeat); err != nil {
					return err
				}
				if req.Repeat.UntilTime, err = moment("until", until); err != nil {
					return err
				}
			}
			org, c, err := a.within()
			if err != nil {
				return err
			}
			req.OrganizationId = org
			answer, err := call(cmd.Context(), a, c.Availability.CreateOverride, req)
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { overrideTable(p, []*membershipv1.Override{answer.GetOverride()}) })
		},
		ValidArgs: states,
	}
	c.Flags().StringVar(&from, "from", "", "when it begins, as 2026-03-01T09:00:00+01:00")
	c.Flags().StringVar(&to, "to", "", "when it ends")
	c.Flags().StringVar(&repeat, "repeat", "", "after how long it happens again, as 1d or 2w")
	c.Flags().StringVar(&zone, "zone", "", "time zone whose clock counts when it repeats, as Europe/Berlin")
	c.Flags().StringVar(&until, "until", "", "when it stops to happen again")
	c.Flags().StringVar(&req.Note, "note", "", "why; shown to the member and those who may change it")
	c.MarkFlagRequired("from")
	c.MarkFlagRequired("to")
	return c
}

func overrideTable(p *page, overrides []*membershipv1.Override) {
	var rows [][]string
	for _, o := range overrides {
		rows = append(rows, []string{word(o.GetState()), p.at(o.GetStartTime()), p.at(o.GetEndTime()), often(o.GetRepeat().GetEvery()), o.GetNote(), o.GetId()})
	}
	p.table([]string{"AVAILABILITY", "FROM", "TO", "EVERY", "NOTE", "ID"}, rows)
}

func often(e *membershipv1.Every) string {
	if e == nil {
		return ""
	}
	unit := "d"
	if e.GetUnit() == membershipv1.Every_UNIT_WEEK {
		unit = "w"
	}
	return fmt.Sprintf("%d%s", e.GetCount(), unit)
}

func (a *app) overrideListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list ACCOUNT",
		Short: "List a member's overrides that have not ended",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Availability.ListOverrides,
				&membershipv1.ListOverridesRequest{OrganizationId: org, AccountId: args[0]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { overrideTable(p, answer.GetOverrides()) })
		},
	}
}

func (a *app) overrideRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove ACCOUNT OVERRIDE",
		Short: "Take an override back",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Availability.DeleteOverride,
				&membershipv1.DeleteOverrideRequest{OrganizationId: org, AccountId: args[0], OverrideId: args[1]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { availabilityFields(p, answer.GetAvailability()) })
		},
	}
}

// rotationFlags are what a rotation is made of. The times are read when the command runs.
type rotationFlags struct{ zone, from, to, turn string }

func (f *rotationFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.zone, "zone", "", "time zone whose clock counts, as Europe/Berlin")
	c.Flags().StringVar(&f.from, "from", "", "when the first turn begins, as 2026-03-01T09:00:00+01:00; each is handed over at that time of the day")
	c.Flags().StringVar(&f.to, "to", "", "when the duty ends; otherwise it goes on")
	c.Flags().StringVar(&f.turn, "turn", "1w", "how long a turn lasts, as 1d or 2w")
	c.MarkFlagRequired("zone")
	c.MarkFlagRequired("from")
}

func (f *rotationFlags) read() (from, to *timestamppb.Timestamp, turn *membershipv1.Every, err error) {
	if from, err = moment("from", f.from); err != nil {
		return nil, nil, nil, err
	}
	if to, err = moment("to", f.to); err != nil {
		return nil, nil, nil, err
	}
	turn, err = every("turn", f.turn)
	return from, to, turn, err
}

func rotationTable(p *page, rotations ...*membershipv1.Rotation) {
	var rows [][]string
	for _, r := range rotations {
		duty, next := "", ""
		if turns := r.GetTurns(); len(turns) > 0 {
			duty, next = turns[0].GetAccountId(), p.at(turns[0].GetEndTime())
		}
		rows = append(rows, []string{r.GetDisplayName(), often(r.GetTurn()), duty, next, strconv.Itoa(len(r.GetParticipants())), r.GetEtag(), r.GetId()})
	}
	p.table([]string{"NAME", "TURN", "FIRST ON CALL", "UNTIL", "PARTICIPANTS", "ETAG", "ID"}, rows)
}

func (a *app) rotationCreateCommand() *cobra.Command {
	var flags rotationFlags
	c := &cobra.Command{
		Use:   "create NAME ACCOUNT...",
		Short: "Create a duty that these members take in turns, in this order",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, to, turn, err := flags.read()
			if err != nil {
				return err
			}
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Availability.CreateRotation, &membershipv1.CreateRotationRequest{
				OrganizationId: org, DisplayName: args[0], TimeZone: flags.zone, StartTime: from, EndTime: to, Turn: turn, Participants: args[1:]})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { rotationTable(p, answer.GetRotation()) })
		},
	}
	flags.add(c)
	return c
}

func (a *app) rotationListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the rotations, and who is on call",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Availability.ListRotations, &membershipv1.ListRotationsRequest{OrganizationId: org})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { rotationTable(p, answer.GetRotations()...) })
		},
	}
}

func (a *app) rotationUpdateCommand() *cobra.Command {
	var flags rotationFlags
	var etag string
	c := &cobra.Command{
		Use:   "update ROTATION NAME ACCOUNT...",
		Short: "Replace a rotation",
		Args:  cobra.MinimumNArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, to, turn, err := flags.read()
			if err != nil {
				return err
			}
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Availability.UpdateRotation, &membershipv1.UpdateRotationRequest{
				OrganizationId: org, RotationId: args[0], DisplayName: args[1], TimeZone: flags.zone, StartTime: from, EndTime: to, Turn: turn,
				Participants: args[2:], Etag: etag})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { rotationTable(p, answer.GetRotation()) })
		},
	}
	flags.add(c)
	etagFlag(c, &etag)
	return c
}

func (a *app) rotationDeleteCommand() *cobra.Command {
	var etag string
	c := &cobra.Command{
		Use:   "delete ROTATION",
		Short: "End a rotation at once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			org, c, err := a.within()
			if err != nil {
				return err
			}
			answer, err := call(cmd.Context(), a, c.Availability.DeleteRotation,
				&membershipv1.DeleteRotationRequest{OrganizationId: org, RotationId: args[0], Etag: etag})
			if err != nil {
				return err
			}
			return a.show(answer, func(p *page) { p.line("%s is deleted.", args[0]) })
		},
	}
	etagFlag(c, &etag)
	return c
}
