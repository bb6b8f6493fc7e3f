package org_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// The table of presets again, as their rulings have it: one line per field, in the order pipeline, portal, rbac, flat.
var rulings = map[string][4]any{
	"ownership":              {org.Single, org.Single, org.Single, org.None},
	"creator_role":           {"owner", "owner", "owner", "member"},
	"default_invite_role":    {"developer", "", "", "member"},
	"default_join_role":      {"viewer", "member", "member", ""},
	"username":               {org.Required, org.Off, org.Off, org.Off},
	"email":                  {org.Optional, org.Required, org.Required, org.Required},
	"link_invites":           {true, false, false, false},
	"existing_user_add":      {org.ByInvitation, org.ByInvitation, org.Directly, org.ByInvitation},
	"create_user":            {false, false, true, false},
	"password_reset":         {org.ByLink, org.ByLink, org.ByTempPassword, org.ByLink},
	"admins_managed_by":      {org.ByAdmins, org.ByOwner, org.ByAdmins, org.Appointment("")},
	"admin_appointment":      {org.ByAdmins, org.ByOwner, org.ByAdmins, org.Appointment("")},
	"disable_blocks_sign_in": {false, false, true, false},
	"auto_join":              {false, true, false, false},
	"groups":                 {true, false, false, false},
	"projects":               {false, false, false, true},
	"project_guests":         {false, false, false, true},
	"availability":           {false, false, true, false},
	"custom_roles":           {false, false, true, false},
	"gated_permissions":      {org.Set(nil), org.Set(nil), org.Set(nil), org.Set(nil)},
	"invite_ttl":             {7 * 24 * time.Hour, 7 * 24 * time.Hour, 7 * 24 * time.Hour, 7 * 24 * time.Hour},
	"mfa_required":           {false, false, false, false},
	"allow_leave":            {true, true, true, true},
	"people_layout":          {org.Combined, org.Combined, org.Card, org.Tabs},
	"removal_mail":           {false, false, false, true},
	"seat_mail":              {false, false, true, false},
	"member_label":           {"member", "member", "member", "organisation member"},
	"disabled_label":         {"deactivated", "disabled", "disabled", "disabled"},
}

// fieldsOf are a policy's fields by their names in JSON.
func fieldsOf(p *org.Policy) map[string]reflect.Value {
	fields := make(map[string]reflect.Value)
	value := reflect.ValueOf(p).Elem()
	for i := range value.NumField() {
		fields[value.Type().Field(i).Tag.Get("json")] = value.Field(i)
	}
	return fields
}

func TestPresetTable(t *testing.T) {
	t.Parallel()
	for i, preset := range presets {
		policy := preset.Policy()
		fields := fieldsOf(&policy)
		require.ElementsMatch(t, slices.Collect(maps.Keys(rulings)), slices.Collect(maps.Keys(fields)))
		for name, want := range rulings {
			require.Equal(t, want[i], fields[name].Interface(), "%s: %s", preset, name)
		}
	}
	for i, keys := range []string{"owner admin developer viewer", "owner admin member", "owner admin member", "member"} {
		var have []string
		for _, role := range presets[i].Roles() {
			have = append(have, role.Key)
		}
		require.Equal(t, keys, strings.Join(have, " "))
	}
}

// holding is what there is when one member has each role.
func (c company) holding() org.Facts {
	has := org.Facts{Held: make(map[id.Role]org.Held)}
	for key, m := range c.members {
		has.Held[m.Role] = org.Held{Use: org.Use{Members: 1}, Active: 1}
		if key == "owner" {
			has.Owners = append(has.Owners, m.Account)
		}
		has.Lines = append(has.Lines, org.Line{Role: m.Role, Members: 1})
	}
	return has
}

// first is who may change the policy.
func (c company) first(t *testing.T) org.Actor {
	t.Helper()
	if _, owned := c.members["owner"]; owned {
		return c.actor(t, "owner")
	}
	return c.actor(t, "member")
}

// reform changes fields and the preset.
func (c company) reform(t *testing.T, has org.Facts, want org.Reform) (org.Reformed, error) {
	t.Helper()
	return c.first(t).Reform(want, has, "", time.Unix(1, 0))
}

// TestEachFieldOnce changes each field of each preset to each other value that it can have. What is refused is refused by name, and
// everything else is not.
func TestEachFieldOnce(t *testing.T) {
	t.Parallel()
	other := map[string][]any{
		"ownership":           {org.Single, org.Multiple, org.None},
		"admins_managed_by":   {org.ByAdmins, org.ByOwner, org.Appointment("")},
		"admin_appointment":   {org.ByAdmins, org.ByOwner, org.Appointment("")},
		"creator_role":        {"owner", "admin", "member"},
		"default_invite_role": {"", "owner", "admin"},
		"default_join_role":   {"", "owner", "admin", "member"},
		"username":            {org.Required, org.Optional, org.Off},
		"email":               {org.Required, org.Optional, org.Off},
		"existing_user_add":   {org.ByInvitation, org.Directly},
		"password_reset":      {org.ByLink, org.ByTempPassword},
		"people_layout":       {org.Combined, org.Card, org.Tabs},
		"invite_ttl":          {time.Minute, time.Hour, 90 * 24 * time.Hour},
		"gated_permissions":   {org.Set(nil), org.Set{"products.use"}, org.Set{"policy.update"}},
		"member_label":        {"", "colleague"},
		"disabled_label":      {"", "asleep"},
	}
	// preset.field=value: the field that is told. What is not here is fine.
	refusedAs := map[string]string{
		"*.ownership=NONE": "ownership", "flat.ownership=SINGLE": "ownership", "flat.ownership=MULTIPLE": "ownership", "flat.ownership=NONE": "",
		"*.admins_managed_by=": "admins_managed_by", "flat.admins_managed_by=": "",
		"flat.admins_managed_by=ADMINS": "admins_managed_by", "flat.admins_managed_by=OWNER_ONLY": "admins_managed_by",
		"*.admin_appointment=": "admin_appointment", "flat.admin_appointment=": "",
		"flat.admin_appointment=ADMINS": "admin_appointment", "flat.admin_appointment=OWNER_ONLY": "admin_appointment",
		"*.creator_role=admin": "creator_role", "*.creator_role=member": "creator_role", "flat.creator_role=owner": "creator_role",
		"flat.creator_role=member":    "",
		"*.default_invite_role=owner": "default_invite_role", "flat.default_invite_role=admin": "default_invite_role",
		"*.default_join_role=owner": "default_join_role", "flat.default_join_role=admin": "default_join_role",
		"pipeline.default_join_role=member": "default_join_role",
		"portal.default_join_role=":         "default_join_role", // people join there by themselves
		"portal.default_join_role=admin":    "default_join_role",
		"*.email=OFF":                       "email", "portal.email=OPTIONAL": "link_invites", "rbac.email=OPTIONAL": "link_invites", "flat.email=OPTIONAL": "link_invites",
		"pipeline.username=OPTIONAL": "username", "pipeline.username=OFF": "username",
		"pipeline.link_invites=false": "link_invites",
		"flat.auto_join=true":         "auto_join", // and default_join_role
		"flat.projects=false":         "project_guests", "portal.project_guests=true": "project_guests", "rbac.project_guests=true": "project_guests",
		"pipeline.project_guests=true": "project_guests",
		"*.invite_ttl=1m0s":            "invite_ttl", "*.invite_ttl=2160h0m0s": "invite_ttl",
		"*.gated_permissions=[products.use]": "gated_permissions", "pipeline.gated_permissions=[products.use]": "",
		"*.gated_permissions=[policy.update]": "gated_permissions",
		"*.member_label=":                     "member_label", "*.disabled_label=": "disabled_label",
	}
	tried := make(map[string]bool)
	for _, preset := range presets {
		for name := range rulings {
			values := other[name]
			if values == nil {
				values = []any{true, false}
			}
			for _, value := range values {
				c := open(preset)
				want := org.Reform{Preset: preset, Policy: c.Policy}
				fieldsOf(&want.Policy)[name].Set(reflect.ValueOf(value))
				what := name + "=" + spelled(value)
				told, own := refusedAs[string(preset)+"."+what]
				if !own {
					told = refusedAs["*."+what]
				}
				tried[string(preset)+"."+what], tried["*."+what] = true, true
				r, err := c.reform(t, c.holding(), want)
				if told != "" {
					fields := reason(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Fields
					require.True(t, slices.ContainsFunc(fields, func(f fault.Field) bool { return f.Name == "policy."+told }), "%s.%s: %v", preset, what, fields)
					continue
				}
				require.NoError(t, err, "%s.%s", preset, what)
				require.NoError(t, r.Possible(), "%s.%s", preset, what)
				same := reflect.DeepEqual(want.Policy, c.Policy)
				require.Equal(t, same, r.Unchanged(), "%s.%s", preset, what)
			}
		}
	}
	for what := range refusedAs {
		require.True(t, tried[what], "%s is not tried", what)
	}
}

func spelled(value any) string {
	switch v := value.(type) {
	case org.Set:
		if len(v) == 0 {
			return ""
		}
		return "[" + strings.Join(v, " ") + "]"
	case bool:
		if v {
			return "true"
		}
		return "false"
	case time.Duration:
		return v.String()
	}
	return reflect.ValueOf(value).String()
}

func TestReform(t *testing.T) {
	t.Parallel()

	t.Run("Who may", func(t *testing.T) {
		t.Parallel()
		c := open(org.RBAC)
		want := org.Reform{Preset: org.RBAC, Policy: c.Policy}
		want.Policy.RemovalMail = true
		_, err := c.actor(t, "admin").Reform(want, c.holding(), "", time.Time{})
		require.Equal(t, "policy.update", reason(t, err, lacks).Metadata["permission"])
		_, err = c.actor(t, "owner").Reform(want, c.holding(), "7", time.Time{})
		reason(t, err, errorv1.Reason_REASON_ETAG_MISMATCH)
		owner := c.actor(t, "owner")
		owner.Permissions = org.Set{"policy.update"}
		_, err = owner.Reform(want, c.holding(), "", time.Time{})
		require.NoError(t, err)
		want.Policy.AdminAppointment = org.ByOwner
		_, err = owner.Reform(want, c.holding(), "", time.Time{})
		require.Equal(t, "org.policy.admin_appointment", reason(t, err, lacks).Metadata["permission"])
		for _, change := range []func(*org.Policy){
			func(p *org.Policy) { p.AutoJoin = !p.AutoJoin }, func(p *org.Policy) { p.DefaultJoinRole = "viewer" }} {
			want.Policy = c.Policy
			change(&want.Policy)
			_, err = owner.Reform(want, c.holding(), "", time.Time{})
			require.Equal(t, "domains.auto_join.manage", reason(t, err, lacks).Metadata["permission"])
		}
	})

	t.Run("C6 The admin's role follows who manages admins", func(t *testing.T) {
		t.Parallel()
		c := open(org.RBAC)
		want := org.Reform{Preset: org.RBAC, Policy: c.Policy}
		want.Policy.AdminsManagedBy = org.ByOwner
		r, err := c.reform(t, c.holding(), want)
		require.NoError(t, err)
		admin, _ := r.Roles.ByKey("admin")
		was, _ := c.Roles.ByKey("admin")
		require.Equal(t, org.Set{"admins.manage"}, was.Permissions.Without(admin.Permissions))
		require.Equal(t, was.Version+1, admin.Version)
		require.Equal(t, []org.Finding{{Subject: "admins.manage", Count: 1, Description: "1 member loses admins.manage"}}, r.Effects(c.first(t), c.holding()))
		c.Organization = r.Organization
		want.Policy.AdminsManagedBy = org.ByAdmins
		r, err = c.reform(t, c.holding(), want)
		require.NoError(t, err)
		admin, _ = r.Roles.ByKey("admin")
		require.Equal(t, was.Permissions, admin.Permissions)
	})

	t.Run("What is in the way", func(t *testing.T) {
		t.Parallel()
		for _, row := range []struct {
			preset org.Preset
			change func(*org.Policy)
			has    func(*org.Facts)
			want   string
		}{
			{org.Pipeline, func(p *org.Policy) { p.Groups = false }, func(f *org.Facts) { f.Groups = 4 }, "policy.groups 4 groups there: delete them first"},
			{org.Pipeline, func(p *org.Policy) { p.Groups, p.Ownership = false, org.Multiple }, func(f *org.Facts) { f.Owners = make([]id.Account, 3) }, ""},
			{org.Pipeline, func(p *org.Policy) { p.Email = org.Required }, func(f *org.Facts) { f.WithoutAddress = 2 },
				"policy.email 2 pending invitations without an address: revoke them first"},
			{org.Pipeline, func(p *org.Policy) { p.Email, p.LinkInvites = org.Required, false }, func(f *org.Facts) { f.WithoutAddress = 1 },
				"policy.email 1 pending invitation without an address: revoke them first|policy.link_invites 1 pending invitation without an address: revoke them first"},
			{org.RBAC, func(p *org.Policy) { p.RemovalMail = true }, func(f *org.Facts) { f.WithoutAddress = 1 }, ""},
			{org.Flat, func(p *org.Policy) { p.Projects, p.ProjectGuests = false, false }, func(f *org.Facts) { f.Projects = 1 },
				"policy.projects 1 project there: delete them first"},
			{org.Flat, func(p *org.Policy) { p.RemovalMail = false }, func(f *org.Facts) { clear(f.Held) }, "policy.ownership no active member could do everything"},
		} {
			c := open(row.preset)
			want, has := org.Reform{Preset: row.preset, Policy: c.Policy}, c.holding()
			row.change(&want.Policy)
			row.has(&has)
			r, err := c.reform(t, has, want)
			require.NoError(t, err)
			require.Equal(t, row.want, inTheWay(t, r))
		}
	})

	t.Run("C4 A single owner is one", func(t *testing.T) {
		t.Parallel()
		c := several(org.RBAC)
		has := c.holding()
		has.Owners = append(has.Owners, id.NewAccount(), id.NewAccount())
		want := org.Reform{Preset: org.RBAC, Policy: c.Policy}
		want.Policy.Ownership = org.Single
		r, err := c.reform(t, has, want)
		require.NoError(t, err)
		require.Equal(t, "policy.ownership 2 owners too many: let them step down, or give them another role", inTheWay(t, r))
	})
}

// inTheWay is what a reform fails of, as the fault says it.
func inTheWay(t *testing.T, r org.Reformed) string {
	t.Helper()
	err := r.Possible()
	if err == nil {
		return ""
	}
	var said []string
	for _, f := range reason(t, err, errorv1.Reason_REASON_POLICY_CONFLICT).Fields {
		said = append(said, f.Name+" "+f.Reason)
	}
	return strings.Join(said, "|")
}

func TestChangePreset(t *testing.T) {
	t.Parallel()

	t.Run("C1 Roles that go and that somebody has need one in their place", func(t *testing.T) {
		t.Parallel()
		c := open(org.Pipeline)
		has := c.holding()
		developer, _ := c.Roles.ByKey("developer")
		has.Held[developer.ID] = org.Held{Use: org.Use{Members: 12, Invitations: 3, Grants: 1}, Active: 10}
		want := org.Reform{Preset: org.Portal, Policy: org.Portal.Policy()}
		r, err := c.reform(t, has, want)
		require.NoError(t, err)
		require.Equal(t, "role_remap.developer held by 12 members, 3 pending invitations, 1 grant by a group or in a project; this policy has no such role: name the one in its place|"+
			"role_remap.viewer held by 1 member; this policy has no such role: name the one in its place", inTheWay(t, r))
		want.Remap = map[string]string{"developer": "member", c.members["viewer"].Role.String(): "member"}
		r, err = c.reform(t, has, want)
		require.NoError(t, err)
		require.Empty(t, inTheWay(t, r))
		require.Len(t, r.Replaced, 2)
		require.Equal(t, "member", r.Becomes(developer.ID).Key)
		for key, was := range map[string]bool{"owner": true, "admin": true, "member": false} {
			is, known := r.Roles.ByKey(key)
			require.True(t, known)
			old, _ := c.Roles.ByKey(key)
			require.Equal(t, was, is.ID == old.ID, key)
		}
		for wrong, remap := range map[string]map[string]string{
			"no role of the organization": {"guest": "member"}, "gives \"owner\"": {"developer": "owner"}, "gives \"viewer\"": {"developer": "viewer"},
			"replaces admin": {"admin": "member"},
		} {
			want.Remap = remap
			_, err = c.reform(t, has, want)
			require.Contains(t, reason(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Message, wrong)
		}
	})

	t.Run("C1 Every preset becomes every other", func(t *testing.T) {
		t.Parallel()
		for _, from := range presets {
			for _, to := range presets {
				c := open(from)
				has := c.holding()
				want := org.Reform{Preset: to, Policy: to.Policy(), Remap: map[string]string{}}
				for _, role := range c.Roles {
					_, stays := org.Roles(to.Roles()).ByKey(role.Key)
					switch {
					case from == to || stays && from != org.Flat && to != org.Flat:
					case stays:
						want.Remap[role.Key] = role.Key
					default:
						want.Remap[role.Key] = to.Roles()[len(to.Roles())-1].Key
					}
				}
				me := c.members["member"]
				if from == org.Flat && to != org.Flat {
					r, err := c.reform(t, has, want)
					require.NoError(t, err)
					require.Contains(t, inTheWay(t, r), "owner_account_id nobody owns the organization")
					want.Owner = &me
				}
				r, err := c.reform(t, has, want)
				require.NoError(t, err, "%s to %s", from, to)
				require.Empty(t, inTheWay(t, r), "%s to %s", from, to)
				require.Equal(t, from == to, r.Unchanged())
				for i, role := range to.Roles() {
					require.Equal(t, role.Key, r.Roles[i].Key)
					require.Equal(t, role.Permissions, r.Roles[i].Permissions)
					require.NotZero(t, r.Roles[i].ID)
				}
				require.Len(t, r.Roles, len(to.Roles()))
			}
		}
	})

	t.Run("C4 Between flat and the others a role of the same key is named, and the owner names themself", func(t *testing.T) {
		t.Parallel()
		c := open(org.Flat)
		me, other := c.members["member"], c.another("member")
		want := org.Reform{Preset: org.RBAC, Policy: org.RBAC.Policy(), Owner: &me}
		r, err := c.reform(t, c.holding(), want)
		require.NoError(t, err)
		require.Equal(t, "role_remap.member held by 1 member; it means something else in the other preset: name it, as member=member", inTheWay(t, r))
		want.Remap, want.Owner = map[string]string{"member": "member"}, &other
		_, err = c.reform(t, c.holding(), want)
		require.Equal(t, "owner_account_id", reason(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Fields[0].Name)
		want.Owner = &org.Member{Account: id.NewAccount()}
		_, err = c.reform(t, c.holding(), want)
		reason(t, err, errorv1.Reason_REASON_MEMBER_NOT_FOUND)
		c = open(org.RBAC)
		me = c.members["owner"]
		want = org.Reform{Preset: org.Portal, Policy: org.Portal.Policy(), Owner: &me}
		_, err = c.reform(t, c.holding(), want)
		require.Equal(t, "owner_account_id", reason(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Fields[0].Name)
	})

	t.Run("Who becomes the owner loses nothing, the others what the table says", func(t *testing.T) {
		t.Parallel()
		c := open(org.Flat)
		has := c.holding()
		role := c.members["member"].Role
		has.Held[role], has.Lines[0].Members = org.Held{Use: org.Use{Members: 5}, Active: 4}, 4
		me := c.members["member"]
		r, err := c.reform(t, has, org.Reform{Preset: org.RBAC, Policy: org.RBAC.Policy(), Owner: &me, Remap: map[string]string{"member": "member"}})
		require.NoError(t, err)
		said := make(map[string]string)
		for _, f := range r.Effects(c.first(t), has) {
			said[f.Subject] = f.Description
		}
		require.Equal(t, "3 members lose members.remove", said["members.remove"])
		require.Equal(t, "1 member gains org.transfer_ownership", said["org.transfer_ownership"])
		require.NotContains(t, said, "products.use")
	})

	t.Run("Roles of one's own stay where the preset has such, and go by name elsewhere", func(t *testing.T) {
		t.Parallel()
		c := open(org.RBAC)
		own := org.Role{ID: id.NewRole(), Key: "support", DisplayName: "Support", Rank: 3, Permissions: org.Set{"org.read"}, Version: 1}
		c.Roles = append(c.Roles, own)
		c.Policy.DefaultInviteRole = "support"
		want := org.Reform{Preset: org.Portal, Policy: org.Portal.Policy()}
		r, err := c.reform(t, c.holding(), want)
		require.NoError(t, err)
		require.Contains(t, inTheWay(t, r), "role_remap.support held by nobody")
		want.Policy.CustomRoles = true
		r, err = c.reform(t, c.holding(), want)
		require.NoError(t, err)
		require.Empty(t, inTheWay(t, r))
		require.Equal(t, own, r.Roles[3])
		want = org.Reform{Preset: org.RBAC, Policy: c.Policy, Remap: map[string]string{"support": "member"}}
		want.Policy.CustomRoles = false
		r, err = c.reform(t, c.holding(), want)
		require.NoError(t, err)
		require.Empty(t, inTheWay(t, r))
		require.Equal(t, "member", r.Policy.DefaultInviteRole, "who is invited gets what replaced it")
	})

	t.Run("Ownership ends and begins with a preset only", func(t *testing.T) {
		t.Parallel()
		c := open(org.RBAC)
		want := org.Reform{Preset: org.RBAC, Policy: c.Policy}
		want.Policy.Ownership = org.None
		_, err := c.reform(t, c.holding(), want)
		require.Contains(t, reason(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Message, "only with another preset")
	})

	t.Run("Groups give what the roles in place of theirs allow", func(t *testing.T) {
		t.Parallel()
		c := open(org.Pipeline)
		developer, _ := c.Roles.ByKey("developer")
		viewer := c.members["viewer"]
		group := org.Group{ID: id.NewGroup(), Bindings: []org.Binding{{Role: developer.ID}}}
		group.Path = []id.Group{group.ID}
		has := c.holding()
		has.Groups, has.Tree = 1, org.Groups{group}
		has.Lines = []org.Line{{Role: viewer.Role, Groups: []id.Group{group.ID}, Members: 7}}
		want := org.Reform{Preset: org.Portal, Policy: org.Portal.Policy(), Remap: map[string]string{"developer": "member", "viewer": "member"}}
		want.Policy.Groups = true
		r, err := c.reform(t, has, want)
		require.NoError(t, err)
		said := make(map[string]int64)
		for _, f := range r.Effects(c.first(t), has) {
			said[f.Subject] = f.Count
		}
		require.Equal(t, int64(7), said["resources.write"])
		require.NotContains(t, said, "products.use")
	})
}
