package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/rosterhq/roster/services/chaos/linear"
	"github.com/rosterhq/roster/services/chaos/load"
	"github.com/rosterhq/roster/services/internal/verify"
)

// report is what happened, and what was found.
type report struct {
	config
	disks      []*disk
	begin, end time.Duration // between which things broke
	operations []load.Operation
	tries      []load.Try
	faults     []inflicted
	revived    []string

	checks, missed int
	during         []verify.Finding
	settled        *verify.Report
	heard          int64
	again          int
	unheard        []string
	projection     []string
	waiting        map[string]int
	verdicts       []linear.Verdict
}

// wrong are the parts of the history that cannot be true.
func (r *report) wrong() (wrong []linear.Verdict) {
	for _, v := range r.verdicts {
		if !v.Right() {
			wrong = append(wrong, v)
		}
	}
	return wrong
}

// right tells whether nothing is wrong. Where nothing was done, broken or looked at, nothing was shown.
func (r *report) right() bool {
	return len(r.operations) > 0 && len(r.faults) > 0 && r.checks > 0 &&
		len(r.during) == 0 && r.settled.OK() && len(r.unheard) == 0 && len(r.projection) == 0 && len(r.wrong()) == 0
}

func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "# Chaos: %s\n\n", map[bool]string{true: "nothing is wrong", false: "SOMETHING IS WRONG"}[r.right()])
	seconds := (r.end - r.begin).Seconds()
	fmt.Fprintf(w, "Seed %d, %.0f s, two processes of every role on %d processors. %d operations, %.0f a second; %d faults, one every %.1f s.\n",
		r.seed, seconds, runtime.NumCPU(), len(r.operations), r.rateOf(), len(r.faults), seconds/float64(max(1, len(r.faults))))
	if len(r.disks) == 0 {
		fmt.Fprintln(w, "No disk was filled: that takes root, on Linux.")
	}
	r.printOperations(w)
	r.printErrors(w)
	r.printFaults(w)
	r.printFindings(w)
}

func (r *report) rateOf() float64 {
	n := 0
	for _, o := range r.operations {
		if o.Call >= r.begin && o.Call < r.end {
			n++
		}
	}
	return float64(n) / (r.end - r.begin).Seconds()
}

func (r *report) printOperations(w io.Writer) {
	kinds := make(map[verify.Verb]map[verify.Outcome]int)
	for _, o := range r.operations {
		if kinds[o.Verb] == nil {
			kinds[o.Verb] = make(map[verify.Outcome]int)
		}
		kinds[o.Verb][o.Outcome]++
	}
	fmt.Fprintf(w, "\n| Operation | ok | refused | unknown |\n|---|---:|---:|---:|\n")
	for _, verb := range slices.Sorted(maps.Keys(kinds)) {
		k := kinds[verb]
		fmt.Fprintf(w, "| %s | %d | %d | %d |\n", verb, k[verify.OK], k[verify.Refused], k[verify.Unknown])
	}
}

// afterwards is how long after a fault clients may still feel it.
const afterwards = 5 * time.Second

// printErrors tells how many calls got no answer, while something was broken and otherwise.
func (r *report) printErrors(w io.Writer) {
	var calls, failed [2]int
	reasons := make(map[string]int)
	for _, t := range r.tries {
		if t.Call < r.begin || t.Call > r.end {
			continue
		}
		quiet := !slices.ContainsFunc(r.faults, func(f inflicted) bool { return t.Back >= f.begin && t.Call <= f.end+afterwards })
		in := 0
		if quiet {
			in = 1
		}
		calls[in]++
		if !t.Answered {
			failed[in]++
			reasons[summary(t.Reason)]++
		}
	}
	percent := func(in int) float64 { return 100 * float64(failed[in]) / float64(max(1, calls[in])) }
	fmt.Fprintf(w, "\nCalls without an answer: %.2f %% of %d from a fault until %s after it, %.2f %% of %d otherwise.\n",
		percent(0), calls[0], afterwards, percent(1), calls[1])
	byCount := slices.SortedFunc(maps.Keys(reasons), func(a, b string) int { return cmp.Or(reasons[b]-reasons[a], cmp.Compare(a, b)) })
	for _, reason := range byCount[:min(8, len(byCount))] {
		fmt.Fprintf(w, "- %d %s\n", reasons[reason], reason)
	}
}

// summary is what a failure has in common with others: no addresses, no numbers.
func summary(reason string) string {
	words := strings.Fields(reason)
	words = slices.DeleteFunc(words, func(word string) bool { return strings.ContainsAny(word, "0123456789") })
	return strings.Join(words, " ")
}

// goals are how soon something works again.
var goals = map[string]time.Duration{
	"kill -9 of a process": 3 * time.Second, "restart of a process": 3 * time.Second,
	"crash of PostgreSQL": 5 * time.Second, "kill -9 of NATS": 10 * time.Second,
}

func (r *report) printFaults(w io.Writer) {
	recoveries := make(map[string][]time.Duration)
	count := make(map[string]int)
	for _, f := range r.faults {
		count[f.name]++
		if f.recovery > 0 {
			recoveries[f.name] = append(recoveries[f.name], f.recovery)
		}
	}
	fmt.Fprintf(w, "\nRecovery is from the start: of a process until it is ready, of PostgreSQL until a client's change is made, of NATS until the\nconsumer hears an event. Other faults go on meanwhile.\n")
	fmt.Fprintf(w, "\n| Fault | times | recovery p50 | p99 | goal |\n|---|---:|---:|---:|---:|\n")
	for _, name := range slices.Sorted(maps.Keys(count)) {
		line := fmt.Sprintf("| %s | %d |", name, count[name])
		if all := recoveries[name]; len(all) > 0 {
			slices.Sort(all)
			line += fmt.Sprintf(" %.1f s | %.1f s |", all[len(all)/2].Seconds(), all[len(all)*99/100].Seconds())
		} else {
			line += " | |"
		}
		if goal := goals[name]; goal > 0 {
			line += fmt.Sprintf(" %.0f s", goal.Seconds())
		}
		fmt.Fprintln(w, line+" |")
	}
	if len(r.revived) > 0 {
		fmt.Fprintf(w, "\n%d times a process ended by itself and was started again: %s.\n", len(r.revived), strings.Join(slices.Compact(slices.Sorted(slices.Values(r.revived))), ", "))
	}
	var waiting []string
	for _, service := range slices.Sorted(maps.Keys(r.waiting)) {
		waiting = append(waiting, fmt.Sprintf("%s %d", service, r.waiting[service]))
	}
	fmt.Fprintf(w, "\nMost events that waited to be published: %s.\n", strings.Join(waiting, ", "))
}

const shownLines = 20

func (r *report) printFindings(w io.Writer) {
	judged := make(map[porcupine.CheckResult]int)
	steps := 0
	for _, v := range r.verdicts {
		judged[v.Result]++
		steps += v.Steps
	}
	fmt.Fprintf(w, "\n| Checked | | wrong |\n|---|---|---:|\n")
	fmt.Fprintf(w, "| what always holds, meanwhile | %d times, %d more found no database | %d |\n", r.checks, r.missed, len(r.during))
	fmt.Fprintf(w, "| everything, afterwards, with what clients were told | %d organizations, %d events, %d messages, %d operations | %d |\n",
		r.settled.Organizations, r.settled.Events, r.settled.Messages, r.settled.Operations, len(r.settled.Findings))
	fmt.Fprintf(w, "| every event once and in order, to a consumer that heard all the time | %d events, %d of them told again | %d |\n", r.heard, r.again, len(r.unheard))
	fmt.Fprintf(w, "| members that the consumer knows of | | %d |\n", len(r.projection))
	fmt.Fprintf(w, "| what clients were told is possible | %d persons, invitations and organizations' seats, %d steps; %d not judged in time | %d |\n",
		len(r.verdicts), steps, judged[porcupine.Unknown], len(r.wrong()))
	list := func(what string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(w, "\n## %s\n\n", what)
		for _, line := range lines[:min(shownLines, len(lines))] {
			fmt.Fprintf(w, "- %s\n", line)
		}
		if len(lines) > shownLines {
			fmt.Fprintf(w, "- and %d more\n", len(lines)-shownLines)
		}
	}
	list("Wrong meanwhile", findings(r.during))
	list("Wrong afterwards", findings(r.settled.Findings))
	list("Not heard once and in order", r.unheard)
	list("Members that the consumer has wrong", r.projection)
	for i, v := range r.wrong() {
		list("Not possible: "+v.String(), append([]string{fmt.Sprintf("all of it is drawn in wrong-%d.html", i+1)}, v.Excerpt()...))
	}
}

func findings(all []verify.Finding) (lines []string) {
	for _, f := range all {
		lines = append(lines, fmt.Sprintf("%s %s %s %s: %s", f.ID, f.Service, f.Organization, f.Subject, f.Detail))
	}
	return lines
}
