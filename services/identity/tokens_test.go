package identity

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/secret"
)

func (h *harness) introspect(as, token string) (*identityv1.IntrospectTokenResponse, error) {
	return h.tokens.IntrospectToken(h.as(as), &identityv1.IntrospectTokenRequest{Token: token})
}

func (h *harness) revoke(as, token string) error {
	_, err := h.tokens.RevokeToken(h.as(as), &identityv1.RevokeTokenRequest{Token: token})
	return err
}

func TestTokens(t *testing.T) {
	t.Parallel()
	nothing := &identityv1.IntrospectTokenResponse{}

	t.Run("R51 WhatLivesIsTold", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		service := h.serviceKey(operator, h.serviceAccount(operator, "sessions.introspect")).GetSecret()
		ada := h.insert("ada@example.com", "")
		opened, bearer := h.open(ada)
		answer, err := h.introspect(service, bearer)
		require.NoError(t, err)
		require.True(t, answer.GetActive())
		require.Equal(t, ada.String(), answer.GetAccountId())
		require.Equal(t, identityv1.IntrospectTokenResponse_KIND_SESSION, answer.GetKind())
		require.Empty(t, answer.GetScopes())
		require.True(t, answer.GetExpireTime().AsTime().After(time.Now()))
		require.Equal(t, opened.GetAuthTime().AsTime().Unix(), answer.GetAuthTime().AsTime().Unix())
		require.Equal(t, opened.GetCreateTime().AsTime(), answer.GetIssueTime().AsTime())

		made := h.makeKey(bearer, "members.read", "org.read")
		answer, err = h.introspect(service, made.GetSecret())
		require.NoError(t, err)
		require.True(t, proto.Equal(&identityv1.IntrospectTokenResponse{Active: true, AccountId: ada.String(), Kind: identityv1.IntrospectTokenResponse_KIND_API_KEY,
			Scopes: []string{"members.read", "org.read"}, IssueTime: made.GetApiKey().GetCreateTime(), ExpireTime: made.GetApiKey().GetExpireTime()}, answer), "%v", answer)
	})
	t.Run("R51 OfTheRestOnlyThatItIsNotActive", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		of := h.serviceAccount(operator, "sessions.introspect", "access.check")
		service := h.serviceKey(operator, of).GetSecret()
		ada := h.insert("ada@example.com", "")
		_, live := h.open(ada)
		_, over := h.open(ada)
		_, err := h.sessions.SignOut(h.as(over), &identityv1.SignOutRequest{})
		require.NoError(t, err)
		half, pending := h.open(ada)
		h.exec(`UPDATE sessions SET stage = 'CHALLENGE' WHERE id = $1`, parse(t, half))
		inCookie, cookie := h.open(ada)
		h.exec(`UPDATE sessions SET delivery = 'COOKIE' WHERE id = $1`, parse(t, inCookie))
		deleted := h.makeKey(live, "org.read")
		_, err = h.keys.DeleteApiKey(h.as(live), &identityv1.DeleteApiKeyRequest{ApiKeyId: deleted.GetApiKey().GetId()})
		require.NoError(t, err)
		resolved, err := h.resolve(live, false)
		require.NoError(t, err)
		before := count(h, `sessions`)
		for name, token := range map[string]string{
			"malformed": "x", "long": strings.Repeat("x", 8000), "of a deployment elsewhere": secret.New(secret.Session, ada).Text(),
			"over": over, "not complete": pending, "a cookie": cookie, "a key that was deleted": deleted.GetSecret(),
			"an operator": operator, "a service account": service, "cut": live[:len(live)-1], "longer": live + "A",
			"a link": secret.New(secret.Link, ada).Text(), "an internal token": resolved.GetToken(), "nobody's": secret.New(secret.APIKey, id.NewAccount()).Text(),
		} {
			answer, err := h.introspect(service, token)
			require.NoError(t, err, name)
			require.True(t, proto.Equal(nothing, answer), "%s: %v", name, answer)
			if name != "not complete" {
				require.NoError(t, h.revoke(service, token), name)
			}
		}
		require.Equal(t, before, count(h, `sessions`))
		_, err = h.introspect(service, live)
		require.NoError(t, err, "the key of the service account works")
		_, err = h.resolve(operator, false)
		require.NoError(t, err)
		require.NoError(t, h.revoke(service, pending))
		require.Equal(t, before-1, count(h, `sessions`), "whoever holds it may end it")
	})
	t.Run("R51 WhatIsRevokedIsOverAndTheAnswerTheSame", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		of := h.serviceAccount(operator, "sessions.introspect")
		service := h.serviceKey(operator, of).GetSecret()
		ada := h.insert("ada@example.com", "")
		_, kept := h.open(ada)
		_, bearer := h.open(ada)
		key := h.makeKey(kept, "org.read").GetSecret()
		for _, token := range []string{bearer, bearer, key, key} {
			require.NoError(t, h.revoke(service, token))
			answer, err := h.introspect(service, token)
			require.NoError(t, err)
			require.True(t, proto.Equal(nothing, answer))
			_, err = h.resolve(token, false)
			requireReason(t, unauthenticated, err)
		}
		_, err := h.resolve(kept, false)
		require.NoError(t, err)
		var told []string
		for _, e := range h.events(ada.String()) {
			if actor := e.Data["context"].(map[string]any)["actor"].(map[string]any); actor["kind"] == "KIND_SERVICE_ACCOUNT" {
				require.Equal(t, of, actor["id"])
				told = append(told, e.Type)
			}
		}
		require.Equal(t, []string{"session.ended", "account.api_key_deleted"}, told)
	})
	t.Run("R51 NobodyElseAsks", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		_, bearer := h.open(h.insert("ada@example.com", ""))
		for name, c := range map[string]struct {
			as   string
			want errorv1.Reason
		}{
			"nobody":            {"", unauthenticated},
			"a person":          {bearer, callerRefused},
			"a person's key":    {h.makeKey(bearer, "org.read").GetSecret(), callerRefused},
			"an operator":       {operator, callerRefused},
			"without the scope": {h.serviceKey(operator, h.serviceAccount(operator, "access.check")).GetSecret(), errorv1.Reason_REASON_PERMISSION_MISSING},
		} {
			_, err := h.introspect(c.as, bearer)
			require.Error(t, err, name)
			requireReason(t, c.want, err)
			requireReason(t, c.want, h.revoke(c.as, bearer))
		}
		_, err := h.resolve(bearer, false)
		require.NoError(t, err)
	})
}
