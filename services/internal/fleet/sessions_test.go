package fleet_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/fleet"
	"github.com/rosterhq/roster/services/internal/newcomer"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// ends are the ways to take access away. They are called at one gateway, with the owner's session unless it is one's own; then a
// path is refused at the other.
var ends = []struct {
	name, verb, body string
	own              bool
	path             string
	refused          int
}{
	{name: "a sign-out", verb: "/v1/sessions:signOut", own: true, path: "/v1/me", refused: http.StatusUnauthorized},
	{name: "disabling", verb: "{member}:disable", path: "/v1/me", refused: http.StatusUnauthorized},
	{name: "a reset of factors", verb: "{member}:resetMfa", path: "/v1/me", refused: http.StatusUnauthorized},
	{name: "a temporary password", verb: "{member}:resetPassword", path: "/v1/me", refused: http.StatusUnauthorized},
	{name: "the end of a member's sessions", verb: "{member}:revokeSessions", path: "/v1/me", refused: http.StatusUnauthorized},
	{name: "another role", verb: "{member}:changeRole", body: `{"role":"member"}`, path: "{organization}/auditEvents", refused: http.StatusForbidden},
	{name: "removal", verb: "{member}:remove", path: "{organization}/people", refused: http.StatusNotFound},
}

// Two of every role, with all that they remember. Access that is taken away at one gateway is refused at the other, and at the services
// themselves; without NATS as well. What is remembered is used for half a minute: it is refused long before.
func TestAccessEndsEverywhere(t *testing.T) {
	t.Parallel()
	f := start(t, fleet.Config{Copies: 2})
	const longBefore = 15 * time.Second

	call := func(t *testing.T, gateway int, method, path, token, body string) (int, map[string]any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, f.URLs[gateway]+path, strings.NewReader(body))
		require.NoError(t, err)
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		req.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		said := make(map[string]any)
		require.NoError(t, json.Unmarshal(text, &said), string(text))
		return answer.StatusCode, said
	}
	must := func(t *testing.T, gateway int, method, path, token, body string) map[string]any {
		t.Helper()
		code, said := call(t, gateway, method, path, token, body)
		require.Equal(t, http.StatusOK, code, "%s: %v", path, said)
		return said
	}

	inbox := newcomer.In(f.Mail)
	owner, err := newcomer.SignUp(t.Context(), f.Conn(), inbox, "ada@example.com")
	require.NoError(t, err)
	organization := "/v1/organizations/" + must(t, 0, http.MethodPost, "/v1/organizations", owner.Session,
		`{"displayName":"Acme","preset":"PRESET_RBAC"}`)["organization"].(map[string]any)["id"].(string)

	// join makes an account that the organization manages, and gives it a second factor.
	join := func(t *testing.T, email string) (member, token string) {
		must(t, 0, http.MethodPost, organization+"/invitations", owner.Session, `{"email":"`+email+`","role":"admin","displayName":"Grace"}`)
		link, err := inbox(t.Context(), email, "/invite/")
		require.NoError(t, err)
		joined := must(t, 0, http.MethodPost, "/v1/invitations:accept", "", `{"linkToken":"`+link+`","password":"`+newcomer.Password+`","displayName":"Grace","delivery":"DELIVERY_TOKEN"}`)
		token = joined["sessionToken"].(string)
		begun := must(t, 0, http.MethodPost, "/v1/me/factors/totp", token, `{}`)
		confirmed := must(t, 0, http.MethodPost, "/v1/me/factors/"+begun["factorId"].(string)+":confirm", token,
			`{"code":"`+testkit.TOTP(t, begun["secret"].(string))+`"}`)
		return organization + "/members/" + joined["accountId"].(string), confirmed["token"].(string)
	}

	// everywhere takes access away in every way at once.
	everywhere := func(t *testing.T, domain string, without func() (back func())) {
		type someone struct{ member, token string }
		people := make([]someone, len(ends))
		for i := range ends {
			people[i].member, people[i].token = join(t, "grace"+string(rune('a'+i))+domain)
		}
		if without != nil {
			defer without()()
		}
		t.Run("by", func(t *testing.T) {
			for i, end := range ends {
				who, in := people[i], strings.NewReplacer("{organization}", organization, "{member}", people[i].member)
				t.Run(end.name, func(t *testing.T) {
					t.Parallel()
					direct := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+who.token)
					me := func() codes.Code {
						_, err := identityv1.NewAccountServiceClient(f.Conn()).GetMe(direct, &identityv1.GetMeRequest{})
						return status.Code(err)
					}
					path, by := in.Replace(end.path), owner.Session
					if end.own {
						by = who.token
					}
					must(t, 1, http.MethodGet, path, who.token, "")
					require.Equal(t, codes.OK, me())
					must(t, 0, http.MethodPost, in.Replace(end.verb), by, end.body)
					begin := time.Now()
					for code := 0; code != end.refused; code, _ = call(t, 1, http.MethodGet, path, who.token, "") {
						require.Less(t, time.Since(begin), longBefore)
					}
					for end.refused == http.StatusUnauthorized && me() != codes.Unauthenticated {
						require.Less(t, time.Since(begin), longBefore, "directly")
					}
					t.Log("after", time.Since(begin))
				})
			}
		})
	}
	t.Run("R43 S2-41 S2-45 S2-48 RB18 within a second", func(t *testing.T) { everywhere(t, "@one.example", nil) })
	t.Run("R87 within five seconds when NATS is cut", func(t *testing.T) {
		everywhere(t, "@two.example", func() func() {
			f.Broker.Pause()
			return f.Broker.Resume
		})
	})
}
