// Package callers is the table of who may call what, in callers.txt, for the tests that hold the suite to it.
package callers

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed callers.txt
var table string

// Row is what becomes of one method.
type Row struct {
	Method   string            // its name, without the service's: no two services have the same
	Answers  map[string]string // by kind of caller: ok, or the reason of the refusal without its prefix
	Services []string          // that call it for themselves, over TLS
	Request  string            // in proto3 JSON; what stands in braces, and ids that it leaves out, is for the caller to fill in
}

// words of the table and the reasons they stand for.
var words = map[string]string{
	"ok": "ok", "missing": "PERMISSION_MISSING", "hidden": "ORGANIZATION_NOT_FOUND", "disabled": "MEMBER_DISABLED",
	"unknown": "UNAUTHENTICATED", "refused": "CALLER_REFUSED", "absent": "ROUTE_NOT_FOUND", "off": "FEATURE_OFF",
}

// Table returns the kinds of callers, and the rows in the order in which they are to be called.
func Table() (kinds []string, rows []Row, err error) {
	for line := range strings.Lines(table) {
		cells := strings.Fields(line)
		switch {
		case len(cells) == 0 || cells[0] == "#":
		case kinds == nil: // the heading: method, kinds, services, request
			kinds = cells[1 : len(cells)-2]
		default:
			row, err := parse(kinds, cells)
			if err != nil {
				return nil, nil, fmt.Errorf("callers.txt, %s: %w", cells[0], err)
			}
			rows = append(rows, row)
		}
	}
	return kinds, rows, nil
}

func parse(kinds, cells []string) (Row, error) {
	if len(cells) < len(kinds)+3 {
		return Row{}, fmt.Errorf("has %d cells, and needs %d and a request", len(cells), len(kinds)+2)
	}
	answers, rest := cells[1:len(kinds)+1], cells[len(kinds)+1:]
	row := Row{Method: cells[0], Answers: make(map[string]string)}
	switch rest[0] {
	case "-":
	case "all":
		row.Services = []string{"membership", "invitation", "identity", "billing", "gateway"}
	default:
		row.Services = strings.Split(rest[0], ",")
	}
	rest = rest[1:]
	star, given := strings.CutPrefix(rest[0], "*=")
	if given {
		rest = rest[1:]
	}
	row.Request = strings.Join(rest, " ")
	for i, answer := range answers {
		reason, known := words[answer]
		if answer == "*" && given {
			reason, known = star, true
		}
		if !known {
			return Row{}, fmt.Errorf("%q of %s is no word of the table", answer, kinds[i])
		}
		row.Answers[kinds[i]] = reason
	}
	return row, nil
}
