package identity

import (
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestSessionsOfManagedAccounts(t *testing.T) {
	t.Parallel()
	type directory = identityv1.AccountDirectoryServiceClient
	sessions := func(t *testing.T, d directory, key id.Account, org id.Organization) *identityv1.ListAccountSessionsResponse {
		answer, err := d.ListAccountSessions(t.Context(), &identityv1.ListAccountSessionsRequest{AccountId: key.String(), OrganizationId: org.String()})
		require.NoError(t, err)
		return answer
	}
	activity := func(t *testing.T, d directory, key id.Account, org id.Organization) *identityv1.ListAccountLoginActivityResponse {
		answer, err := d.ListAccountLoginActivity(t.Context(), &identityv1.ListAccountLoginActivityRequest{AccountId: key.String(), OrganizationId: org.String()})
		require.NoError(t, err)
		return answer
	}

	t.Run("R46 S2-46 TheOrganizationThatManagesTheAccountSeesAllOfIt", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withApp("ada@example.com")
		key := h.withPassword("bob@example.com", "")
		h.signIn("bob@example.com")
		h.challenge("ada@example.com")
		org := id.NewOrganization()
		h.exec(`UPDATE accounts SET managed_by = $1`, org)
		shown := sessions(t, h.membership, key, org)
		require.True(t, shown.GetManaged())
		require.Len(t, shown.GetSessions(), 1)
		require.Equal(t, "203.0.113.7", shown.GetSessions()[0].GetAddress())
		require.False(t, shown.GetSessions()[0].GetCurrent())
		told := activity(t, h.membership, key, org)
		require.True(t, told.GetManaged())
		require.Len(t, told.GetActivity(), 1)
		require.True(t, told.GetActivity()[0].GetSuccess())
	})
	t.Run("R46 R81 OfAnyOtherAccountNothing", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		h.signIn("ada@example.com")
		for _, managedBy := range []any{nil, id.NewOrganization()} {
			h.exec(`UPDATE accounts SET managed_by = $1`, managedBy)
			for _, account := range []id.Account{key, id.NewAccount()} {
				require.Empty(t, sessions(t, h.membership, account, id.NewOrganization()).String())
				require.Empty(t, activity(t, h.membership, account, id.NewOrganization()).String())
			}
		}
	})
	t.Run("R43 RULING 23 AllSessionsEndOnceForAnOperation", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		h.signIn("ada@example.com")
		ada := h.signIn("ada@example.com")
		org, actor := id.NewOrganization(), id.NewAccount()
		req := &identityv1.EndSessionsRequest{OperationId: id.NewSeat().String(), AccountId: key.String(), OrganizationId: org.String(), ActorAccountId: actor.String()}
		answer, err := h.membership.EndSessions(t.Context(), req)
		require.NoError(t, err)
		require.False(t, answer.GetManaged())
		require.Equal(t, 2, count(h, `sessions`))

		h.exec(`UPDATE accounts SET managed_by = $1`, org)
		req.OperationId = id.NewSeat().String()
		answer, err = h.membership.EndSessions(t.Context(), req)
		require.NoError(t, err)
		require.True(t, answer.GetManaged())
		_, err = h.credential.ResolveCredential(t.Context(), &identityv1.ResolveCredentialRequest{Secret: ada.token, Audience: "membership"})
		requireReason(t, unauthenticated, err)
		ended := h.events(key.String())
		latest := ended[len(ended)-1]
		require.Equal(t, "session.ended", latest.Type)
		require.Equal(t, map[string]any{"kind": "KIND_ACCOUNT", "id": actor.String()}, latest.Data["context"].(map[string]any)["actor"])

		h.signIn("ada@example.com") // since then
		_, err = h.membership.EndSessions(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, 1, count(h, `sessions`), "the operation is done")
	})
}
