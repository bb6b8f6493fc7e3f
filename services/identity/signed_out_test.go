package identity

import (
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/testkit"
)

// What is on its way when its session ends makes nothing that opens the account afterwards.
func TestSignedOutMeanwhile(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(h *harness, bearer string) (act func() error){
		"AKey": func(h *harness, bearer string) func() error {
			return func() error {
				_, err := h.keys.CreateApiKey(h.as(bearer), &identityv1.CreateApiKeyRequest{DisplayName: "Back door", Scopes: []string{"org.read"}})
				return err
			}
		},
		"APassword": func(h *harness, bearer string) func() error {
			return func() error { return h.change(bearer, goodPassword, otherPassword) }
		},
		"AnAddress": func(h *harness, bearer string) func() error {
			return func() error {
				_, err := h.emails.AddEmail(h.as(bearer), &identityv1.AddEmailRequest{Email: "eve@evil.example"})
				return err
			}
		},
		"AnotherPrimaryAddress": func(h *harness, bearer string) func() error {
			h.addEmail(bearer, "new@example.com")
			return func() error {
				_, err := h.emails.SetPrimaryEmail(h.as(bearer), &identityv1.SetPrimaryEmailRequest{Email: "new@example.com"})
				return err
			}
		},
		"NoAddress": func(h *harness, bearer string) func() error {
			h.addEmail(bearer, "new@example.com")
			return func() error {
				_, err := h.emails.RemoveEmail(h.as(bearer), &identityv1.RemoveEmailRequest{Email: "new@example.com"})
				return err
			}
		},
		"AnApp": func(h *harness, bearer string) func() error {
			app := h.begin(bearer)
			return func() error {
				_, err := h.factors.ConfirmTotp(h.as(bearer), &identityv1.ConfirmTotpRequest{FactorId: app.id, Code: app.code()})
				return err
			}
		},
		"APasskey": func(h *harness, bearer string) func() error {
			made := testkit.NewPasskey(h, publicURL).Create(h, h.creation(bearer))
			return func() error {
				_, err := h.confirm(bearer, made)
				return err
			}
		},
		"ALinkToAProvider": func(h *harness, bearer string) func() error {
			back := h.beginLink(h.provider(), bearer)
			return func() error { return h.completeLink(bearer, back) }
		},
		"NoLinkToAProvider": func(h *harness, bearer string) func() error {
			p := h.provider()
			require.NoError(h, h.completeLink(bearer, h.beginLink(p, bearer)))
			return func() error { return h.unlink(bearer, p.id) }
		},
		"RecoveryCodes": func(h *harness, bearer string) func() error {
			_, confirmed := h.enrol(bearer)
			return func() error {
				_, err := h.factors.RegenerateRecoveryCodes(h.as(confirmed.GetToken()), &identityv1.RegenerateRecoveryCodesRequest{})
				return err
			}
		},
	} {
		t.Run("R43 "+name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			key := h.withPassword("ada@example.com", "")
			act := prepare(h, h.signIn("ada@example.com").token)
			what := []string{`credentials`, `api_keys`, `user_emails`, `email_additions`, `factors`, `recovery_codes`, `federated_identities`}
			before := h.dumpOf(what...)
			requireReason(t, unauthenticated, h.meanwhile(key, `DELETE FROM sessions`, act))
			require.Equal(t, before, h.dumpOf(what...))
		})
	}
}

// dumpOf is what stands in tables.
func (h *harness) dumpOf(tables ...string) (all []string) {
	h.Helper()
	for _, table := range tables {
		var rows string
		require.NoError(h, h.owner.QueryRow(h.Context(), `SELECT coalesce(string_agg(t::text, E'\n' ORDER BY t::text), '') FROM `+table+` t`).Scan(&rows))
		all = append(all, rows)
	}
	return all
}
