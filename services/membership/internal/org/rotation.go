package org

import (
	"fmt"
	"slices"
	"time"

	"github.com/rosterhq/roster/pkg/fault"

	"github.com/rosterhq/roster/services/internal/id"
)

// Rotation is a duty that its participants take in turns, in order, again and again.
type Rotation struct {
	ID id.Rotation
	RotationWords
	Version int64
}

// RotationWords are what a rotation is made of by those who plan it.
type RotationWords struct {
	DisplayName  string
	Zone         Zone
	Start        time.Time    // the first turn; what the clock of the zone shows then is when it is handed over
	End          *time.Time   // nil: it goes on
	Days         int          // that a turn lasts
	Participants []id.Account // in order; the zero Account is a turn of nobody's, whose participant has left
}

// Turn is the time that somebody is on call by a rotation.
type Turn struct {
	Account    id.Account
	Start, End time.Time
}

// Turns returns those that are under way or begin within the horizon, at most so many.
func (r Rotation) Turns(at time.Time, most int) (turns []Turn) {
	r.each(at, at.Add(Horizon), func(account id.Account, start, end time.Time) {
		if len(turns) < most {
			turns = append(turns, Turn{account, start, end})
		}
	})
	return turns
}

func (r Rotation) each(from, to time.Time, visit func(account id.Account, start, end time.Time)) {
	if r.End != nil {
		to = earlier(to, *r.End)
	}
	first := r.Zone.clock(r.Start)
	r.Zone.every(r.Days, first, first.AddDate(0, 0, r.Days), from, to, func(i int, start, end time.Time) {
		if r.End != nil {
			end = earlier(end, *r.End)
		}
		visit(r.Participants[i%len(r.Participants)], start, end)
	})
}

// Affects returns whose availability a rotation is about, before or after a change of it.
func (r Rotation) Affects(other Rotation) (accounts []id.Account) {
	for _, account := range slices.Concat(r.Participants, other.Participants) {
		if !account.IsZero() && !slices.Contains(accounts, account) {
			accounts = append(accounts, account)
		}
	}
	return accounts
}

func (w RotationWords) check() error {
	switch {
	case w.Zone.Name == "":
		return fault.Invalid("time_zone", "must be given: the clock of which place counts?")
	case w.Start.IsZero():
		return fault.Invalid("start_time", "must be given")
	case w.End != nil && !w.Start.Before(*w.End):
		return fault.Invalid("end_time", "must be after the start")
	case w.Days < 1 || w.Days > longest:
		return fault.Invalid("turn", fmt.Sprintf("must last 1 to %d days", longest))
	case len(w.Participants) == 0 || len(w.Participants) > maxParticipants:
		return fault.Invalid("participants", fmt.Sprintf("must be 1 to %d", maxParticipants))
	}
	for i, account := range w.Participants {
		if slices.Contains(w.Participants[:i], account) {
			return fault.Invalid("participants", "must each be named once")
		}
	}
	return nil
}

// Rotations of one organization.
type Rotations []Rotation

// PlanRotations refuses those who may not change rotations. They give nobody a right: who may change what is written of
// members may plan their turns, the owner's and admins' included.
func (a Actor) PlanRotations() error {
	if err := a.Need(UpdateProfiles); err != nil {
		return err
	}
	return a.organization.UsesAvailability()
}

// AddRotation returns the rotations with a new one. belongs tells who is a member.
func (a Actor) AddRotation(rotations Rotations, r Rotation, belongs func(id.Account) bool) (Rotations, error) {
	if err := a.PlanRotations(); err != nil {
		return nil, err
	}
	if len(rotations) >= maxRotations {
		return nil, limitReached("rotations", maxRotations)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	if !belong(r, belongs) {
		return nil, ErrNoMember
	}
	return append(slices.Clone(rotations), r), nil
}

// ChangeRotation returns the rotations with one changed, as it was and as it is.
func (a Actor) ChangeRotation(rotations Rotations, key id.Rotation, words RotationWords, etag string, belongs func(id.Account) bool) (_ Rotations, before, after Rotation, err error) {
	i, err := a.findRotation(rotations, key, etag)
	if err != nil {
		return nil, before, after, err
	}
	before = rotations[i]
	after = Rotation{ID: key, RotationWords: words, Version: before.Version + 1}
	if err := after.check(); err != nil {
		return nil, before, after, err
	}
	if !belong(after, belongs) {
		return nil, before, after, ErrNoMember
	}
	rotations = slices.Clone(rotations)
	rotations[i] = after
	return rotations, before, after, nil
}

// DeleteRotation returns the rotations without one, and that one.
func (a Actor) DeleteRotation(rotations Rotations, key id.Rotation, etag string) (Rotations, Rotation, error) {
	i, err := a.findRotation(rotations, key, etag)
	if err != nil {
		return nil, Rotation{}, err
	}
	return slices.Delete(slices.Clone(rotations), i, i+1), rotations[i], nil
}

func (a Actor) findRotation(rotations Rotations, key id.Rotation, etag string) (int, error) {
	if err := a.Need(UpdateProfiles); err != nil {
		return 0, err
	}
	i := slices.IndexFunc(rotations, func(r Rotation) bool { return r.ID == key })
	if i < 0 {
		return 0, ErrNoRotation
	}
	if err := a.PlanRotations(); err != nil {
		return 0, err
	}
	return i, match(etag, rotations[i].Version)
}

func belong(r Rotation, belongs func(id.Account) bool) bool {
	return !slices.ContainsFunc(r.Participants, func(account id.Account) bool { return !belongs(account) })
}
