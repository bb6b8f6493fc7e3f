package identity

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestProfile(t *testing.T) {
	t.Parallel()
	update := func(h *harness, bearer string, req *identityv1.UpdateMeRequest, paths ...string) (*identityv1.Account, error) {
		if paths != nil {
			req.UpdateMask = &fieldmaskpb.FieldMask{Paths: paths}
		}
		answer, err := h.accounts.UpdateMe(h.as(bearer), req)
		return answer.GetAccount(), err
	}
	take := func(h *harness, bearer, username string) error {
		_, err := update(h, bearer, &identityv1.UpdateMeRequest{Username: username})
		return err
	}

	t.Run("SaysWhatThePersonSaysToThePersonAlone", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("ada@example.com", "")
		_, bearer := h.open(ada)
		me, err := update(h, bearer, &identityv1.UpdateMeRequest{Phone: "+44 (20) 7946-0000", Locale: "EN-gb", TimeZone: "Europe/London"})
		require.NoError(t, err)
		require.Equal(t, []string{"Inserted", "+442079460000", "en-GB", "Europe/London"}, []string{me.GetDisplayName(), me.GetPhone(), me.GetLocale(), me.GetTimeZone()})
		require.Equal(t, []string{"account.signed_in"}, h.types(ada.String()), "nobody is told")
		found, err := h.directory.GetAccounts(t.Context(), &identityv1.GetAccountsRequest{AccountIds: []string{ada.String()}})
		require.NoError(t, err)
		require.Empty(t, found.GetAccounts()[0].GetPhone()+found.GetAccounts()[0].GetLocale()+found.GetAccounts()[0].GetTimeZone())

		me, err = update(h, bearer, &identityv1.UpdateMeRequest{DisplayName: "Ada", Phone: "+1 555 0100 000"}, "display_name", "locale")
		require.NoError(t, err)
		require.Equal(t, []string{"Ada", "+442079460000", "", "Europe/London"}, []string{me.GetDisplayName(), me.GetPhone(), me.GetLocale(), me.GetTimeZone()}, "the mask says what changes")
		shown, err := h.accounts.GetMe(h.as(bearer), &identityv1.GetMeRequest{})
		require.NoError(t, err)
		require.Equal(t, me.String(), shown.GetAccount().String())
	})
	t.Run("RefusesWhatIsNotValid", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, bearer := h.open(h.insert("ada@example.com", "ada"))
		for _, req := range []*identityv1.UpdateMeRequest{
			{}, {Phone: "020 7946 0000"}, {Phone: "+0123456789"}, {Phone: "+44 20 79x"}, {Locale: "english please"}, {Locale: "und"},
			{TimeZone: "Mars/Olympus"}, {TimeZone: "Local"}, {TimeZone: "../etc/passwd"}, {Username: "ada lovelace"}, {Username: "adа"},
		} {
			_, err := update(h, bearer, req)
			requireReason(t, invalid, err)
		}
		for _, path := range []string{"username", "display_name", "email", "email_verified", "id", "create_time", "managed_by", "role", "*"} {
			_, err := update(h, bearer, &identityv1.UpdateMeRequest{}, path)
			requireReason(t, invalid, err)
		}
	})
	t.Run("R80 AUsernameStaysItsAccounts", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.insert("ada@example.com", "Ada")
		h.exec(`UPDATE usernames SET username = 'ada'`)
		bob := h.insert("bob@example.com", "")
		_, mine := h.open(ada)
		_, theirs := h.open(bob)
		require.NoError(t, take(h, mine, "Countess"))
		require.Equal(t, "Countess", h.events(ada.String())[1].Personal["username"])
		find := func(username string) string {
			found, err := h.directory.FindAccount(t.Context(), &identityv1.FindAccountRequest{Username: username})
			require.NoError(t, err)
			return found.GetAccount().GetId()
		}
		require.Equal(t, ada.String(), find("countess"))
		require.Empty(t, find("ada"), "who had a name is not found by it")
		requireReason(t, usernameTaken, take(h, theirs, "ADA"))
		requireReason(t, usernameTaken, take(h, theirs, "countess"))
		_, err := h.directory.HoldUsername(t.Context(), &identityv1.HoldUsernameRequest{InvitationId: id.NewInvitation().String(), Generation: 1, Username: "ada"})
		requireReason(t, usernameTaken, err)
		require.NoError(t, take(h, mine, "COUNTESS"), "another spelling is the same name")
		require.NoError(t, take(h, mine, "ada"), "one's own is free for oneself")
		require.Equal(t, ada.String(), find("ada"))
		require.Equal(t, 2, count(h, `usernames`))
		for i := range 3 {
			require.NoError(t, take(h, mine, fmt.Sprintf("ada%d", i)))
		}
		requireReason(t, errorv1.Reason_REASON_LIMIT_REACHED, take(h, mine, "ada3"))
		require.NoError(t, take(h, mine, "countess"))
	})
	t.Run("OfSeveralWhoTakeAUsernameOneHasIt", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		var people []string
		for i := range 6 {
			_, bearer := h.open(h.insert(fmt.Sprintf("p%d@example.com", i), ""))
			people = append(people, bearer)
		}
		taken := 0
		for _, err := range h.together(len(people), func(i int) error { return take(h, people[i], "wanted") }) {
			if err == nil {
				taken++
				continue
			}
			requireReason(t, usernameTaken, err)
		}
		require.Equal(t, 1, taken)
		require.Equal(t, 1, count(h, `accounts WHERE username = 'wanted'`))
	})
	t.Run("SigningInTakesTheUsernameOfNow", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		ada := h.newcomer("ada@example.com")
		require.NoError(t, take(h, ada.token, "ada"))
		require.NoError(t, take(h, ada.token, "countess"))
		in := func(username string) error {
			_, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
				Username: username, Password: goodPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
			return err
		}
		require.NoError(t, in("Countess"))
		requireReason(t, credentialsInvalid, in("ada"))
	})
}
