package identity

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// TestSecretsStaySecret goes through the service with secrets that can be recognized, and looks for them in all that
// is logged, said in an error, or stored.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	t.Run("R84", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		const canary = "canary harbor quilt 7"
		secrets := []string{canary}
		var said []error

		_, err := h.accounts.SignUp(h.as(""), &identityv1.SignUpRequest{Email: "ada@example.com", Password: canary, DisplayName: "Ada"})
		require.NoError(t, err)
		link := h.linkFor("ada@example.com")
		secrets = append(secrets, link)
		_, err = h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: link})
		require.NoError(t, err)
		_, err = h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: link})
		said = append(said, err)

		sign := &identityv1.CreateSessionRequest{Email: "ada@example.com", Password: canary}
		var header metadata.MD
		cookie, err := h.sessions.CreateSession(h.as(""), sign, grpc.Header(&header))
		require.NoError(t, err)
		require.NotContains(t, cookie.String(), "rst_", "R40")
		secrets = append(secrets, header.Get("roster-session-secret")[0])
		sign.Delivery = identityv1.Delivery_DELIVERY_TOKEN
		in, err := h.sessions.CreateSession(h.as(""), sign)
		require.NoError(t, err)
		secrets = append(secrets, in.GetToken())
		sign.Password = canary + "x"
		_, err = h.sessions.CreateSession(h.as(""), sign)
		said = append(said, err)
		resolved, err := h.resolve(in.GetToken(), false)
		require.NoError(t, err)
		secrets = append(secrets, resolved.GetToken())
		_, err = h.resolve(in.GetToken(), true)
		said = append(said, err)

		_, err = h.emails.AddEmail(h.as(in.GetToken()), &identityv1.AddEmailRequest{Email: "countess@example.com"})
		require.NoError(t, err)
		secrets = append(secrets, h.linkFor("countess@example.com"))
		h.verifyLink("countess@example.com")
		h.setPrimary(in.GetToken(), "countess@example.com")
		secrets = append(secrets, h.revertLink("ada@example.com"))

		made := h.makeKey(in.GetToken(), "org.read")
		secrets = append(secrets, made.GetSecret())
		_, err = h.resolve(made.GetSecret(), true)
		said = append(said, err)
		_, err = h.accounts.GetMe(h.as(made.GetSecret()), &identityv1.GetMeRequest{})
		said = append(said, err)

		p := h.provider()
		trip := h.beginAt(p)
		_, err = h.federated.CompleteFederatedSignIn(h.as(""), trip.back)
		require.NoError(t, err)
		secrets = append(secrets, clientSecret, trip.flow, trip.sent.Get("state"), trip.sent.Get("nonce"))
		_, err = h.federated.CompleteFederatedSignIn(h.as(""), trip.back)
		said = append(said, err)
		h.exec(`DELETE FROM operator_keys`)

		bootstrap := h.bootstrap(h.service)
		claimed := h.claim(bootstrap)
		secrets = append(secrets, bootstrap, claimed.GetApiKey())
		_, err = h.operators.ClaimOperator(h.as(""), &identityv1.ClaimOperatorRequest{Token: bootstrap})
		said = append(said, err)

		serviceKey := h.serviceKey(claimed.GetApiKey(), h.serviceAccount(claimed.GetApiKey(), "access.check")).GetSecret()
		secrets = append(secrets, serviceKey)
		_, err = h.accounts.GetMe(h.as(serviceKey), &identityv1.GetMeRequest{})
		said = append(said, err)

		managed, err := h.membership.CreateManagedAccount(t.Context(), wanted("grace@example.com", id.NewOrganization()))
		require.NoError(t, err)
		secrets = append(secrets, managed.GetPassword())

		key := id.NewAccount().String()
		sealed, err := h.directory.SealPassword(t.Context(), &identityv1.SealPasswordRequest{AccountId: key, Password: canary})
		require.NoError(t, err)
		_, err = h.directory.CreateAccount(t.Context(), &identityv1.CreateAccountRequest{
			AccountId: id.NewAccount().String(), InvitationId: id.NewInvitation().String(), Email: "bob@example.com", DisplayName: "Bob",
			SealedPassword: sealed.GetSealedPassword(),
		})
		said = append(said, err)
		opened, err := h.directory.OpenSession(t.Context(), &identityv1.OpenSessionRequest{AccountId: cookie.GetSession().GetAccountId()})
		require.NoError(t, err)
		secrets = append(secrets, opened.GetSecret())
		_, err = h.sessions.SignOut(h.as(in.GetToken()), &identityv1.SignOutRequest{})
		require.NoError(t, err)

		everything := map[string]string{"log": h.logged.String(), "errors": fmt.Sprint(said), "database": h.dump()}
		for _, secret := range secrets {
			require.NotEmpty(t, secret)
			for where, text := range everything {
				require.False(t, strings.Contains(text, secret), "a secret is in the %s", where)
			}
		}
		require.Contains(t, everything["database"], "ada@example.com", "the dump shows what is there")
		require.NotContains(t, everything["log"], "ada@example.com")
	})
}

// dump returns all rows of all tables, as text.
func (h *harness) dump() string {
	h.Helper()
	rows, err := h.owner.Query(h.Context(), `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`)
	require.NoError(h, err)
	var tables []string
	for rows.Next() {
		var table string
		require.NoError(h, rows.Scan(&table))
		tables = append(tables, table)
	}
	var all strings.Builder
	for _, table := range tables {
		rows, err := h.owner.Query(h.Context(), `SELECT to_jsonb(r)::text, (SELECT string_agg(encode(v.value::bytea, 'escape'), ' ')
			FROM jsonb_each_text(to_jsonb(r)) v WHERE v.value LIKE '\x%') FROM `+table+` r`)
		require.NoError(h, err)
		for rows.Next() {
			var text string
			var bytes *string
			require.NoError(h, rows.Scan(&text, &bytes))
			all.WriteString(text)
			if bytes != nil {
				all.WriteString(*bytes)
			}
		}
		require.NoError(h, rows.Err())
	}
	return all.String()
}
