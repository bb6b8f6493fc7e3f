package identity

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/newcomer"
)

func TestSignUp(t *testing.T) {
	t.Parallel()
	request := func(email string) *identityv1.SignUpRequest {
		return &identityv1.SignUpRequest{Email: email, Password: goodPassword, DisplayName: "Ada Lovelace"}
	}

	t.Run("MailsALinkAndMakesNothing", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, err := h.accounts.SignUp(h.as(""), request(" Ada@Bücher.example "))
		require.NoError(t, err)
		token := h.linkFor("Ada@xn--bcher-kva.example")
		require.Len(t, token, 64)
		require.Zero(t, count(h, `accounts`))
		require.Zero(t, count(h, `user_emails`))
		require.Zero(t, count(h, `events`))
		require.Zero(t, count(h, `sign_ups WHERE encode(token_hash, 'escape') LIKE '%' || $1 || '%'`, token))
	})
	t.Run("R14 AKnownAddressGetsTheSameAnswerAndAnotherMail", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.insert("ada@example.com", "")
		known, err := h.accounts.SignUp(h.as(""), request("ADA@example.com"))
		require.NoError(t, err)
		unknown, err := h.accounts.SignUp(h.as(""), request("bob@example.com"))
		require.NoError(t, err)
		require.Equal(t, known.String(), unknown.String())
		require.Equal(t, 2, h.sweep(mail.TaskKind))
		require.Contains(t, h.outbox.to("ADA@example.com")[0].Text, "https://roster.test/sign-in")
		require.NotContains(t, h.outbox.to("ADA@example.com")[0].Text, "/verify/")
		require.Contains(t, h.outbox.to("bob@example.com")[0].Text, "/verify/")
		require.Equal(t, 2, count(h, `sign_ups`), "the same rows are written")
	})
	t.Run("R19 AnAddressGetsFiveMailsAnHour", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		for _, err := range h.together(8, func(int) error {
			_, err := newcomer.Patient(func() (*identityv1.SignUpResponse, error) { // eight hashes at once can be too many
				return h.accounts.SignUp(h.as(""), request("ada@example.com"))
			})
			return err
		}) {
			require.NoError(t, err)
		}
		require.Equal(t, 5, h.sweep(mail.TaskKind))
		_, err := h.accounts.SignUp(h.as(""), request("bob@example.com"))
		require.NoError(t, err)
		require.Equal(t, 1, h.sweep(mail.TaskKind), "others are not affected")
		h.exec(`UPDATE stranger_mails SET times[1] = times[1] - interval '1 hour'`)
		_, err = h.accounts.SignUp(h.as(""), request("ADA@example.com"))
		require.NoError(t, err)
		_, err = h.accounts.SignUp(h.as(""), request("ADA@example.com"))
		require.NoError(t, err)
		require.Equal(t, 1, h.sweep(mail.TaskKind), "one hour later there is one more")
	})
	t.Run("R16 TheLinkHasOurOrigin", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ctx := metadata.AppendToOutgoingContext(h.as(""), "host", "evil.example", "x-forwarded-host", "evil.example",
			"x-forwarded-proto", "http", "forwarded", "host=evil.example", "origin", "https://evil.example", "referer", "https://evil.example/")
		_, err := h.accounts.SignUp(ctx, request("ada@example.com"))
		require.NoError(t, err)
		require.NotEmpty(t, h.linkFor("ada@example.com"))
		for _, m := range h.outbox.to("ada@example.com") {
			require.NotContains(t, m.Text+m.HTML, "evil")
		}
	})
	t.Run("RefusesWhatIsNotValid", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		for _, change := range []func(*identityv1.SignUpRequest){
			func(r *identityv1.SignUpRequest) { r.Email = "ada" },
			func(r *identityv1.SignUpRequest) { r.Email = "" },
			func(r *identityv1.SignUpRequest) { r.Email = "ada@example.com\nBcc: eve@example.com" },
			func(r *identityv1.SignUpRequest) { r.DisplayName = "" },
			func(r *identityv1.SignUpRequest) { r.DisplayName = "Ada\nLovelace" },
			func(r *identityv1.SignUpRequest) { r.Password = "" },
		} {
			req := request("ada@example.com")
			change(req)
			_, err := h.accounts.SignUp(h.as(""), req)
			requireReason(t, invalid, err)
		}
	})
	t.Run("R4 RefusesAWeakPasswordForKnownAndUnknownAlike", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.insert("ada@example.com", "")
		for _, email := range []string{"ada@example.com", "bob@example.com"} {
			for _, weak := range []string{"too short", "passwordpassword", "Ada Lovelace 1843"} {
				req := request(email)
				req.Password = weak
				_, err := h.accounts.SignUp(h.as(""), req)
				requireReason(t, passwordRefused, err)
				require.NotContains(t, err.Error(), weak)
			}
		}
	})
	t.Run("R7 IsBusyWhenTooManyHash", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.fillGate()
		_, err := h.accounts.SignUp(h.as(""), request("ada@example.com"))
		requireReason(t, busy, err)
	})
	t.Run("IsForgottenAfterADay", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, err := h.accounts.SignUp(h.as(""), request("ada@example.com"))
		require.NoError(t, err)
		require.Zero(t, h.sweep(signUpTask))
		h.exec(`UPDATE sign_ups SET expire_time = expire_time - interval '1 day'`)
		h.exec(`UPDATE stranger_mails SET expire_time = expire_time - interval '1 day'`)
		h.exec(`UPDATE due SET next_time = next_time - interval '1 day'`)
		require.Equal(t, 1, h.sweep(signUpTask))
		require.Zero(t, count(h, `sign_ups`))
		require.Zero(t, count(h, `stranger_mails`))
		require.Zero(t, count(h, `due WHERE kind = 'sign_up'`))
	})
}
