package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// program makes a service account of the organization.
func (o *organization) program(t *testing.T, permissions ...string) string {
	t.Helper()
	made, err := o.owner.CreateOrganizationServiceAccount(t.Context(), &membershipv1.CreateOrganizationServiceAccountRequest{
		OrganizationId: o.ID, DisplayName: unique("Deploy"), Permissions: permissions})
	require.NoError(t, err)
	return made.GetServiceAccount().GetId()
}

func (o *organization) programKey(t *testing.T, of string, scopes ...string) *membershipv1.CreateOrganizationServiceAccountKeyResponse {
	t.Helper()
	made, err := o.owner.CreateOrganizationServiceAccountKey(t.Context(), &membershipv1.CreateOrganizationServiceAccountKeyRequest{
		OrganizationId: o.ID, ServiceAccountId: of, DisplayName: "Blue", Scopes: scopes})
	require.NoError(t, err)
	return made
}

func (o *organization) programs(t *testing.T) []*membershipv1.OrganizationServiceAccount {
	t.Helper()
	listed, err := o.owner.ListOrganizationServiceAccounts(t.Context(), &membershipv1.ListOrganizationServiceAccountsRequest{OrganizationId: o.ID})
	require.NoError(t, err)
	return listed.GetServiceAccounts()
}

// TestOrganizationServiceAccounts is about the programs of an organization.
func TestOrganizationServiceAccounts(t *testing.T) {
	t.Parallel()

	scenario(t, "R53 a service account of an organization does there what its key is for", func(t *testing.T, over string) {
		org, other := create(t, over, pipeline), create(t, over, pipeline)
		of := org.program(t, "org.read", "org.update", "members.read")
		made := org.programKey(t, of, "org.read", "members.read")
		key := connect(over, made.GetSecret())
		listed, err := key.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		require.Len(t, listed.GetPeople(), 1, "it is none of them, and takes no seat")
		_, err = key.UpdateOrganization(t.Context(), &membershipv1.UpdateOrganizationRequest{OrganizationId: org.ID, DisplayName: "No"})
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = key.GetMember(t.Context(), &membershipv1.GetMemberRequest{OrganizationId: org.ID, AccountId: "acc" + of[len("sva"):]})
		refused(t, err, errorv1.Reason_REASON_MEMBER_NOT_FOUND)
		_, err = key.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: other.ID})
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)

		one := org.programs(t)[0]
		require.NotNil(t, one.GetLastUseTime())
		require.False(t, one.GetCreatorLeft())
		keys, err := org.owner.ListOrganizationServiceAccountKeys(t.Context(), &membershipv1.ListOrganizationServiceAccountKeysRequest{OrganizationId: org.ID, ServiceAccountId: of})
		require.NoError(t, err)
		require.Len(t, keys.GetApiKeys(), 1)
		require.Equal(t, made.GetApiKey().GetExpireTime().AsTime(), keys.GetApiKeys()[0].GetExpireTime().AsTime())
	})

	scenario(t, "R53 making a service account again makes no other", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		req := &membershipv1.CreateOrganizationServiceAccountRequest{OrganizationId: org.ID, DisplayName: "Deploy", Permissions: []string{"org.read"}, RequestId: unique("again")}
		first, err := org.owner.CreateOrganizationServiceAccount(t.Context(), req)
		require.NoError(t, err)
		second, err := org.owner.CreateOrganizationServiceAccount(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, first.GetServiceAccount().GetId(), second.GetServiceAccount().GetId())
		require.Len(t, org.programs(t), 1)
	})

	scenario(t, "RB15 a service account is for no more than its creator may, goes on when they leave, and is flagged", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		org.shape(t, "Robots", "org.read", "members.read", "service_accounts.manage", "service_accounts.read")
		admin := org.join(t, "robots")
		make := func(by *person, permissions ...string) (*membershipv1.CreateOrganizationServiceAccountResponse, error) {
			return by.CreateOrganizationServiceAccount(t.Context(), &membershipv1.CreateOrganizationServiceAccountRequest{
				OrganizationId: org.ID, DisplayName: "Deploy", Permissions: permissions})
		}
		_, err := make(admin, "org.read", "audit.read")
		require.Equal(t, "audit.read", refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["missing"])
		for _, never := range []string{"org.delete", "service_accounts.manage", "invitations.create", "api_keys.create_own", "none.such"} {
			_, err = make(org.owner, never)
			require.Equal(t, "permissions", refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Fields[0].Name, never)
		}
		made, err := make(admin, "org.read", "members.read")
		require.NoError(t, err)
		of := made.GetServiceAccount().GetId()
		wide := org.program(t, "audit.read", "org.read")
		keyOf := func(by *person, of string, scopes ...string) (*membershipv1.CreateOrganizationServiceAccountKeyResponse, error) {
			return by.CreateOrganizationServiceAccountKey(t.Context(), &membershipv1.CreateOrganizationServiceAccountKeyRequest{
				OrganizationId: org.ID, ServiceAccountId: of, DisplayName: "Blue", Scopes: scopes})
		}
		_, err = keyOf(admin, wide)
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = keyOf(org.owner, of, "audit.read")
		require.Equal(t, "scopes", refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Fields[0].Name)
		key, err := keyOf(admin, of)
		require.NoError(t, err)
		_, err = connect(over, apiKey(t, org.owner.client, "service_accounts.manage").GetSecret()).CreateOrganizationServiceAccountKey(t.Context(),
			&membershipv1.CreateOrganizationServiceAccountKeyRequest{OrganizationId: org.ID, ServiceAccountId: of, DisplayName: "Wide"})
		refused(t, err, errorv1.Reason_REASON_STEP_UP_REQUIRED)

		_, err = org.owner.RemoveMember(t.Context(), &membershipv1.RemoveMemberRequest{OrganizationId: org.ID, AccountId: admin.ID})
		require.NoError(t, err)
		_, err = connect(over, key.GetSecret()).ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		left := map[string]bool{}
		for _, one := range org.programs(t) {
			left[one.GetId()] = one.GetCreatorLeft()
		}
		require.Equal(t, map[string]bool{of: true, wide: false}, left)
		_, err = org.owner.RemoveMember(t.Context(), &membershipv1.RemoveMemberRequest{OrganizationId: org.ID, AccountId: "acc" + of[len("sva"):]})
		refused(t, err, errorv1.Reason_REASON_MEMBER_NOT_FOUND)
	})

	scenario(t, "RB15 an organization that asks for a second factor does not ask its programs, and tells who did what", func(t *testing.T, over string) {
		org := secured(t, over, pipeline, func(org *organization) { org.amend(t, `{"projects": true}`) })
		of := org.program(t, "projects.manage", "projects.read", "audit.read")
		key := connect(over, org.programKey(t, of).GetSecret())
		project, err := key.CreateProject(t.Context(), &membershipv1.CreateProjectRequest{OrganizationId: org.ID, DisplayName: unique("Gemini")})
		require.NoError(t, err)
		number := "acc" + of[len("sva"):]
		_, err = key.AddProjectMember(t.Context(), &membershipv1.AddProjectMemberRequest{
			OrganizationId: org.ID, ProjectId: project.GetProject().GetId(), AccountId: number, Role: "viewer"})
		refused(t, err, errorv1.Reason_REASON_MEMBER_NOT_FOUND)
		held, err := key.ListMyPermissions(t.Context(), &membershipv1.ListMyPermissionsRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		require.Len(t, held.GetPermissions(), 3)
		require.Equal(t, membershipv1.ExplainAccessResponse_Line_SOURCE_SERVICE_ACCOUNT, held.GetPermissions()[0].GetLines()[0].GetSource())
		allowed, err := key.CheckAccess(t.Context(), &membershipv1.CheckAccessRequest{OrganizationId: org.ID, Permission: "projects.manage"})
		require.NoError(t, err)
		require.True(t, allowed.GetAllowed())
		org.shown(t)
		events, err := key.ListAuditEvents(t.Context(), &membershipv1.ListAuditEventsRequest{OrganizationId: org.ID, Target: project.GetProject().GetId()})
		require.NoError(t, err)
		require.Len(t, events.GetAuditEvents(), 1)
		actor := events.GetAuditEvents()[0].GetActor()
		require.Equal(t, membershipv1.AuditEvent_Actor_KIND_SERVICE_ACCOUNT, actor.GetKind())
		require.Equal(t, of, actor.GetId())
		require.Equal(t, org.programs(t)[0].GetDisplayName(), actor.GetDisplayName())
		created := org.audit(t, org.owner, func(r *membershipv1.ListAuditEventsRequest) { r.Target = of })
		require.Len(t, created, 2)
		require.Equal(t, "organization.service_account_key_created", created[0].GetType())
		require.Equal(t, "organization.service_account_created", created[1].GetType())
	})

	scenario(t, "R82 what a service account is refused is in its organization's audit view, under its name", func(t *testing.T, over string) {
		org, other := create(t, over, pipeline), create(t, over, pipeline)
		of := org.program(t, "org.read")
		key := connect(over, org.programKey(t, of).GetSecret())
		_, err := key.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = key.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: other.ID})
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		denials := func(o *organization) []*membershipv1.AuditEvent {
			return o.audit(t, o.owner, func(r *membershipv1.ListAuditEventsRequest) { r.Types = []string{"access.denied"} })
		}
		eventually(t, func() bool { return len(denials(org)) == 1 }, "the denial is shown")
		denied := denials(org)[0]
		require.Equal(t, membershipv1.AuditEvent_Actor_KIND_SERVICE_ACCOUNT, denied.GetActor().GetKind())
		require.Equal(t, of, denied.GetActor().GetId())
		require.Equal(t, org.programs(t)[0].GetDisplayName(), denied.GetActor().GetDisplayName())
		require.Equal(t, "ListPeople", denied.GetMethod())
		require.Len(t, org.audit(t, org.owner, func(r *membershipv1.ListAuditEventsRequest) { r.Actor = of }), 1)
		require.Empty(t, denials(other), "it is nobody there")
	})

	scenario(t, "R43 a key of an organization's service account is refused from the moment on that it, its service account or the organization is deleted", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		of := org.program(t, "org.read")
		first, blue, green := org.programKey(t, of), org.programKey(t, of), org.programKey(t, org.program(t, "org.read"))
		reads := func(made *membershipv1.CreateOrganizationServiceAccountKeyResponse) error {
			_, err := connect(over, made.GetSecret()).GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
			return err
		}
		dead := func(made *membershipv1.CreateOrganizationServiceAccountKeyResponse) {
			reason := fault.ReasonOf(reads(made))
			require.Contains(t, []errorv1.Reason{errorv1.Reason_REASON_UNAUTHENTICATED, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND}, reason)
		}
		for _, made := range []*membershipv1.CreateOrganizationServiceAccountKeyResponse{first, blue, green} {
			require.NoError(t, reads(made))
		}
		_, err := org.owner.DeleteOrganizationServiceAccountKey(t.Context(), &membershipv1.DeleteOrganizationServiceAccountKeyRequest{
			OrganizationId: org.ID, ServiceAccountId: of, ApiKeyId: first.GetApiKey().GetId()})
		require.NoError(t, err)
		dead(first)
		require.NoError(t, reads(blue), "the other one goes on")
		_, err = org.owner.DeleteOrganizationServiceAccount(t.Context(), &membershipv1.DeleteOrganizationServiceAccountRequest{OrganizationId: org.ID, ServiceAccountId: of})
		require.NoError(t, err)
		dead(blue)
		_, err = org.owner.CreateOrganizationServiceAccountKey(t.Context(), &membershipv1.CreateOrganizationServiceAccountKeyRequest{
			OrganizationId: org.ID, ServiceAccountId: of, DisplayName: "Late"})
		refused(t, err, errorv1.Reason_REASON_SERVICE_ACCOUNT_NOT_FOUND)
		require.NoError(t, reads(green))
		_, err = org.owner.DeleteOrganization(t.Context(), &membershipv1.DeleteOrganizationRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		dead(green)
	})

	scenario(t, "R48 a key of an organization is good in one spelling, as a bearer alone", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		text := org.programKey(t, org.program(t, "org.read")).GetSecret()
		other := create(t, over, pipeline)
		foreign := other.programKey(t, other.program(t, "org.read")).GetSecret()
		require.Contains(t, text, "rsok_")
		for _, wrong := range []string{text[:len(text)-1], text + "A", "rsk_" + text[len("rsok_"):], "rst_" + text[len("rsok_"):],
			foreign[:len("rsok_")+20] + text[len("rsok_")+20:]} {
			_, err := connect(over, wrong).GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
			refused(t, err, errorv1.Reason_REASON_UNAUTHENTICATED)
		}
	})
}
