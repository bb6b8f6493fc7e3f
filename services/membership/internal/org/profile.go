package org

import (
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

// Person is how somebody is shown. It is a copy of what the account or the invitation says.
type Person struct {
	DisplayName string
	Email       string
	Username    string
	AvatarURL   string // of the account
}

// Overlay is what an organization says of a member in place of what the account says. What is empty is the account's.
type Overlay struct {
	Name         string `db:"overlay_display_name"`
	ContactEmail string `db:"overlay_email"`
	Phone        string `db:"overlay_phone"`
}

// Profile is all that is known of a person who is listed.
type Profile struct {
	Person
	Overlay
	AccountCreateTime *time.Time // nil: not known yet
	ActivityTime      *time.Time // noted once an hour; nil: never
}

// Shown is how the organization shows the person.
func (p Profile) Shown() Person {
	shown := p.Person
	if p.Name != "" {
		shown.DisplayName = p.Name
	}
	if p.ContactEmail != "" {
		shown.Email = p.ContactEmail
	}
	return shown
}

// Without names the fields that differ from another overlay, as members are changed by them.
func (o Overlay) Without(other Overlay) (fields []string) {
	for _, field := range []struct {
		name     string
		one, two string
	}{
		{"display_name", o.Name, other.Name},
		{"contact_email", o.ContactEmail, other.ContactEmail},
		{"phone", o.Phone, other.Phone},
	} {
		if field.one != field.two {
			fields = append(fields, field.name)
		}
	}
	return fields
}

// Retouch refuses whoever may not change how the target is shown here. It takes what a grant
// takes: mail goes to the address that is shown. An owner is shown as their account says, and so is whoever asks.
func (a Actor) Retouch(target Member) error {
	if target.Account == a.Account {
		return fault.New(errorv1.Reason_REASON_SELF_ACTION, "Your own profile is changed where your account is: see UpdateMe.")
	}
	return a.Empower(target, UpdateProfiles)
}

// ChangeProfile notes that the member is shown in another way, if they are.
func (m *Member) ChangeProfile(etag string, changed bool) error {
	if err := match(etag, m.Version); err != nil {
		return err
	}
	if changed {
		m.Version++
	}
	return nil
}
