package linear

import (
	"hash/maphash"
	"maps"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/rosterhq/roster/services/chaos/load"
)

// machine is a thing that does one step after the other, as clients imagine it: a person in an organization, an
// invitation, the seats of an organization.
type machine[S comparable] struct {
	first S
	// drift returns what a state may become by itself: by something that was asked for and never answered, or that follows
	// an answer some time later.
	drift func(S) []S
	steps []porcupine.Operation
}

// step is what an answer says: the states that the machine may be in after it, from one before. None: from that state
// the answer is wrong.
type step[S comparable] struct {
	what string
	next func(S) []S
}

// tell adds an answer. The machine took its step at some moment between the call and the answer.
func (m *machine[S]) tell(o load.Operation, what string, next func(S) []S) {
	m.steps = append(m.steps, porcupine.Operation{
		ClientId: o.Client, Call: o.Call.Nanoseconds(), Return: o.Back.Nanoseconds(), Input: step[S]{what, next}})
}

// expect adds something that may happen at any time after the call.
func (m *machine[S]) expect(o load.Operation, what string, next func(S) S) {
	o.Back = o.Call
	m.tell(o, what+", perhaps", func(s S) []S { return []S{next(s)} })
}

// judge looks for an order of the steps that makes every answer right.
func (m *machine[S]) judge(timeout time.Duration) Verdict {
	model := m.model()
	result, info := porcupine.CheckOperationsVerbose(model, m.steps, timeout)
	return Verdict{Result: result, Steps: len(m.steps), model: model, info: info, told: m.steps}
}

// model is the machine for porcupine. What clients know of its state is a set: all that the answers so far allow.
func (m *machine[S]) model() porcupine.Model {
	seed := maphash.MakeSeed()
	return porcupine.Model{
		Init: func() any { return states[S]{m.first: {}} },
		Step: func(state, input, _ any) (bool, any) {
			after := make(states[S])
			for s := range m.reach(state.(states[S])) {
				for _, next := range input.(step[S]).next(s) {
					after[next] = struct{}{}
				}
			}
			return len(after) > 0, after
		},
		Equal: func(a, b any) bool { return maps.Equal(a.(states[S]), b.(states[S])) },
		Hash: func(state any) (sum uint64) {
			for s := range state.(states[S]) {
				sum ^= maphash.Comparable(seed, s)
			}
			return sum
		},
		DescribeOperation: func(input, _ any) string { return input.(step[S]).what },
	}
}

type states[S comparable] map[S]struct{}

// reach adds what the states may become by themselves.
func (m *machine[S]) reach(from states[S]) states[S] {
	all := maps.Clone(from)
	todo := make([]S, 0, len(from))
	for s := range from {
		todo = append(todo, s)
	}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, next := range m.drift(s) {
			if _, known := all[next]; !known {
				all[next] = struct{}{}
				todo = append(todo, next)
			}
		}
	}
	return all
}

// doubtful is a machine of which single steps may still come or not.
type doubtful[S comparable] struct {
	machine[doubt[S]]
	effects []func(S) []S
	spent   bool // more is open than can be told apart
}

// doubt is a state, with a bit for each effect that may still come.
type doubt[S comparable] struct {
	now  S
	open uint64
}

func newDoubtful[S comparable](first S) *doubtful[S] {
	d := &doubtful[S]{}
	d.first = doubt[S]{now: first}
	d.drift = func(s doubt[S]) (next []doubt[S]) {
		for n, effect := range d.effects {
			if s.open&(1<<n) != 0 {
				for _, after := range effect(s.now) {
					next = append(next, doubt[S]{after, s.open &^ (1 << n)})
				}
			}
		}
		return next
	}
	return d
}

func (d *doubtful[S]) tell(o load.Operation, what string, next func(S) []S) {
	d.machine.tell(o, what, func(s doubt[S]) (all []doubt[S]) {
		for _, after := range next(s.now) {
			all = append(all, doubt[S]{after, s.open})
		}
		return all
	})
}

// may adds an operation of which nobody knows what became.
func (d *doubtful[S]) may(o load.Operation, what string, effect func(S) []S) {
	bit := uint64(1) << len(d.effects)
	if bit == 0 {
		d.spent = true
		return
	}
	d.effects = append(d.effects, effect)
	d.expect(o, what, func(s doubt[S]) doubt[S] { return doubt[S]{s.now, s.open | bit} })
}

func (d *doubtful[S]) judge(timeout time.Duration) Verdict {
	v := d.machine.judge(timeout)
	if d.spent && v.Result == porcupine.Ok {
		v.Result = porcupine.Unknown
	}
	return v
}

// only is the step that is possible from some states.
func only[S comparable](possible bool, next S) []S {
	if !possible {
		return nil
	}
	return []S{next}
}
