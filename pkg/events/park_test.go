package events

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestReasonSaysNothingOfAPerson(t *testing.T) {
	t.Parallel()
	e := Event{Data: []byte(`{"context":{"requestId":"r"},"personal":{"displayName":"Ada M. Lovelace","email":"ada@example.com","username":"ada.l","nested":[{"name":"Žofie"}]}}`)}
	for refusal, want := range map[string]string{
		"save: role is unknown":                      "save: role is unknown",
		"name \"Ada M. Lovelace\" is taken":          "name \"… … …\" is taken",
		"LOVELACE, ada.l. and žofie":                 "…, … and …",
		"mail to <ada@example.com>: eve@x.org first": "mail to <…>: … first",
		"two\n\tlines \xff":                          "two lines",
		"adamant about request r":                    "adamant about request r",
	} {
		if got := reasonOf(e, errors.New(refusal)); got != want {
			t.Errorf("%q became %q, want %q", refusal, got, want)
		}
	}
	for _, data := range []string{``, `{}`, `[]`, `{"personal":7}`} {
		if got := reasonOf(Event{Data: []byte(data)}, errors.New("no")); got != "no" {
			t.Errorf("of %s: %q", data, got)
		}
	}
	if long := reasonOf(e, errors.New(strings.Repeat("ž", 1000))); len(long) != reasonSize || !utf8.ValidString(long) {
		t.Errorf("%d bytes of %q", len(long), long)
	}
}
