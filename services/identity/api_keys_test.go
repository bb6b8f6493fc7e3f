package identity

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// makeKey makes a key for a person.
func (h *harness) makeKey(bearer string, scopes ...string) *identityv1.CreateApiKeyResponse {
	h.Helper()
	made, err := h.keys.CreateApiKey(h.as(bearer), &identityv1.CreateApiKeyRequest{DisplayName: "Deploy", Scopes: scopes})
	require.NoError(h, err)
	return made
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()

	t.Run("R53 AreShownOnceAndStoredAsAHash", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("ada@example.com", "")
		_, bearer := h.open(ada)
		made := h.makeKey(bearer, "members.read", "invitations.create")
		require.Regexp(t, `^rak_[A-Za-z0-9_-]{72}$`, made.GetSecret())
		listed, err := h.keys.ListApiKeys(h.as(bearer), &identityv1.ListApiKeysRequest{})
		require.NoError(t, err)
		require.Len(t, listed.GetApiKeys(), 1)
		key := listed.GetApiKeys()[0]
		require.Equal(t, []string{"invitations.create", "members.read"}, key.GetScopes())
		require.Equal(t, made.GetSecret()[len(made.GetSecret())-4:], key.GetLastFour())
		require.Nil(t, key.GetLastUseTime())
		require.Equal(t, 90*24*time.Hour, key.GetExpireTime().AsTime().Sub(key.GetCreateTime().AsTime()))
		require.Equal(t, 1, count(h, `api_keys WHERE octet_length(secret_hash) = 32`))
		require.NotContains(t, h.dump(), made.GetSecret())
		require.Equal(t, []string{"account.signed_in", "account.api_key_created"}, h.types(ada.String()))
	})
	t.Run("R53 AreTheirOwnersWithTheirScopes", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("ada@example.com", "")
		_, bearer := h.open(ada)
		made := h.makeKey(bearer, "members.read")
		resolved, err := h.resolve(made.GetSecret(), false)
		require.NoError(t, err)
		claims, err := h.verify("membership", resolved.GetToken())
		require.NoError(t, err)
		require.Equal(t, ada, claims.Account)
		require.Equal(t, made.GetApiKey().GetId(), claims.Key.String())
		require.Equal(t, []string{"members.read"}, claims.Scopes)
		require.Zero(t, claims.AuthTime)
		require.Zero(t, claims.Session)
		require.Equal(t, 1, claims.Reach)
		h.exec(`UPDATE accounts SET factors = 2`)
		resolved, err = h.resolve(made.GetSecret(), false)
		require.NoError(t, err)
		claims, err = h.verify("membership", resolved.GetToken())
		require.NoError(t, err)
		require.Equal(t, 2, claims.Reach, "R38: as many factors as its owner has")
		require.Equal(t, 1, count(h, `api_keys WHERE last_use_time IS NOT NULL`))
		_, err = h.resolve(made.GetSecret(), true)
		requireReason(t, unauthenticated, err)
	})
	t.Run("R53 AreWorthNothingOnceDeletedExpiredOrTheirOwnerMayNotSignIn", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("ada@example.com", "")
		_, bearer := h.open(ada)
		deleted, expired, left := h.makeKey(bearer, "org.read"), h.makeKey(bearer, "org.read"), h.makeKey(bearer, "org.read")
		_, err := h.keys.DeleteApiKey(h.as(bearer), &identityv1.DeleteApiKeyRequest{ApiKeyId: deleted.GetApiKey().GetId()})
		require.NoError(t, err)
		_, err = h.keys.DeleteApiKey(h.as(bearer), &identityv1.DeleteApiKeyRequest{ApiKeyId: deleted.GetApiKey().GetId()})
		requireReason(t, keyNotFound, err)
		key, err := id.ParseAPIKey(expired.GetApiKey().GetId())
		require.NoError(t, err)
		h.exec(`UPDATE api_keys SET expire_time = now() WHERE id = $1`, key)
		for _, gone := range []string{deleted.GetSecret(), expired.GetSecret()} {
			_, err = h.resolve(gone, false)
			requireReason(t, unauthenticated, err)
		}
		_, err = h.resolve(left.GetSecret(), false)
		require.NoError(t, err)
		h.exec(`UPDATE accounts SET managed_by = $1, sign_in_allowed = false WHERE id = $2`, id.NewOrganization(), ada)
		_, err = h.resolve(left.GetSecret(), false)
		requireReason(t, unauthenticated, err)
	})
	t.Run("R53 MakeNoKeysAndReachNothingOfTheAccount", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, bearer := h.open(h.insert("ada@example.com", ""))
		made := h.makeKey(bearer, "members.read")
		key := made.GetSecret()
		for name, err := range map[string]error{
			"make": func() error {
				_, err := h.keys.CreateApiKey(h.as(key), &identityv1.CreateApiKeyRequest{DisplayName: "More", Scopes: []string{"members.read"}})
				return err
			}(),
			"list": func() error { _, err := h.keys.ListApiKeys(h.as(key), &identityv1.ListApiKeysRequest{}); return err }(),
			"delete": func() error {
				_, err := h.keys.DeleteApiKey(h.as(key), &identityv1.DeleteApiKeyRequest{ApiKeyId: made.GetApiKey().GetId()})
				return err
			}(),
			"password": func() error {
				_, err := h.passwords.ChangePassword(h.as(key), &identityv1.ChangePasswordRequest{CurrentPassword: "x", Password: goodPassword})
				return err
			}(),
			"reset": func() error {
				_, err := h.passwords.ResetPassword(h.as(key), &identityv1.ResetPasswordRequest{Token: "x", Password: goodPassword})
				return err
			}(),
			"me": func() error { _, err := h.accounts.GetMe(h.as(key), &identityv1.GetMeRequest{}); return err }(),
			"sessions": func() error {
				_, err := h.sessions.ListSessions(h.as(key), &identityv1.ListSessionsRequest{})
				return err
			}(),
		} {
			require.Error(t, err, name)
			requireReason(t, callerRefused, err)
		}
		require.Equal(t, 1, count(h, `api_keys`))
	})
	t.Run("R53 AskWhoIsThere", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		opened, bearer := h.open(h.insert("ada@example.com", ""))
		h.exec(`UPDATE sessions SET auth_time = now() - interval '11 minutes' WHERE id = $1`, parse(t, opened))
		_, err := h.keys.CreateApiKey(h.as(bearer), &identityv1.CreateApiKeyRequest{DisplayName: "Deploy", Scopes: []string{"org.read"}})
		requireReason(t, errorv1.Reason_REASON_STEP_UP_REQUIRED, err)
	})
	t.Run("RB15 AreForPermissionsThatThereAre", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, bearer := h.open(h.insert("ada@example.com", ""))
		create := func(scopes ...string) error {
			_, err := h.keys.CreateApiKey(h.as(bearer), &identityv1.CreateApiKeyRequest{DisplayName: "Deploy", Scopes: scopes})
			return err
		}
		for _, unknown := range []string{"members.raed", "app:billing.none", "sessions.introspect"} {
			err := create("org.read", unknown)
			requireReason(t, invalid, err)
			require.Equal(t, "scopes", fault.From(err).Fields[0].Name)
			require.Contains(t, fault.From(err).Fields[0].Reason, `"`+unknown+`"`)
		}
		require.Zero(t, count(h, `api_keys`))
		require.NoError(t, create("org.read", "app:billing.refund"))

		h.roles.err = fault.New(errorv1.Reason_REASON_UNAVAILABLE, "Later.")
		requireReason(t, errorv1.Reason_REASON_UNAVAILABLE, create("org.read"))
		require.Equal(t, 1, count(h, `api_keys`), "what nobody can look up is not made")
	})
	t.Run("R53 LiveAYearAtMost", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, bearer := h.open(h.insert("ada@example.com", ""))
		for _, wrong := range []*identityv1.CreateApiKeyRequest{
			{DisplayName: "Deploy", Scopes: []string{"org.read"}, ExpireTime: timestamppb.New(time.Now().Add(366 * 24 * time.Hour))},
			{DisplayName: "Deploy", Scopes: []string{"org.read"}, ExpireTime: timestamppb.New(time.Now().Add(-time.Hour))},
			{DisplayName: "Deploy"},
			{DisplayName: "Deploy", Scopes: []string{"*"}},
			{DisplayName: "Deploy", Scopes: []string{"members.*"}},
			{Scopes: []string{"org.read"}},
		} {
			_, err := h.keys.CreateApiKey(h.as(bearer), wrong)
			requireReason(t, invalid, err)
		}
		require.Zero(t, count(h, `api_keys`))
	})
	t.Run("R12 R43 R44 EndWithATemporaryPasswordAResetAndDisabling", func(t *testing.T) {
		t.Parallel()
		for name, end := range map[string]func(*harness, id.Account, id.Organization){
			"a temporary password": func(h *harness, key id.Account, org id.Organization) {
				_, err := h.issue(key, org, id.NewSeat())
				require.NoError(h, err)
			},
			"a reset": func(h *harness, _ id.Account, _ id.Organization) {
				link := h.resetLinks(&identityv1.RequestPasswordResetRequest{Email: "ada@example.com"}, "ada@example.com")[0]
				require.NoError(h, h.reset(link, otherPassword, "once"))
			},
			"disabling": func(h *harness, key id.Account, org id.Organization) {
				require.True(h, h.setSignIn(key, org, false, 1))
				require.True(h, h.setSignIn(key, org, true, 2))
			},
		} {
			h := start(t)
			key, org := h.broughtIn("ada@example.com")
			ada := h.signIn("ada@example.com")
			first, second := h.makeKey(ada.token, "org.read"), h.makeKey(ada.token, "org.read")
			require.NoError(t, h.change(ada.token, goodPassword, otherPassword))
			_, err := h.resolve(first.GetSecret(), false)
			require.NoError(t, err, "who changes their own password keeps their keys")
			end(h, key, org)
			for _, made := range []*identityv1.CreateApiKeyResponse{first, second} {
				_, err := h.resolve(made.GetSecret(), false)
				requireReason(t, unauthenticated, err)
			}
			require.Zero(t, count(h, `api_keys`), name)
			var told []any
			for _, e := range h.events(key.String()) {
				if e.Type == "account.api_key_deleted" {
					told = append(told, e.Data["api_key_id"], e.Data["apiKeyId"])
				}
			}
			require.Subset(t, told, []any{first.GetApiKey().GetId(), second.GetApiKey().GetId()}, name)
		}
	})
	t.Run("AreFiftyAtMostAndExpiredOnesDoNotCount", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("ada@example.com", "")
		_, bearer := h.open(ada)
		h.exec(`INSERT INTO api_keys SELECT $1, gen_random_uuid(), sha256(i::text::bytea), 'Deploy', '{org.read}', 'abcd', now(), NULL, now() + interval '1 day'
			FROM generate_series(1, 50) i`, ada)
		_, err := h.keys.CreateApiKey(h.as(bearer), &identityv1.CreateApiKeyRequest{DisplayName: "Deploy", Scopes: []string{"org.read"}})
		requireReason(t, errorv1.Reason_REASON_LIMIT_REACHED, err)
		h.exec(`UPDATE api_keys SET expire_time = now()`)
		h.makeKey(bearer, "org.read")
		require.Equal(t, 1, count(h, `api_keys`))
	})
	t.Run("R77 AnothersIsNotFound", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, bearer := h.open(h.insert("ada@example.com", ""))
		_, bobs := h.open(h.insert("bob@example.com", ""))
		theirs := h.makeKey(bobs, "org.read")
		for _, key := range []string{theirs.GetApiKey().GetId(), id.NewAPIKey().String(), "x"} {
			_, err := h.keys.DeleteApiKey(h.as(bearer), &identityv1.DeleteApiKeyRequest{ApiKeyId: key})
			requireReason(t, keyNotFound, err)
		}
		require.Equal(t, 1, count(h, `api_keys`))
	})
}
