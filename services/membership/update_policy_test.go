package membership_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// fields is a policy of which some fields count.
type fields = membershipv1.OrganizationPolicy

// update changes the policy's named fields.
func (o organization) update(actor id.Account, policy *fields, mask ...string) (*membershipv1.UpdatePolicyResponse, error) {
	return o.organizations.UpdatePolicy(o.as(actor), &membershipv1.UpdatePolicyRequest{
		OrganizationId: o.id.String(), Policy: policy, UpdateMask: &fieldmaskpb.FieldMask{Paths: mask}})
}

// become changes the preset.
func (o organization) become(preset membershipv1.Preset, owner id.Account, remap map[string]string) (*membershipv1.UpdatePolicyResponse, error) {
	return o.organizations.UpdatePolicy(o.as(o.creator), &membershipv1.UpdatePolicyRequest{
		OrganizationId: o.id.String(), Preset: preset, RoleRemap: remap, OwnerAccountId: owner.String()})
}

func TestUpdatePolicy(t *testing.T) {
	t.Parallel()
	h := newHarness(t)

	t.Run("Fields that are named change, others stay, and one event tells", func(t *testing.T) {
		t.Parallel()
		o := h.create(rbac)
		before, err := o.organizations.GetPolicy(o.as(o.creator), &membershipv1.GetPolicyRequest{OrganizationId: o.id.String()})
		require.NoError(t, err)
		begun := len(o.types())
		answer, err := o.update(o.creator, &fields{InviteTtl: durationpb.New(time.Hour), MemberLabel: "ignored"}, "invite_ttl", "availability")
		require.NoError(t, err)
		require.NotEmpty(t, answer.GetToken())
		want := proto.Clone(before.GetPolicy()).(*fields)
		want.InviteTtl, want.Availability = durationpb.New(time.Hour), false
		require.True(t, proto.Equal(want, answer.GetPolicy()))
		after, err := o.organizations.GetPolicy(o.as(o.creator), &membershipv1.GetPolicyRequest{OrganizationId: o.id.String()})
		require.NoError(t, err)
		require.True(t, proto.Equal(want, after.GetPolicy()))
		require.Equal(t, []string{answer.GetEtag(), rbac.String()}, []string{after.GetEtag(), after.GetPreset().String()})
		require.NotEqual(t, before.GetEtag(), after.GetEtag())
		log := o.history()[begun:]
		require.Len(t, log, 1)
		require.Equal(t, "organization.policy_changed", log[0].Type)
		require.Regexp(t, `"before":{[^}]*"inviteTtlSeconds":"604800"[^}]*"availability":true[^}]*},"after":{[^}]*"inviteTtlSeconds":"3600"`, log[0].Data)
		_, err = o.organizations.UpdatePolicy(o.as(o.creator), &membershipv1.UpdatePolicyRequest{
			OrganizationId: o.id.String(), Policy: &fields{RemovalMail: true}, Etag: before.GetEtag()})
		refused(t, err, errorv1.Reason_REASON_ETAG_MISMATCH)
	})

	t.Run("What does not change is no event", func(t *testing.T) {
		t.Parallel()
		o := h.create(rbac)
		begun := len(o.types())
		answer, err := o.update(o.creator, &fields{SeatMail: true}, "seat_mail")
		require.NoError(t, err)
		require.True(t, answer.GetPolicy().GetSeatMail())
		_, err = o.become(rbac, id.Account{}, nil)
		require.NoError(t, err)
		require.Len(t, o.types(), begun)
	})

	t.Run("A repeated request does it once", func(t *testing.T) {
		t.Parallel()
		o := h.create(rbac)
		req := &membershipv1.UpdatePolicyRequest{OrganizationId: o.id.String(), Policy: &fields{RemovalMail: true}, RequestId: "once"}
		first, err := o.organizations.UpdatePolicy(o.as(o.creator), req)
		require.NoError(t, err)
		_, err = o.update(o.creator, &fields{}, "removal_mail")
		require.NoError(t, err)
		again, err := o.organizations.UpdatePolicy(o.as(o.creator), req)
		require.NoError(t, err)
		require.True(t, proto.Equal(first, again))
		req.Policy = &fields{CreateUser: true}
		_, err = o.organizations.UpdatePolicy(o.as(o.creator), req)
		refused(t, err, errorv1.Reason_REASON_REQUEST_ID_REUSED)
	})

	t.Run("What is not fit, not the caller's or not there changes nothing", func(t *testing.T) {
		t.Parallel()
		o, other := h.create(rbac), h.create(rbac)
		admin := o.add("admin")
		begun, theirs := len(o.types()), len(other.types())
		for _, row := range []struct {
			actor  id.Account
			policy *fields
			mask   []string
			reason errorv1.Reason
		}{
			{admin, &fields{RemovalMail: true}, nil, errorv1.Reason_REASON_PERMISSION_MISSING},
			{other.creator, &fields{RemovalMail: true}, nil, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND},
			{id.NewAccount(), &fields{RemovalMail: true}, nil, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND},
			{o.creator, &fields{}, nil, errorv1.Reason_REASON_VALIDATION_FAILED},
			{o.creator, nil, nil, errorv1.Reason_REASON_VALIDATION_FAILED},
			{o.creator, &fields{}, []string{"preset"}, errorv1.Reason_REASON_VALIDATION_FAILED},
			{o.creator, &fields{}, []string{"ownership"}, errorv1.Reason_REASON_VALIDATION_FAILED},
			{o.creator, &fields{Ownership: 99}, nil, errorv1.Reason_REASON_VALIDATION_FAILED},
			{o.creator, &fields{DefaultInviteRole: "owner"}, nil, errorv1.Reason_REASON_VALIDATION_FAILED},
			{o.creator, &fields{InviteTtl: durationpb.New(time.Minute)}, nil, errorv1.Reason_REASON_VALIDATION_FAILED},
		} {
			_, err := o.update(row.actor, row.policy, row.mask...)
			refused(t, err, row.reason)
			_, err = o.organizations.PreviewPolicy(o.as(row.actor), &membershipv1.PreviewPolicyRequest{
				OrganizationId: o.id.String(), Policy: row.policy, UpdateMask: &fieldmaskpb.FieldMask{Paths: row.mask}})
			refused(t, err, row.reason)
		}
		require.Len(t, o.types(), begun)
		require.Len(t, other.types(), theirs)
	})

	t.Run("RB18 Switching something on makes it work, and off again is refused while it is used", func(t *testing.T) {
		t.Parallel()
		o := h.create(portal)
		_, err := o.groups.CreateGroup(o.as(o.creator), &membershipv1.CreateGroupRequest{OrganizationId: o.id.String(), DisplayName: "G"})
		f := refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
		require.Contains(t, f.Message, "PATCH /v1/organizations/{organization_id}/policy")
		_, err = o.update(o.creator, &fields{Groups: true, Projects: true})
		require.NoError(t, err)
		o.group("G")
		o.group("H")
		o.project("P")
		begun := len(o.types())
		_, err = o.update(o.creator, &fields{}, "groups", "projects")
		f = refused(t, err, errorv1.Reason_REASON_POLICY_CONFLICT)
		require.Len(t, f.Fields, 2)
		require.Equal(t, []string{"policy.groups", "2 groups there: delete them first"}, []string{f.Fields[0].Name, f.Fields[0].Reason})
		seen, err := o.organizations.PreviewPolicy(o.as(o.creator), &membershipv1.PreviewPolicyRequest{
			OrganizationId: o.id.String(), Policy: &fields{}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"groups", "projects"}}})
		require.NoError(t, err)
		require.Len(t, seen.GetViolations(), 2)
		for i, v := range seen.GetViolations() {
			require.Equal(t, []string{f.Fields[i].Name, f.Fields[i].Reason}, []string{v.GetSubject(), v.GetDescription()})
		}
		require.Equal(t, int64(2), seen.GetViolations()[0].GetCount())
		require.Len(t, o.types(), begun)
	})

	t.Run("C6 RB8 The admin's role follows who manages admins, and a role event tells", func(t *testing.T) {
		t.Parallel()
		o := h.create(rbac)
		admin, second := o.add("admin"), o.add("admin")
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(admin, "admins.manage"))
		begun := len(o.types())
		_, err := o.update(o.creator, &fields{AdminsManagedBy: membershipv1.OrganizationPolicy_APPOINTMENT_OWNER_ONLY})
		require.NoError(t, err)
		require.Equal(t, []string{"role.updated", "organization.policy_changed"}, o.since(begun))
		refused(t, o.changeRole(admin, second, "member"), errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = o.update(o.creator, &fields{AdminsManagedBy: membershipv1.OrganizationPolicy_APPOINTMENT_ADMINS})
		require.NoError(t, err)
		require.NoError(t, o.changeRole(admin, second, "member"))
	})

	t.Run("C4 C5 Several owners, and a single one again, with the offer of before taken back", func(t *testing.T) {
		t.Parallel()
		o := h.create(rbac)
		fellow := o.add("admin")
		require.NoError(t, o.offer(o.creator, fellow))
		begun := len(o.types())
		several := &fields{Ownership: membershipv1.OrganizationPolicy_OWNERSHIP_MULTIPLE}
		_, err := o.update(o.creator, several)
		require.NoError(t, err)
		require.Equal(t, []string{"organization.transfer_cancelled", "organization.policy_changed"}, o.since(begun))
		owners, sole := o.owning()
		require.Equal(t, []any{1, 0}, []any{len(owners), sole})
		require.NoError(t, o.offer(o.creator, fellow))
		require.NoError(t, o.acceptOffer(fellow))
		single := &fields{Ownership: membershipv1.OrganizationPolicy_OWNERSHIP_SINGLE}
		_, err = o.update(fellow, single)
		f := refused(t, err, errorv1.Reason_REASON_POLICY_CONFLICT)
		require.Equal(t, "1 owner too many: let them step down, or give them another role", f.Fields[0].Reason)
		require.NoError(t, o.stepDown(o.creator))
		_, err = o.update(fellow, single)
		require.NoError(t, err)
		owners, sole = o.owning()
		require.Equal(t, []any{[]id.Account{fellow}, 1}, []any{owners, sole})
		refused(t, o.stepDown(fellow), errorv1.Reason_REASON_FEATURE_OFF)
	})

	t.Run("Gates never shut out whoever could open them", func(t *testing.T) {
		t.Parallel()
		o := h.create(membershipv1.Preset_PRESET_PIPELINE)
		for _, permission := range []string{"policy.update", "groups.manage", "roles.update", "org.delete", "products.fly"} {
			_, err := o.update(o.creator, &fields{GatedPermissions: []string{permission}})
			require.Equal(t, "policy.gated_permissions", refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Fields[0].Name)
		}
		member := o.add("developer")
		answer, err := o.update(o.creator, &fields{GatedPermissions: []string{"resources.write", "products.use", "products.use"}})
		require.NoError(t, err)
		require.Equal(t, []string{"products.use", "resources.write"}, answer.GetPolicy().GetGatedPermissions())
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_GATE_CLOSED, o.decision(member, "products.use"))
	})
}

func TestPolicyAndOthers(t *testing.T) {
	t.Parallel()

	t.Run("Whoever waits to join does with a role that they may have", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		o.verified("waits.example")
		o.setPolicy("default_join_role", `"admin"`)
		account := h.signUp("ada@waits.example")
		h.sweep()
		require.Empty(t, o.roleOf(account))
		_, err := o.update(o.creator, &fields{DefaultJoinRole: "admin"})
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		seen, err := o.organizations.PreviewPolicy(o.as(o.creator), &membershipv1.PreviewPolicyRequest{
			OrganizationId: o.id.String(), UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"auto_join"}}})
		require.NoError(t, err)
		require.Equal(t, []string{"1 verified domain lets nobody join any more", "1 person goes on waiting to join"},
			described(seen.GetEffects()))
		_, err = o.update(o.creator, &fields{DefaultJoinRole: "member"})
		require.NoError(t, err)
		h.sweep()
		require.Equal(t, "member", o.roleOf(account))
	})

	t.Run("S2-48 Whether disabled members sign in follows the policy", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		member, other := o.add("member"), o.add("member")
		_, err := o.disable(o.creator, member)
		require.NoError(t, err)
		h.sweep()
		require.Empty(t, h.accounts.blocked)
		_, err = o.update(o.creator, &fields{DisableBlocksSignIn: true})
		require.NoError(t, err)
		h.sweep()
		require.Equal(t, map[string]bool{member.String(): true}, h.accounts.blocked)
		_, err = o.update(o.creator, &fields{}, "disable_blocks_sign_in")
		require.NoError(t, err)
		h.sweep()
		require.Equal(t, map[string]bool{member.String(): false}, h.accounts.blocked)
		require.NotContains(t, h.accounts.blocked, other.String())
		require.Zero(t, h.due())
	})

	t.Run("RB17 RB21 Of two who take the ownership from each other's policy at once, an owner is left", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		for range 5 {
			o := h.create(rbac)
			fellow := o.several()
			testkit.AtOnce(3, func(i int) error {
				switch i {
				case 0:
					_, err := o.update(fellow, &fields{Ownership: membershipv1.OrganizationPolicy_OWNERSHIP_SINGLE})
					return err
				case 1:
					return o.stepDown(o.creator)
				}
				return o.stepDown(fellow)
			})
			owners, sole := o.owning()
			require.NotEmpty(t, owners)
			policy, err := o.organizations.GetPolicy(o.as(o.creator), &membershipv1.GetPolicyRequest{OrganizationId: o.id.String()})
			require.NoError(t, err)
			if policy.GetPolicy().GetOwnership() == membershipv1.OrganizationPolicy_OWNERSHIP_SINGLE {
				require.Equal(t, []int{1, 1}, []int{len(owners), sole})
			}
		}
	})
}

func described(findings []*membershipv1.PolicyFinding) (said []string) {
	for _, f := range findings {
		said = append(said, f.GetDescription())
	}
	return said
}

func TestChangePreset(t *testing.T) {
	t.Parallel()
	h := newHarness(t)

	t.Run("C1 Held, pending, bound and default roles follow in one moment, and role events tell", func(t *testing.T) {
		t.Parallel()
		o := h.create(membershipv1.Preset_PRESET_PIPELINE)
		developer, viewer, disabled, gone := o.add("developer"), o.add("viewer"), o.add("developer"), o.add("viewer")
		_, err := o.disable(o.creator, disabled)
		require.NoError(t, err)
		_, err = o.remove(o.creator, gone)
		require.NoError(t, err)
		group := o.group("G")
		require.NoError(t, o.bind(o.creator, group, "developer"))
		begun := len(o.types())
		_, err = o.become(portal, id.Account{}, nil)
		f := refused(t, err, errorv1.Reason_REASON_POLICY_CONFLICT)
		var said []string
		for _, v := range f.Fields {
			said = append(said, v.Name+": "+v.Reason)
		}
		require.Equal(t, []string{
			"policy.groups: 1 group there: delete them first",
			"role_remap.developer: held by 2 members, 1 grant by a group or in a project; this policy has no such role: name the one in its place",
			"role_remap.viewer: held by 1 member; this policy has no such role: name the one in its place",
		}, said)
		require.Len(t, o.types(), begun)

		remap := map[string]string{"developer": "admin", o.listRoles(o.creator)["viewer"].GetId(): "member"}
		seen, err := o.organizations.PreviewPolicy(o.as(o.creator), &membershipv1.PreviewPolicyRequest{
			OrganizationId: o.id.String(), Preset: portal, RoleRemap: remap, Policy: &fields{Groups: true}})
		require.NoError(t, err)
		require.Empty(t, seen.GetViolations())
		effects := described(seen.GetEffects())
		require.Subset(t, effects, []string{"held by 2 members, 1 grant by a group or in a project; they get admin", "held by 1 member; they get member",
			"1 member gains members.remove", "1 member gains products.use"})
		require.Len(t, o.types(), begun)
		req := &membershipv1.UpdatePolicyRequest{OrganizationId: o.id.String(), Preset: portal, RoleRemap: remap, Policy: &fields{Groups: true}, RequestId: "once"}
		answer, err := o.organizations.UpdatePolicy(o.as(o.creator), req)
		require.NoError(t, err)
		require.Equal(t, portal, answer.GetPreset())
		require.True(t, answer.GetPolicy().GetGroups())
		require.True(t, answer.GetPolicy().GetAutoJoin())
		require.Equal(t, []string{"role.created", "role.deleted", "role.deleted", "role.updated", "organization.policy_changed"}, sorted(o.since(begun)))
		again, err := o.organizations.UpdatePolicy(o.as(o.creator), req)
		require.NoError(t, err)
		require.True(t, proto.Equal(answer, again))

		require.Equal(t, []string{"admin", "member", "owner"}, slices.Sorted(maps.Keys(o.listRoles(o.creator))))
		for account, role := range map[id.Account]string{developer: "admin", viewer: "member", disabled: "admin", o.creator: "owner"} {
			require.Equal(t, role, o.roleOf(account))
		}
		for _, p := range o.list(o.creator, nil).GetPeople() {
			require.Contains(t, []string{"owner", "admin", "member"}, p.GetRole())
		}
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(developer, "members.remove"))
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_PERMISSION_MISSING, o.decision(developer, "admins.manage"))
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(viewer, "products.use"))
		member, err := o.get(o.creator, o.add("developer")) // who was invited before
		require.NoError(t, err)
		require.Equal(t, "admin", member.GetRole())
		o.enrollAndSee(group, viewer, "members.remove")
	})

	t.Run("C4 An organization gives its owner up, and gets one again", func(t *testing.T) {
		t.Parallel()
		o := h.create(rbac)
		admin, member := o.add("admin"), o.add("member")
		require.NoError(t, o.offer(o.creator, admin))
		begun := len(o.types())
		_, err := o.become(flat, id.Account{}, map[string]string{"owner": "member", "admin": "member"})
		require.Equal(t, "role_remap.member", refused(t, err, errorv1.Reason_REASON_POLICY_CONFLICT).Fields[0].Name)
		_, err = o.become(flat, id.Account{}, map[string]string{"owner": "member", "admin": "member", "member": "member"})
		require.NoError(t, err)
		require.Equal(t, []string{"organization.owner_changed", "organization.policy_changed", "organization.transfer_cancelled",
			"role.deleted", "role.deleted", "role.updated"}, slices.Sorted(slices.Values(o.since(begun))))
		for _, account := range []id.Account{o.creator, admin, member} {
			require.Equal(t, "member", o.roleOf(account))
			require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(account, "org.delete"))
		}
		owners, _ := o.owning()
		require.Empty(t, owners)

		begun = len(o.types())
		back := map[string]string{"member": "member"}
		_, err = o.become(rbac, id.Account{}, back)
		require.Equal(t, "owner_account_id", refused(t, err, errorv1.Reason_REASON_POLICY_CONFLICT).Fields[0].Name)
		_, err = o.become(rbac, member, back)
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		h.accounts.unverify(o.creator, true)
		_, err = o.become(rbac, o.creator, back)
		refused(t, err, errorv1.Reason_REASON_EMAIL_UNVERIFIED)
		preview := func() (violations []string) {
			answer, err := o.organizations.PreviewPolicy(o.as(o.creator), &membershipv1.PreviewPolicyRequest{
				OrganizationId: o.id.String(), Preset: rbac, OwnerAccountId: o.creator.String(), RoleRemap: back})
			require.NoError(t, err)
			for _, v := range answer.GetViolations() {
				violations = append(violations, v.GetSubject())
			}
			return violations
		}
		require.Equal(t, []string{"owner_account_id"}, preview(), "a preview says what the change would be refused for")
		h.accounts.unverify(o.creator, false)
		require.Empty(t, preview())
		require.Len(t, o.types(), begun)
		_, err = o.become(rbac, o.creator, back)
		require.NoError(t, err)
		require.Equal(t, []string{"member.role_changed", "organization.owner_changed", "organization.policy_changed", "role.created", "role.created", "role.updated"},
			slices.Sorted(slices.Values(o.since(begun))))
		owners, sole := o.owning()
		require.Equal(t, []any{[]id.Account{o.creator}, 1}, []any{owners, sole})
		require.Equal(t, "member", o.roleOf(admin))
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_PERMISSION_MISSING, o.decision(admin, "org.delete"))
		require.NoError(t, o.changeRole(o.creator, admin, "admin"))
		require.Equal(t, "admin", o.roleOf(o.add("admin")), "the role is back, and not its replacement")
	})

	t.Run("C4 Flat becomes pipeline, where its role goes", func(t *testing.T) {
		t.Parallel()
		o := h.create(flat)
		fellow := o.add("member")
		_, err := o.become(membershipv1.Preset_PRESET_PIPELINE, o.creator, map[string]string{"member": "developer"})
		require.NoError(t, err)
		require.Equal(t, []string{"owner", "developer"}, []string{o.roleOf(o.creator), o.roleOf(fellow)})
		owners, sole := o.owning()
		require.Equal(t, []any{[]id.Account{o.creator}, 1}, []any{owners, sole})
		var before, after string
		for _, e := range o.history() {
			if e.Type == "member.role_changed" {
				before, after = e.Data, e.Data
			}
		}
		require.Contains(t, before, `"before":{"accountId":"`+o.creator.String()+`","role":"developer"`)
		require.Contains(t, after, `"after":{"accountId":"`+o.creator.String()+`","role":"owner"`)
	})

	t.Run("Roles of the organization's own stay where there are such, and are replaced where not", func(t *testing.T) {
		t.Parallel()
		o := h.create(rbac)
		role := o.role(o.creator, "Support", "members.read")
		helper := o.add("support")
		_, err := o.update(o.creator, &fields{}, "custom_roles")
		f := refused(t, err, errorv1.Reason_REASON_POLICY_CONFLICT)
		require.Equal(t, "role_remap.support", f.Fields[0].Name)
		_, err = o.organizations.UpdatePolicy(o.as(o.creator), &membershipv1.UpdatePolicyRequest{OrganizationId: o.id.String(),
			Preset: membershipv1.Preset_PRESET_PIPELINE, Policy: &fields{CustomRoles: true}, RoleRemap: map[string]string{}})
		require.NoError(t, err)
		require.Equal(t, "support", o.roleOf(helper))
		shown := o.listRoles(o.creator)
		require.Equal(t, role.GetId(), shown["support"].GetId())
		require.Len(t, shown, 5)
		_, err = o.organizations.UpdatePolicy(o.as(o.creator), &membershipv1.UpdatePolicyRequest{OrganizationId: o.id.String(),
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"custom_roles"}}, RoleRemap: map[string]string{"support": "viewer"}})
		require.NoError(t, err)
		require.Equal(t, "viewer", o.roleOf(helper))
		require.Len(t, o.listRoles(o.creator), 4)
	})
}

func sorted(types []string) []string {
	last := types[len(types)-1]
	return append(slices.Sorted(slices.Values(types[:len(types)-1])), last)
}

// enrollAndSee puts somebody into a group and asks what that gives.
func (o organization) enrollAndSee(group *membershipv1.Group, member id.Account, permission string) {
	o.Helper()
	require.NoError(o, o.enroll(o.creator, member, group))
	require.Equal(o, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(member, permission))
}
