package org

import (
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

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

// Addition says how somebody who has an account already comes into an organization.
type Addition string

// Additions.
const (
	ByInvitation Addition = "INVITE"
	Directly     Addition = "DIRECT"
)

// Reset says how somebody else resets a member's password.
type Reset string

// Resets.
const (
	ByLink         Reset = "LINK"
	ByTempPassword Reset = "TEMP_PASSWORD"
)

// Layout of the people page.
type Layout string

// Layouts.
const (
	Combined Layout = "COMBINED"
	Card     Layout = "CARD"
	Tabs     Layout = "TABS"
)

// Policy is how an organization works. Empty keys of roles mean none.
type Policy struct {
	Ownership        Ownership   `json:"ownership"`
	AdminsManagedBy  Appointment `json:"admins_managed_by"`
	AdminAppointment Appointment `json:"admin_appointment"`

	CreatorRole       string `json:"creator_role"`
	DefaultInviteRole string `json:"default_invite_role"` // none: an invitation must name its role
	DefaultJoinRole   string `json:"default_join_role"`   // of who joins through a domain

	Username    Requirement   `json:"username"`
	Email       Requirement   `json:"email"`
	LinkInvites bool          `json:"link_invites"`
	InviteTTL   time.Duration `json:"invite_ttl"` // nanoseconds

	ExistingUserAdd     Addition `json:"existing_user_add"`
	CreateUser          bool     `json:"create_user"`
	AutoJoin            bool     `json:"auto_join"`
	AllowLeave          bool     `json:"allow_leave"`
	PasswordReset       Reset    `json:"password_reset"`
	MfaRequired         bool     `json:"mfa_required"`
	DisableBlocksSignIn bool     `json:"disable_blocks_sign_in"` // of accounts that the organization manages

	Groups           bool `json:"groups"`
	Projects         bool `json:"projects"`
	ProjectGuests    bool `json:"project_guests"` // a direct project membership outlives that of the organization
	Availability     bool `json:"availability"`
	CustomRoles      bool `json:"custom_roles"`
	GatedPermissions Set  `json:"gated_permissions"` // count only if a group opens them

	PeopleLayout  Layout `json:"people_layout"`
	MemberLabel   string `json:"member_label"`
	DisabledLabel string `json:"disabled_label"`
	RemovalMail   bool   `json:"removal_mail"`
	SeatMail      bool   `json:"seat_mail"`
}

const week = 7 * 24 * time.Hour

var policies = map[Preset]Policy{
	Pipeline: {
		Ownership: Single, AdminsManagedBy: ByAdmins, AdminAppointment: ByAdmins,
		CreatorRole: "owner", DefaultInviteRole: "developer", DefaultJoinRole: "viewer",
		Username: Required, Email: Optional, LinkInvites: true, InviteTTL: week,
		ExistingUserAdd: ByInvitation, AllowLeave: true, PasswordReset: ByLink,
		Groups:       true,
		PeopleLayout: Combined, MemberLabel: "member", DisabledLabel: "deactivated",
	},
	Portal: {
		Ownership: Single, AdminsManagedBy: ByOwner, AdminAppointment: ByOwner,
		CreatorRole: "owner", DefaultJoinRole: "member",
		Username: Off, Email: Required, InviteTTL: week,
		ExistingUserAdd: ByInvitation, AutoJoin: true, AllowLeave: true, PasswordReset: ByLink,
		PeopleLayout: Combined, MemberLabel: "member", DisabledLabel: "disabled",
	},
	RBAC: {
		Ownership: Single, AdminsManagedBy: ByAdmins, AdminAppointment: ByAdmins,
		CreatorRole: "owner", DefaultJoinRole: "member",
		Username: Off, Email: Required, InviteTTL: week,
		ExistingUserAdd: Directly, CreateUser: true, AllowLeave: true, PasswordReset: ByTempPassword, DisableBlocksSignIn: true,
		Availability: true, CustomRoles: true,
		PeopleLayout: Card, MemberLabel: "member", DisabledLabel: "disabled", SeatMail: true,
	},
	Flat: {
		Ownership: None, CreatorRole: "member", DefaultInviteRole: "member",
		Username: Off, Email: Required, InviteTTL: week,
		ExistingUserAdd: ByInvitation, AllowLeave: true, PasswordReset: ByLink,
		Projects: true, ProjectGuests: true,
		PeopleLayout: Tabs, MemberLabel: "organisation member", DisabledLabel: "disabled", RemovalMail: true,
	},
}

// Policy returns the policy that an organization of this preset begins with.
func (p Preset) Policy() Policy { return policies[p] }

// naming is the field of the policy, as in JSON, that gives the role of that key; empty: none does.
func (p Policy) naming(key string) string {
	switch key {
	case p.CreatorRole:
		return "creator_role"
	case p.DefaultInviteRole:
		return "default_invite_role"
	case p.DefaultJoinRole:
		return "default_join_role"
	}
	return ""
}

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
func (p Preset) Roles() []Role { return p.rolesUnder(p.Policy()) }

// rolesUnder are the roles of the preset where the policy differs from the preset's.
func (p Preset) rolesUnder(policy Policy) []Role {
	if p == Flat {
		return []Role{{
			Key: "member", DisplayName: "Member", Description: "Has full administrative rights, like every member.", Color: "#0891b2",
			BuiltIn: true, Permissions: Everything(), Version: 1,
		}}
	}
	var roles []Role
	for rank, key := range rolesOf[p] {
		built := builtIn[key]
		role := Role{
			Key: key, DisplayName: built.displayName, Description: built.description, Color: built.color,
			Rank: rank, Owner: key == "owner", BuiltIn: true, Version: 1,
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

// SwitchedOff is the refusal of what an organization's policy has no use for. field is the policy's, as in JSON.
func SwitchedOff(field string) error {
	return fault.New(errorv1.Reason_REASON_FEATURE_OFF,
		"This organization works without this. Whoever holds policy.update, as its owner does, can change that: set "+field+
			" with PATCH /v1/organizations/{organization_id}/policy or 'roster org policy set'.").With("policy", field)
}
