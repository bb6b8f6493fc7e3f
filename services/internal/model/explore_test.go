package model

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// protocol is a graph of states.
type protocol[S comparable] struct {
	start S

	// steps calls take for every step that is possible in a state, with the state that it leads to and what happens, in the
	// manner of Printf.
	steps func(from S, take func(to S, what string, about ...any))

	// broken says what is wrong in a state, or "".
	broken func(S) string

	// settled tells whether nothing is under way.
	settled func(S) bool
}

// finding is what exploring a protocol comes to.
type finding struct {
	states    int
	depth     int    // the longest of the shortest ways to a state
	violation string // of the first state that is broken, or from which no way leads to a settled one; "" if there is none
	trace     string // a shortest way there
}

// explore visits every state, nearest first.
func explore[S comparable](p protocol[S]) finding {
	var (
		states  = []S{p.start}
		numbers = map[S]int32{p.start: 0} // index in states
		parents = []int32{0}
		depths  = []int32{0}
		edges   [][2]int32 // from, to
	)
	for i := 0; i < len(states); i++ {
		if violation := p.broken(states[i]); violation != "" {
			return finding{len(states), int(depths[i]), violation, trace(p, states, parents, i)}
		}
		p.steps(states[i], func(to S, _ string, _ ...any) {
			if to == states[i] { // a repetition that changed nothing
				return
			}
			number, known := numbers[to]
			if !known {
				number = int32(len(states))
				numbers[to] = number
				states, parents, depths = append(states, to), append(parents, int32(i)), append(depths, depths[i]+1)
			}
			edges = append(edges, [2]int32{int32(i), number})
		})
	}
	result := finding{states: len(states), depth: int(depths[len(depths)-1])}
	if stuck := firstStuck(p, states, edges); stuck >= 0 {
		result.violation, result.trace = "no way leads out", trace(p, states, parents, stuck)
	}
	return result
}

// firstStuck returns the first state from which no way leads to a settled one, or -1. It goes backwards from the settled ones.
func firstStuck[S comparable](p protocol[S], states []S, edges [][2]int32) int {
	begin := make([]int32, len(states)+2) // edges into state n end up at sources[begin[n]:begin[n+1]]
	for _, edge := range edges {
		begin[edge[1]+2]++
	}
	for i := range states {
		begin[i+2] += begin[i+1]
	}
	sources := make([]int32, len(edges))
	for _, edge := range edges {
		sources[begin[edge[1]+1]] = edge[0]
		begin[edge[1]+1]++
	}
	escapes := make([]bool, len(states))
	var queue []int32
	for i, state := range states {
		if p.settled(state) {
			escapes[i] = true
			queue = append(queue, int32(i))
		}
	}
	for len(queue) > 0 {
		last := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, source := range sources[begin[last]:begin[last+1]] {
			if !escapes[source] {
				escapes[source] = true
				queue = append(queue, source)
			}
		}
	}
	for i := range states {
		if !escapes[i] {
			return i
		}
	}
	return -1
}

// trace tells a shortest story that ends in a state.
func trace[S comparable](p protocol[S], states []S, parents []int32, end int) string {
	if end == 0 {
		return "at the start\n"
	}
	parent := int(parents[end])
	story := trace(p, states, parents, parent)
	found := false
	p.steps(states[parent], func(to S, what string, about ...any) {
		if to == states[end] && !found {
			found = true
			story += fmt.Sprintf("%2d. "+what+"\n", append([]any{strings.Count(story, "\n")}, about...)...)
		}
	})
	return story
}

// holds fails the test if the protocol breaks.
func holds[S comparable](t *testing.T, p protocol[S]) {
	t.Helper()
	f := explore(p)
	if f.violation != "" {
		t.Fatalf("%s, after %d states:\n%s", f.violation, f.states, f.trace)
	}
	t.Logf("%d states, %d steps deep", f.states, f.depth)
}

// breaks fails the test unless the protocol breaks in the way that is expected.
func breaks[S comparable](t *testing.T, p protocol[S], violation string) {
	t.Helper()
	f := explore(p)
	require.Equal(t, violation, f.violation, f.trace)
	t.Logf("%s, after %d states:\n%s", f.violation, f.states, f.trace)
}

// TestExplore explores a counter that goes up by one or by two, up to 5.
func TestExplore(t *testing.T) {
	t.Parallel()
	counter := func() protocol[int] {
		return protocol[int]{
			steps: func(from int, take func(int, string, ...any)) {
				for _, n := range []int{1, 2} {
					if from+n <= 5 {
						take(from+n, "adds %d", n)
					}
				}
			},
			broken:  func(int) string { return "" },
			settled: func(n int) bool { return n == 5 },
		}
	}
	t.Run("VisitsEveryState", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, finding{states: 6, depth: 3}, explore(counter()))
	})
	t.Run("TellsAShortestStory", func(t *testing.T) {
		t.Parallel()
		p := counter()
		p.broken = func(n int) string {
			if n == 3 {
				return "three"
			}
			return ""
		}
		f := explore(p)
		require.Equal(t, "three", f.violation)
		require.Equal(t, 2, f.depth)
		require.Equal(t, "at the start\n 1. adds 1\n 2. adds 2\n", f.trace)
	})
	t.Run("FindsADeadEnd", func(t *testing.T) {
		t.Parallel()
		p := counter()
		p.settled = func(n int) bool { return n == 4 }
		f := explore(p)
		require.Equal(t, "no way leads out", f.violation)
		require.Equal(t, "at the start\n 1. adds 1\n 2. adds 2\n 3. adds 2\n", f.trace)
	})
}
