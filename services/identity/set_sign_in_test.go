package identity

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/events"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func (h *harness) managed(by id.Organization, email string) id.Account {
	h.Helper()
	key := h.withPassword(email, "")
	h.exec(`UPDATE accounts SET managed_by = $2 WHERE id = $1`, key, by)
	return key
}

func (h *harness) setSignIn(key id.Account, by id.Organization, allowed bool, revision int64) bool {
	h.Helper()
	answer, err := h.membership.SetSignIn(h.Context(), &identityv1.SetSignInRequest{
		AccountId: key.String(), OrganizationId: by.String(), Allowed: allowed, Revision: revision,
	})
	require.NoError(h, err)
	return answer.GetManaged()
}

func (h *harness) trySignIn(email string) error {
	_, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
		Email: email, Password: goodPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN,
	})
	return err
}

func TestSetSignIn(t *testing.T) {
	t.Parallel()
	org, other := id.NewOrganization(), id.NewOrganization()

	t.Run("R44 KeepsAManagedAccountOut", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.managed(org, "ada@example.com")
		_, bearer := h.open(key)
		require.True(t, h.setSignIn(key, org, false, 7))
		_, err := h.resolve(bearer, false)
		requireReason(t, unauthenticated, err)
		requireReason(t, credentialsInvalid, h.trySignIn("ada@example.com"))
		_, err = h.directory.OpenSession(t.Context(), &identityv1.OpenSessionRequest{AccountId: key.String()})
		requireReason(t, accountNotFound, err)
		require.Equal(t, []string{"account.signed_in", "session.ended", "account.disabled"}, h.types(key.String()))

		require.True(t, h.setSignIn(key, org, true, 9))
		require.NoError(t, h.trySignIn("ada@example.com"))
		require.Equal(t, "account.enabled", h.types(key.String())[3])
		_, err = h.resolve(bearer, false)
		requireReason(t, unauthenticated, err)
	})
	t.Run("RepeatedAndLateRequestsChangeNothing", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.managed(org, "ada@example.com")
		for range 3 {
			require.True(t, h.setSignIn(key, org, false, 7))
		}
		require.True(t, h.setSignIn(key, org, true, 6))
		require.Equal(t, []string{"account.disabled"}, h.types(key.String()))
		requireReason(t, credentialsInvalid, h.trySignIn("ada@example.com"))
	})
	t.Run("R81 AnotherOrganizationHasNoSay", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.managed(org, "ada@example.com")
		own := h.withPassword("bob@example.com", "")
		require.False(t, h.setSignIn(key, other, false, 7))
		require.False(t, h.setSignIn(own, other, false, 7))
		require.False(t, h.setSignIn(id.NewAccount(), other, false, 7))
		require.NoError(t, h.trySignIn("ada@example.com"))
		require.NoError(t, h.trySignIn("bob@example.com"))
	})
	t.Run("NobodySlipsInMeanwhile", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.managed(org, "ada@example.com")
		h.together(11, func(i int) error {
			if i == 5 {
				h.setSignIn(key, org, false, 7)
				return nil
			}
			_, err := h.directory.OpenSession(h.Context(), &identityv1.OpenSessionRequest{AccountId: key.String()})
			return err
		})
		require.Zero(t, count(h, `sessions`))
	})
	t.Run("RefusesWhatIsNotValid", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, err := h.membership.SetSignIn(t.Context(), &identityv1.SetSignInRequest{AccountId: "x", OrganizationId: org.String()})
		requireReason(t, invalid, err)
		_, err = h.membership.SetSignIn(t.Context(), &identityv1.SetSignInRequest{AccountId: id.NewAccount().String()})
		requireReason(t, invalid, err)
		_, err = h.directory.SetSignIn(t.Context(), &identityv1.SetSignInRequest{})
		requireReason(t, callerRefused, err)
	})
}

func TestMemberAdded(t *testing.T) {
	t.Parallel()
	org, other := id.NewOrganization(), id.NewOrganization()
	added := func(org id.Organization, key string) events.Event {
		data, err := json.Marshal(map[string]any{
			"context": map[string]any{"cause": map[string]any{"kind": "KIND_INVITE", "id": "inv_x"}},
			"member":  map[string]any{"accountId": key},
		})
		require.NoError(t, err)
		return events.Event{Type: "member.added", Service: "membership", Aggregate: org.String(), Data: data}
	}

	t.Run("ASecondMembershipFreesTheAccount", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.managed(org, "ada@example.com")
		require.NoError(t, h.service.Consume(t.Context(), added(org, key.String())))
		require.True(t, h.setSignIn(key, org, false, 7), "its own membership changes nothing")
		for range 2 {
			require.NoError(t, h.service.Consume(t.Context(), added(other, key.String())))
		}
		require.NoError(t, h.trySignIn("ada@example.com"))
		require.False(t, h.setSignIn(key, org, false, 9))
		require.Equal(t, []string{"account.disabled", "account.enabled", "account.signed_in"}, h.types(key.String()))
	})
	t.Run("IgnoresAccountsOfNobody", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		require.NoError(t, h.service.Consume(t.Context(), added(org, h.insert("ada@example.com", "").String())))
		require.NoError(t, h.service.Consume(t.Context(), added(org, id.NewAccount().String())))
		require.Error(t, h.service.Consume(t.Context(), added(org, "x")))
	})
}
