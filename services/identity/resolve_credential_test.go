package identity

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/credential"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/internal/secret"
)

func (h *harness) resolve(secret string, cookie bool) (*identityv1.ResolveCredentialResponse, error) {
	return h.credential.ResolveCredential(h.Context(), &identityv1.ResolveCredentialRequest{Secret: secret, Cookie: cookie, Audience: "membership"})
}

func (h *harness) verify(audience, token string) (credential.Claims, error) {
	return credential.NewVerifier(audience, credential.KeysOf(h.credential), time.Now).Verify(h.Context(), token)
}

func TestResolveCredential(t *testing.T) {
	t.Parallel()
	t.Run("ASessionIsAnAccountForOneService", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("ada@example.com", "")
		s, bearer := h.open(ada)
		resolved, err := h.resolve(bearer, false)
		require.NoError(t, err)
		claims, err := h.verify("membership", resolved.GetToken())
		require.NoError(t, err)
		require.Equal(t, ada, claims.Account)
		require.Equal(t, s.GetId(), claims.Session.String())
		require.True(t, claims.Operator.IsZero())
		require.Equal(t, s.GetCreateTime().AsTime().Unix(), claims.AuthTime.Unix())
		require.Equal(t, credential.Lifetime, claims.Expires.Sub(claims.IssuedAt))
		require.Equal(t, claims.Expires.Unix(), resolved.GetExpireTime().AsTime().Unix())
		_, err = h.verify("billing", resolved.GetToken())
		requireReason(t, unauthenticated, err)
	})
	t.Run("R48 ATokenIsNoSecret", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, bearer := h.open(h.insert("ada@example.com", ""))
		resolved, err := h.resolve(bearer, false)
		require.NoError(t, err)
		_, err = h.resolve(resolved.GetToken(), false)
		requireReason(t, unauthenticated, err)
	})
	t.Run("R33 ACookieIsNoTokenAndATokenNoCookie", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("ada@example.com", "")
		_, token := h.open(ada)
		opened, err := h.directory.OpenSession(t.Context(), &identityv1.OpenSessionRequest{AccountId: ada.String()})
		require.NoError(t, err)
		_, err = h.resolve(opened.GetSecret(), true)
		require.NoError(t, err)
		_, err = h.resolve(opened.GetSecret(), false)
		requireReason(t, unauthenticated, err)
		_, err = h.resolve(token, true)
		requireReason(t, unauthenticated, err)
	})
	t.Run("R41 SessionsEndByThemselves", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("ada@example.com", "")
		for name, c := range map[string]struct {
			change string
			live   bool
		}{
			"just not idle":    {`last_use_time = now() - interval '11 hours 59 minutes'`, true},
			"idle":             {`last_use_time = now() - interval '12 hours'`, false},
			"just not too old": {`expire_time = now() + interval '30 seconds'`, true},
			"too old":          {`expire_time = now()`, false},
		} {
			s, bearer := h.open(ada)
			h.exec(`UPDATE sessions SET `+c.change+` WHERE id = $1`, parse(t, s))
			resolved, err := h.resolve(bearer, false)
			if c.live {
				require.NoError(t, err, name)
				require.LessOrEqual(t, time.Until(resolved.GetExpireTime().AsTime()), time.Minute)
				continue
			}
			requireReason(t, unauthenticated, err)
		}
		s, bearer := h.open(ada)
		h.exec(`UPDATE sessions SET expire_time = now() + interval '30 seconds' WHERE id = $1`, parse(t, s))
		resolved, err := h.resolve(bearer, false)
		require.NoError(t, err)
		require.LessOrEqual(t, time.Until(resolved.GetExpireTime().AsTime()), 30*time.Second, "a token does not outlive its session")
	})
	t.Run("R39 OtherSecretsAreOneAnswer", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("ada@example.com", "")
		_, bearer := h.open(ada)
		var first string
		for _, other := range []string{
			"", "x", bearer[:len(bearer)-1], bearer + "A", strings.ToUpper(bearer), strings.TrimPrefix(bearer, "rst_"), "rok_" + bearer[4:],
			secret.New(secret.Session, ada).Text(), secret.New(secret.Session, id.NewAccount()).Text(),
			secret.New(secret.OperatorKey, id.NewOperator()).Text(), secret.New(secret.Link, ada).Text(),
		} {
			_, err := h.resolve(other, false)
			requireReason(t, unauthenticated, err)
			if first == "" {
				first = err.Error()
			}
			require.Equal(t, first, err.Error())
		}
	})
	t.Run("NotesTheUseOnceAMinute", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		s, bearer := h.open(h.insert("ada@example.com", ""))
		key := parse(t, s)
		version := func() (v string) {
			require.NoError(t, h.owner.QueryRow(t.Context(), `SELECT xmin::text FROM sessions WHERE id = $1`, key).Scan(&v))
			return v
		}
		before := version()
		_, err := h.resolve(bearer, false)
		require.NoError(t, err)
		require.Equal(t, before, version(), "it was used less than a minute ago")
		h.exec(`UPDATE sessions SET last_use_time = now() - interval '61 seconds' WHERE id = $1`, key)
		_, err = h.resolve(bearer, false)
		require.NoError(t, err)
		require.Equal(t, 1, count(h, `sessions WHERE last_use_time > now() - interval '30 seconds'`))
	})
	t.Run("WaitsForNobody", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		s, bearer := h.open(h.insert("ada@example.com", ""))
		h.exec(`UPDATE sessions SET last_use_time = now() - interval '1 hour'`)
		tx, err := h.owner.Begin(t.Context())
		require.NoError(t, err)
		defer func() { _ = tx.Rollback(context.Background()) }()
		_, err = tx.Exec(t.Context(), `SELECT 1 FROM sessions WHERE id = $1 FOR UPDATE`, parse(t, s))
		require.NoError(t, err)
		begin := time.Now()
		_, err = h.resolve(bearer, false)
		require.NoError(t, err)
		require.Less(t, time.Since(begin), 2*time.Second) // the limit on waiting for a lock
	})
	t.Run("AnOperatorsKeyIsAnOperator", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		claimed := h.claim(h.bootstrap(h.service))
		resolved, err := h.resolve(claimed.GetApiKey(), false)
		require.NoError(t, err)
		claims, err := h.verify("membership", resolved.GetToken())
		require.NoError(t, err)
		require.Equal(t, claimed.GetOperatorId(), claims.Operator.String())
		require.True(t, claims.Account.IsZero() && claims.Session.IsZero() && claims.AuthTime.IsZero())
		_, err = h.resolve(claimed.GetApiKey(), true)
		requireReason(t, unauthenticated, err)
		_, err = h.accounts.GetMe(h.as(claimed.GetApiKey()), &identityv1.GetMeRequest{})
		requireReason(t, callerRefused, err)
		h.exec(`UPDATE operator_keys SET expire_time = now()`)
		_, err = h.resolve(claimed.GetApiKey(), false)
		requireReason(t, unauthenticated, err)
	})
	t.Run("RefusesWhoIsNoService", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, bearer := h.open(h.insert("ada@example.com", ""))
		for _, ctx := range []context.Context{h.as(""), h.as(bearer)} {
			_, err := h.credential.ResolveCredential(ctx, &identityv1.ResolveCredentialRequest{Secret: bearer, Audience: "membership"})
			requireReason(t, callerRefused, err)
		}
		_, err := h.credential.ResolveCredential(t.Context(), &identityv1.ResolveCredentialRequest{Secret: bearer, Audience: "everyone"})
		requireReason(t, invalid, err)
	})
}

func TestListSigningKeys(t *testing.T) {
	t.Parallel()
	t.Run("R54 PublicHalvesOnly", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		answer, err := h.credential.ListSigningKeys(t.Context(), &identityv1.ListSigningKeysRequest{})
		require.NoError(t, err)
		var set struct{ Keys []map[string]any }
		require.NoError(t, json.Unmarshal([]byte(answer.GetJwks()), &set))
		require.Len(t, set.Keys, 2, "the one that signs, and the next")
		require.NotContains(t, set.Keys[0], "d")
		require.NotContains(t, set.Keys[1], "d")
		require.Equal(t, "EdDSA", set.Keys[0]["alg"])
		require.Equal(t, "Ed25519", set.Keys[0]["crv"])
	})
	t.Run("InstancesThatStartAtOnceAgreeOnOne", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		instances := []*Service{h.instance(), h.instance(), h.instance(), h.instance()}
		names := make([]string, len(instances))
		for _, err := range h.together(len(instances), func(i int) error {
			key, err := instances[i].signingKey(t.Context())
			names[i] = key.KeyID
			return err
		}) {
			require.NoError(t, err)
		}
		require.Equal(t, []string{names[0], names[0], names[0], names[0]}, names)
		require.Equal(t, 2, count(h, `signing_keys`), "and on the next")
	})
	t.Run("AnotherKeyFileSignsNothing", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, err := h.service.signingKey(t.Context())
		require.NoError(t, err)
		other := h.instance()
		other.Key = seal.NewKey([32]byte{9})
		_, err = other.signingKey(t.Context())
		require.ErrorIs(t, err, seal.ErrOpen)
	})
}
