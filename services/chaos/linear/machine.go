package linear

import (
	"hash/maphash"
	"maps"
	"time"

	"github.com/anishathalye/porcupine"
)

// machine is a thing that does one step after the other, as a client imagines it: a person in an organization, an
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

// add notes an answer. The machine took its step at some moment between the call and the answer.
func (m *machine[S]) add(client int, call, back time.Duration, what string, next func(S) []S) {
	m.steps = append(m.steps, porcupine.Operation{
		ClientId: client, Call: call.Nanoseconds(), Return: back.Nanoseconds(), Input: step[S]{what, next}})
}

// open notes something that may happen at any time from now on.
func (m *machine[S]) open(client int, from time.Duration, what string, next func(S) S) {
	m.add(client, from, from, what, func(s S) []S { return []S{next(s)} })
}

// judge looks for an order of the steps that makes every answer right.
func (m *machine[S]) judge(timeout time.Duration) (porcupine.CheckResult, porcupine.LinearizationInfo, porcupine.Model) {
	model := m.model()
	result, info := porcupine.CheckOperationsVerbose(model, m.steps, timeout)
	return result, info, model
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

// only is the step that is possible from some states, and changes them.
func only[S comparable](possible bool, next S) []S {
	if !possible {
		return nil
	}
	return []S{next}
}
