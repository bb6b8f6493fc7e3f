package events

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Start says where a consumer begins that has no position yet.
type Start struct {
	latest bool
	since  time.Time
}

var (
	// All begins with the oldest event that the streams still hold, 14 days as installed. It is the default.
	All Start
	// Latest begins with the next event.
	Latest = Start{latest: true}
)

// Since begins with the first event that was published at t or later.
func Since(t time.Time) Start { return Start{since: t} }

func (s Start) policy() (jetstream.DeliverPolicy, *time.Time) {
	switch {
	case s.latest:
		return jetstream.DeliverNewPolicy, nil
	case !s.since.IsZero():
		return jetstream.DeliverByStartTimePolicy, &s.since
	}
	return jetstream.DeliverAllPolicy, nil
}

// filters returns the subjects to hear, by service. A service whose stream is heard whole has an empty list, one
// that has nothing to say has none.
func (c Config) filters() (map[string][]string, error) {
	services := c.Services
	if len(services) == 0 {
		services = Services()
	}
	filters := make(map[string][]string)
	for _, service := range services {
		if nouns[service] == nil {
			return nil, fmt.Errorf("there is no service %q", service)
		}
		switch aggregate := cmp.Or(c.Organization, "*"); {
		case len(c.Types) > 0:
			if subjects := subjectsOf(c.Types, nouns[service], aggregate); len(subjects) > 0 {
				filters[service] = subjects
			}
		case c.Organization != "":
			filters[service] = []string{Root + "*.*.*." + aggregate}
		default:
			filters[service] = nil
		}
	}
	for _, t := range c.Types {
		noun, _, _ := strings.Cut(t, ".")
		if !slices.ContainsFunc(services, func(service string) bool { return slices.Contains(nouns[service], noun) }) {
			return nil, fmt.Errorf("no event of these services has type %q", t)
		}
	}
	return filters, nil
}

// subjectsOf turns the types about nouns into subjects. NATS refuses filters that overlap.
func subjectsOf(types, nouns []string, aggregate string) (subjects []string) {
	for _, noun := range nouns {
		var verbs []string
		for _, t := range types {
			of, verb, _ := strings.Cut(t, ".")
			if of != noun {
				continue
			}
			if verb == "" || verb == ">" {
				verb = "*"
			}
			verbs = append(verbs, verb)
		}
		if slices.Contains(verbs, "*") {
			verbs = []string{"*"}
		}
		slices.Sort(verbs)
		for _, verb := range slices.Compact(verbs) {
			subjects = append(subjects, Root+noun+"."+verb+".*."+aggregate)
		}
	}
	return subjects
}
