package membership_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// operator calls as one.
func (h *harness) operator() context.Context {
	return metadata.AppendToOutgoingContext(h.Context(), "authorization", "Bearer "+id.NewOperator().String())
}

// register makes this all that is registered.
func (h *harness) register(file ...*membershipv1.RegisteredPermission) *membershipv1.ApplyPermissionsResponse {
	h.Helper()
	answer, err := h.registry.ApplyPermissions(h.operator(), &membershipv1.ApplyPermissionsRequest{Permissions: file})
	require.NoError(h, err)
	return answer
}

func product(name string, heldBy ...string) *membershipv1.RegisteredPermission {
	return &membershipv1.RegisteredPermission{Name: name, DisplayName: "Of a product", HeldBy: heldBy}
}

func TestApplyPermissions(t *testing.T) {
	t.Parallel()
	const (
		allowed = membershipv1.CheckAccessResponse_DECISION_ALLOWED
		lacking = membershipv1.CheckAccessResponse_DECISION_PERMISSION_MISSING
		closed  = membershipv1.CheckAccessResponse_DECISION_GATE_CLOSED
	)

	t.Run("RB1 What is registered counts for the next question everywhere, and what is withdrawn for none", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		pipelined, flattened := h.create(pipeline), h.create(flat)
		developer, viewer, all := pipelined.add("developer"), pipelined.add("viewer"), flattened.add("member")
		ask := func(o organization, account id.Account) error {
			_, err := h.asked.CheckAccess(t.Context(), &membershipv1.CheckAccessRequest{
				OrganizationId: o.id.String(), AccountId: account.String(), Permission: "app:crm.write"})
			return err
		}
		refused(t, ask(pipelined, developer), errorv1.Reason_REASON_VALIDATION_FAILED)
		refused(t, ask(organization{id: id.NewOrganization()}, developer), errorv1.Reason_REASON_VALIDATION_FAILED)

		require.Equal(t, []string{"app:crm.write"}, h.register(product("app:crm.write", "developer")).GetAdded())
		require.Equal(t, allowed, pipelined.decision(pipelined.creator, "app:crm.write"))
		require.Equal(t, allowed, pipelined.decision(developer, "app:crm.write"))
		require.Equal(t, lacking, pipelined.decision(viewer, "app:crm.write"))
		require.Equal(t, allowed, flattened.decision(all, "app:crm.write"), "they may do everything")
		mine, err := pipelined.mine(developer, "")
		require.NoError(t, err)
		require.Equal(t, "app:crm.write", mine.GetPermissions()[2].GetPermission())
		listed, _ := pipelined.who("app:crm.write", "", 5)
		require.ElementsMatch(t, []string{pipelined.creator.String(), developer.String()}, listed)
		organizations, err := h.organizations.ListOrganizations(h.as(all), &membershipv1.ListOrganizationsRequest{})
		require.NoError(t, err)
		require.Contains(t, organizations.GetOrganizations()[0].GetMyPermissions(), "app:crm.write")
		created, err := h.organizations.CreateOrganization(h.as(id.NewAccount()), &membershipv1.CreateOrganizationRequest{DisplayName: "New", Preset: flat})
		require.NoError(t, err)
		require.Contains(t, created.GetOrganization().GetMyPermissions(), "app:crm.write")
		catalogue, err := h.roles.ListPermissions(h.as(all), &membershipv1.ListPermissionsRequest{})
		require.NoError(t, err)
		require.Equal(t, "Of a product", catalogue.GetPermissions()[4].GetDisplayName())

		require.Equal(t, []string{"app:crm.write"}, h.register(product("app:crm.write", "viewer")).GetChanged())
		require.Equal(t, lacking, pipelined.decision(developer, "app:crm.write"))
		require.Equal(t, allowed, pipelined.decision(viewer, "app:crm.write"))
		require.Equal(t, []string{"app:crm.write"}, h.register().GetRetired())
		for _, account := range []id.Account{pipelined.creator, developer, viewer} {
			require.Equal(t, lacking, pipelined.decision(account, "app:crm.write"))
		}
		require.Equal(t, lacking, flattened.decision(all, "app:crm.write"))
		catalogue, err = h.roles.ListPermissions(h.as(all), &membershipv1.ListPermissionsRequest{})
		require.NoError(t, err)
		for _, p := range catalogue.GetPermissions() {
			require.Empty(t, p.GetDisplayName(), p.GetName())
		}
	})

	t.Run("RB18 What another database, or another time, had registered counts for nothing", func(t *testing.T) {
		t.Parallel()
		one, other := newHarness(t), newHarness(t)
		here, there := one.create(flat), other.create(flat)
		for range 3 { // what a process remembers of one is asked about by the other
			one.register(product("app:crm.write"))
			require.Equal(t, allowed, here.decision(here.creator, "app:crm.write"))
			_, err := there.asked.CheckAccess(t.Context(), &membershipv1.CheckAccessRequest{
				OrganizationId: there.id.String(), AccountId: there.creator.String(), Permission: "app:crm.write"})
			refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
			require.Equal(t, allowed, here.decision(here.creator, "app:crm.write"))
			one.register()
			require.Equal(t, lacking, here.decision(here.creator, "app:crm.write"))
		}
		one.register(product("app:crm.write"))
		require.Equal(t, allowed, here.decision(here.creator, "app:crm.write"))
		_, err := one.owner().Exec(t.Context(), `DELETE FROM registry WHERE revision = (SELECT max(revision) FROM registry)`)
		require.NoError(t, err, "the database is restored from before")
		require.Equal(t, lacking, here.decision(here.creator, "app:crm.write"))
	})

	t.Run("RB2 RB9 A role of one's own is given it by who holds it, and loses it when it is withdrawn", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(rbac)
		h.register(product("app:crm.write"), product("app:crm.read", "member"))
		made, err := h.roles.CreateRole(o.as(o.creator), &membershipv1.CreateRoleRequest{
			OrganizationId: o.id.String(), DisplayName: "Support", Permissions: []string{"app:crm.write", "org.read", "roles.create", "roles.read"}})
		require.NoError(t, err)
		support := o.add(made.GetRole().GetKey())
		require.Equal(t, allowed, o.decision(support, "app:crm.write"))
		require.Equal(t, lacking, o.decision(support, "app:crm.read"))
		_, err = h.roles.CreateRole(o.as(support), &membershipv1.CreateRoleRequest{
			OrganizationId: o.id.String(), DisplayName: "More", Permissions: []string{"app:crm.read"}})
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		h.register(product("app:crm.read", "member"))
		require.Equal(t, lacking, o.decision(support, "app:crm.write"))
		require.Equal(t, allowed, o.decision(support, "org.read"))
		_, err = h.roles.CreateRole(o.as(o.creator), &membershipv1.CreateRoleRequest{
			OrganizationId: o.id.String(), DisplayName: "Late", Permissions: []string{"app:crm.write"}})
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		h.register(product("app:crm.write"))
		require.Equal(t, allowed, o.decision(support, "app:crm.write"), "it came back")
	})

	t.Run("C23 It is gated and opened, and given by groups and in projects, like the others", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(pipeline)
		h.register(product("app:crm.write", "developer"))
		viewer := o.add("viewer")
		o.policy(`{"projects": true}`)
		project, group := o.project("CRM"), o.group("Sales", func(r *membershipv1.CreateGroupRequest) { r.Opens = []string{"app:crm.write"} })
		require.NoError(t, o.bind(o.creator, group, "developer"))
		o.policy(`{"gated_permissions": ["app:crm.write"]}`)
		require.Equal(t, closed, o.decision(o.creator, "app:crm.write"))
		require.Equal(t, lacking, o.decision(viewer, "app:crm.write"))
		_, err := o.owner().Exec(t.Context(), `INSERT INTO group_members SELECT $1, $2, group_id FROM groups WHERE organization_id = $1`, o.id, viewer)
		require.NoError(t, err)
		require.Equal(t, allowed, o.decision(viewer, "app:crm.write"))
		require.NoError(t, o.withdraw(o.creator, viewer, group))
		o.policy(`{"gated_permissions": []}`)
		require.NoError(t, o.engage(o.creator, viewer, project, "developer"))
		require.Equal(t, lacking, o.decision(viewer, "app:crm.write"))
		require.Equal(t, allowed, o.in(project, viewer, "app:crm.write"))
		_, err = h.groups.CreateGroup(o.as(o.creator), &membershipv1.CreateGroupRequest{
			OrganizationId: o.id.String(), DisplayName: "Other", Opens: []string{"app:crm.fly"}})
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
	})

	t.Run("Applying repeats, rehearses, and refuses without effect", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		operator := h.operator()
		list := func() (names []string) {
			answer, err := h.registry.ListRegisteredPermissions(operator, &membershipv1.ListRegisteredPermissionsRequest{})
			require.NoError(t, err)
			for _, p := range answer.GetPermissions() {
				names = append(names, p.GetName())
			}
			return names
		}
		req := &membershipv1.ApplyPermissionsRequest{Permissions: []*membershipv1.RegisteredPermission{product("app:crm.write")}, ValidateOnly: true}
		answer, err := h.registry.ApplyPermissions(operator, req)
		require.NoError(t, err)
		require.Equal(t, []string{"app:crm.write"}, answer.GetAdded())
		require.Empty(t, list())
		req.ValidateOnly, req.RequestId = false, "once"
		for range 2 {
			answer, err = h.registry.ApplyPermissions(operator, req)
			require.NoError(t, err)
			require.Equal(t, []string{"app:crm.write"}, answer.GetAdded())
		}
		var rows int
		require.NoError(t, h.owner().QueryRow(t.Context(), `SELECT count(*) FROM registry`).Scan(&rows))
		require.Equal(t, 2, rows, "a row for each change")
		require.Empty(t, h.register(product("app:crm.write")).GetAdded())
		_, err = h.registry.ApplyPermissions(operator, &membershipv1.ApplyPermissionsRequest{
			Permissions: []*membershipv1.RegisteredPermission{product("app:crm.read"), product("app:CRM.write")}})
		f := refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		require.Equal(t, "permissions[1].name", f.Fields[0].Name)
		require.Equal(t, []string{"app:crm.write"}, list())
		_, err = h.registry.ApplyPermissions(h.as(id.NewAccount()), &membershipv1.ApplyPermissionsRequest{})
		refused(t, err, errorv1.Reason_REASON_CALLER_REFUSED)
	})

	t.Run("Of those who apply at the same moment one is told so, and nothing is mixed", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		errs := make(chan error)
		names := []string{"app:a.x", "app:b.x", "app:c.x", "app:d.x", "app:e.x", "app:f.x"}
		for _, name := range names {
			go func() {
				_, err := h.registry.ApplyPermissions(h.operator(), &membershipv1.ApplyPermissionsRequest{Permissions: []*membershipv1.RegisteredPermission{product(name)}})
				errs <- err
			}()
		}
		for range names {
			if err := <-errs; err != nil {
				refused(t, err, errorv1.Reason_REASON_STATE_CONFLICT)
			}
		}
		answer, err := h.registry.ListRegisteredPermissions(h.operator(), &membershipv1.ListRegisteredPermissionsRequest{})
		require.NoError(t, err)
		live := 0
		for _, p := range answer.GetPermissions() {
			if !p.GetRetired() {
				live++
			}
		}
		require.Equal(t, 1, live)
	})
}
