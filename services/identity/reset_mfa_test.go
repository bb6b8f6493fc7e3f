package identity

import (
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
)

func TestResetMfa(t *testing.T) {
	t.Parallel()
	request := func(key id.Account, org id.Organization) *identityv1.ResetMfaRequest {
		return &identityv1.ResetMfaRequest{
			OperationId: id.NewSeat().String(), AccountId: key.String(), OrganizationId: org.String(), OrganizationDisplayName: "Acme",
			ActorAccountId: id.NewAccount().String(),
		}
	}

	t.Run("R37 S2-40 S2-41 FactorsAndCodesGoAndAllSessionsEnd", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, a, confirmed := h.withApp("ada@example.com")
		half := h.challenge("ada@example.com")
		h.begin(confirmed.GetToken())
		org := id.NewOrganization()
		h.exec(`UPDATE accounts SET managed_by = $1`, org)
		link := h.resetLinks(byEmail("ada@example.com"), "ada@example.com")[0]
		req := request(key, org)
		for range 2 { // idempotent
			answer, err := h.membership.ResetMfa(t.Context(), req)
			require.NoError(t, err)
			require.True(t, answer.GetManaged())
			require.True(t, answer.GetReset_())
		}
		for _, table := range []string{`sessions`, `factors`, `recovery_codes`} {
			require.Zero(t, count(h, table), table)
		}
		for _, bearer := range []string{half, confirmed.GetToken()} {
			_, err := h.credential.ResolveCredential(t.Context(), &identityv1.ResolveCredentialRequest{Secret: bearer, Audience: "membership"})
			requireReason(t, unauthenticated, err)
		}
		_, err := h.answer(half, a.code())
		requireReason(t, unauthenticated, err)
		requireReason(t, linkInvalid, h.reset(link, otherPassword, "")) // R15
		in := h.signIn("ada@example.com")                               // S2-42: and sets up another one
		_, again := h.enrol(in.token)
		require.Len(t, again.GetRecoveryCodes(), 10)

		var reset int
		for _, e := range h.events(key.String()) {
			if e.Type == "account.mfa_reset" {
				reset++
				require.Equal(t, map[string]any{"methods": []any{"TOTP"}, "factorIds": []any{a.id}}, e.Data["before"])
			}
		}
		require.Equal(t, 1, reset)
		h.sweep(mail.TaskKind)
		var told []string
		for _, m := range h.outbox.to("ada@example.com") {
			told = append(told, m.Subject)
		}
		require.Contains(t, told, "Your second factors were taken away")
	})
	t.Run("RB20 OnlyWhoManagesTheAccountIsHeard", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, _, confirmed := h.withApp("ada@example.com")
		org := id.NewOrganization()
		for _, c := range []struct {
			managed any
			account id.Account
		}{{nil, key}, {id.NewOrganization(), key}, {org, id.NewAccount()}} {
			h.exec(`UPDATE accounts SET managed_by = $1`, c.managed)
			answer, err := h.membership.ResetMfa(t.Context(), request(c.account, org))
			require.NoError(t, err)
			require.False(t, answer.GetManaged())
		}
		listed, err := h.factors.ListFactors(h.as(confirmed.GetToken()), &identityv1.ListFactorsRequest{})
		require.NoError(t, err)
		require.Len(t, listed.GetFactors(), 1)
	})
	t.Run("S2-40 WithoutAFactorNothingHappens", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		h.signIn("ada@example.com")
		org := id.NewOrganization()
		h.exec(`UPDATE accounts SET managed_by = $1`, org)
		answer, err := h.membership.ResetMfa(t.Context(), request(key, org))
		require.NoError(t, err)
		require.True(t, answer.GetManaged())
		require.False(t, answer.GetReset_())
		require.Equal(t, 1, count(h, `sessions`))
	})
}
