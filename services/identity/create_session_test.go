package identity

import (
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/argon2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/rosterhq/roster/pkg/fault"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/id"
)

// weakHash is a hash of goodPassword that costs nothing to check: for tests of what happens around it.
func weakHash() string {
	salt := []byte("0123456789abcdef")
	key := argon2.IDKey([]byte(goodPassword), salt, 1, 8, 1, 32)
	return fmt.Sprintf("$argon2id$v=19$m=8,t=1,p=1$%s$%s", base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

// withPassword is insert, and goodPassword signs in.
func (h *harness) withPassword(email, username string) id.Account {
	h.Helper()
	key := h.insert(email, username)
	h.exec(`UPDATE credentials SET password_hash = $2 WHERE account_id = $1`, key, weakHash())
	return key
}

func TestCreateSession(t *testing.T) {
	t.Parallel()
	request := func(email, password string) *identityv1.CreateSessionRequest {
		return &identityv1.CreateSessionRequest{Email: email, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN}
	}

	t.Run("ByAddressAndByUsername", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "ada")
		byEmail, err := h.sessions.CreateSession(h.as(""), request("ADA@example.com", goodPassword))
		require.NoError(t, err)
		byName, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
			Username: "Ada", Password: goodPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN,
		})
		require.NoError(t, err)
		for _, in := range []*identityv1.CreateSessionResponse{byEmail, byName} {
			s := in.GetSession()
			require.Equal(t, key.String(), s.GetAccountId())
			require.True(t, s.GetCurrent())
			require.Equal(t, "Firefox/140 (X11)", s.GetUserAgent())
			require.Equal(t, session.Absolute, s.GetExpireTime().AsTime().Sub(s.GetCreateTime().AsTime()))
			require.True(t, strings.HasPrefix(in.GetToken(), "rst_"))
		}
		require.NotEqual(t, byEmail.GetToken(), byName.GetToken(), "R39")
		require.Equal(t, []string{"account.signed_in", "account.signed_in"}, h.types(key.String()))
		require.Equal(t, byEmail.GetSession().GetId(), h.events(key.String())[0].Data["sessionId"])
		require.Equal(t, 2, count(h, `sessions WHERE address = '203.0.113.7'`))
	})
	t.Run("R40 ACookieIsForTheGatewayAlone", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		for _, delivery := range []identityv1.Delivery{identityv1.Delivery_DELIVERY_UNSPECIFIED, identityv1.Delivery_DELIVERY_COOKIE} {
			var header metadata.MD
			req := request("ada@example.com", goodPassword)
			req.Delivery = delivery
			in, err := h.sessions.CreateSession(h.as(""), req, grpc.Header(&header))
			require.NoError(t, err)
			require.Empty(t, in.GetToken())
			require.Len(t, header.Get("roster-session-secret"), 1)
			require.True(t, strings.HasPrefix(header.Get("roster-session-secret")[0], "rst_"))

			for _, from := range []string{"", "membership"} {
				var header metadata.MD
				_, err := identityv1.NewSessionServiceClient(h.dial(from)).CreateSession(t.Context(), req, grpc.Header(&header))
				requireReason(t, invalid, err)
				require.Equal(t, "delivery", fault.From(err).Fields[0].Name)
				require.Empty(t, header.Get("roster-session-secret"))
			}
		}
		var header metadata.MD
		_, err := h.sessions.CreateSession(h.as(""), request("ada@example.com", goodPassword), grpc.Header(&header))
		require.NoError(t, err)
		require.Empty(t, header.Get("roster-session-secret"), "a token is not in a header")
		direct, err := identityv1.NewSessionServiceClient(h.dial("")).CreateSession(t.Context(), request("ada@example.com", goodPassword))
		require.NoError(t, err)
		require.NotEmpty(t, direct.GetToken())
	})
	t.Run("R8 UnknownUnverifiedAndWrongAreOneAnswer", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "ada")
		h.exec(`INSERT INTO usernames (username, invitation_id, generation) VALUES ('held', $1, 1)`, id.NewInvitation())
		_, err := h.accounts.SignUp(h.as(""), &identityv1.SignUpRequest{Email: "unverified@example.com", Password: goodPassword, DisplayName: "Ada"})
		require.NoError(t, err)
		passwordless := h.insert("nopassword@example.com", "")
		h.exec(`DELETE FROM credentials WHERE account_id = $1`, passwordless)
		var answers []string
		for _, req := range []*identityv1.CreateSessionRequest{
			request("ada@example.com", "wrong"), request("nobody@example.com", goodPassword), request("unverified@example.com", goodPassword),
			request("nopassword@example.com", goodPassword), request("not an address", goodPassword), request("ada@example.com", goodPassword+"\x00"),
			{Username: "nobody", Password: goodPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN},
			{Username: "held", Password: goodPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN},
			{Username: "ada lovelace", Password: goodPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN},
			{Username: "ada", Password: strings.ToUpper(goodPassword), Delivery: identityv1.Delivery_DELIVERY_TOKEN},
		} {
			var header, trailer metadata.MD
			_, err := h.sessions.CreateSession(h.as(""), req, grpc.Header(&header), grpc.Trailer(&trailer))
			requireReason(t, credentialsInvalid, err)
			answers = append(answers, fmt.Sprint(err, header, trailer))
			require.Equal(t, answers[0], answers[len(answers)-1])
		}
		require.Zero(t, count(h, `sessions`))
		require.GreaterOrEqual(t, count(h, `sign_in_failures WHERE account_id NOT IN (SELECT id FROM accounts)`), 5, "work for nobody is the same work")
	})
	t.Run("R61 AfterFiveFailuresThereIsADelay", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "ada")
		other := h.withPassword("bob@example.com", "")
		for i := range 5 {
			req := request("ada@example.com", "wrong")
			if i%2 == 1 { // however the account is named
				req.Email, req.Username = "", "ada"
			}
			_, err := h.sessions.CreateSession(h.as(""), req)
			requireReason(t, credentialsInvalid, err)
		}
		h.exec(`UPDATE sign_in_failures SET next_time = now() + interval '1 hour'`) // no race with the clock
		_, err := h.sessions.CreateSession(h.as(""), request("ada@example.com", goodPassword))
		requireReason(t, credentialsInvalid, err)
		require.Equal(t, 1, count(h, `sign_in_failures WHERE account_id = $1 AND count = 5 AND next_time > now() + interval '59 minutes'`, key),
			"trying meanwhile makes nothing worse")
		_, err = h.sessions.CreateSession(h.as(""), request("bob@example.com", goodPassword))
		require.NoError(t, err, "others are not affected")
		require.Empty(t, h.types(key.String()))
		require.NotEmpty(t, h.types(other.String()))

		h.exec(`UPDATE sign_in_failures SET next_time = now()`)
		_, err = h.sessions.CreateSession(h.as(""), request("ada@example.com", goodPassword))
		require.NoError(t, err)
		require.Zero(t, count(h, `sign_in_failures WHERE account_id = $1`, key), "success begins anew")
	})
	t.Run("R61 ManyAtOnceAreNoWayAroundIt", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		h.together(20, func(int) error {
			_, err := h.sessions.CreateSession(h.as(""), request("ada@example.com", "wrong"))
			return err
		})
		var counted int
		require.NoError(t, h.owner.QueryRow(t.Context(), `SELECT count FROM sign_in_failures WHERE account_id = $1`, key).Scan(&counted))
		// When a delay begins, the passwords that the other processors have in hand are looked at, too.
		most := counted + (counted-account.FreeFailures+1)*(runtime.GOMAXPROCS(0)-1)
		require.LessOrEqual(t, count(h, `sign_ins WHERE reason = 'WRONG_PASSWORD'`), most)
	})
	t.Run("R61 ARightOneThatWasLookedAtMeanwhileOpensNothing", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		in := h.signIn("ada@example.com")
		h.exec(`DELETE FROM known_networks`)
		const wait = `INSERT INTO sign_in_failures (account_id, network, count, next_time) SELECT id, '', 5, now() + interval '1 hour' FROM accounts`
		for name, try := range map[string]func() error{
			"CreateSession": func() error {
				_, err := h.sessions.CreateSession(h.as(""), request("ada@example.com", goodPassword))
				return err
			},
			"Reauthenticate": func() error {
				_, err := h.sessions.Reauthenticate(h.as(in.token), &identityv1.ReauthenticateRequest{Password: goodPassword})
				return err
			},
			"ChangePassword": func() error {
				_, err := h.passwords.ChangePassword(h.as(in.token), &identityv1.ChangePasswordRequest{CurrentPassword: goodPassword, Password: otherPassword})
				return err
			},
		} {
			h.exec(`DELETE FROM sign_in_failures`)
			err := h.meanwhile(key, wait, try) // somebody else has guessed, at another replica
			require.Equal(t, credentialsInvalid, fault.ReasonOf(err), name)
		}
		require.Equal(t, 1, count(h, `sessions`))
	})
	t.Run("R5 AWeakHashIsReplaced", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		for range 2 {
			_, err := h.sessions.CreateSession(h.as(""), request("ada@example.com", goodPassword))
			require.NoError(t, err)
			require.Equal(t, 1, count(h, `credentials WHERE password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'`))
		}
	})
	t.Run("R5 APlantedHashIsRefused", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		h.exec(`UPDATE credentials SET password_hash = replace(password_hash, 'm=8,', 'm=4294967295,') WHERE account_id = $1`, key)
		begin := time.Now()
		_, err := h.sessions.CreateSession(h.as(""), request("ada@example.com", goodPassword))
		requireReason(t, credentialsInvalid, err)
		require.Less(t, time.Since(begin), 5*time.Second)
		require.Contains(t, h.logged.String(), "a stored password hash cannot be used")
	})
	t.Run("R3 ComposedAndDecomposedAreOnePassword", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, err := h.accounts.SignUp(h.as(""), &identityv1.SignUpRequest{Email: "ada@example.com", Password: "caf\u00e9 harbor quilt", DisplayName: "Ada"})
		require.NoError(t, err)
		_, err = h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: h.linkFor("ada@example.com")})
		require.NoError(t, err)
		_, err = h.sessions.CreateSession(h.as(""), request("ada@example.com", "cafe\u0301 harbor quilt"))
		require.NoError(t, err)
	})
	t.Run("AnAddressThatNobodyProvedIsTheOnlyClaimants", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		claim := func() id.Account {
			key := h.withPassword("", "user-"+id.NewAccount().String())
			h.exec(`INSERT INTO user_emails VALUES ('ada@example.com', $1, false)`, key)
			return key
		}
		first := claim()
		in, err := h.sessions.CreateSession(h.as(""), request("ada@example.com", goodPassword))
		require.NoError(t, err)
		require.Equal(t, first.String(), in.GetSession().GetAccountId())
		claim()
		_, err = h.sessions.CreateSession(h.as(""), request("ada@example.com", goodPassword))
		requireReason(t, credentialsInvalid, err)
		proven := h.withPassword("ada@example.com", "")
		in, err = h.sessions.CreateSession(h.as(""), request("ada@example.com", goodPassword))
		require.NoError(t, err)
		require.Equal(t, proven.String(), in.GetSession().GetAccountId())
	})
	t.Run("R47 TheOldestOfFiftyEnds", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		first, _ := h.open(key)
		h.exec(`UPDATE sessions SET create_time = create_time - interval '1 hour'`)
		h.exec(`
			INSERT INTO sessions SELECT account_id, gen_random_uuid(), sha256(n::text::bytea), delivery, now(), now(), expire_time, '', '', stage, level, auth_time
			FROM sessions, generate_series(1, 49) n`)
		_, err := h.sessions.CreateSession(h.as(""), request("ada@example.com", goodPassword))
		require.NoError(t, err)
		require.Equal(t, 50, count(h, `sessions`))
		events := h.events(key.String())
		require.Equal(t, []string{"account.signed_in", "session.ended", "account.signed_in"}, h.types(key.String()))
		require.Equal(t, first.GetId(), events[1].Data["sessionId"])
	})
	t.Run("R6 APasswordThatChangedMeanwhileDoesNotSignIn", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		stale := proof{password: &rightPassword{Credential: store.Credential{AccountID: key, SetTime: time.Unix(1, 0)}}}
		_, _, err := h.service.openSession(t.Context(), session.Session{AccountID: key, Delivery: session.Token}, stale, id.Session{})
		require.ErrorIs(t, err, account.ErrCredentialsInvalid)
		require.Zero(t, count(h, `sessions`))
	})
	t.Run("R7 IsBusyWhenTooManyHash", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.fillGate()
		_, err := h.sessions.CreateSession(h.as(""), request("ada@example.com", goodPassword))
		requireReason(t, busy, err)
		require.NotZero(t, fault.From(err).Retry)
	})
	t.Run("RefusesWhatIsNotValid", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		for _, req := range []*identityv1.CreateSessionRequest{
			{Password: goodPassword}, {Email: "ada@example.com", Username: "ada", Password: goodPassword}, request("ada@example.com", ""),
			request("ada@example.com", strings.Repeat("x", 1025)), {Email: "ada@example.com", Password: goodPassword, Delivery: 9},
		} {
			_, err := h.sessions.CreateSession(h.as(""), req)
			requireReason(t, invalid, err)
		}
	})
}
