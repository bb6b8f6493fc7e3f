// Package org holds what an organization is and every rule about who may do what to whom in it. It knows of no
// database, no network and no clock.
package org

import (
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// State is the state of an organization. Only ACTIVE ones exist for others.
type State string

// States of an organization.
const (
	Creating State = "CREATING" // its creator's seat is being taken
	Active   State = "ACTIVE"
	Failed   State = "FAILED" // there was no seat
	Deleted  State = "DELETED"
)

// ErrNotFound is the answer about organizations that do not exist, and the very same about those that the caller does
// not belong to.
var ErrNotFound = fault.New(errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND, "There is no such organization, or you do not belong to it.")

// Organization is a tenant, with what decides about its members.
type Organization struct {
	ID          id.Organization `db:"organization_id"`
	DisplayName string
	Preset      Preset
	Policy      Policy
	State       State
	Version     int64
	CreateTime  time.Time
	UpdateTime  time.Time

	Roles    Roles    `db:"-"`
	Registry Registry `db:"-"`
	Key      *Set     `db:"-"` // the permissions that the key is for with which somebody asks; nil: they are here themselves
}

// New returns an organization that its creator does not have yet.
func New(key id.Organization, name string, preset Preset) Organization {
	return Organization{ID: key, DisplayName: name, Preset: preset, Policy: preset.Policy(), State: Creating, Version: 1}
}

// Open makes the organization exist.
func (o *Organization) Open() {
	o.State = Active
	o.Roles = o.Preset.Roles()
	for i := range o.Roles {
		o.Roles[i].ID = id.NewRole()
	}
}

// Rename changes the name.
func (o *Organization) Rename(name, etag string, at time.Time) error {
	if err := match(etag, o.Version); err != nil {
		return err
	}
	o.DisplayName, o.UpdateTime = name, at
	o.Version++
	return nil
}

// Admit returns the member as somebody who may act here, unless they may not even know that the organization exists.
// The zero Member is nobody.
func (o Organization) Admit(m Member) (Actor, error) {
	if o.State != Active || !m.Belongs() && m.State != NoMember {
		return Actor{}, ErrNotFound
	}
	if m.State == MemberDisabled {
		return Actor{}, fault.New(errorv1.Reason_REASON_MEMBER_DISABLED,
			"Your membership in this organization is disabled. Ask one of its admins to enable it.")
	}
	if err := o.pass(m); err != nil {
		return Actor{}, err
	}
	if !o.takesKey(m) {
		return Actor{}, missing(CreateOwnKeys, "Keys of yours do not work in this organization: your role here does not let you have any. Sign in instead.")
	}
	role, _ := o.Roles.ByID(m.Role)
	return Actor{Account: m.Account, Role: role, Permissions: o.Keyed(m, o.Permissions(m, id.Project{})), member: m, organization: o}, nil
}

// Spare refuses to take from an organization the last member who can do everything in it. becomes is the role that the
// target gets, the zero Role when none; others tells whether another active member can do everything.
func (o Organization) Spare(target Member, becomes Role, others bool) error {
	if o.Policy.Ownership == Single || others || !o.CanDoEverything(target) || becomes.full() {
		return nil
	}
	return fault.New(errorv1.Reason_REASON_LAST_OWNER,
		"Nobody else in this organization has full rights. Give them to another member first.")
}

// CanDoEverything tells whether the member is one of those of whom there always is another, see Spare.
func (o Organization) CanDoEverything(m Member) bool {
	role, _ := o.Roles.ByID(m.Role)
	return m.State == MemberActive && role.full()
}

// InvitationRole returns the role that an invitation gives: the one it names, or the policy's.
func (o Organization) InvitationRole(key string) (string, error) {
	if key == "" {
		key = o.Policy.DefaultInviteRole
	}
	if key == "" {
		return "", fault.Invalid("role", "must be given: this organization has no default role")
	}
	return key, nil
}
