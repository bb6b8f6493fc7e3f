package identity

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/rosterhq/roster/pkg/gen/roster/access/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/apikey"
	"github.com/rosterhq/roster/services/internal/id"
)

const noServiceAccount = errorv1.Reason_REASON_SERVICE_ACCOUNT_NOT_FOUND

// serviceAccount makes a service account of the deployment.
func (h *harness) serviceAccount(operator string, scopes ...string) string {
	h.Helper()
	made, err := h.services.CreateServiceAccount(h.as(operator), &identityv1.CreateServiceAccountRequest{DisplayName: "Reports", Scopes: scopes})
	require.NoError(h, err)
	return made.GetServiceAccount().GetId()
}

// serviceKey makes a key of a service account.
func (h *harness) serviceKey(operator, of string, scopes ...string) *identityv1.CreateServiceAccountKeyResponse {
	h.Helper()
	made, err := h.services.CreateServiceAccountKey(h.as(operator), &identityv1.CreateServiceAccountKeyRequest{ServiceAccountId: of, DisplayName: "Blue", Scopes: scopes})
	require.NoError(h, err)
	return made
}

func TestServiceAccounts(t *testing.T) {
	t.Parallel()

	t.Run("R53 TheirKeysAreShownOnceAndStoredAsAHash", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		of := h.serviceAccount(operator, "availability.report", "access.check")
		made := h.serviceKey(operator, of)
		require.Regexp(t, `^rsk_[A-Za-z0-9_-]{72}$`, made.GetSecret())
		key := made.GetApiKey()
		require.Equal(t, []string{"access.check", "availability.report"}, key.GetScopes(), "all that the service account has")
		require.Equal(t, 90*24*time.Hour, key.GetExpireTime().AsTime().Sub(key.GetCreateTime().AsTime()))
		require.Nil(t, key.GetLastUseTime())
		listed, err := h.services.ListServiceAccountKeys(h.as(operator), &identityv1.ListServiceAccountKeysRequest{ServiceAccountId: of})
		require.NoError(t, err)
		require.Len(t, listed.GetApiKeys(), 1)
		require.True(t, proto.Equal(key, listed.GetApiKeys()[0]))
		require.Equal(t, 1, count(h, `api_keys WHERE octet_length(secret_hash) = 32`))
		require.NotContains(t, h.dump(), made.GetSecret())
	})
	t.Run("R53 TheirKeysAreThemWithTheirScopes", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		of := h.serviceAccount(operator, "access.check", "availability.report")
		made := h.serviceKey(operator, of, "access.check")
		claims := func() (scopes []string) {
			resolved, err := h.resolve(made.GetSecret(), false)
			require.NoError(t, err)
			said, err := h.verify("membership", resolved.GetToken())
			require.NoError(t, err)
			require.Equal(t, of, said.ServiceAccount.String())
			require.Zero(t, said.Account)
			require.Equal(t, made.GetApiKey().GetId(), said.Key.String())
			return said.Scopes
		}
		require.Equal(t, []string{"access.check"}, claims())
		require.Equal(t, 1, count(h, `api_keys WHERE last_use_time IS NOT NULL`))
		_, err := h.resolve(made.GetSecret(), true)
		requireReason(t, unauthenticated, err)
		h.exec(`UPDATE service_accounts SET scopes = '{availability.report}'`)
		_, err = h.resolve(made.GetSecret(), false)
		requireReason(t, unauthenticated, err)
	})
	t.Run("R53 OneKeyFollowsAnother", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		of := h.serviceAccount(operator, "access.check")
		blue, green := h.serviceKey(operator, of), h.serviceKey(operator, of)
		for _, made := range []*identityv1.CreateServiceAccountKeyResponse{blue, green} {
			_, err := h.resolve(made.GetSecret(), false)
			require.NoError(t, err)
		}
		end := &identityv1.DeleteServiceAccountKeyRequest{ServiceAccountId: of, ApiKeyId: blue.GetApiKey().GetId()}
		_, err := h.services.DeleteServiceAccountKey(h.as(operator), end)
		require.NoError(t, err)
		_, err = h.services.DeleteServiceAccountKey(h.as(operator), end)
		requireReason(t, keyNotFound, err)
		_, err = h.resolve(blue.GetSecret(), false)
		requireReason(t, unauthenticated, err)
		_, err = h.resolve(green.GetSecret(), false)
		require.NoError(t, err)
		h.exec(`UPDATE api_keys SET expire_time = now()`)
		_, err = h.resolve(green.GetSecret(), false)
		requireReason(t, unauthenticated, err)
	})
	t.Run("R43 TheirKeysEndWithThem", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		of, other := h.serviceAccount(operator, "access.check"), h.serviceAccount(operator, "access.check")
		gone, left := h.serviceKey(operator, of), h.serviceKey(operator, other)
		_, err := h.services.DeleteServiceAccount(h.as(operator), &identityv1.DeleteServiceAccountRequest{ServiceAccountId: of})
		require.NoError(t, err)
		_, err = h.resolve(gone.GetSecret(), false)
		requireReason(t, unauthenticated, err)
		_, err = h.resolve(left.GetSecret(), false)
		require.NoError(t, err)
		account, err := id.ParseServiceAccount(of)
		require.NoError(t, err)
		require.Equal(t, []string{"account.service_account_created", "account.api_key_created", "account.api_key_deleted", "account.service_account_deleted"},
			h.types(id.Account(account).String()))
		for _, e := range h.events(id.Account(account).String()) {
			require.Equal(t, "KIND_OPERATOR", e.Data["context"].(map[string]any)["actor"].(map[string]any)["kind"])
			require.Equal(t, "203.0.113.7", e.Personal["clientAddress"], e.Type)
		}
		_, err = h.services.GetServiceAccount(h.as(operator), &identityv1.GetServiceAccountRequest{ServiceAccountId: of})
		requireReason(t, noServiceAccount, err)
		listed, err := h.services.ListServiceAccounts(h.as(operator), &identityv1.ListServiceAccountsRequest{})
		require.NoError(t, err)
		require.Len(t, listed.GetServiceAccounts(), 1)
		require.Equal(t, other, listed.GetServiceAccounts()[0].GetId())
	})
	t.Run("R77 AKeyIsFoundAtItsOwnServiceAccountAlone", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		of, other := h.serviceAccount(operator, "access.check"), h.serviceAccount(operator, "access.check")
		made := h.serviceKey(operator, of)
		for _, wrong := range []*identityv1.DeleteServiceAccountKeyRequest{
			{ServiceAccountId: other, ApiKeyId: made.GetApiKey().GetId()}, {ServiceAccountId: of, ApiKeyId: "x"},
		} {
			_, err := h.services.DeleteServiceAccountKey(h.as(operator), wrong)
			requireReason(t, keyNotFound, err)
		}
		for _, wrong := range []string{"x", id.NewServiceAccount().String(), id.NewAccount().String()} {
			_, err := h.services.DeleteServiceAccount(h.as(operator), &identityv1.DeleteServiceAccountRequest{ServiceAccountId: wrong})
			requireReason(t, noServiceAccount, err)
			_, err = h.services.ListServiceAccountKeys(h.as(operator), &identityv1.ListServiceAccountKeysRequest{ServiceAccountId: wrong})
			requireReason(t, noServiceAccount, err)
			_, err = h.services.CreateServiceAccountKey(h.as(operator), &identityv1.CreateServiceAccountKeyRequest{ServiceAccountId: wrong, DisplayName: "Blue"})
			requireReason(t, noServiceAccount, err)
			_, err = h.services.DeleteServiceAccountKey(h.as(operator), &identityv1.DeleteServiceAccountKeyRequest{ServiceAccountId: wrong, ApiKeyId: made.GetApiKey().GetId()})
			requireReason(t, noServiceAccount, err)
		}
		_, err := h.resolve(made.GetSecret(), false)
		require.NoError(t, err)
	})
	t.Run("R53 TheyReachNothingOfTheirOwn", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		of := h.serviceAccount(operator, "access.check", "availability.report")
		key := h.serviceKey(operator, of).GetSecret()
		_, err := h.services.CreateServiceAccountKey(h.as(key), &identityv1.CreateServiceAccountKeyRequest{ServiceAccountId: of, DisplayName: "More"})
		requireReason(t, callerRefused, err)
		_, err = h.services.ListServiceAccounts(h.as(key), &identityv1.ListServiceAccountsRequest{})
		requireReason(t, callerRefused, err)
		_, err = h.keys.CreateApiKey(h.as(key), &identityv1.CreateApiKeyRequest{DisplayName: "More", Scopes: []string{"access.check"}})
		requireReason(t, callerRefused, err)
		_, err = h.accounts.SignUp(h.as(key), &identityv1.SignUpRequest{Email: "ada@example.com", Password: goodPassword})
		requireReason(t, callerRefused, err)
		require.Equal(t, 1, count(h, `api_keys`))
	})
	t.Run("WhatIsWrongIsRefused", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		for _, wrong := range []*identityv1.CreateServiceAccountRequest{
			{DisplayName: "Reports"}, {Scopes: []string{"access.check"}}, {DisplayName: "Reports", Scopes: []string{"members.read"}},
			{DisplayName: "Reports", Scopes: []string{"*"}},
		} {
			_, err := h.services.CreateServiceAccount(h.as(operator), wrong)
			requireReason(t, invalid, err)
		}
		of := h.serviceAccount(operator, "access.check")
		for _, wrong := range []*identityv1.CreateServiceAccountKeyRequest{
			{DisplayName: "Blue", Scopes: []string{"availability.report"}}, {},
			{DisplayName: "Blue", ExpireTime: timestamppb.New(time.Now().Add(366 * 24 * time.Hour))},
		} {
			wrong.ServiceAccountId = of
			_, err := h.services.CreateServiceAccountKey(h.as(operator), wrong)
			requireReason(t, invalid, err)
		}
		require.Zero(t, count(h, `api_keys`))
	})
	t.Run("ThereIsALimitToEach", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		of := h.serviceAccount(operator, "access.check")
		account, err := id.ParseServiceAccount(of)
		require.NoError(t, err)
		h.exec(`INSERT INTO api_keys SELECT $1, gen_random_uuid(), sha256(i::text::bytea), 'Blue', '{access.check}', 'abcd', now(), NULL, now() + interval '1 day'
			FROM generate_series(1, 50) i`, account)
		_, err = h.services.CreateServiceAccountKey(h.as(operator), &identityv1.CreateServiceAccountKeyRequest{ServiceAccountId: of, DisplayName: "Blue"})
		requireReason(t, errorv1.Reason_REASON_LIMIT_REACHED, err)
		h.exec(`INSERT INTO service_accounts SELECT gen_random_uuid(), 'Reports', '{access.check}', now() FROM generate_series(2, 100)`)
		_, err = h.services.CreateServiceAccount(h.as(operator), &identityv1.CreateServiceAccountRequest{DisplayName: "Reports", Scopes: []string{"access.check"}})
		requireReason(t, errorv1.Reason_REASON_LIMIT_REACHED, err)
	})
	t.Run("OneRequestMakesOne", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		wanted := &identityv1.CreateServiceAccountRequest{DisplayName: "Reports", Scopes: []string{"access.check"}, RequestId: "once"}
		first, err := h.services.CreateServiceAccount(h.as(operator), wanted)
		require.NoError(t, err)
		again, err := h.services.CreateServiceAccount(h.as(operator), wanted)
		require.NoError(t, err)
		require.True(t, proto.Equal(first, again))
		require.Equal(t, 1, count(h, `service_accounts`))
	})
	t.Run("R57 ScopesAreThoseThatRulesName", func(t *testing.T) {
		t.Parallel()
		var named []string
		protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
			for i := range file.Services().Len() {
				of := file.Services().Get(i).Methods()
				for j := range of.Len() {
					rule, _ := proto.GetExtension(of.Get(j).Options(), accessv1.E_Rule).(*accessv1.Rule)
					if scope := rule.GetScope(); scope != "" && !slices.Contains(named, scope) {
						named = append(named, scope)
					}
				}
			}
			return true
		})
		require.ElementsMatch(t, apikey.Scopes, named)
	})
}
