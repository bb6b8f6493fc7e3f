package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/rest"
)

// forwarded sends requests as the proxy before the gateway does, with what it says of where they come from.
type forwarded string

func (f forwarded) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", string(f))
	return http.DefaultTransport.RoundTrip(r)
}

// guess signs in from somewhere; empty: from this machine, where everybody has signed in who signed up here.
func guess(t *testing.T, from, identifier, password string) (*identityv1.CreateSessionResponse, error) {
	t.Helper()
	conn := &rest.Conn{URL: suite.URL, HTTP: http.DefaultClient}
	if from != "" {
		conn.HTTP = &http.Client{Transport: forwarded(from)}
	}
	req := &identityv1.CreateSessionRequest{Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN}
	if strings.Contains(identifier, "@") {
		req.Email = identifier
	} else {
		req.Username = identifier
	}
	return identityv1.NewSessionServiceClient(conn).CreateSession(t.Context(), req)
}

// failures is how many failures count against somebody where nobody is known, and for how long nobody there may try again after the last one.
func failures(t *testing.T, who *person) (count int, wait time.Duration) {
	t.Helper()
	require.NoError(t, suite.owners["identity"].QueryRow(t.Context(), `
		SELECT count, f.next_time - (SELECT max(time) FROM sign_ins WHERE account_id = $1 AND reason IN ('WRONG_PASSWORD', 'WRONG_CODE'))
		FROM sign_in_failures f WHERE account_id = $1 AND network = ''`, key(t, who)).Scan(&count, &wait))
	return count, wait
}

// let makes the time come at which those who wait may try again, or puts it off.
func let(t *testing.T, who *person, next time.Duration) {
	t.Helper()
	_, err := suite.owners["identity"].Exec(t.Context(), `UPDATE sign_in_failures SET next_time = now() + $2 WHERE account_id = $1`, key(t, who), next)
	require.NoError(t, err)
}

const right, wrong = password, "not the password"

// TestAttempts is about guessing, from wherever the proxy before the gateway says.
func TestAttempts(t *testing.T) {
	t.Parallel()
	fails := func(t *testing.T, from, identifier, password string) {
		t.Helper()
		_, err := guess(t, from, identifier, password)
		refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)
	}
	succeeds := func(t *testing.T, from, identifier string) *identityv1.CreateSessionResponse {
		t.Helper()
		in, err := guess(t, from, identifier, right)
		require.NoError(t, err)
		return in
	}

	t.Run("R61 after five failures everybody waits, twice as long each time, for a quarter of an hour at most", func(t *testing.T) {
		t.Parallel()
		who := signUp(t, "REST")
		for i := range 4 {
			fails(t, fmt.Sprintf("198.51.100.%d", i), who.Email, wrong)
		}
		want := []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900}
		for i, seconds := range want {
			fails(t, fmt.Sprintf("203.0.113.%d", i), who.Email, wrong)
			count, wait := failures(t, who)
			require.Equal(t, 5+i, count)
			require.Equal(t, seconds*time.Second, wait)
			let(t, who, time.Hour)
			fails(t, "192.0.2.1", who.Email, right)
			count, _ = failures(t, who)
			require.Equal(t, 5+i, count, "what is not looked at does not count")
			let(t, who, 0)
		}
		succeeds(t, "192.0.2.1", who.Email)
		fails(t, "192.0.2.2", who.Email, wrong)
		count, wait := failures(t, who)
		require.Equal(t, 1, count, "who has signed in begins anew")
		require.LessOrEqual(t, wait, time.Duration(0))
	})

	t.Run("R61 failures count for the account, however it is written", func(t *testing.T) {
		t.Parallel()
		who := signUp(t, "REST")
		username := unique("ada")
		_, err := who.UpdateMe(t.Context(), &identityv1.UpdateMeRequest{Username: username})
		require.NoError(t, err)
		spellings := []string{who.Email, strings.ToUpper(who.Email), username, strings.ToUpper(username)}
		for i, written := range append(spellings, who.Email) {
			fails(t, fmt.Sprintf("198.51.100.%d", i), written, wrong)
		}
		count, _ := failures(t, who)
		require.Equal(t, 5, count)
		let(t, who, time.Hour)
		for _, written := range spellings {
			fails(t, "192.0.2.1", written, right)
		}
	})

	t.Run("R61 who is known where they are gets in while strangers guess, and has a count there", func(t *testing.T) {
		t.Parallel()
		who := signUp(t, "REST")
		const home, neighbour, elsewhere = "2001:db8:1:2::7", "2001:db8:1:2:ffff::9", "2001:db8:1:3::7"
		succeeds(t, home, who.Email)
		for range 5 {
			fails(t, elsewhere, who.Email, wrong)
		}
		let(t, who, time.Hour)
		fails(t, elsewhere, who.Email, right)
		fails(t, "198.51.100.1", who.Email, right)
		succeeds(t, home, who.Email)
		succeeds(t, neighbour, who.Email) // of one /64
		fails(t, elsewhere, who.Email, right)
		count, _ := failures(t, who)
		require.Equal(t, 5, count, "which forgives strangers nothing")

		for range 5 {
			fails(t, neighbour, who.Email, wrong)
		}
		let(t, who, time.Hour)
		fails(t, home, who.Email, right) // guessing at home takes as long
		succeeds(t, "", who.Email)       // and is no other place's
	})

	t.Run("R61 a right password with a wrong code forgives nothing", func(t *testing.T) {
		t.Parallel()
		who := signUp(t, "REST")
		a, _, _ := enrol(t, "REST", who.client)
		const from = "198.51.100.7"
		answers := func(code string) error {
			in := succeeds(t, from, who.Email)
			require.NotNil(t, in.GetChallenge())
			conn := &rest.Conn{URL: suite.URL, Token: in.GetToken(), HTTP: &http.Client{Transport: forwarded(from)}}
			_, err := identityv1.NewSessionServiceClient(conn).AnswerChallenge(t.Context(), &identityv1.AnswerChallengeRequest{Code: code})
			return err
		}
		fails(t, from, who.Email, wrong)
		for i := range 3 {
			refused(t, answers("AAAA-AAAA-AAAA-AAAA-AAAA-AAAA"), errorv1.Reason_REASON_CODE_INVALID)
			count, _ := failures(t, who)
			require.Equal(t, 2+i, count)
		}
		fails(t, from, who.Email, wrong)
		count, wait := failures(t, who)
		require.Equal(t, 5, count)
		require.Equal(t, time.Second, wait)
		let(t, who, time.Hour)
		fails(t, from, who.Email, right)
		let(t, who, 0)
		require.NoError(t, answers(a.code(t)))
		fails(t, "192.0.2.2", who.Email, wrong)
		count, _ = failures(t, who)
		require.Equal(t, 1, count, "the whole sign-in does")
	})

	t.Run("R62 who says of themselves where they are is not believed", func(t *testing.T) {
		t.Parallel()
		who := signUp(t, "REST")
		const home, mallory = "198.51.100.7", "203.0.113.9"
		succeeds(t, home, who.Email)
		for i := range 5 {
			fails(t, fmt.Sprintf("192.0.2.%d, %s", i, mallory), who.Email, wrong)
		}
		let(t, who, time.Hour)
		fails(t, home+", "+mallory, who.Email, right)
		fails(t, home+","+home+","+mallory, who.Email, right)
		succeeds(t, mallory+", "+home, who.Email)
	})
}
