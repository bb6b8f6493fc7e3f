package org

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rosterhq/roster/pkg/fault"

	"github.com/rosterhq/roster/services/internal/naming"
)

// How long an invitation may live.
const (
	minInviteTTL = time.Hour
	maxInviteTTL = 30 * 24 * time.Hour
	maxLabel     = 50
)

// Validate refuses a policy whose fields do not fit together, or do not fit the roles that there are. The fault names every
// field that does not.
func (p Policy) Validate(roles Roles, registry Registry) error {
	var wrong []fault.Field
	refuse := func(is bool, field, why string) {
		if is {
			wrong = append(wrong, fault.Field{Name: "policy." + field, Reason: why})
		}
	}
	one := func(field string, value string, of ...string) {
		refuse(!slices.Contains(of, value), field, "must be given")
	}
	one("ownership", string(p.Ownership), string(Single), string(Multiple), string(None))
	one("username", string(p.Username), string(Required), string(Optional), string(Off))
	one("email", string(p.Email), string(Required), string(Optional))
	one("existing_user_add", string(p.ExistingUserAdd), string(ByInvitation), string(Directly))
	one("password_reset", string(p.PasswordReset), string(ByLink), string(ByTempPassword))
	one("people_layout", string(p.PeopleLayout), string(Combined), string(Card), string(Tabs))
	if p.Ownership == None {
		refuse(p.AdminsManagedBy != "", "admins_managed_by", "must be empty where there is no owner")
		refuse(p.AdminAppointment != "", "admin_appointment", "must be empty where there is no owner")
	} else {
		one("admins_managed_by", string(p.AdminsManagedBy), string(ByAdmins), string(ByOwner))
		one("admin_appointment", string(p.AdminAppointment), string(ByAdmins), string(ByOwner))
	}

	creator, known := roles.ByKey(p.CreatorRole)
	refuse(!known, "creator_role", "must be a role of the organization")
	refuse(known && creator.Owner == (p.Ownership == None), "creator_role", "must be the owner's role, exactly where there are owners")
	refuse(known && p.Ownership == None && !creator.full(), "creator_role", "must allow everything where there is no owner")
	for field, key := range map[string]string{"default_invite_role": p.DefaultInviteRole, "default_join_role": p.DefaultJoinRole} {
		role, known := roles.ByKey(key)
		refuse(key != "" && !known, field, "must be a role of the organization")
		refuse(known && role.Owner, field, "must not be the owner's, which nobody gives")
	}
	if p.AutoJoin {
		joins, known := roles.ByKey(p.DefaultJoinRole)
		refuse(p.DefaultJoinRole == "", "default_join_role", "must be given where people join by themselves")
		refuse(known && !joins.Owner && len(registry.harmful(joins.Permissions)) > 0, "default_join_role",
			"must allow no more than a member may where people join by themselves")
		refuse(p.Ownership == None, "auto_join", "must be off where every member can do everything")
	}

	refuse(p.InviteTTL < minInviteTTL || p.InviteTTL > maxInviteTTL, "invite_ttl", "must be between an hour and 30 days")
	refuse(p.Email == Optional && !p.LinkInvites, "link_invites", "must be on where an invitation needs no address")
	refuse(p.Email == Optional && p.Username != Required, "username", "must be required where an invitation needs no address")
	refuse(p.ProjectGuests && !p.Projects, "project_guests", "must be off where there are no projects")
	refuse(len(p.GatedPermissions) > 0 && !p.Groups, "gated_permissions", "must be empty where there are no groups to open them")
	for _, permission := range p.GatedPermissions {
		refuse(registry.Known(permission) != nil, "gated_permissions", "has "+quote(permission)+", which is not in the catalogue")
		refuse(ungated(permission), "gated_permissions", "has "+quote(permission)+", without which nobody could open the gate again")
	}
	for field, label := range map[string]string{"member_label": p.MemberLabel, "disabled_label": p.DisabledLabel} {
		_, err := naming.ParseLine(field, label, 1, maxLabel)
		refuse(err != nil, field, fmt.Sprintf("must have 1 to %d characters, on one line", maxLabel))
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.SortFunc(wrong, func(a, b fault.Field) int { return cmp.Compare(a.Name, b.Name) })
	return fault.InvalidFields(wrong...)
}

// ungated tells whether a permission is never behind a gate: whoever opens gates, or changes the policy, would have shut themselves out.
func ungated(permission string) bool {
	noun, _, _ := strings.Cut(permission, ".")
	switch noun {
	case "policy", "groups", "roles":
		return true
	}
	return Known(permission) == nil && !givable.Has(permission)
}
