package org

import (
	"slices"
	"strings"

	"github.com/rosterhq/roster/pkg/fault"
)

// Permission is one thing that a role may allow.
type Permission struct {
	Name        string
	DisplayName string // of a registered one
	Description string
	Dangerous   bool // it can widen somebody's power
	Reserved    bool // only built-in roles hold it, never one that an organization makes for itself

	holders holders
}

// holders are the built-in roles that hold a permission. In an organization without ownership one role holds nearly
// everything, see everything.
type holders uint8

const (
	byOwner holders = 1 << iota
	byAdmin
	byDeveloper
	byMember
	byViewer

	owners    = byOwner
	admins    = byOwner | byAdmin
	builders  = admins | byDeveloper
	users     = builders | byMember
	everybody = users | byViewer
)

// TransferOwnership is the one permission that nobody holds where there is no owner.
const TransferOwnership = "org.transfer_ownership"

// The permissions that this service asks for.
const (
	ReadOrganization   = "org.read"
	UpdateOrganization = "org.update"
	DeleteOrganization = "org.delete"
	ReadPolicy         = "policy.read"
	UpdatePolicy       = "policy.update"
	AppointAdmins      = "org.policy.admin_appointment"
	ReadRoles          = "roles.read"
	ReadGroups         = "groups.read"
	ManageGroups       = "groups.manage"
	ManageGroupMembers = "groups.members.manage"
	ReadProjects       = "projects.read"
	ManageProjects     = "projects.manage"
	CreateRoles        = "roles.create"
	UpdateRoles        = "roles.update"
	DeleteRoles        = "roles.delete"
	ReadMembers        = "members.read"
	ReadContacts       = "members.contact.read"
	ReadActivity       = "members.activity.read"
	ReadSessions       = "members.sessions.read"
	RevokeSessions     = "members.sessions.revoke"
	CreateOwnKeys      = "api_keys.create_own"
	CreateMembers      = "members.create"
	AssignRole         = "members.assign_role"
	UpdateProfiles     = "members.update_profile"
	DisableMembers     = "members.disable"
	EnableMembers      = "members.enable"
	RemoveMembers      = "members.remove"
	ResetMfa           = "members.reset_mfa"
	SendResetLink      = "members.send_reset_link"
	IssueTempPassword  = "members.issue_temp_password"
	ManageAdmins       = "admins.manage"
	Invite             = "invitations.create"
	ReadDomains        = "domains.read"
	ManageDomains      = "domains.manage"
	ManageAutoJoin     = "domains.auto_join.manage"
	ReadSSO            = "sso.read"
	ManageSSO          = "sso.manage"
	ReadAudit          = "audit.read"
	ExportAudit        = "audit.export"
)

// catalogue is every permission of the suite itself, by name. It is the only place where they are written down.
var catalogue = []Permission{
	{"admins.manage", "", "Change, disable and remove admins.", true, true, owners}, // and admins, where the policy says so
	{"api_keys.create_own", "", "Create API keys within one's own rights.", false, false, builders},
	{"api_keys.manage", "", "Manage everybody's API keys.", true, false, admins},
	{"api_keys.read", "", "See API keys.", false, false, builders},
	{"audit.export", "", "Export the audit log.", true, false, admins},
	{"audit.read", "", "Read the audit log.", false, false, admins},
	{"billing.manage", "", "Change the plan, buy seats.", false, false, owners},
	{"billing.read", "", "See plan and invoices.", false, false, admins},
	{"domains.auto_join.manage", "", "Say whether people of verified domains join by themselves, and with which role.", true, false, admins},
	{"domains.manage", "", "Add and remove verified domains.", true, false, admins},
	{"domains.read", "", "See verified domains.", false, false, admins},
	{"groups.manage", "", "Make, change and delete groups.", true, false, admins},
	{"groups.members.manage", "", "Put members into groups and take them out.", true, false, admins},
	{"groups.read", "", "See groups.", false, false, everybody},
	{"invitations.bulk_create", "", "Invite many people at once.", true, false, admins},
	{"invitations.create", "", "Invite people.", true, false, admins},
	{"invitations.create_link", "", "Make links by which several people can join.", true, false, admins},
	{"invitations.read", "", "See invitations.", false, false, admins},
	{"invitations.resend", "", "Send invitations again.", false, false, admins},
	{"invitations.revoke", "", "Take invitations back.", false, false, admins},
	{"members.activity.read", "", "See members' recent sign-ins.", false, false, admins},
	{"members.assign_role", "", "Give members another role.", true, false, admins},
	{"members.contact.read", "", "See members' addresses and phone numbers.", false, false, users},
	{"members.create", "", "Create accounts for new members.", true, false, admins},
	{"members.disable", "", "Disable members.", false, false, admins},
	{"members.enable", "", "Enable disabled members.", false, false, admins},
	{"members.issue_temp_password", "", "Give members a temporary password.", true, false, admins},
	{"members.read", "", "See who belongs to the organization, with roles and status.", false, false, everybody},
	{"members.remove", "", "Remove members.", false, false, admins},
	{"members.reset_mfa", "", "Clear members' second factors.", true, false, admins},
	{"members.send_reset_link", "", "Send members a link to reset their password.", false, false, admins},
	{"members.sessions.read", "", "See members' sessions.", false, false, admins},
	{"members.sessions.revoke", "", "End members' sessions.", false, false, admins},
	{"members.update_profile", "", "Change members' profiles.", true, false, admins},
	{"oauth_clients.manage", "", "Manage OAuth clients.", true, false, admins},
	{"oauth_clients.read", "", "See OAuth clients.", false, false, builders},
	{"org.delete", "", "Delete the organization.", false, true, owners},
	{"org.policy.admin_appointment", "", "Say who may appoint admins.", false, true, owners},
	{"org.read", "", "See the organization.", false, false, everybody},
	{"org.security.update", "", "Change the rules for signing in.", true, false, admins},
	{TransferOwnership, "", "Hand the organization to another owner.", false, true, owners},
	{"org.update", "", "Change the organization's name and appearance.", false, false, admins},
	{"policy.read", "", "See how the organization works.", false, false, everybody},
	{"policy.update", "", "Change how the organization works.", false, true, owners},
	{"products.use", "", "Use the products.", false, false, users},
	{"projects.manage", "", "Make, change and delete projects and their memberships.", false, false, admins},
	{"projects.read", "", "See projects.", false, false, everybody},
	{"resources.read", "", "See resources.", false, false, everybody},
	{"resources.write", "", "Create and change resources.", false, false, builders},
	{"roles.create", "", "Make roles.", true, false, admins},
	{"roles.delete", "", "Delete roles.", true, false, admins},
	{"roles.read", "", "See roles and what they allow.", false, false, everybody},
	{"roles.update", "", "Change what roles allow.", true, false, admins},
	{"scim.manage", "", "Manage provisioning from a directory.", true, false, admins},
	{"seats.read", "", "See how many seats are used.", false, false, builders},
	{"service_accounts.manage", "", "Manage service accounts.", true, false, admins},
	{"service_accounts.read", "", "See service accounts.", false, false, builders},
	{"sso.manage", "", "Manage single sign-on.", true, false, admins},
	{"sso.read", "", "See how single sign-on is set up.", false, false, admins},
	{"webhooks.manage", "", "Manage webhooks.", true, false, admins},
	{"webhooks.read", "", "See webhooks.", false, false, builders},
}

// Catalogue returns every permission of the suite itself, by name.
func Catalogue() []Permission { return slices.Clone(catalogue) }

// Known refuses what is no permission of the suite itself, see Registry.Known.
func Known(permission string) error {
	_, known := slices.BinarySearchFunc(catalogue, permission, func(p Permission, name string) int {
		return strings.Compare(p.Name, name)
	})
	if !known {
		return fault.Invalid("permission", "is not in the catalogue, see ListPermissions")
	}
	return nil
}

// Set is a set of permissions, sorted.
type Set []string

// SetOf makes a set of names.
func SetOf(names []string) Set { return slices.Compact(slices.Sorted(slices.Values(names))) }

// Has tells whether the set allows it.
func (s Set) Has(permission string) bool {
	_, has := slices.BinarySearch(s, permission)
	return has
}

// Without returns what of the set is not in other.
func (s Set) Without(other Set) Set {
	return slices.DeleteFunc(slices.Clone(s), other.Has)
}

// In returns what is in both sets.
func (s Set) In(other Set) Set {
	return slices.DeleteFunc(slices.Clone(s), func(permission string) bool { return !other.Has(permission) })
}

// Union returns what is in either set.
func (s Set) Union(other Set) Set {
	if len(other) == 0 {
		return s
	}
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(s, other))))
}

// setOf collects the permissions that fit.
func setOf(fits func(Permission) bool) (s Set) {
	for _, p := range catalogue {
		if fits(p) {
			s = append(s, p.Name)
		}
	}
	return s
}

var (
	// everything is what the members of an organization without ownership hold.
	everything = setOf(func(p Permission) bool { return p.Name != TransferOwnership })
	// givable is every permission that is not reserved.
	givable = setOf(func(p Permission) bool { return !p.Reserved })
	// dangerous can widen somebody's power.
	dangerous = setOf(func(p Permission) bool { return p.Dangerous })
	// powers make whoever holds one of them an admin, whatever their role is called.
	powers = setOf(func(p Permission) bool { return p.Dangerous && overPeople(p.Name) })
)

// overPeople tells whether a permission is about who gets in and what they may do.
func overPeople(permission string) bool {
	noun, _, _ := strings.Cut(permission, ".")
	switch noun {
	case "admins", "members", "invitations", "roles", "groups", "api_keys", "service_accounts", "oauth_clients", "sso", "scim":
		return true
	}
	return false
}

// Everything is what somebody holds who can do all that can be done in an organization without ownership.
func Everything() Set { return slices.Clone(everything) }
