package account

import (
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // time zones are known on machines without them, too

	"golang.org/x/text/language"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

// mostUsernames is how many an account may have had. Each stays its own, so that nobody is taken for who had it before.
const mostUsernames = 5

// ErrTooManyUsernames refuses yet another username.
var ErrTooManyUsernames = fault.Newf(errorv1.Reason_REASON_LIMIT_REACHED,
	"You have had %d usernames, which nobody else can have. Take one of those again.", mostUsernames)

// TakeUsername tells whether an account that has, and had, these usernames may have another one.
func TakeUsername(has []string, wanted string) (new bool, err error) {
	for _, one := range has {
		if one == wanted {
			return false, nil
		}
	}
	if len(has) >= mostUsernames {
		return false, ErrTooManyUsernames
	}
	return true, nil
}

var (
	phone     = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	phoneFill = strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", ".", "", "/", "")
)

// ParsePhone reads a phone number with its country's code, and returns it as E.164 writes it; empty: none.
func ParsePhone(text string) (string, error) {
	number := phoneFill.Replace(text)
	if number != "" && !phone.MatchString(number) {
		return "", fault.Invalid("phone", "must begin with + and the code of the country, as +442079460000 does")
	}
	return number, nil
}

// ParseLocale reads a BCP 47 tag and returns it in its canonical form; empty: none.
func ParseLocale(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	tag, err := language.Parse(text)
	if err != nil || tag == language.Und {
		return "", fault.Invalid("locale", "must be a language tag (BCP 47), such as en-GB")
	}
	return tag.String(), nil
}

// ParseTimeZone reads the name of a time zone; empty: none.
func ParseTimeZone(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if _, err := time.LoadLocation(text); err != nil || text == "Local" {
		return "", fault.Invalid("time_zone", "must be the name of a time zone, such as Europe/Berlin")
	}
	return text, nil
}
