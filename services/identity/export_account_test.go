package identity

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func TestExportAccount(t *testing.T) {
	t.Parallel()

	t.Run("TellsAllThatIsKeptAndNothingThatOpensIt", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		h.addEmail(ada.token, "ada@works.example")
		_, err := h.emails.AddEmail(h.as(ada.token), &identityv1.AddEmailRequest{Email: "later@example.com"})
		require.NoError(t, err)
		for _, name := range []string{"ada", "countess"} {
			_, err := h.accounts.UpdateMe(h.as(ada.token), &identityv1.UpdateMeRequest{Username: name, Phone: "+442079460000"})
			require.NoError(t, err)
		}
		key := h.makeKey(ada.token, "org.read")
		stranger := h.newcomer("bob@example.com")
		kept, err := h.exports.ExportAccount(h.as(ada.token), &identityv1.ExportAccountRequest{})
		require.NoError(t, err)
		require.Equal(t, "countess +442079460000", kept.GetAccount().GetUsername()+" "+kept.GetAccount().GetPhone())
		require.Equal(t, []string{"ada"}, kept.GetFormerUsernames())
		var addresses []string
		for _, e := range kept.GetEmails() {
			addresses = append(addresses, e.GetEmail())
		}
		require.Equal(t, []string{"ada@example.com", "ada@works.example", "later@example.com"}, addresses)
		require.NotNil(t, kept.GetPasswordSetTime())
		require.Empty(t, kept.GetManagedByOrganizationId())
		require.Len(t, kept.GetSessions(), 1)
		require.True(t, kept.GetSessions()[0].GetCurrent())
		require.Equal(t, "203.0.113.7", kept.GetSessions()[0].GetAddress())
		require.Equal(t, key.GetApiKey().GetId(), kept.GetApiKeys()[0].GetId())
		require.Len(t, kept.GetLoginActivity(), 1)
		require.Len(t, kept.GetKnownNetworks(), 1)
		text, err := protojson.Marshal(kept)
		require.NoError(t, err)
		for _, secret := range []string{ada.token, key.GetSecret(), goodPassword, "argon2", h.linkFor("later@example.com"), "bob@example.com", stranger.session.GetId()} {
			require.NotContains(t, string(text), secret)
		}
	})
	t.Run("AsksForAFreshProof", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		h.exec(`UPDATE sessions SET auth_time = now() - interval '11 minutes'`)
		_, err := h.exports.ExportAccount(h.as(ada.token), &identityv1.ExportAccountRequest{})
		requireReason(t, stepUpRequired, err)
	})
}
