package identity

import (
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestGetAccounts(t *testing.T) {
	t.Parallel()
	t.Run("TheOnesThatExist", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		var ids []string
		for range 100 {
			ids = append(ids, h.insert("", id.NewAccount().String()).String())
		}
		h.exec(`ANALYZE`) // whatever the planner makes of it
		asked := append([]string{id.NewAccount().String(), ids[0]}, ids[:70]...)
		answer, err := h.directory.GetAccounts(t.Context(), &identityv1.GetAccountsRequest{AccountIds: asked})
		require.NoError(t, err)
		var found []string
		for _, a := range answer.GetAccounts() {
			found = append(found, a.GetId())
			require.NotEmpty(t, a.GetUsername())
		}
		require.ElementsMatch(t, ids[:70], found)
		answer, err = h.membership.GetAccounts(t.Context(), &identityv1.GetAccountsRequest{})
		require.NoError(t, err)
		require.Empty(t, answer.GetAccounts())
	})
	t.Run("RefusesWhatIsNotValid", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		for _, ids := range [][]string{{"x"}, {id.NewOrganization().String()}, make([]string, 501)} {
			_, err := h.directory.GetAccounts(t.Context(), &identityv1.GetAccountsRequest{AccountIds: ids})
			requireReason(t, invalid, err)
		}
	})
	t.Run("RefusesPeople", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, bearer := h.open(h.insert("ada@example.com", ""))
		_, err := identityv1.NewAccountDirectoryServiceClient(h.dial("gateway")).GetAccounts(h.as(bearer), &identityv1.GetAccountsRequest{})
		requireReason(t, callerRefused, err)
	})
}

func TestFindAccount(t *testing.T) {
	t.Parallel()
	h := start(t)
	ada := h.insert("ada@example.com", "Ada.L")
	h.exec(`UPDATE usernames SET username = lower(username)`)
	h.insert("bob@example.com", "")
	h.exec(`INSERT INTO user_emails VALUES ('claimed@example.com', $1, false)`, ada)
	h.exec(`INSERT INTO usernames (username, invitation_id, generation) VALUES ('held', $1, 1)`, id.NewInvitation())
	find := func(email, username string) (string, error) {
		answer, err := h.directory.FindAccount(t.Context(), &identityv1.FindAccountRequest{Email: email, Username: username})
		return answer.GetAccount().GetId(), err
	}
	for name, c := range map[string]struct{ email, username, want string }{
		"R64 ByAddress":              {email: " ADA@example.COM ", want: ada.String()},
		"ByUsername":                 {username: "ADA.l", want: ada.String()},
		"NobodyByAddress":            {email: "nobody@example.com"},
		"NobodyByUsername":           {username: "nobody"},
		"R67 NobodyByAMereClaim":     {email: "claimed@example.com"},
		"R25 NobodyByAHeldUsername":  {username: "held"},
		"R64 ADotMakesAnotherPerson": {email: "a.da@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := find(c.email, c.username)
			require.NoError(t, err)
			require.Equal(t, c.want, found)
		})
	}
	for name, c := range map[string]struct{ email, username string }{
		"NeitherIsRefused": {}, "BothAreRefused": {"ada@example.com", "ada"}, "NoAddressIsRefused": {email: "ada"}, "NoUsernameIsRefused": {username: "a b"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := find(c.email, c.username)
			requireReason(t, invalid, err)
		})
	}
}
