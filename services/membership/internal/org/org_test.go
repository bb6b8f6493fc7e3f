package org_test

import (
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

var presets = []org.Preset{org.Pipeline, org.Portal, org.RBAC, org.Flat}

// held is SECURITY 7.2 again, as a grid: one letter per role that holds the permission, of owner, admin, developer, member,
// viewer. A star: an admin only where the policy says so.
var held = map[string]string{
	"org.read": "oadmv", "org.update": "oa", "org.security.update": "oa", "org.delete": "o", "org.transfer_ownership": "o",
	"org.policy.admin_appointment": "o", "policy.read": "oadmv", "policy.update": "o",
	"members.read": "oadmv", "members.contact.read": "oadm", "members.activity.read": "oa", "members.sessions.read": "oa",
	"members.create": "oa", "members.assign_role": "oa", "members.update_profile": "oa", "members.disable": "oa",
	"members.enable": "oa", "members.remove": "oa", "members.send_reset_link": "oa", "members.issue_temp_password": "oa",
	"members.reset_mfa": "oa", "members.sessions.revoke": "oa", "admins.manage": "o*",
	"invitations.read": "oa", "invitations.create": "oa", "invitations.bulk_create": "oa", "invitations.create_link": "oa",
	"invitations.resend": "oa", "invitations.revoke": "oa",
	"roles.read": "oadmv", "roles.create": "oa", "roles.update": "oa", "roles.delete": "oa",
	"groups.read": "oadmv", "groups.manage": "oa", "groups.members.manage": "oa",
	"projects.read": "oadmv", "projects.manage": "oa",
	"domains.read": "oa", "domains.manage": "oa", "domains.auto_join.manage": "oa",
	"seats.read": "oad", "billing.read": "oa", "billing.manage": "o",
	"api_keys.read": "oad", "service_accounts.read": "oad", "oauth_clients.read": "oad", "webhooks.read": "oad",
	"api_keys.create_own": "oad", "api_keys.manage": "oa", "service_accounts.manage": "oa", "oauth_clients.manage": "oa", "webhooks.manage": "oa",
	"sso.read": "oa", "sso.manage": "oa", "scim.manage": "oa", "audit.read": "oa", "audit.export": "oa",
	"resources.read": "oadmv", "resources.write": "oad", "products.use": "oadm",
}

func TestPresets(t *testing.T) {
	t.Parallel()

	t.Run("SECURITY 7.2 Every preset, role and permission", func(t *testing.T) {
		t.Parallel()
		catalogue := org.Catalogue()
		require.Len(t, catalogue, len(held))
		require.True(t, slices.IsSortedFunc(catalogue, func(a, b org.Permission) int { return strings.Compare(a.Name, b.Name) }))
		for _, preset := range presets {
			for _, role := range preset.Roles() {
				require.True(t, slices.IsSorted(role.Permissions))
				for _, p := range catalogue {
					grid, known := held[p.Name]
					require.True(t, known, p.Name)
					want := strings.Contains(grid, role.Key[:1]) ||
						grid == "o*" && role.Key == "admin" && preset.Policy().AdminsManagedBy == org.ByAdmins
					if preset == org.Flat {
						want = p.Name != "org.transfer_ownership"
					}
					require.Equal(t, want, role.Permissions.Has(p.Name), "%s: %s, %s", preset, role.Key, p.Name)
				}
			}
		}
	})

	t.Run("S1-26 The matrix of nine rows", func(t *testing.T) {
		t.Parallel()
		rows := [][]string{{"org.delete"}, {"org.transfer_ownership"}, {"admins.manage"}, {"members.remove", "invitations.create"},
			{"oauth_clients.manage"}, {"api_keys.create_own"}, {"webhooks.manage"}, {"audit.read"}, {"products.use"}}
		ticks := map[string]int{}
		for _, role := range org.Portal.Roles() {
			for _, row := range rows {
				if !slices.ContainsFunc(row, func(p string) bool { return !role.Permissions.Has(p) }) {
					ticks[role.Key]++
				}
			}
		}
		require.Equal(t, map[string]int{"owner": 9, "admin": 6, "member": 1}, ticks)
	})

	t.Run("Every preset's own words fit together", func(t *testing.T) {
		t.Parallel()
		for _, preset := range presets {
			policy, roles := preset.Policy(), org.Roles(preset.Roles())
			creator, ok := roles.ByKey(policy.CreatorRole)
			require.True(t, ok)
			require.Equal(t, policy.Ownership == org.Single, creator.Owner)
			if policy.DefaultInviteRole != "" {
				_, err := roles.Givable(policy.DefaultInviteRole)
				require.NoError(t, err)
			}
			require.Equal(t, 7*24*time.Hour, policy.InviteTTL, "C9")
			require.NotEmpty(t, policy.DisabledLabel)
			owners := 0
			for rank, role := range roles {
				require.Equal(t, rank, role.Rank)
				require.NotEmpty(t, role.DisplayName)
				require.Regexp(t, `^#[0-9a-f]{6}$`, role.Color)
				if role.Owner {
					owners++
				}
				require.Equal(t, preset == org.Flat || role.Owner, role.FullAccess(), "%s %s", preset, role.Key)
				require.Equal(t, preset == org.Flat || role.Key == "owner" || role.Key == "admin", role.AdminClass(), "%s %s", preset, role.Key)
			}
			require.Equal(t, map[org.Ownership]int{org.Single: 1, org.None: 0}[policy.Ownership], owners)
		}
	})

	t.Run("RB1 Unknown permissions are refused", func(t *testing.T) {
		t.Parallel()
		for _, p := range org.Catalogue() {
			require.NoError(t, org.Known(p.Name))
			require.NotEmpty(t, p.Description)
		}
		for _, p := range []string{"", "members", "members.*", "members.read ", "zzz"} {
			reason(t, org.Known(p), errorv1.Reason_REASON_VALIDATION_FAILED)
		}
	})
}

// company is an organization with a member of every role.
type company struct {
	org.Organization
	members map[string]org.Member
}

func open(preset org.Preset) company {
	c := company{org.New(id.NewOrganization(), "Acme", preset), make(map[string]org.Member)}
	c.Open()
	for _, role := range c.Roles {
		m := org.Member{Account: id.NewAccount()}
		m.Join(role, id.NewSeat(), id.Invitation{}, time.Unix(0, 0))
		c.members[role.Key] = m
	}
	return c
}

func (c company) actor(t *testing.T, role string) org.Actor {
	t.Helper()
	a, err := c.Admit(c.members[role])
	require.NoError(t, err)
	return a
}

// another returns a second member of the role.
func (c company) another(role string) org.Member {
	m := c.members[role]
	m.Account = id.NewAccount()
	return m
}

func reason(t *testing.T, err error, want errorv1.Reason) *fault.Fault {
	t.Helper()
	f := fault.From(err)
	require.NotNil(t, f, "%v", err)
	require.Equal(t, want.String(), f.Reason.String())
	return f
}

func TestManage(t *testing.T) {
	t.Parallel()
	const (
		ok     = errorv1.Reason_REASON_UNSPECIFIED
		owner  = errorv1.Reason_REASON_OWNER_PROTECTED
		lacks  = errorv1.Reason_REASON_PERMISSION_MISSING
		noRole = errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE
	)

	t.Run("RB2 RB3 RB6 RB8 Who acts on whom, and who makes whom what", func(t *testing.T) {
		t.Parallel()
		for _, c := range []struct {
			preset          org.Preset
			actor, target   string
			manage, empower errorv1.Reason
			give            map[string]errorv1.Reason
		}{
			{org.Pipeline, "owner", "admin", ok, ok, map[string]errorv1.Reason{"owner": noRole, "admin": ok, "developer": ok, "viewer": ok}},
			{org.Pipeline, "admin", "owner", owner, owner, map[string]errorv1.Reason{"owner": noRole, "admin": ok, "developer": ok, "viewer": ok}},
			{org.Pipeline, "admin", "admin", ok, ok, nil},
			{org.Pipeline, "admin", "developer", ok, ok, nil},
			{org.Pipeline, "developer", "viewer", lacks, lacks, map[string]errorv1.Reason{"admin": noRole, "developer": ok, "viewer": ok}},
			{org.Pipeline, "viewer", "viewer", lacks, lacks, nil},
			{org.Portal, "owner", "admin", ok, ok, map[string]errorv1.Reason{"owner": noRole, "admin": ok, "member": ok}},
			{org.Portal, "admin", "admin", lacks, lacks, map[string]errorv1.Reason{"owner": noRole, "admin": noRole, "member": ok}},
			{org.Portal, "admin", "member", ok, ok, nil},
			{org.Portal, "admin", "owner", owner, owner, nil},
			{org.Portal, "member", "member", lacks, lacks, nil},
			{org.RBAC, "admin", "admin", ok, ok, map[string]errorv1.Reason{"owner": noRole, "admin": ok, "member": ok, "nobody": noRole}},
			{org.RBAC, "admin", "owner", owner, owner, nil},
			{org.RBAC, "member", "admin", lacks, lacks, nil},
			{org.Flat, "member", "member", ok, ok, map[string]errorv1.Reason{"member": ok, "owner": noRole}},
		} {
			co := open(c.preset)
			actor, target := co.actor(t, c.actor), co.another(c.target)
			require.Equal(t, c.manage, fault.ReasonOf(actor.Manage(target, org.RemoveMembers)), "%+v", c)
			require.Equal(t, c.empower, fault.ReasonOf(actor.Empower(target, org.AssignRole)), "%+v", c)
			for key, want := range c.give {
				_, err := actor.Give(key)
				require.Equal(t, want, fault.ReasonOf(err), "%+v %s", c, key)
				require.Equal(t, want == ok && actor.May(org.AssignRole), actor.MayGive(org.Role{Key: key}), "%+v %s", c, key)
			}
		}
	})

	t.Run("RB3 Power over somebody with more rights may only be taken away", func(t *testing.T) {
		t.Parallel()
		c := open(org.RBAC)
		billing := org.Role{ID: id.NewRole(), Key: "billing", Permissions: org.Set{"billing.manage", "org.read"}}
		c.Roles = append(c.Roles, billing)
		target := c.another("member")
		target.Role = billing.ID
		admin := c.actor(t, "admin")
		require.NoError(t, admin.Manage(target, org.RemoveMembers))
		f := reason(t, admin.Empower(target, org.EnableMembers), errorv1.Reason_REASON_PERMISSION_MISSING)
		require.Equal(t, "billing.manage", f.Metadata["permission"])
		_, err := admin.Give("billing")
		require.Equal(t, "billing.manage", reason(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE).Metadata["missing"])
		require.NoError(t, c.actor(t, "owner").Empower(target, org.EnableMembers))
	})

	t.Run("RB3 Whoever has power over people is an admin, whatever the role is called", func(t *testing.T) {
		t.Parallel()
		require.True(t, org.Role{Key: "helper", Permissions: org.Set{"members.reset_mfa"}}.AdminClass())
		require.False(t, org.Role{Key: "auditor", Permissions: org.Set{"audit.export", "members.read"}}.AdminClass())
	})

	t.Run("RB7 S2-52 S3-16 Nobody acts on themselves", func(t *testing.T) {
		t.Parallel()
		for _, preset := range presets {
			c := open(preset)
			for key := range c.members {
				actor := c.actor(t, key)
				if actor.May(org.DisableMembers) {
					reason(t, actor.Manage(c.members[key], org.DisableMembers), errorv1.Reason_REASON_SELF_ACTION)
				}
			}
		}
	})

	t.Run("C16 RB6 RB7 Who changes whose profile", func(t *testing.T) {
		t.Parallel()
		for _, preset := range presets {
			c := open(preset)
			for key := range c.members {
				actor := c.actor(t, key)
				reason(t, actor.Retouch(c.members[key]), errorv1.Reason_REASON_SELF_ACTION)
				for target := range c.members {
					require.Equal(t, fault.ReasonOf(actor.Empower(c.another(target), org.UpdateProfiles)), fault.ReasonOf(actor.Retouch(c.another(target))))
				}
			}
			if preset != org.Flat {
				reason(t, c.actor(t, "admin").Retouch(c.another("owner")), owner)
				require.NoError(t, c.actor(t, "owner").Retouch(c.another("admin")))
			}
		}
	})

	t.Run("The words say what to do", func(t *testing.T) {
		t.Parallel()
		c := open(org.Portal)
		admin := c.actor(t, "admin")
		require.Contains(t, reason(t, admin.Manage(c.another("admin"), org.AssignRole), lacks).Message, "Contact the organization owner", "S1-54")
		_, err := admin.Give("owner")
		require.Contains(t, reason(t, err, noRole).Message, "Owner is reserved and cannot be assigned. Choose one of: admin, member.")
		_, err = admin.Give(strings.Repeat("x", 500) + "\n")
		require.Contains(t, reason(t, err, noRole).Message, "Choose one of: admin, member.")
		require.Less(t, len(fault.From(err).Message), 200)
		require.Contains(t, reason(t, admin.Manage(c.members["owner"], org.AssignRole), owner).Message, "reserved and immutable", "S0-24")
	})
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	for _, preset := range presets {
		for key, m := range open(preset).members {
			for _, state := range []org.State{org.Creating, org.Active, org.Failed, org.Deleted} {
				for member, want := range map[org.MemberState]errorv1.Reason{
					"": errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND, org.MemberRemoved: errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND,
					org.MemberDisabled: errorv1.Reason_REASON_MEMBER_DISABLED, org.MemberActive: errorv1.Reason_REASON_UNSPECIFIED,
				} {
					c := open(preset)
					c.State, m.State = state, member
					if state != org.Active {
						want = errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND
					}
					_, err := c.Admit(m)
					require.Equal(t, want, fault.ReasonOf(err), "%s %s %s", key, state, member)
				}
			}
		}
	}
}

func TestMember(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	c := open(org.RBAC)
	admin, member := c.members["admin"], c.members["member"]
	adminRole, _ := c.Roles.ByKey("admin")

	t.Run("D14 Disabling frees the seat, enabling takes another", func(t *testing.T) {
		m := member
		seat, err := m.Disable(admin.Account, now)
		require.NoError(t, err)
		require.Equal(t, member.Seat, seat)
		require.True(t, m.Seat.IsZero())
		require.Equal(t, admin.Account, m.Disabler)
		require.Equal(t, now, *m.DisableTime)
		_, err = m.Disable(admin.Account, now)
		require.Equal(t, "DISABLED", reason(t, err, errorv1.Reason_REASON_STATE_CONFLICT).Metadata["state"])
		fresh := id.NewSeat()
		require.NoError(t, m.Enable(fresh))
		require.Equal(t, fresh, m.Seat)
		require.Nil(t, m.DisableTime)
		require.Equal(t, "ACTIVE", reason(t, m.Enable(fresh), errorv1.Reason_REASON_STATE_CONFLICT).Metadata["state"])
		require.Equal(t, member.Version+2, m.Version)
	})

	t.Run("RB18 A new role is a new version", func(t *testing.T) {
		m := member
		reason(t, m.ChangeRole(adminRole, "99"), errorv1.Reason_REASON_ETAG_MISMATCH)
		require.NoError(t, m.ChangeRole(adminRole, org.Etag(m.Version)))
		require.Equal(t, member.Version+1, m.Version)
		reason(t, m.ChangeRole(adminRole, ""), errorv1.Reason_REASON_STATE_CONFLICT)
	})

	t.Run("RB23 Whoever comes back keeps nothing", func(t *testing.T) {
		m := admin
		_, err := m.Disable(member.Account, now)
		require.NoError(t, err)
		require.True(t, m.Remove().IsZero())
		require.False(t, m.Belongs())
		role, _ := c.Roles.ByKey("member")
		m.Join(role, id.NewSeat(), id.Invitation{}, now)
		require.Equal(t, role.ID, m.Role)
		require.Zero(t, m.Disabler)
		require.Greater(t, m.Version, admin.Version)
	})
}

func TestSpare(t *testing.T) {
	t.Parallel()
	flat, pipeline := open(org.Flat), open(org.Pipeline)
	m := flat.members["member"]
	less := org.Role{ID: id.NewRole(), Key: "less", Permissions: org.Set{"org.read"}}
	full, _ := flat.Roles.ByKey("member")
	reason(t, flat.Spare(m, org.Role{}, false), errorv1.Reason_REASON_LAST_OWNER)
	reason(t, flat.Spare(m, less, false), errorv1.Reason_REASON_LAST_OWNER)
	require.NoError(t, flat.Spare(m, full, false))
	require.NoError(t, flat.Spare(m, org.Role{}, true))
	disabled := m
	_, err := disabled.Disable(id.NewAccount(), time.Unix(1, 0))
	require.NoError(t, err)
	require.NoError(t, flat.Spare(disabled, org.Role{}, false))
	require.NoError(t, pipeline.Spare(pipeline.members["admin"], org.Role{}, false), "the owner is there")
}

func TestRename(t *testing.T) {
	t.Parallel()
	o := open(org.RBAC).Organization
	reason(t, o.Rename("Apex", "2", time.Unix(1, 0)), errorv1.Reason_REASON_ETAG_MISMATCH)
	require.NoError(t, o.Rename("Apex", "1", time.Unix(1, 0)))
	require.Equal(t, "Apex", o.DisplayName)
	require.Equal(t, int64(2), o.Version)
}

func TestInvitationRole(t *testing.T) {
	t.Parallel()
	for preset, want := range map[org.Preset]string{org.Pipeline: "developer", org.Flat: "member", org.Portal: "", org.RBAC: ""} {
		c := open(preset)
		got, err := c.InvitationRole("")
		require.Equal(t, want, got)
		require.Equal(t, want == "", err != nil)
		got, err = c.InvitationRole("viewer")
		require.NoError(t, err)
		require.Equal(t, "viewer", got)
	}
}

func TestRaises(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		is, was []string
		raises  bool
	}{
		"MoreIsMore":               {[]string{"a", "b"}, []string{"a"}, true},
		"SomethingElseIsMore":      {[]string{"b"}, []string{"a"}, true},
		"LessIsNot":                {[]string{"a"}, []string{"a", "b"}, false},
		"TheSameIsNotWhateverRank": {[]string{"a"}, []string{"a"}, false},
	} {
		t.Run("R86 "+name, func(t *testing.T) {
			t.Parallel()
			is, was := org.Role{Rank: 1, Permissions: org.SetOf(c.is)}, org.Role{Permissions: org.SetOf(c.was)}
			require.Equal(t, c.raises, is.Raises(was))
		})
	}
}
