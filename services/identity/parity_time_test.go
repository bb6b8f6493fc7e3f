package identity

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/secret"
)

// samples is how often each call is measured. `make parity` asks for 200; a few, on a machine that does other things too, say nothing.
var samples = flag.Int("samples", 2, "calls of each kind that TestParityInTime measures; from 100 on it wants to see a gap of less than 10 %")

// TestParityInTime measures in turns what takes those whom there is and those whom there is not. It runs alone.
func TestParityInTime(t *testing.T) {
	h := start(t)
	h.withRealPassword("known@example.com")
	_, err := h.accounts.SignUp(h.as(""), &identityv1.SignUpRequest{Email: "pending@example.com", Password: goodPassword, DisplayName: "P"})
	require.NoError(t, err)
	var pending id.SignUp
	require.NoError(t, h.owner.QueryRow(t.Context(), `SELECT id FROM sign_ups`).Scan(&pending))
	for _, c := range []struct {
		name string
		call func(known bool) error
		fail bool
	}{
		{"sign in", func(known bool) error {
			h.exec(`DELETE FROM sign_in_failures`)
			return h.tries(home, map[bool]string{true: "known@example.com", false: "nobody@example.com"}[known], "wrong password")
		}, true},
		{"sign up, and ask for the link again", func(known bool) error {
			h.exec(`DELETE FROM stranger_mails`)
			_, err := h.accounts.SignUp(h.from(home), &identityv1.SignUpRequest{
				Email: map[bool]string{true: "known@example.com", false: "nobody@example.com"}[known], Password: goodPassword, DisplayName: "X"})
			return err
		}, false},
		{"forget the password", func(known bool) error {
			_, err := h.passwords.RequestPasswordReset(h.from(home), &identityv1.RequestPasswordResetRequest{
				Email: map[bool]string{true: "known@example.com", false: "nobody@example.com"}[known]})
			return err
		}, false},
		{"verify an address", func(known bool) error {
			of := id.NewSignUp()
			if known {
				of = pending
			}
			_, err := h.accounts.VerifyEmail(h.from(home), &identityv1.VerifyEmailRequest{Token: secret.New(secret.Link, of).Text()})
			return err
		}, true},
	} {
		t.Run(fmt.Sprint("R63 ", c.name), func(t *testing.T) {
			took := make(map[bool][]time.Duration)
			for i := range 2 * (*samples + 5) {
				known := (i^i>>1)&1 == 0 // not by turns: the collector comes by turns, too
				begin := time.Now()
				err := c.call(known)
				if spent := time.Since(begin); i >= 10 {
					took[known] = append(took[known], spent)
				}
				require.Equal(t, c.fail, err != nil, "%v", err)
			}
			median := func(known bool) time.Duration {
				slices.Sort(took[known])
				return took[known][len(took[known])/2]
			}
			gap := float64(median(true)-median(false)) / float64(median(false))
			t.Logf("known %v, unknown %v: %+.1f %%", median(true), median(false), 100*gap)
			if *samples >= 100 {
				require.InDelta(t, 0, gap, 0.10)
			}
		})
	}
}
