package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// oauthAnswer is an answer of RFC 7662 or RFC 7009.
type oauthAnswer struct {
	status int
	header http.Header
	text   string
	told   map[string]any
}

// oauth posts a form as RFC 7662 and RFC 7009 have it.
func oauth(t *testing.T, path, bearer string, form url.Values) (a oauthAnswer) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, suite.URL+"/oauth/"+path, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	answer, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	a = oauthAnswer{status: answer.StatusCode, header: answer.Header, text: strings.TrimSpace(string(text))}
	require.NoError(t, json.Unmarshal(text, &a.told), a.text)
	return a
}

// TestTokens is about what services of the platform ask about what people show them.
func TestTokens(t *testing.T) {
	t.Parallel()

	scenario(t, "R51 a service learns whose a session or a key is, and of the rest only that it is not active", func(t *testing.T, over string) {
		_, made := platform(t, over, "sessions.introspect")
		ada := signUp(t, over)
		session := signIn(t, over, ada.Email)
		key := apiKey(t, session.client, "members.read", "org.read")
		service := connect("gRPC", made.GetSecret())
		told, err := service.IntrospectToken(t.Context(), &identityv1.IntrospectTokenRequest{Token: session.Token})
		require.NoError(t, err)
		require.True(t, told.GetActive())
		require.Equal(t, ada.ID, told.GetAccountId())

		form := func(token string) url.Values {
			return url.Values{"token": {token}, "token_type_hint": {"access_token"}}
		}
		answer := oauth(t, "introspect", made.GetSecret(), form(session.Token))
		require.Equal(t, http.StatusOK, answer.status)
		require.Equal(t, "application/json", answer.header.Get("Content-Type"))
		require.Equal(t, "no-store", answer.header.Get("Cache-Control"))
		require.Equal(t, map[string]any{"active": true, "sub": ada.ID, "kind": "session", "token_type": "Bearer", "iat": float64(told.GetIssueTime().GetSeconds()),
			"exp": float64(told.GetExpireTime().GetSeconds()), "auth_time": float64(told.GetAuthTime().GetSeconds())}, answer.told)
		answer = oauth(t, "introspect", made.GetSecret(), form(key.GetSecret()))
		require.Equal(t, map[string]any{"active": true, "sub": ada.ID, "kind": "api_key", "token_type": "Bearer", "scope": "members.read org.read",
			"iat": float64(key.GetApiKey().GetCreateTime().GetSeconds()), "exp": float64(key.GetApiKey().GetExpireTime().GetSeconds())}, answer.told)
		for name, dead := range map[string]string{"nonsense": "nonsense", "a service account": made.GetSecret(), "an operator": suite.operator, "cut": session.Token[:len(session.Token)-1]} {
			answer = oauth(t, "introspect", made.GetSecret(), form(dead))
			require.Equal(t, http.StatusOK, answer.status, name)
			require.Equal(t, `{"active":false}`, answer.text, name)
			require.Equal(t, http.StatusOK, oauth(t, "revoke", made.GetSecret(), form(dead)).status, name)
		}
	})

	scenario(t, "R51 what a service revokes ends everywhere, and the answer is the same again", func(t *testing.T, over string) {
		_, made := platform(t, over, "sessions.introspect")
		ada := signUp(t, over)
		session := signIn(t, over, ada.Email)
		_, err := session.GetMe(t.Context(), &identityv1.GetMeRequest{})
		require.NoError(t, err)
		for range 2 {
			if over == "REST" {
				require.Equal(t, http.StatusOK, oauth(t, "revoke", made.GetSecret(), url.Values{"token": {session.Token}}).status)
				continue
			}
			_, err := connect(over, made.GetSecret()).RevokeToken(t.Context(), &identityv1.RevokeTokenRequest{Token: session.Token})
			require.NoError(t, err)
		}
		require.Equal(t, `{"active":false}`, oauth(t, "introspect", made.GetSecret(), url.Values{"token": {session.Token}}).text)
		eventually(t, func() bool {
			_, err := session.GetMe(t.Context(), &identityv1.GetMeRequest{})
			return fault.ReasonOf(err) == errorv1.Reason_REASON_UNAUTHENTICATED
		}, "the session is over wherever it was used")
	})

	scenario(t, "R51 a service learns whose the key of an organization's service account is, and ends it, which the organization sees", func(t *testing.T, over string) {
		of, made := platform(t, over, "sessions.introspect")
		org := create(t, over, pipeline)
		program := org.program(t, "org.read", "members.read")
		key, kept := org.programKey(t, program, "org.read"), org.programKey(t, program)
		answer := oauth(t, "introspect", made.GetSecret(), url.Values{"token": {key.GetSecret()}})
		require.Equal(t, map[string]any{"active": true, "sub": program, "kind": "service_account_key", "organization_id": org.ID, "token_type": "Bearer", "scope": "org.read",
			"iat": float64(key.GetApiKey().GetCreateTime().GetSeconds()), "exp": float64(key.GetApiKey().GetExpireTime().GetSeconds())}, answer.told)
		for range 2 {
			if over == "REST" {
				require.Equal(t, http.StatusOK, oauth(t, "revoke", made.GetSecret(), url.Values{"token": {key.GetSecret()}}).status)
				continue
			}
			_, err := connect(over, made.GetSecret()).RevokeToken(t.Context(), &identityv1.RevokeTokenRequest{Token: key.GetSecret()})
			require.NoError(t, err)
		}
		require.Equal(t, `{"active":false}`, oauth(t, "introspect", made.GetSecret(), url.Values{"token": {key.GetSecret()}}).text)
		_, err := connect(over, key.GetSecret()).GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
		require.Contains(t, []errorv1.Reason{errorv1.Reason_REASON_UNAUTHENTICATED, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND}, fault.ReasonOf(err))
		_, err = connect(over, kept.GetSecret()).GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
		require.NoError(t, err, "the other one goes on")
		org.shown(t)
		ended := org.audit(t, org.owner, func(r *membershipv1.ListAuditEventsRequest) {
			r.Types = []string{"organization.service_account_key_deleted"}
		})
		require.Len(t, ended, 1)
		require.Equal(t, membershipv1.AuditEvent_Actor_KIND_SERVICE_ACCOUNT, ended[0].GetActor().GetKind())
		require.Equal(t, of, ended[0].GetActor().GetId())

		_, err = org.owner.DeleteOrganization(t.Context(), &membershipv1.DeleteOrganizationRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		require.Equal(t, `{"active":false}`, oauth(t, "introspect", made.GetSecret(), url.Values{"token": {kept.GetSecret()}}).text)
		require.Equal(t, http.StatusOK, oauth(t, "revoke", made.GetSecret(), url.Values{"token": {kept.GetSecret()}}).status)
	})

	t.Run("R51 who asks is a service account with the scope, in a form", func(t *testing.T) {
		t.Parallel()
		_, wrong := platform(t, "gRPC", "access.check")
		ada := signUp(t, "gRPC")
		for _, path := range []string{"introspect", "revoke"} {
			form := url.Values{"token": {ada.Token}}
			nobody := oauth(t, path, "", form)
			require.Equal(t, http.StatusUnauthorized, nobody.status)
			require.Equal(t, "Bearer", nobody.header.Get("WWW-Authenticate"))
			for _, other := range []string{ada.Token, suite.operator, wrong.GetSecret()} {
				require.Equal(t, http.StatusForbidden, oauth(t, path, other, form).status)
			}
			require.Equal(t, http.StatusUnauthorized, oauth(t, path, "nonsense", form).status)
			require.Equal(t, http.StatusBadRequest, oauth(t, path, wrong.GetSecret(), nil).status)
			require.Equal(t, http.StatusBadRequest, oauth(t, path, wrong.GetSecret(), url.Values{"token": {"a", "b"}}).status)
		}
		_, err := ada.GetMe(t.Context(), &identityv1.GetMeRequest{})
		require.NoError(t, err)
	})
}
