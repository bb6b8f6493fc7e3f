package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// TestProfile is about what people say of themselves.
func TestProfile(t *testing.T) {
	t.Parallel()

	scenario(t, "S0-13 S0-14 R80 a username changes, and the old one stays nobody else's", func(t *testing.T, over string) {
		me, other := signUp(t, over), signUp(t, over)
		org := createBy(t, me, pipeline)
		take := func(who *person, username string) error {
			_, err := who.UpdateMe(t.Context(), &identityv1.UpdateMeRequest{Username: username})
			return err
		}
		first, second := unique("first"), unique("Second")
		refused(t, take(me, "with blank"), errorv1.Reason_REASON_VALIDATION_FAILED)
		require.NoError(t, take(me, first))
		require.NoError(t, take(me, second))
		refused(t, take(other, first), errorv1.Reason_REASON_USERNAME_TAKEN)
		refused(t, take(other, second), errorv1.Reason_REASON_USERNAME_TAKEN)
		eventually(t, func() bool {
			people, err := me.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: org.ID})
			return err == nil && people.GetPeople()[0].GetUsername() == second
		}, "the organization shows it")
		_, err := connect(over, "").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
			Username: second, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		require.NoError(t, err)
	})

	scenario(t, "R75 a profile is changed field by field, and says nothing of what one may do", func(t *testing.T, over string) {
		me := signUp(t, over)
		changed, err := me.UpdateMe(t.Context(), &identityv1.UpdateMeRequest{Phone: "+44 20 7946 0000", Locale: "en-gb", TimeZone: "Europe/London"})
		require.NoError(t, err)
		require.Equal(t, me.Name, changed.GetAccount().GetDisplayName())
		require.Equal(t, "+442079460000 en-GB Europe/London", changed.GetAccount().GetPhone()+" "+changed.GetAccount().GetLocale()+" "+changed.GetAccount().GetTimeZone())
		changed, err = me.UpdateMe(t.Context(), &identityv1.UpdateMeRequest{UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"phone"}}})
		require.NoError(t, err)
		require.Empty(t, changed.GetAccount().GetPhone())
		require.Equal(t, "en-GB", changed.GetAccount().GetLocale())
		for _, path := range []string{"email", "email_verified", "role", "status", "owner"} {
			_, err = me.UpdateMe(t.Context(), &identityv1.UpdateMeRequest{DisplayName: "Eve", UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{path}}})
			refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		}
	})

	scenario(t, "R42 R46 one takes along what is kept of oneself, and nobody else does", func(t *testing.T, over string) {
		me := signUp(t, over)
		kept, err := me.ExportAccount(t.Context(), &identityv1.ExportAccountRequest{})
		require.NoError(t, err)
		require.Equal(t, me.ID, kept.GetAccount().GetId())
		require.Equal(t, me.Email, kept.GetEmails()[0].GetEmail())
		require.NotEmpty(t, kept.GetSessions()[0].GetId())
		require.NotEmpty(t, kept.GetLoginActivity())
		require.NotContains(t, kept.String(), me.Token)
		_, err = connect(over, "").ExportAccount(t.Context(), &identityv1.ExportAccountRequest{})
		refused(t, err, errorv1.Reason_REASON_UNAUTHENTICATED)
	})
}
