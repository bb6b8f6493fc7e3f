package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// show writes an answer: as JSON, or as the text that is put together by say.
func (a *app) show(answer proto.Message, say func(*page)) error {
	p := &page{now: a.Now()}
	if !a.json {
		say(p)
		_, err := a.Out.Write(p.Bytes())
		return err
	}
	// The document is that of the REST API: every field is there. protojson varies its white space on purpose.
	loose, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(answer)
	if err != nil {
		return err
	}
	if err := json.Indent(&p.Buffer, loose, "", "  "); err != nil {
		return err
	}
	p.WriteByte('\n')
	_, err = a.Out.Write(p.Bytes())
	return err
}

// note tells what is not part of the answer.
func (a *app) note(format string, args ...any) { fmt.Fprintf(a.Err, format+"\n", cleanAll(args)...) }

// page is the text of an answer.
type page struct {
	bytes.Buffer
	now time.Time
}

// line adds a line. What comes from the server is an argument, never the format.
func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", cleanAll(args)...) }

// table adds aligned columns; a column that is empty in every row is left out.
func (p *page) table(header []string, rows [][]string) {
	var shown []int
	for column := range header {
		for _, row := range rows {
			if row[column] != "" {
				shown = append(shown, column)
				break
			}
		}
	}
	w := tabwriter.NewWriter(p, 0, 8, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		cells := make([]string, len(shown))
		for i, column := range shown {
			if cells[i] = clean(row[column]); cells[i] == "" && i < len(shown)-1 {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	w.Flush()
}

// fields adds one line per name and value; what has no value is left out.
func (p *page) fields(pairs ...string) {
	w := tabwriter.NewWriter(p, 0, 8, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(w, "%s:\t%s\n", pairs[i], clean(pairs[i+1]))
		}
	}
	w.Flush()
}

// ago is a short time for tables: 3h ago, in 6d, and the day when that is a month away or more.
func (p *page) ago(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	away := t.AsTime().Sub(p.now)
	size := away.Abs()
	short := ""
	switch {
	case size < 30*time.Second:
		return "now"
	case size < 59*time.Minute+30*time.Second:
		short = fmt.Sprintf("%.0fm", math.Round(size.Minutes()))
	case size < 48*time.Hour:
		short = fmt.Sprintf("%.0fh", math.Round(size.Hours()))
	case size < 30*24*time.Hour:
		short = fmt.Sprintf("%.0fd", math.Round(size.Hours()/24))
	default:
		return t.AsTime().In(p.now.Location()).Format(time.DateOnly)
	}
	if away < 0 {
		return short + " ago"
	}
	return "in " + short
}

// at is a full time.
func (p *page) at(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	full := t.AsTime().In(p.now.Location()).Format("2006-01-02 15:04 MST")
	if near := p.ago(t); !strings.Contains(full, near) {
		full += " (" + near + ")"
	}
	return full
}

// word is an enum value as people say it: STATE_ACTIVE is active, APPOINTMENT_OWNER_ONLY is owner only.
func word(value fmt.Stringer) string {
	_, name, _ := strings.Cut(value.String(), "_")
	if name == "UNSPECIFIED" {
		return ""
	}
	return strings.ReplaceAll(strings.ToLower(name), "_", " ")
}

// words are the values that a flag takes, in their order.
func words(names map[int32]string) []string {
	var all []string
	for _, number := range slices.Sorted(maps.Keys(names)) {
		if number != 0 {
			all = append(all, flagWord(names[number]))
		}
	}
	return all
}

func flagWord(name string) string {
	_, name, _ = strings.Cut(name, "_")
	return strings.ToLower(name)
}

// value reads one of words.
func value[E ~int32](flag, text string, names map[int32]string) (E, error) {
	for number, name := range names {
		if number != 0 && strings.EqualFold(flagWord(name), text) {
			return E(number), nil
		}
	}
	return 0, usageError{fmt.Sprintf("--%s %q: must be one of %s", flag, text, strings.Join(words(names), ", "))}
}

// values reads a list of words.
func values[E ~int32](flag string, texts []string, names map[int32]string) ([]E, error) {
	var all []E
	for _, text := range texts {
		one, err := value[E](flag, text, names)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// clean takes out what would act on the terminal or break a line: names are what other people have typed.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return '\uFFFD'
		}
		return r
	}, text)
}

func cleanAll(args []any) []any {
	cleaned := make([]any, len(args))
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			arg = clean(text)
		}
		cleaned[i] = arg
	}
	return cleaned
}
