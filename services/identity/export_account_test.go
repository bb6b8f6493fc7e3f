package identity

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
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
		h.exec(`INSERT INTO providers (id, display_name, issuer, client_id, enabled, create_time, update_time)
			VALUES (gen_random_uuid(), 'Example', 'https://id.example', 'roster', true, now(), now())`)
		h.exec(`INSERT INTO federated_identities SELECT p.id, 'sub-1', a.id, now() FROM providers p, accounts a WHERE a.email = 'ada@example.com'`)
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
		require.Equal(t, "203.0.0.0/16", kept.GetKnownDevices()[0].GetNetwork())
		require.NotNil(t, kept.GetKnownDevices()[0].GetLastTime())
		require.Len(t, kept.GetFederatedIdentities(), 1)
		require.Equal(t, "Example https://id.example sub-1", strings.Join([]string{kept.GetFederatedIdentities()[0].GetProviderDisplayName(),
			kept.GetFederatedIdentities()[0].GetIssuer(), kept.GetFederatedIdentities()[0].GetSubject()}, " "))
		text, err := protojson.Marshal(kept)
		require.NoError(t, err)
		for _, secret := range []string{ada.token, key.GetSecret(), goodPassword, "argon2", h.linkFor("later@example.com"), "bob@example.com", stranger.session.GetId()} {
			require.NotContains(t, string(text), secret)
		}
	})
	t.Run("EveryTableByAccountIsInItOrHasAReason", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		rows, err := h.owner.Query(t.Context(), `SELECT DISTINCT table_name::text FROM information_schema.columns
			WHERE table_schema = 'public' AND column_name = 'account_id' ORDER BY 1`)
		require.NoError(t, err)
		tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.Equal(t, []string{
			"account_creations",    // what made the account: nothing about its person
			"api_keys",             //
			"avatar_ids",           // the account's avatar_url
			"avatars",              // shown at that URL
			"credentials",          // when the password was set
			"devices",              //
			"email_additions",      // addresses that wait for their proof
			"email_reverts",        // links
			"factors",              //
			"federated_identities", //
			"known_networks",       //
			"managed_domains",      // managed_through_domain
			"passkey_challenges",   // good for five minutes
			"recovery_codes",       // how many are left
			"resets",               // links
			"sessions",             //
			"sign_in_failures",     // how many of late: login activity tells of each
			"sign_ins",             //
			"user_emails",          //
			"user_handles",         // a random number, which says nothing
			"usernames",            //
		}, tables)
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
