package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

var analytical = &membershipv1.Organization{Id: "org_1", DisplayName: "Analytical", Preset: membershipv1.Preset_PRESET_PIPELINE,
	CreateTime: away(-2 * day), UpdateTime: away(-2 * day), Etag: "1", MyRole: "owner", MyPermissions: []string{"audit.read", "org.read", "org.update"}}

func TestOrg(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	gives(w, &membershipv1.CreateOrganizationRequest{}, &membershipv1.CreateOrganizationResponse{Organization: analytical})
	gives(w, &membershipv1.UpdateOrganizationRequest{}, &membershipv1.UpdateOrganizationResponse{Organization: analytical})
	gives(w, &membershipv1.GetOrganizationRequest{}, &membershipv1.GetOrganizationResponse{Organization: analytical})
	const shown = `Organization:  org_1
Name:          Analytical
Preset:        pipeline
Your role:     owner
Created:       2026-03-08 12:00 UTC (2d ago)
Changed:       2026-03-08 12:00 UTC (2d ago)
Etag:          1
`
	require.Equal(t, shown+"\nWork with it by default: roster org use org_1\n", w.ok("org", "create", "Analytical", "--preset", "pipeline"))
	require.Equal(t, membershipv1.Preset_PRESET_PIPELINE, w.last().request.(*membershipv1.CreateOrganizationRequest).GetPreset())
	require.Equal(t, shown+"You may:\n  audit:  read\n  org:    read update\n", w.ok("org", "get"))
	require.Equal(t, shown, w.ok("org", "update", "org_2", "--name", "Engines", "--etag", "1"))
	sent := w.last().request.(*membershipv1.UpdateOrganizationRequest)
	require.Equal(t, "org_2 Engines 1", sent.GetOrganizationId()+" "+sent.GetDisplayName()+" "+sent.GetEtag())

	gives(w, &membershipv1.ListOrganizationsRequest{}, &membershipv1.ListOrganizationsResponse{})
	require.Equal(t, "No organizations. Create one: roster org create NAME --preset PRESET\n", w.ok("org", "list"))
	gives(w, &membershipv1.ListOrganizationsRequest{}, &membershipv1.ListOrganizationsResponse{Organizations: []*membershipv1.Organization{
		analytical, {Id: "org_2", DisplayName: "Engines", Preset: membershipv1.Preset_PRESET_FLAT, CreateTime: away(-day / 2), MyRole: "member"}}})
	require.Equal(t, `NAME        PRESET    YOUR ROLE  CREATED  DEFAULT  ID
Analytical  pipeline  owner      2d ago   yes      org_1
Engines     flat      member     12h ago  -        org_2
`, w.ok("org", "list"))
}

func TestRoles(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	gives(w, &membershipv1.ListRolesRequest{}, &membershipv1.ListRolesResponse{Roles: []*membershipv1.Role{
		{Id: "rol_1", Key: "owner", DisplayName: "Owner", Permissions: []string{"a", "b"}, Description: "Everything."},
		{Id: "rol_2", Key: "viewer", DisplayName: "Viewer", Permissions: []string{"a"}, Assignable: true, Description: "Looks on."},
	}})
	require.Equal(t, `ROLE    NAME    YOU MAY GIVE IT  PERMISSIONS  DESCRIPTION
owner   Owner   no               2            Everything.
viewer  Viewer  yes              1            Looks on.
`, w.ok("role", "list"))

	support := &membershipv1.Role{Id: "rol_3", Key: "support", DisplayName: "Support", Color: "#00ff00", Permissions: []string{"a", "b"}}
	gives(w, &membershipv1.CreateRoleRequest{}, &membershipv1.CreateRoleResponse{Role: support})
	require.Equal(t, `Role:    support
Name:    Support
Color:   #00ff00
Allows:  a, b
`, w.ok("role", "create", "Support", "--allow", "a,b", "--color", "#00ff00"))
	gives(w, &membershipv1.UpdateRoleRequest{}, &membershipv1.UpdateRoleResponse{Role: support, Members: 2})
	require.Contains(t, w.ok("role", "update", "viewer", "--allow", "", "--name", "Looker"), "Changed for 2 members.")
	updated := w.calls[len(w.calls)-1].request.(*membershipv1.UpdateRoleRequest)
	require.Equal(t, "rol_2", updated.GetRoleId())
	require.Equal(t, []string{"display_name", "permissions"}, updated.GetUpdateMask().GetPaths())
	gives(w, &membershipv1.DeleteRoleRequest{}, &membershipv1.DeleteRoleResponse{Members: 2, Invitations: 1})
	require.Equal(t, "Members:      2\nInvitations:  1\n", w.ok("role", "delete", "rol_3", "--replacement", "viewer"))

	gives(w, &membershipv1.ListPermissionsRequest{}, &membershipv1.ListPermissionsResponse{Permissions: []*membershipv1.Permission{
		{Name: "members.read", Description: "See the people."}, {Name: "members.assign_role", Description: "Change roles.", Dangerous: true},
		{Name: "org.delete", Description: "Delete it.", Dangerous: true, Reserved: true},
	}})
	require.Equal(t, `PERMISSION           NOTE          DESCRIPTION
members.read         -             See the people.
members.assign_role  widens power  Change roles.
org.delete           owner only    Delete it.
`, w.ok("permissions"))
}

func TestAccessCheck(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	gives(w, &membershipv1.CheckAccessRequest{}, &membershipv1.CheckAccessResponse{
		Allowed: true, Decision: membershipv1.CheckAccessResponse_DECISION_ALLOWED, Revision: 7})
	require.Equal(t, `Allowed:     yes
Why:         allowed
Account:     yours
Permission:  members.remove
Revision:    7
`, w.ok("access", "check", "members.remove"))

	gives(w, &membershipv1.CheckAccessRequest{}, &membershipv1.CheckAccessResponse{Decision: membershipv1.CheckAccessResponse_DECISION_NOT_A_MEMBER, Revision: 7})
	r := w.run("access", "check", "members.remove", "--account", "acc_9", "--json")
	require.Equal(t, result{code: exitDenied, out: `{
  "allowed": false,
  "decision": "DECISION_NOT_A_MEMBER",
  "revision": "7",
  "token": ""
}
`}, r)
	require.Equal(t, "acc_9", w.last().request.(*membershipv1.CheckAccessRequest).GetAccountId())
}

func TestAccessExplain(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	gives(w, &membershipv1.ExplainAccessRequest{}, &membershipv1.ExplainAccessResponse{
		Decision: membershipv1.CheckAccessResponse_DECISION_GATE_CLOSED,
		Line:     &membershipv1.ExplainAccessResponse_Line{Source: membershipv1.ExplainAccessResponse_Line_SOURCE_ROLE, Role: "developer", DisplayName: "Developer"},
		Groups:   []*membershipv1.ExplainAccessResponse_Group{{GroupId: "grp_1", DisplayName: "Users"}}})
	r := w.run("access", "explain", "products.use", "--account", "acc_9", "--project", "prj_1")
	require.Equal(t, result{code: exitDenied, out: `Allowed:                     no
Why:                         gate closed
By:                          role Developer
Groups that would allow it:  Users
`}, r)
	require.Equal(t, "prj_1", w.last().request.(*membershipv1.ExplainAccessRequest).GetProjectId())
}

func TestAccessLists(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	lines := []*membershipv1.ExplainAccessResponse_Line{
		{Source: membershipv1.ExplainAccessResponse_Line_SOURCE_ROLE, Role: "viewer", DisplayName: "Viewer"},
		{Source: membershipv1.ExplainAccessResponse_Line_SOURCE_GROUP, Role: "developer", GroupId: "grp_1", DisplayName: "Compilers"},
	}
	gives(w, &membershipv1.ListMyPermissionsRequest{}, &membershipv1.ListMyPermissionsResponse{
		Permissions: []*membershipv1.ListMyPermissionsResponse_Held{{Permission: "resources.read", Lines: lines}}})
	require.Equal(t, `PERMISSION      BY
resources.read  role Viewer, group Compilers
`, w.ok("access", "list-mine", "--project", "prj_1"))
	require.Equal(t, "prj_1", w.last().request.(*membershipv1.ListMyPermissionsRequest).GetProjectId())

	gives(w, &membershipv1.ListAccessibleRequest{}, &membershipv1.ListAccessibleResponse{Holders: []*membershipv1.ListAccessibleResponse_Holder{
		{AccountId: "acc_2", DisplayName: "Bob", Lines: lines[:1]}, {AccountId: "acc_3", Guest: true}}})
	require.Equal(t, `NAME     BY           ACCOUNT
Bob      role Viewer  acc_2
(guest)  -            acc_3
`, w.ok("access", "who", "resources.read"))

	gives(w, &membershipv1.WhatIfRequest{}, &membershipv1.WhatIfResponse{
		Refusal: "You may not.", RefusalReason: "PERMISSION_MISSING",
		Effects: []*membershipv1.WhatIfResponse_Effect{{Permission: "members.create", Gain: 3}, {Permission: "org.read", Lose: 1}},
	})
	require.Equal(t, `You could do it:  no: You may not. (PERMISSION_MISSING)
PERMISSION      GAIN IT  LOSE IT
members.create  3        0
org.read        0        1
`, w.ok("access", "what-if", "role_permissions", "--role-id", "rol_1", "--allow", "org.read,members.create"))
	thought := w.last().request.(*membershipv1.WhatIfRequest)
	require.Equal(t, membershipv1.WhatIfRequest_CHANGE_ROLE_PERMISSIONS, thought.GetChange())
	require.Equal(t, []string{"org.read", "members.create"}, thought.GetPermissions())
	require.Equal(t, exitUsage, w.run("access", "what-if", "nonsense").code)
}

func TestSeats(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	five, none := int32(5), int32(0)
	gives(w, &billingv1.GetSeatUsageRequest{}, &billingv1.GetSeatUsageResponse{Usage: &billingv1.SeatUsage{
		Used: 5, Occupied: 3, Reserved: 2, Total: &five, Available: &none, State: billingv1.SeatUsage_STATE_AT}})
	require.Equal(t, `Seats used:      5 of 5
By members:      3
By invitations:  2
Free:            0

No seat is free. Disable or remove a member, revoke an invitation, or have the limit raised.
`, w.ok("seats"))

	gives(w, &billingv1.SetSeatLimitRequest{}, &billingv1.SetSeatLimitResponse{Usage: &billingv1.SeatUsage{Used: 1, Occupied: 1}})
	require.Equal(t, `Seats used:      1, without a limit
By members:      1
By invitations:  0
`, w.ok("operator", "seat-limit", "org_1", "none", "--reason", "ticket 7"))
	require.Nil(t, w.last().request.(*billingv1.SetSeatLimitRequest).Limit)
	w.ok("operator", "seat-limit", "org_1", "25", "--reason", "ticket 8")
	require.EqualValues(t, 25, w.last().request.(*billingv1.SetSeatLimitRequest).GetLimit())
}
