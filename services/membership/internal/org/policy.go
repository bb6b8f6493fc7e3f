package org

import "time"

// Preset is a policy to begin with.
type Preset string

// The presets.
const (
	Pipeline Preset = "pipeline"
	Portal   Preset = "portal"
	RBAC     Preset = "rbac"
	Flat     Preset = "flat"
)

// Ownership says how many owners there are.
type Ownership string

// Ownerships.
const (
	Single   Ownership = "SINGLE"
	Multiple Ownership = "MULTIPLE"
	None     Ownership = "NONE" // at least one member can do everything
)

// Appointment says who makes admins, and who acts on them. It is empty where there are none.
type Appointment string

// Appointments.
const (
	ByAdmins Appointment = "ADMINS"
	ByOwner  Appointment = "OWNER_ONLY"
)

// Requirement says whether something must, may or cannot be given.
type Requirement string

// Requirements.
const (
	Required Requirement = "REQUIRED"
	Optional Requirement = "OPTIONAL"
	Off      Requirement = "OFF"
)

// Layout of the people page.
type Layout string

// Layouts.
const (
	Combined Layout = "COMBINED"
	Card     Layout = "CARD"
	Tabs     Layout = "TABS"
)

// Policy is how an organization works.
type Policy struct {
	Ownership         Ownership     `json:"ownership"`
	CreatorRole       string        `json:"creator_role"`
	DefaultInviteRole string        `json:"default_invite_role"` // empty: an invitation must name its role
	Username          Requirement   `json:"username"`
	Email             Requirement   `json:"email"`
	LinkInvites       bool          `json:"link_invites"`
	AdminsManagedBy   Appointment   `json:"admins_managed_by"`
	AdminAppointment  Appointment   `json:"admin_appointment"`
	InviteTTL         time.Duration `json:"invite_ttl"` // nanoseconds
	PeopleLayout      Layout        `json:"people_layout"`
	DisabledLabel     string        `json:"disabled_label"`
	RemovalMail       bool          `json:"removal_mail"`

	DisableBlocksSignIn bool `json:"disable_blocks_sign_in"` // of accounts that the organization manages
}

const week = 7 * 24 * time.Hour

var policies = map[Preset]Policy{
	Pipeline: {
		Ownership: Single, CreatorRole: "owner", DefaultInviteRole: "developer",
		Username: Required, Email: Optional, LinkInvites: true,
		AdminsManagedBy: ByAdmins, AdminAppointment: ByAdmins,
		InviteTTL: week, PeopleLayout: Combined, DisabledLabel: "deactivated",
	},
	Portal: {
		Ownership: Single, CreatorRole: "owner",
		Username: Off, Email: Required,
		AdminsManagedBy: ByOwner, AdminAppointment: ByOwner,
		InviteTTL: week, PeopleLayout: Combined, DisabledLabel: "disabled",
	},
	RBAC: {
		Ownership: Single, CreatorRole: "owner",
		Username: Off, Email: Required,
		AdminsManagedBy: ByAdmins, AdminAppointment: ByAdmins,
		InviteTTL: week, PeopleLayout: Card, DisabledLabel: "disabled", DisableBlocksSignIn: true,
	},
	Flat: {
		Ownership: None, CreatorRole: "member", DefaultInviteRole: "member",
		Username: Off, Email: Required,
		InviteTTL: week, PeopleLayout: Tabs, DisabledLabel: "disabled", RemovalMail: true,
	},
}

// Policy returns the policy that an organization of this preset begins with.
func (p Preset) Policy() Policy { return policies[p] }

// builtIn are the roles that presets choose from.
var builtIn = map[string]struct {
	displayName, description, color string
	held                            holders
}{
	"owner":     {"Owner", "Has full control. There is exactly one.", "#7c3aed", byOwner},
	"admin":     {"Admin", "Manages members, settings and resources.", "#2563eb", byAdmin},
	"developer": {"Developer", "Creates and changes resources.", "#059669", byDeveloper},
	"member":    {"Member", "Uses the products and sees the organization.", "#0891b2", byMember},
	"viewer":    {"Viewer", "Sees the organization and changes nothing.", "#6b7280", byViewer},
}

var rolesOf = map[Preset][]string{
	Pipeline: {"owner", "admin", "developer", "viewer"},
	Portal:   {"owner", "admin", "member"},
	RBAC:     {"owner", "admin", "member"},
}

// Roles returns the roles that an organization of this preset begins with, in display order. They have no ids yet.
func (p Preset) Roles() []Role {
	if p == Flat {
		return []Role{{
			Key: "member", DisplayName: "Member", Description: "Has full administrative rights, like every member.", Color: "#0891b2",
			Permissions: Everything(),
		}}
	}
	policy := p.Policy()
	var roles []Role
	for rank, key := range rolesOf[p] {
		built := builtIn[key]
		role := Role{
			Key: key, DisplayName: built.displayName, Description: built.description, Color: built.color,
			Rank: rank, Owner: key == "owner",
		}
		role.Permissions = setOf(func(permission Permission) bool {
			if key == "admin" && permission.Name == ManageAdmins {
				return policy.AdminsManagedBy == ByAdmins
			}
			return permission.holders&built.held != 0
		})
		roles = append(roles, role)
	}
	return roles
}
