package main

import (
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/chaos/linear"
	"github.com/rosterhq/roster/services/chaos/load"
	"github.com/rosterhq/roster/services/internal/verify"
)

func TestReport(t *testing.T) {
	t.Parallel()
	fine := func() *report {
		return &report{
			end: 10 * time.Second, checks: 2, settled: &verify.Report{Organizations: 3}, waiting: map[string]int{"billing": 7},
			operations: []load.Operation{{Operation: verify.Operation{Verb: verify.Invite, Outcome: verify.OK}, Call: time.Second, Back: 2 * time.Second}},
			faults:     []inflicted{{name: "kill -9 of a process", target: "billing-1", begin: time.Second, end: 2 * time.Second, recovery: 900 * time.Millisecond}},
			tries: []load.Try{
				{Call: 1500 * time.Millisecond, Back: 1600 * time.Millisecond, Reason: "dial tcp 127.0.0.1:99: connection refused"},
				{Call: 9 * time.Second, Back: 9 * time.Second, Answered: true},
			},
			verdicts: []linear.Verdict{{Result: porcupine.Ok, Steps: 4}},
		}
	}
	page := func(r *report) string {
		var b strings.Builder
		r.print(&b)
		return b.String()
	}

	t.Run("ItSaysWhatHappened", func(t *testing.T) {
		t.Parallel()
		said := page(fine())
		require.True(t, fine().right())
		for _, part := range []string{
			"nothing is wrong", "| invite | 1 | 0 | 0 |", "100.00 % of 1 from a fault until 5s after it, 0.00 % of 1 otherwise", "1 dial tcp connection refused",
			"| kill -9 of a process | 1 | 0.9 s | 0.9 s | 3 s |", "billing 7", "No disk was filled",
		} {
			require.Contains(t, said, part)
		}
	})

	finding := verify.Finding{ID: "A1", Organization: "org_one", Detail: "one too many"}
	for rule, spoil := range map[string]struct {
		with func(*report)
		says string
	}{
		"WhatWasWrongMeanwhile":     {func(r *report) { r.during = append(r.during, finding) }, "one too many"},
		"WhatIsWrongAfterwards":     {func(r *report) { r.settled.Findings = append(r.settled.Findings, finding) }, "one too many"},
		"WhatWasNotHeard":           {func(r *report) { r.unheard = []string{"revision 3 is missing"} }, "revision 3 is missing"},
		"WhatTheConsumerHasWrong":   {func(r *report) { r.projection = []string{"Ada is nobody"} }, "Ada is nobody"},
		"WhatIsNotPossible":         {func(r *report) { r.verdicts[0].Result = porcupine.Illegal }, "wrong-1.html"},
		"WhatWasNotJudgedInTime":    {func(r *report) { r.verdicts[0].Result = porcupine.Unknown }, "1 not judged in time"},
		"WhatNothingExplains":       {func(r *report) { r.verdicts[0].Unexplained = []error{verifyError("out of nowhere")} }, "out of nowhere"},
		"NothingWasDone":            {func(r *report) { r.operations = nil }, "0 operations"},
		"NothingWasBroken":          {func(r *report) { r.faults = nil }, "0 faults"},
		"NothingWasLookedAt":        {func(r *report) { r.checks = 0 }, "meanwhile | 0 times"},
		"OnlySoManyLinesAreShown":   {func(r *report) { r.unheard = make([]string, 30) }, "and 10 more"},
		"EverythingThatIsWrongIsOn": {func(r *report) { r.during, r.projection = []verify.Finding{finding}, []string{"Ada"} }, "Members that the consumer has wrong"},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			r := fine()
			spoil.with(r)
			require.False(t, r.right())
			said := page(r)
			require.Contains(t, said, "SOMETHING IS WRONG")
			require.Contains(t, said, spoil.says)
		})
	}
}

type verifyError string

func (e verifyError) Error() string { return string(e) }
