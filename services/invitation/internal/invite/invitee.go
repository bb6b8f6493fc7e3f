package invite

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/rosterhq/roster/pkg/fault"

	"github.com/rosterhq/roster/services/internal/email"
)

// Invitee is who is invited, as far as the inviter knows.
type Invitee struct {
	Email       email.Address
	Username    string
	UsernameKey string
	DisplayName string
}

// usernames are ASCII, so that nobody is impersonated by look-alike letters.
var username = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// ParseInvitee reads what the inviter typed.
func ParseInvitee(address, user, name string) (i Invitee, err error) {
	if address = strings.TrimSpace(address); address != "" {
		var ok bool
		if i.Email, ok = email.Parse(address); !ok {
			return i, fault.Invalid("email", "is not a mail address")
		}
	}
	if user = strings.TrimSpace(user); user != "" {
		if !username.MatchString(user) {
			return i, fault.Invalid("username", "may have letters, digits, dot, underscore and dash only")
		}
		i.Username, i.UsernameKey = user, strings.ToLower(user)
	}
	i.DisplayName, err = ParseName(name)
	return i, err
}

// ParseName reads a name; it may be empty.
func ParseName(name string) (string, error) {
	name = norm.NFC.String(strings.TrimSpace(name))
	if strings.ContainsFunc(name, unicode.IsControl) {
		return "", fault.Invalid("display_name", "must not have control characters")
	}
	return name, nil
}

// Need says whether something must, may or cannot be given.
type Need int

// The needs.
const (
	Optional Need = iota
	Required
	Off
)

// Rules is what the organization's policy asks of an invitation.
type Rules struct {
	Username, Email Need
	LinkInvites     bool
}

// Check holds the invitee to the rules. All that is wrong is said at once.
func (i Invitee) Check(r Rules) error {
	var wrong []fault.Field
	require := func(field, value string, need Need) {
		switch {
		case need == Required && value == "":
			wrong = append(wrong, fault.Field{Name: field, Reason: "is required"})
		case need == Off && value != "":
			wrong = append(wrong, fault.Field{Name: field, Reason: "is not used in this organization"})
		}
	}
	require("email", i.Email.Key, r.Email)
	require("username", i.Username, r.Username)
	if r.Username == Required { // who is known by a username is listed by name from the start
		require("display_name", i.DisplayName, Required)
	}
	if i.Email.Key == "" && !r.LinkInvites && r.Email != Required {
		wrong = append(wrong, fault.Field{Name: "email", Reason: "is required: this organization does not invite by link"})
	}
	if len(wrong) > 0 {
		return fault.InvalidFields(wrong...)
	}
	return nil
}
