package membership

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/rosterhq/roster/pkg/fault"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// reforming is a request about another policy.
type reforming interface {
	proto.Message
	GetPolicy() *membershipv1.OrganizationPolicy
	GetUpdateMask() *fieldmaskpb.FieldMask
	GetPreset() membershipv1.Preset
	GetRoleRemap() map[string]string
	GetOwnerAccountId() string
}

// parseReform reads what does not depend on the organization.
func parseReform(req reforming) (fields []string, owner id.Account, err error) {
	known := (&membershipv1.OrganizationPolicy{}).ProtoReflect().Descriptor().Fields()
	fields = req.GetUpdateMask().GetPaths()
	for _, name := range fields {
		if known.ByTextName(name) == nil {
			return nil, owner, fault.Invalid("update_mask", "names a field that the policy does not have")
		}
	}
	if len(fields) == 0 && req.GetPolicy() != nil {
		var names []string
		for i := range known.Len() {
			names = append(names, known.Get(i).TextName())
		}
		fields = given(req.GetPolicy(), names...)
	}
	if len(fields) == 0 && req.GetPreset() == membershipv1.Preset_PRESET_UNSPECIFIED && req.GetOwnerAccountId() == "" {
		return nil, owner, fault.Invalid("update_mask", "must name what to change: what becomes false or empty counts only if it is named")
	}
	if req.GetOwnerAccountId() != "" {
		if owner, err = id.ParseAccount(req.GetOwnerAccountId()); err != nil {
			return nil, owner, fault.Invalid("owner_account_id", "must be the id of an account")
		}
	}
	return fields, owner, nil
}

// reformOf is what the request wants of an organization.
func reformOf(at store.Standing, req reforming, fields []string, owner id.Account) org.Reform {
	o := at.Organization
	want := org.Reform{Preset: o.Preset, Remap: req.GetRoleRemap()}
	if !owner.IsZero() {
		member := at.Members[owner]
		want.Owner = &member
	}
	begin := o.Policy
	if preset, ok := presets[req.GetPreset()]; ok {
		want.Preset, begin = preset, preset.Policy()
		begin.MfaRequired = o.Policy.MfaRequired // what signing in takes is no matter of how people work together
	}
	policy := policyToProto(begin)
	into, from := policy.ProtoReflect(), req.GetPolicy().ProtoReflect()
	for _, name := range fields {
		switch field := into.Descriptor().Fields().ByTextName(name); {
		case from.Has(field):
			into.Set(field, from.Get(field))
		default:
			into.Clear(field)
		}
	}
	want.Policy = policyFromProto(policy)
	return want
}

var presets = map[membershipv1.Preset]org.Preset{
	membershipv1.Preset_PRESET_PIPELINE: org.Pipeline,
	membershipv1.Preset_PRESET_PORTAL:   org.Portal,
	membershipv1.Preset_PRESET_RBAC:     org.RBAC,
	membershipv1.Preset_PRESET_FLAT:     org.Flat,
}

func presetToProto(p org.Preset) membershipv1.Preset {
	return membershipv1.Preset(membershipv1.Preset_value["PRESET_"+strings.ToUpper(string(p))])
}

func requirementToProto(r org.Requirement) membershipv1.Requirement {
	return membershipv1.Requirement(membershipv1.Requirement_value["REQUIREMENT_"+string(r)])
}

func policyToProto(p org.Policy) *membershipv1.OrganizationPolicy {
	appointment := func(a org.Appointment) membershipv1.OrganizationPolicy_Appointment {
		return membershipv1.OrganizationPolicy_Appointment(membershipv1.OrganizationPolicy_Appointment_value["APPOINTMENT_"+string(a)])
	}
	return &membershipv1.OrganizationPolicy{
		Ownership:           membershipv1.OrganizationPolicy_Ownership(membershipv1.OrganizationPolicy_Ownership_value["OWNERSHIP_"+string(p.Ownership)]),
		AdminsManagedBy:     appointment(p.AdminsManagedBy),
		AdminAppointment:    appointment(p.AdminAppointment),
		CreatorRole:         p.CreatorRole,
		DefaultInviteRole:   p.DefaultInviteRole,
		DefaultJoinRole:     p.DefaultJoinRole,
		Username:            requirementToProto(p.Username),
		Email:               requirementToProto(p.Email),
		LinkInvites:         p.LinkInvites,
		InviteTtl:           durationpb.New(p.InviteTTL),
		ExistingUserAdd:     membershipv1.OrganizationPolicy_Addition(membershipv1.OrganizationPolicy_Addition_value["ADDITION_"+string(p.ExistingUserAdd)]),
		CreateUser:          p.CreateUser,
		AutoJoin:            p.AutoJoin,
		AllowLeave:          p.AllowLeave,
		MfaRequired:         p.MfaRequired,
		PasswordReset:       membershipv1.OrganizationPolicy_Reset(membershipv1.OrganizationPolicy_Reset_value["RESET_"+string(p.PasswordReset)]),
		DisableBlocksSignIn: p.DisableBlocksSignIn,
		Groups:              p.Groups,
		Projects:            p.Projects,
		ProjectGuests:       p.ProjectGuests,
		Availability:        p.Availability,
		CustomRoles:         p.CustomRoles,
		GatedPermissions:    p.GatedPermissions,
		PeopleLayout:        membershipv1.OrganizationPolicy_Layout(membershipv1.OrganizationPolicy_Layout_value["LAYOUT_"+string(p.PeopleLayout)]),
		MemberLabel:         p.MemberLabel,
		DisabledLabel:       p.DisabledLabel,
		RemovalMail:         p.RemovalMail,
		SeatMail:            p.SeatMail,
	}
}

// said is the word that a value of an enum stands for; empty for none, and for what this version does not know.
func said(value protoreflect.Enum) string {
	known := value.Descriptor().Values().ByNumber(value.Number())
	if known == nil || known.Number() == 0 {
		return ""
	}
	_, word, _ := strings.Cut(string(known.Name()), "_")
	return word
}

func policyFromProto(p *membershipv1.OrganizationPolicy) org.Policy {
	return org.Policy{
		Ownership:           org.Ownership(said(p.GetOwnership())),
		AdminsManagedBy:     org.Appointment(said(p.GetAdminsManagedBy())),
		AdminAppointment:    org.Appointment(said(p.GetAdminAppointment())),
		CreatorRole:         p.GetCreatorRole(),
		DefaultInviteRole:   p.GetDefaultInviteRole(),
		DefaultJoinRole:     p.GetDefaultJoinRole(),
		Username:            org.Requirement(said(p.GetUsername())),
		Email:               org.Requirement(said(p.GetEmail())),
		LinkInvites:         p.GetLinkInvites(),
		InviteTTL:           p.GetInviteTtl().AsDuration(),
		ExistingUserAdd:     org.Addition(said(p.GetExistingUserAdd())),
		CreateUser:          p.GetCreateUser(),
		AutoJoin:            p.GetAutoJoin(),
		AllowLeave:          p.GetAllowLeave(),
		MfaRequired:         p.GetMfaRequired(),
		PasswordReset:       org.Reset(said(p.GetPasswordReset())),
		DisableBlocksSignIn: p.GetDisableBlocksSignIn(),
		Groups:              p.GetGroups(),
		Projects:            p.GetProjects(),
		ProjectGuests:       p.GetProjectGuests(),
		Availability:        p.GetAvailability(),
		CustomRoles:         p.GetCustomRoles(),
		GatedPermissions:    org.SetOf(p.GetGatedPermissions()),
		PeopleLayout:        org.Layout(said(p.GetPeopleLayout())),
		MemberLabel:         p.GetMemberLabel(),
		DisabledLabel:       p.GetDisabledLabel(),
		RemovalMail:         p.GetRemovalMail(),
		SeatMail:            p.GetSeatMail(),
	}
}

func policyToEvent(o org.Organization) *eventv1.Policy {
	p := o.Policy
	return &eventv1.Policy{
		Preset:              string(o.Preset),
		Ownership:           string(p.Ownership),
		AdminsManagedBy:     string(p.AdminsManagedBy),
		AdminAppointment:    string(p.AdminAppointment),
		CreatorRole:         p.CreatorRole,
		DefaultInviteRole:   p.DefaultInviteRole,
		DefaultJoinRole:     p.DefaultJoinRole,
		Username:            string(p.Username),
		Email:               string(p.Email),
		LinkInvites:         p.LinkInvites,
		InviteTtlSeconds:    int64(p.InviteTTL / time.Second),
		ExistingUserAdd:     string(p.ExistingUserAdd),
		CreateUser:          p.CreateUser,
		AutoJoin:            p.AutoJoin,
		AllowLeave:          p.AllowLeave,
		MfaRequired:         p.MfaRequired,
		PasswordReset:       string(p.PasswordReset),
		DisableBlocksSignIn: p.DisableBlocksSignIn,
		Groups:              p.Groups,
		Projects:            p.Projects,
		ProjectGuests:       p.ProjectGuests,
		Availability:        p.Availability,
		CustomRoles:         p.CustomRoles,
		GatedPermissions:    p.GatedPermissions,
		PeopleLayout:        string(p.PeopleLayout),
		MemberLabel:         p.MemberLabel,
		DisabledLabel:       p.DisabledLabel,
		RemovalMail:         p.RemovalMail,
		SeatMail:            p.SeatMail,
	}
}
