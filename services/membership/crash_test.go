package membership_test

import (
	"sync"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

// errDown is what a call to a service that does not answer gets.
var errDown = fault.New(errorv1.Reason_REASON_UNAVAILABLE, "The service does not answer.")

// crashPoint is a call to billing that fails, before or after it had its effect.
type crashPoint struct {
	method string
	after  bool
}

func crashPoints(methods ...string) (points []crashPoint) {
	for _, method := range methods {
		points = append(points, crashPoint{method, false}, crashPoint{method, true})
	}
	return points
}

func (p crashPoint) String() string {
	if p.after {
		return "After " + p.method
	}
	return "Before " + p.method
}

func (p crashPoint) arm(s *seats) {
	fail := func(method string) error {
		if method == p.method {
			return errDown
		}
		return nil
	}
	if p.after {
		s.after = fail
	} else {
		s.before = fail
	}
}

func (p crashPoint) disarm(s *seats) {
	none := func(string) error { return nil }
	s.before, s.after = none, none
}

// together runs do n times at once.
func together(n int, do func(i int)) {
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { do(i) })
	}
	group.Wait()
}
