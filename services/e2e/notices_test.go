package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/devmail"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// notified is a mail that somebody has to get: what it says it is, and what it says to do.
type notified struct {
	to, subject string
	says        string // beside the subject
	link        string // "": none
}

// TestNotices is the table of what people are told about the security of their accounts and memberships, and of where each goes.
func TestNotices(t *testing.T) {
	t.Parallel()
	const over = "gRPC" // what is written does not depend on it
	const forgot = "/forgot"
	for happening, do := range map[string]func(t *testing.T) []notified{
		"a password is changed": func(t *testing.T) []notified {
			who := signUp(t, over)
			_, err := who.ChangePassword(t.Context(), &identityv1.ChangePasswordRequest{CurrentPassword: password, Password: newPassword})
			require.NoError(t, err)
			return []notified{{who.Email, "Your password was changed", "from the address 127.0.0.1", forgot}}
		},
		"a password is reset": func(t *testing.T) []notified {
			who := signUp(t, over)
			_, err := who.RequestPasswordReset(t.Context(), &identityv1.RequestPasswordResetRequest{Email: who.Email})
			require.NoError(t, err)
			_, err = who.ResetPassword(t.Context(), &identityv1.ResetPasswordRequest{Token: mailLink(t, who.Email, "/reset/"), Password: newPassword})
			require.NoError(t, err)
			return []notified{{who.Email, "Your password was changed", "from the address 127.0.0.1", forgot}}
		},
		"a temporary password is issued": func(t *testing.T) []notified {
			org := create(t, over, rbac)
			who := org.join(t, "member")
			_, err := org.resetPassword(t, org.owner.client, who, membershipv1.OrganizationPolicy_RESET_TEMP_PASSWORD)
			require.NoError(t, err)
			return []notified{{who.Email, "Your password was replaced", "The organization that manages your account", forgot}}
		},
		"an address is added, is made the primary one, and the old one is removed": func(t *testing.T) []notified {
			who, added := signUp(t, over), unique("new")+"@works.example"
			_, err := who.AddEmail(t.Context(), &identityv1.AddEmailRequest{Email: added})
			require.NoError(t, err)
			_, err = who.VerifyEmail(t.Context(), &identityv1.VerifyEmailRequest{Token: mailLink(t, added, "/verify/")})
			require.NoError(t, err)
			_, err = who.SetPrimaryEmail(t.Context(), &identityv1.SetPrimaryEmailRequest{Email: added})
			require.NoError(t, err)
			_, err = who.RemoveEmail(t.Context(), &identityv1.RemoveEmailRequest{Email: who.Email})
			require.NoError(t, err)
			return []notified{
				{who.Email, "An address was added to your account", "can reset your password", forgot},
				{who.Email, "The address of your account was changed", "take it back", "/revert-email/"},
				{added, "The address of your account was changed", "from the address 127.0.0.1", forgot},
				{added, "An address was removed from your account", "from the address 127.0.0.1", forgot},
				{who.Email, "An address was removed from your account", "does not come here any more", ""},
			}
		},
		"an authenticator app is set up and removed, and recovery codes are used and replaced": func(t *testing.T) []notified {
			who := signUp(t, over)
			phone, confirmed, me := enrol(t, over, who.client)
			_, err := me.RegenerateRecoveryCodes(t.Context(), &identityv1.RegenerateRecoveryCodesRequest{})
			require.NoError(t, err)
			_, err = answerChallenge(t, half(t, over, who.Email), confirmed.GetRecoveryCodes()[0])
			require.Error(t, err, "it was replaced")
			codes, err := me.RegenerateRecoveryCodes(t.Context(), &identityv1.RegenerateRecoveryCodesRequest{})
			require.NoError(t, err)
			forgive(t, who)
			_, err = answerChallenge(t, half(t, over, who.Email), codes.GetRecoveryCodes()[0])
			require.NoError(t, err)
			_, err = me.RemoveFactor(t.Context(), &identityv1.RemoveFactorRequest{FactorId: phone.id})
			require.NoError(t, err)
			return []notified{
				{who.Email, "An authenticator app was added to your account", `"Phone"`, forgot},
				{who.Email, "You have new recovery codes", "The old ones work no more", forgot},
				{who.Email, "A recovery code was used", "Recovery codes left: 9", forgot},
				{who.Email, "An authenticator app was removed from your account", "your password alone", forgot},
			}
		},
		"a passkey is set up and removed": func(t *testing.T) []notified {
			who, key := signUp(t, over), testkit.NewPasskey(t, suite.URL)
			made, err := who.ConfirmPasskey(t.Context(), &identityv1.ConfirmPasskeyRequest{
				Passkey: key.Create(t, creationOptions(t, who.client)), DisplayName: "Key ring"})
			require.NoError(t, err)
			_, err = connect(over, made.GetToken()).RemoveFactor(t.Context(), &identityv1.RemoveFactorRequest{FactorId: made.GetFactor().GetId()})
			require.NoError(t, err)
			return []notified{
				{who.Email, "A passkey was added to your account", `"Key ring"`, forgot},
				{who.Email, "A passkey was removed from your account", `"Key ring"`, forgot},
			}
		},
		"an admin resets the second factors": func(t *testing.T) []notified {
			org := create(t, over, rbac)
			who := org.join(t, "member")
			enrol(t, over, who.client)
			_, err := org.owner.ResetMemberMfa(t.Context(), &membershipv1.ResetMemberMfaRequest{OrganizationId: org.ID, AccountId: who.ID})
			require.NoError(t, err)
			return []notified{{who.Email, "Your second factors were taken away", org.Name, ""}}
		},
		"somebody signs in from a new place": func(t *testing.T) []notified {
			who := signUp(t, over)
			signIn(t, "REST", who.Email)
			return []notified{{who.Email, "A sign-in from a new place", "from the address 127.0.0.1", forgot}}
		},
		"an identity provider is linked and unlinked": func(t *testing.T) []notified {
			who, p := signUp(t, over), operatorProvider(t, over)
			require.Contains(t, p.link(signedInWindow(t, who), unique("countess")+"@elsewhere.example").text, "It is linked")
			_, err := who.UnlinkProvider(t.Context(), &identityv1.UnlinkProviderRequest{ProviderId: p.id})
			require.NoError(t, err)
			return []notified{
				{who.Email, p.name + " was linked to your account", "from the address 127.0.0.1", forgot},
				{who.Email, p.name + " was unlinked from your account", "from the address 127.0.0.1", forgot},
			}
		},
		"an API key is made": func(t *testing.T) []notified {
			who := signUp(t, over)
			_, err := who.CreateApiKey(t.Context(), &identityv1.CreateApiKeyRequest{DisplayName: "Nightly build", Scopes: []string{"org.read"}})
			require.NoError(t, err)
			return []notified{{who.Email, "An API key was made for your account", `"Nightly build"`, forgot}}
		},
		"the account is exported": func(t *testing.T) []notified {
			who := signUp(t, over)
			_, err := who.ExportAccount(t.Context(), &identityv1.ExportAccountRequest{})
			require.NoError(t, err)
			return []notified{{who.Email, "Your account was exported", "from the address 127.0.0.1", forgot}}
		},
		"an operator deletes the account": func(t *testing.T) []notified {
			who := signUp(t, over)
			_, err := operator(over).DeleteAccount(t.Context(), &identityv1.DeleteAccountRequest{AccountId: who.ID, Reason: "asked for by law"})
			require.NoError(t, err)
			return []notified{
				{who.Email, "Your account is being deleted", "Those who run this service are deleting your account", ""},
				{who.Email, "Your account is deleted", "This mail is the last one", ""},
			}
		},
		"a role becomes stronger": func(t *testing.T) []notified {
			org := create(t, over, rbac)
			who := org.join(t, "member")
			require.NoError(t, org.changeRole(t, org.owner, who, "admin"))
			return []notified{{who.Email, "Your role in " + org.Name + " is Admin now", org.owner.Name + " gave you the role Admin", ""}}
		},
		"the ownership is offered and taken": func(t *testing.T) []notified {
			org := create(t, over, rbac)
			who := org.join(t, "admin")
			require.NoError(t, org.offer(t, org.owner, who))
			require.NoError(t, org.takeOver(t, who))
			return []notified{
				{who.Email, org.owner.Name + " offers you the ownership of " + org.Name, "you become its owner", "/sign-in"},
				{who.Email, "Your role in " + org.Name + " is Owner now", "You accepted the role Owner", forgot},
				{org.owner.Email, who.Name + " is the owner of " + org.Name + " now", "your role is Admin now", forgot},
			}
		},
		"a member is removed, where the policy says that they hear of it": func(t *testing.T) []notified {
			org := create(t, over, flat)
			who := org.join(t, "")
			org.remove(t, who)
			return []notified{{who.Email, "You were removed from " + org.Name, org.owner.Name + " removed you", ""}}
		},
		"somebody is added to an organization": func(t *testing.T) []notified {
			org, who := create(t, over, rbac), signUp(t, over)
			_, err := org.createMember(t, org.owner, who.Email, "member")
			require.NoError(t, err)
			return []notified{{who.Email, "You were added to " + org.Name, "as Member", "/leave/"}}
		},
	} {
		t.Run("R86 "+happening, func(t *testing.T) {
			t.Parallel()
			for _, want := range do(t) {
				got := mailTo(t, want.to, func(m devmail.Received) bool { return m.Subject == want.subject })
				require.Contains(t, got.Text, want.says)
				if want.link == "" {
					require.Empty(t, got.Links)
					continue
				}
				require.NotEmpty(t, linkWith(got, suite.URL+want.link))
				for _, link := range got.Links {
					require.Contains(t, link, suite.URL+"/", "links lead to the deployment, and nowhere else")
				}
			}
		})
	}
}
