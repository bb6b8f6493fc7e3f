package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// TestServiceAccountChanges is about the programs of an organization that become others.
func TestServiceAccountChanges(t *testing.T) {
	t.Parallel()
	change := func(t *testing.T, by *person, org *organization, of string, to *membershipv1.UpdateOrganizationServiceAccountRequest) (*membershipv1.OrganizationServiceAccount, error) {
		t.Helper()
		to.OrganizationId, to.ServiceAccountId = org.ID, of
		answer, err := by.UpdateOrganizationServiceAccount(t.Context(), to)
		return answer.GetServiceAccount(), err
	}

	scenario(t, "RB15 R43 the keys of a service account follow what it is for, with the next call", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		of := org.program(t, "org.read", "members.read")
		key := connect(over, org.programKey(t, of).GetSecret())
		reads := func() error {
			_, err := key.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
			return err
		}
		require.NoError(t, reads())

		after, err := change(t, org.owner, org, of, &membershipv1.UpdateOrganizationServiceAccountRequest{DisplayName: "Narrow", Permissions: []string{"org.read"}})
		require.NoError(t, err)
		require.Equal(t, "Narrow", after.GetDisplayName())
		require.Equal(t, []string{"org.read"}, after.GetPermissions())
		refused(t, reads(), errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = key.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
		require.NoError(t, err)

		_, err = change(t, org.owner, org, of, &membershipv1.UpdateOrganizationServiceAccountRequest{Disabled: new(true)})
		require.NoError(t, err)
		_, err = key.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
		require.Contains(t, []errorv1.Reason{errorv1.Reason_REASON_UNAUTHENTICATED, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND}, fault.ReasonOf(err))
		require.True(t, org.programs(t)[0].GetDisabled())

		_, err = change(t, org.owner, org, of, &membershipv1.UpdateOrganizationServiceAccountRequest{Disabled: new(false), Permissions: []string{"members.read", "org.read"}})
		require.NoError(t, err)
		eventually(t, func() bool { return reads() == nil }, "the key works again")

		org.shown(t)
		told := org.audit(t, org.owner, func(r *membershipv1.ListAuditEventsRequest) {
			r.Target, r.Types = of, []string{"organization.service_account_updated"}
		})
		require.Len(t, told, 3)
		require.Equal(t, "Narrow", told[2].GetAfter().GetStructValue().GetFields()["displayName"].GetStringValue())
		require.Equal(t, org.owner.ID, told[2].GetActor().GetId())
	})

	scenario(t, "RB15 nobody gives a service account what they do not hold, and what they give asks who is there", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		org.shape(t, "Robots", "org.read", "service_accounts.manage")
		admin := org.join(t, "robots")
		wide := org.program(t, "audit.read", "org.read")
		_, err := change(t, admin, org, wide, &membershipv1.UpdateOrganizationServiceAccountRequest{Permissions: []string{"audit.read", "members.read", "org.read"}})
		require.Equal(t, "members.read", refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["missing"])
		_, err = change(t, admin, org, wide, &membershipv1.UpdateOrganizationServiceAccountRequest{DisplayName: "Mine", Disabled: new(true)})
		require.NoError(t, err, "who may look after them may stop any")
		_, err = change(t, admin, org, wide, &membershipv1.UpdateOrganizationServiceAccountRequest{Disabled: new(false)})
		require.Equal(t, "audit.read", refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["missing"])
		for _, never := range []string{"org.delete", "service_accounts.manage", "none.such"} {
			_, err = change(t, org.owner, org, wide, &membershipv1.UpdateOrganizationServiceAccountRequest{Permissions: []string{never}})
			field := refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Fields[0]
			require.Equal(t, "permissions", field.Name)
			require.Contains(t, field.Reason, never)
		}
		for _, mask := range []*fieldmaskpb.FieldMask{{Paths: []string{"creator_account_id"}}, {Paths: []string{"permissions"}}, {Paths: []string{"display_name"}}} {
			_, err = change(t, org.owner, org, wide, &membershipv1.UpdateOrganizationServiceAccountRequest{UpdateMask: mask})
			refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		}

		// A key of a person's proves nothing about who is there.
		key := connect(over, apiKey(t, org.owner.client, "service_accounts.manage", "members.read", "org.read", "audit.read").GetSecret())
		for _, asked := range []*membershipv1.UpdateOrganizationServiceAccountRequest{
			{Permissions: []string{"audit.read", "members.read", "org.read"}}, {Disabled: new(false)},
		} {
			asked.OrganizationId, asked.ServiceAccountId = org.ID, wide
			_, err = key.UpdateOrganizationServiceAccount(t.Context(), asked)
			refused(t, err, errorv1.Reason_REASON_STEP_UP_REQUIRED)
		}
		_, err = key.UpdateOrganizationServiceAccount(t.Context(), &membershipv1.UpdateOrganizationServiceAccountRequest{
			OrganizationId: org.ID, ServiceAccountId: wide, Permissions: []string{"audit.read"}})
		require.NoError(t, err, "to take away does not")
		after, err := change(t, org.owner, org, wide, &membershipv1.UpdateOrganizationServiceAccountRequest{Disabled: new(false)})
		require.NoError(t, err)
		require.False(t, after.GetDisabled())
		require.Equal(t, "Mine", after.GetDisplayName())
	})
}
