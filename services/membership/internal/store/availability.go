package store

import (
	"context"
	"time"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// Schedules returns the organization with some members and all that their availability follows from.
func (q Queries) Schedules(ctx context.Context, key id.Organization, accounts ...id.Account) (Standing, map[id.Account]org.Schedule, error) {
	collect := q.standing(key, accounts)
	collectSchedules := q.schedules(key, accounts)
	if err := q.Fetch(ctx); err != nil {
		return Standing{}, nil, err
	}
	schedules, err := collectSchedules()
	return collect(), schedules, err
}

// LockSchedules is Schedules, and holds the members' rows until the transaction ends. Whoever computes an availability does so
// under this lock, or that of the organization.
func (q Queries) LockSchedules(ctx context.Context, key id.Organization, accounts ...id.Account) (Standing, map[id.Account]org.Schedule, error) {
	q.lockOrganization(key, "FOR SHARE")
	q.memberLocks(key, accounts...)
	return q.Schedules(ctx, key, accounts...)
}

// Rotations returns the organization with some members and all rotations.
func (q Queries) Rotations(ctx context.Context, key id.Organization, accounts ...id.Account) (Standing, org.Rotations, error) {
	collect := q.standing(key, accounts)
	collectRotations := q.rotations(key, nil)
	if err := q.Fetch(ctx); err != nil {
		return Standing{}, nil, err
	}
	rotations, err := collectRotations()
	return collect(), rotations, err
}

// LockRotations is Rotations, and holds the organization's row alone until the transaction ends: nobody changes a schedule
// meanwhile.
func (q Queries) LockRotations(ctx context.Context, key id.Organization, actor id.Account, others ...id.Account) (Standing, org.Rotations, error) {
	q.lockOrganization(key, "FOR UPDATE")
	q.memberLocks(key, actor)
	return q.Rotations(ctx, key, append(others, actor)...)
}

// schedules queues the reads and returns what collects them after the next Fetch.
func (q Queries) schedules(key id.Organization, accounts []id.Account) func() (map[id.Account]org.Schedule, error) {
	var hours []struct {
		Account   id.Account `db:"account_id"`
		TimeZone  string
		Intervals []org.Interval
		Version   int64
	}
	var overrides []struct {
		ID        id.Override `db:"override_id"`
		Account   id.Account  `db:"account_id"`
		State     org.Availability
		StartTime time.Time
		EndTime   time.Time
		Days      int `db:"repeat_days"`
		TimeZone  string
		UntilTime *time.Time
		Note      string
	}
	var reports []struct {
		Account    id.Account `db:"account_id"`
		State      org.Availability
		ReportTime time.Time
		UntilTime  time.Time
	}
	args := []any{key, accounts}
	q.Read(`SELECT account_id, time_zone, intervals, version FROM weekly_hours WHERE organization_id = $1 AND account_id = ANY ($2)`,
		args, postgres.All(&hours))
	q.Read(`
		SELECT override_id, account_id, state, start_time, end_time, repeat_days, time_zone, until_time, note
		FROM overrides WHERE organization_id = $1 AND account_id = ANY ($2) ORDER BY start_time, override_id`, args, postgres.All(&overrides))
	q.Read(`SELECT account_id, state, report_time, until_time FROM availability_reports WHERE organization_id = $1 AND account_id = ANY ($2)`,
		args, postgres.All(&reports))
	collectRotations := q.rotations(key, accounts)
	return func() (map[id.Account]org.Schedule, error) {
		rotations, err := collectRotations()
		if err != nil {
			return nil, err
		}
		schedules := make(map[id.Account]org.Schedule)
		for _, account := range accounts {
			schedules[account] = org.Schedule{Account: account, Rotations: rotations}
		}
		for _, h := range hours {
			s := schedules[h.Account]
			if s.Hours, err = org.NewWeeklyHours(h.TimeZone, h.Intervals); err != nil {
				return nil, err
			}
			s.Hours.Version = h.Version
			schedules[h.Account] = s
		}
		for _, row := range overrides {
			o := org.Override{
				ID: row.ID, Account: row.Account, State: row.State, Start: row.StartTime, End: row.EndTime, Note: row.Note,
				Repeat: org.Repeat{Days: row.Days, Until: row.UntilTime},
			}
			if row.TimeZone != "" {
				if o.Repeat.Zone, err = org.ParseZone(row.TimeZone); err != nil {
					return nil, err
				}
			}
			s := schedules[row.Account]
			s.Overrides = append(s.Overrides, o)
			schedules[row.Account] = s
		}
		for _, r := range reports {
			s := schedules[r.Account]
			s.Report = org.Report{State: r.State, Time: r.ReportTime, Until: r.UntilTime}
			schedules[r.Account] = s
		}
		return schedules, nil
	}
}

// rotations queues a read of the rotations, all or those in which one of the accounts takes turns.
func (q Queries) rotations(key id.Organization, accounts []id.Account) func() (org.Rotations, error) {
	var found []struct {
		ID          id.Rotation `db:"rotation_id"`
		DisplayName string
		TimeZone    string
		StartTime   time.Time
		EndTime     *time.Time
		TurnDays    int
		Places      int
		Version     int64
	}
	var participants []struct {
		Rotation id.Rotation `db:"rotation_id"`
		Place    int
		Account  id.Account `db:"account_id"`
	}
	const those = ` organization_id = $1 AND ($2::uuid[] IS NULL
		OR rotation_id IN (SELECT p.rotation_id FROM rotation_participants p WHERE p.organization_id = $1 AND p.account_id = ANY ($2)))`
	args := []any{key, accounts}
	q.Read(`
		SELECT rotation_id, display_name, time_zone, start_time, end_time, turn_days, places, version
		FROM rotations WHERE`+those+` ORDER BY display_name, rotation_id`, args, postgres.All(&found))
	q.Read(`SELECT rotation_id, place, account_id FROM rotation_participants WHERE`+those, args, postgres.All(&participants))
	return func() (rotations org.Rotations, err error) {
		index := make(map[id.Rotation]int)
		for i, row := range found {
			r := org.Rotation{ID: row.ID, Version: row.Version, RotationWords: org.RotationWords{
				DisplayName: row.DisplayName, Start: row.StartTime, End: row.EndTime, Days: row.TurnDays, Participants: make([]id.Account, row.Places),
			}}
			if r.Zone, err = org.ParseZone(row.TimeZone); err != nil {
				return nil, err
			}
			rotations = append(rotations, r)
			index[r.ID] = i
		}
		for _, p := range participants {
			rotations[index[p.Rotation]].Participants[p.Place-1] = p.Account
		}
		return rotations, nil
	}
}

// SaveHours replaces a member's weekly hours.
func (q Queries) SaveHours(key id.Organization, account id.Account, h org.WeeklyHours) {
	intervals := h.Intervals
	if intervals == nil {
		intervals = []org.Interval{} // and not null
	}
	q.Write(`
		INSERT INTO weekly_hours (organization_id, account_id, time_zone, intervals, version) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (organization_id, account_id) DO UPDATE
		SET time_zone = excluded.time_zone, intervals = excluded.intervals, version = excluded.version`,
		key, account, h.Zone.Name, intervals, h.Version)
}

// InsertOverride writes a new override.
func (q Queries) InsertOverride(key id.Organization, o org.Override) {
	q.Write(`
		INSERT INTO overrides (organization_id, override_id, account_id, state, start_time, end_time, repeat_days, time_zone, until_time, over_time, note)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		key, o.ID, o.Account, o.State, o.Start, o.End, o.Repeat.Days, o.Repeat.Zone.Name, o.Repeat.Until, o.Over(), o.Note)
}

// DeleteOverride deletes an override.
func (q Queries) DeleteOverride(key id.Organization, override id.Override) {
	q.Write(`DELETE FROM overrides WHERE organization_id = $1 AND override_id = $2`, key, override)
}

// SaveReport writes what another scheduler says of a member.
func (q Queries) SaveReport(key id.Organization, account id.Account, r org.Report) {
	q.Write(`
		INSERT INTO availability_reports (organization_id, account_id, state, report_time, until_time) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (organization_id, account_id) DO UPDATE
		SET state = excluded.state, report_time = excluded.report_time, until_time = excluded.until_time`,
		key, account, r.State, r.Time, r.Until)
}

// SaveRotation writes a rotation, new or not, with its participants.
func (q Queries) SaveRotation(key id.Organization, r org.Rotation) {
	q.Write(`
		INSERT INTO rotations (organization_id, rotation_id, display_name, time_zone, start_time, end_time, turn_days, places, version)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (organization_id, rotation_id) DO UPDATE
		SET display_name = excluded.display_name, time_zone = excluded.time_zone, start_time = excluded.start_time,
		    end_time = excluded.end_time, turn_days = excluded.turn_days, places = excluded.places, version = excluded.version`,
		key, r.ID, r.DisplayName, r.Zone.Name, r.Start, r.End, r.Days, len(r.Participants), r.Version)
	q.Write(`DELETE FROM rotation_participants WHERE organization_id = $1 AND rotation_id = $2`, key, r.ID)
	q.Write(`
		INSERT INTO rotation_participants (organization_id, rotation_id, place, account_id)
		SELECT $1, $2, p.place, p.account_id FROM unnest($3::uuid[]) WITH ORDINALITY p (account_id, place)`,
		key, r.ID, r.Participants)
}

// DeleteRotation deletes a rotation.
func (q Queries) DeleteRotation(key id.Organization, rotation id.Rotation) {
	q.Write(`DELETE FROM rotations WHERE organization_id = $1 AND rotation_id = $2`, key, rotation)
}

// SaveAvailability notes on the list how a member is available by now, and forgets overrides that are long over.
func (q Queries) SaveAvailability(key id.Organization, account id.Account, state org.Availability, next *time.Time) {
	q.Write(`
		UPDATE people SET availability = $3, next_change_time = $4
		WHERE organization_id = $1 AND person_id = $2 AND (availability, next_change_time) IS DISTINCT FROM ($3, $4)`,
		key, account, state, next)
	q.Write(`DELETE FROM overrides WHERE organization_id = $1 AND account_id = $2 AND over_time < $3`, key, account, q.Now().Add(-org.Horizon))
}
