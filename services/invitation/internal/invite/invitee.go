package invite

import (
	"strings"

	"github.com/rosterhq/roster/pkg/fault"

	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/naming"
)

// Invitee is who is invited, as far as the inviter knows.
type Invitee struct {
	Email       email.Address
	Username    string
	UsernameKey string
	DisplayName string
}

// ParseInvitee reads what the inviter typed.
func ParseInvitee(address, user, name string) (i Invitee, err error) {
	if address = strings.TrimSpace(address); address != "" {
		if i.Email, err = email.ParseField("email", address); err != nil {
			return i, err
		}
	}
	if user = strings.TrimSpace(user); user != "" {
		name, err := naming.ParseUsername("username", user)
		if err != nil {
			return i, err
		}
		i.Username, i.UsernameKey = name.Display, name.Key
	}
	i.DisplayName, err = ParseName(name)
	return i, err
}

// ParseName reads a name; it may be empty. What it lets pass, the identity service takes for a new account.
func ParseName(name string) (string, error) {
	if strings.TrimSpace(name) == "" {
		return "", nil
	}
	return naming.ParseDisplayName("display_name", name)
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
