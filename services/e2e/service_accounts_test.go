package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// platform makes a service account of the deployment, with a key.
func platform(t *testing.T, over string, scopes ...string) (serviceAccount string, made *identityv1.CreateServiceAccountKeyResponse) {
	t.Helper()
	account, err := operator(over).CreateServiceAccount(t.Context(), &identityv1.CreateServiceAccountRequest{DisplayName: unique("Platform"), Scopes: scopes})
	require.NoError(t, err)
	serviceAccount = account.GetServiceAccount().GetId()
	t.Cleanup(func() { // there are not many
		_, _ = operator(over).DeleteServiceAccount(context.Background(), &identityv1.DeleteServiceAccountRequest{ServiceAccountId: serviceAccount})
	})
	return serviceAccount, platformKey(t, over, serviceAccount)
}

func platformKey(t *testing.T, over, of string, scopes ...string) *identityv1.CreateServiceAccountKeyResponse {
	t.Helper()
	made, err := operator(over).CreateServiceAccountKey(t.Context(), &identityv1.CreateServiceAccountKeyRequest{ServiceAccountId: of, DisplayName: "Blue", Scopes: scopes})
	require.NoError(t, err)
	return made
}

// TestServiceAccounts is about what services of the platform may ask.
func TestServiceAccounts(t *testing.T) {
	t.Parallel()

	scenario(t, "R53 a service account asks about any organization, and about anybody there", func(t *testing.T, over string) {
		_, made := platform(t, over, "access.check", "availability.report")
		service := connect(over, made.GetSecret())
		for _, preset := range []membershipv1.Preset{pipeline, rbac} {
			org := create(t, over, preset)
			member := org.join(t, org.everyday(t))
			check := func(who *person, permission string) *membershipv1.CheckAccessResponse {
				answer, err := service.CheckAccess(t.Context(), &membershipv1.CheckAccessRequest{OrganizationId: org.ID, AccountId: who.ID, Permission: permission})
				require.NoError(t, err)
				return answer
			}
			require.True(t, check(org.owner, "org.delete").GetAllowed())
			require.False(t, check(member, "org.delete").GetAllowed())
			require.Equal(t, membershipv1.CheckAccessResponse_DECISION_NOT_A_MEMBER, check(signUp(t, over), "org.read").GetDecision())
			batch, err := service.BatchCheckAccess(t.Context(), &membershipv1.BatchCheckAccessRequest{OrganizationId: org.ID, Questions: []*membershipv1.BatchCheckAccessRequest_Question{
				{AccountId: org.owner.ID, Permission: "org.delete"}, {AccountId: member.ID, Permission: "org.delete"}}})
			require.NoError(t, err)
			require.True(t, batch.GetAnswers()[0].GetAllowed())
			require.False(t, batch.GetAnswers()[1].GetAllowed())
			listed, err := service.ListAccessible(t.Context(), &membershipv1.ListAccessibleRequest{OrganizationId: org.ID, Permission: "org.delete"})
			require.NoError(t, err)
			require.Len(t, listed.GetHolders(), 1)
			require.Equal(t, org.owner.ID, listed.GetHolders()[0].GetAccountId())
			require.NotEmpty(t, listed.GetHolders()[0].GetLines())
		}
		org := create(t, over, rbac)
		_, err := service.CheckAccess(t.Context(), &membershipv1.CheckAccessRequest{OrganizationId: org.ID, Permission: "org.read"})
		require.Equal(t, "account_id", refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED).Fields[0].Name)
		member := org.join(t, "member")
		told, err := service.ReportAvailability(t.Context(), &membershipv1.ReportAvailabilityRequest{OrganizationId: org.ID,
			Reports: []*membershipv1.ReportAvailabilityRequest_Report{{AccountId: member.ID, State: onCall, ReportTime: in(-time.Second), UntilTime: in(time.Hour)}}})
		require.NoError(t, err)
		require.Equal(t, []membershipv1.ReportAvailabilityResponse_Outcome{membershipv1.ReportAvailabilityResponse_OUTCOME_APPLIED}, told.GetOutcomes())
		_, err = org.owner.DeleteOrganization(t.Context(), &membershipv1.DeleteOrganizationRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		_, err = service.ListAccessible(t.Context(), &membershipv1.ListAccessibleRequest{OrganizationId: org.ID, Permission: "org.read"})
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
	})

	scenario(t, "R53 a key is for no scope that it was not made for, and a person's for none", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		of, _ := platform(t, over, "access.check", "availability.report", "sessions.introspect")
		check := &membershipv1.CheckAccessRequest{OrganizationId: org.ID, AccountId: org.owner.ID, Permission: "org.read"}
		_, err := connect(over, platformKey(t, over, of, "availability.report").GetSecret()).CheckAccess(t.Context(), check)
		require.Equal(t, "access.check", refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"])
		_, err = connect(over, apiKey(t, org.owner.client, "org.read").GetSecret()).ReportAvailability(t.Context(), &membershipv1.ReportAvailabilityRequest{
			OrganizationId: org.ID, Reports: []*membershipv1.ReportAvailabilityRequest_Report{{AccountId: org.owner.ID, State: onCall, ReportTime: in(0), UntilTime: in(time.Hour)}}})
		refused(t, err, errorv1.Reason_REASON_CALLER_REFUSED)
	})

	scenario(t, "R43 a service account, and each of its keys, ends everywhere at once", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		of, blue := platform(t, over, "access.check")
		green := platformKey(t, over, of)
		asks := func(made *identityv1.CreateServiceAccountKeyResponse) error {
			_, err := connect(over, made.GetSecret()).CheckAccess(t.Context(), &membershipv1.CheckAccessRequest{OrganizationId: org.ID, AccountId: org.owner.ID, Permission: "org.read"})
			return err
		}
		dead := func(made *identityv1.CreateServiceAccountKeyResponse) func() bool {
			return func() bool { return fault.ReasonOf(asks(made)) == errorv1.Reason_REASON_UNAUTHENTICATED }
		}
		require.NoError(t, asks(blue))
		require.NoError(t, asks(green))
		_, err := operator(over).DeleteServiceAccountKey(t.Context(), &identityv1.DeleteServiceAccountKeyRequest{ServiceAccountId: of, ApiKeyId: blue.GetApiKey().GetId()})
		require.NoError(t, err)
		eventually(t, dead(blue), "a key that was deleted")
		require.NoError(t, asks(green), "the other one goes on")
		left, err := operator(over).ListServiceAccountKeys(t.Context(), &identityv1.ListServiceAccountKeysRequest{ServiceAccountId: of})
		require.NoError(t, err)
		require.Len(t, left.GetApiKeys(), 1)
		require.NotNil(t, left.GetApiKeys()[0].GetLastUseTime())
		_, err = operator(over).DeleteServiceAccount(t.Context(), &identityv1.DeleteServiceAccountRequest{ServiceAccountId: of})
		require.NoError(t, err)
		eventually(t, dead(green), "the key of one that was deleted")
	})
}
