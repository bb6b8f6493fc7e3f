package identity

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func TestSealPassword(t *testing.T) {
	t.Parallel()
	h := start(t)
	seal := func(account, password string, words ...string) ([]byte, error) {
		answer, err := h.directory.SealPassword(t.Context(), &identityv1.SealPasswordRequest{
			AccountId: account, Password: password, ContextWords: words,
		})
		return answer.GetSealedPassword(), err
	}
	key := id.NewAccount()

	t.Run("HidesTheHash", func(t *testing.T) {
		sealed, err := seal(key.String(), goodPassword)
		require.NoError(t, err)
		require.False(t, bytes.Contains(sealed, []byte("argon2id")))
		hash, err := testKey.Open(sealed, "password", key.String())
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(hash), "$argon2id$"))
	})
	t.Run("R4 RefusesWeakPasswords", func(t *testing.T) {
		for _, weak := range []string{"too short", "passwordpassword", "countess lovelace", strings.Repeat("wqzjx gkpvb hm", 19)} {
			_, err := seal(key.String(), weak, "Ada Lovelace", "countess@example.com")
			requireReason(t, passwordRefused, err)
		}
	})
	t.Run("RefusesWhatIsNotValid", func(t *testing.T) {
		_, err := seal("x", goodPassword)
		requireReason(t, invalid, err)
		_, err = seal(key.String(), strings.Repeat("wqzjx gkpvb hm", 100))
		requireReason(t, invalid, err)
	})
	t.Run("R7 IsBusyWhenTooManyHash", func(t *testing.T) {
		h.fillGate()
		_, err := seal(key.String(), goodPassword)
		requireReason(t, busy, err)
	})
}

func TestCreateAccount(t *testing.T) {
	t.Parallel()
	request := func(email, username string) *identityv1.CreateAccountRequest {
		key := id.NewAccount()
		return &identityv1.CreateAccountRequest{
			AccountId: key.String(), InvitationId: id.NewInvitation().String(), Email: email, EmailVerified: email != "", Username: username,
			DisplayName: "Ada Lovelace", OrganizationId: id.NewOrganization().String(),
			SealedPassword: testKey.Seal([]byte(weakHash()), "password", key.String()),
		}
	}
	create := func(h *harness, req *identityv1.CreateAccountRequest) (*identityv1.Account, error) {
		answer, err := h.directory.CreateAccount(h.Context(), req)
		return answer.GetAccount(), err
	}
	hold := func(t *testing.T, h *harness, req *identityv1.CreateAccountRequest) {
		t.Helper()
		invitation, err := id.ParseInvitation(req.GetInvitationId())
		require.NoError(t, err)
		require.NoError(t, h.hold(invitation, 1, req.GetUsername()))
	}

	t.Run("MakesItWithAddressAndUsername", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		req := request("Ada@example.com", "Ada")
		hold(t, h, req)
		a, err := create(h, req)
		require.NoError(t, err)
		require.Equal(t, req.GetAccountId(), a.GetId())
		require.Equal(t, "Ada@example.com", a.GetEmail())
		require.True(t, a.GetEmailVerified())
		require.Equal(t, "Ada", a.GetUsername())
		require.Equal(t, []string{"account.created", "account.email_verified"}, h.types(a.GetId()))
		created := h.events(a.GetId())[0]
		require.Equal(t, map[string]any{"displayName": "Ada Lovelace", "email": "Ada@example.com", "username": "Ada"}, created.Personal)
		require.Equal(t, map[string]any{"kind": "KIND_INVITE", "id": req.GetInvitationId()}, created.Data["context"].(map[string]any)["cause"])

		for _, sign := range []*identityv1.CreateSessionRequest{{Email: "ada@example.com"}, {Username: "ADA"}} {
			sign.Password, sign.Delivery = goodPassword, identityv1.Delivery_DELIVERY_TOKEN
			in, err := h.sessions.CreateSession(h.as(""), sign)
			require.NoError(t, err)
			require.Equal(t, a.GetId(), in.GetSession().GetAccountId())
		}
		invitation, _ := id.ParseInvitation(req.GetInvitationId())
		require.NoError(t, h.release(invitation, 1))
		require.Equal(t, 1, count(h, `usernames WHERE username = 'ada' AND account_id IS NOT NULL`), "a confirmed username stays")
	})
	t.Run("OneAccountForOneID", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		req := request("ada@example.com", "ada")
		hold(t, h, req)
		answers := make([]*identityv1.Account, 50)
		for _, err := range h.together(50, func(i int) (err error) {
			answers[i], err = create(h, req)
			return err
		}) {
			require.NoError(t, err)
		}
		for _, a := range answers {
			require.True(t, proto.Equal(answers[0], a))
		}
		require.Equal(t, 1, count(h, `accounts`))
		require.Equal(t, 2, count(h, `events`))
	})
	t.Run("AnAddressHasOneAccount", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		made := 0
		reqs := make([]*identityv1.CreateAccountRequest, 20)
		errs := h.together(len(reqs), func(i int) error {
			reqs[i] = request("ada@example.com", "")
			_, err := create(h, reqs[i])
			return err
		})
		require.Equal(t, len(reqs)-1, count(h, `account_creations WHERE refusal = 'EMAIL_TAKEN'`), "also for those who lost at the commit")
		for i, err := range errs {
			_, again := create(h, reqs[i])
			if err == nil {
				made++
				require.NoError(t, again)
				continue
			}
			requireReason(t, emailTaken, err)
			requireReason(t, emailTaken, again)
		}
		require.Equal(t, 1, made)
		require.Equal(t, 1, count(h, `accounts`))
	})
	t.Run("G2 ANoStaysANo", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		taken := h.insert("ada@example.com", "")
		email, username := request("ADA@example.com", ""), request("", "ada")
		_, err := create(h, email)
		requireReason(t, emailTaken, err)
		_, err = create(h, username)
		requireReason(t, usernameTaken, err)
		// What stood in the way goes; a request that was on its way all the time arrives.
		h.exec(`DELETE FROM user_emails WHERE account_id = $1`, taken)
		hold(t, h, username)
		_, err = create(h, email)
		requireReason(t, emailTaken, err)
		_, err = create(h, username)
		requireReason(t, usernameTaken, err)
		require.Equal(t, 1, count(h, `accounts`))
		require.Equal(t, 1, count(h, `usernames WHERE invitation_id IS NOT NULL`))

		email.AccountId = id.NewAccount().String() // a new attempt has an id of its own
		parsed, _ := id.ParseAccount(email.AccountId)
		email.SealedPassword = testKey.Seal([]byte(weakHash()), "password", parsed.String())
		_, err = create(h, email)
		require.NoError(t, err)
	})
	t.Run("AUsernameMustBeHeldByTheInvitation", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		other := request("", "ada")
		hold(t, h, other)
		req := request("", "ada")
		_, err := create(h, req)
		requireReason(t, usernameTaken, err)
		_, err = create(h, other)
		require.NoError(t, err)
	})
	t.Run("R24 AnUnprovenAddressBlocksNobody", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		req := request("ada@example.com", "")
		req.EmailVerified = false
		a, err := create(h, req)
		require.NoError(t, err)
		require.Equal(t, "ada@example.com", a.GetEmail())
		require.False(t, a.GetEmailVerified())
		require.Equal(t, []string{"account.created"}, h.types(a.GetId()))
		found, err := h.directory.FindAccount(t.Context(), &identityv1.FindAccountRequest{Email: "ada@example.com"})
		require.NoError(t, err)
		require.Nil(t, found.GetAccount())
		in, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
			Email: "ada@example.com", Password: goodPassword, Delivery: identityv1.Delivery_DELIVERY_TOKEN,
		})
		require.NoError(t, err, "the only one who claims it")
		require.Equal(t, a.GetId(), in.GetSession().GetAccountId())

		proven, err := create(h, request("ada@example.com", ""))
		require.NoError(t, err)
		found, err = h.directory.FindAccount(t.Context(), &identityv1.FindAccountRequest{Email: "ada@example.com"})
		require.NoError(t, err)
		require.Equal(t, proven.GetId(), found.GetAccount().GetId())

		late := request("ada@example.com", "")
		late.EmailVerified = false
		_, err = create(h, late)
		requireReason(t, emailTaken, err)
	})
	t.Run("ASealedPasswordIsForOneAccount", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		req, other := request("ada@example.com", ""), request("bob@example.com", "")
		req.SealedPassword = other.SealedPassword
		_, err := create(h, req)
		requireReason(t, passwordRefused, err)
		require.Zero(t, count(h, `accounts`))
	})
	t.Run("APasswordThatNobodyCanOpenIsRefusedForEver", func(t *testing.T) { // as after a change of the key
		t.Parallel()
		h := start(t)
		req := request("ada@example.com", "ada")
		hold(t, h, req)
		right := req.SealedPassword
		req.SealedPassword = []byte("sealed with another key")
		_, err := create(h, req)
		requireReason(t, passwordRefused, err)
		req.SealedPassword = right
		_, err = create(h, req)
		requireReason(t, passwordRefused, err)
		require.Zero(t, count(h, `accounts`))
	})
	t.Run("WhatWasMadeNeedsNoPasswordAgain", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		req := request("ada@example.com", "")
		made, err := create(h, req)
		require.NoError(t, err)
		req.SealedPassword = []byte("sealed with another key")
		again, err := create(h, req)
		require.NoError(t, err)
		require.Equal(t, made.GetId(), again.GetId())
	})
	t.Run("RefusesWhatIsNotValid", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		for _, change := range []func(*identityv1.CreateAccountRequest){
			func(r *identityv1.CreateAccountRequest) { r.AccountId = "x" },
			func(r *identityv1.CreateAccountRequest) { r.InvitationId = "" },
			func(r *identityv1.CreateAccountRequest) { r.OrganizationId = "x" },
			func(r *identityv1.CreateAccountRequest) { r.Email = "x" },
			func(r *identityv1.CreateAccountRequest) { r.Email = "" },
			func(r *identityv1.CreateAccountRequest) { r.Username = "a b" },
			func(r *identityv1.CreateAccountRequest) { r.DisplayName = "" },
			func(r *identityv1.CreateAccountRequest) { r.SealedPassword = nil },
			func(r *identityv1.CreateAccountRequest) { r.Email, r.EmailVerified = "", false },
		} {
			req := request("ada@example.com", "")
			change(req)
			_, err := create(h, req)
			requireReason(t, invalid, err)
		}
		require.Zero(t, count(h, `accounts`))
		require.Zero(t, count(h, `account_creations`))
	})
}

func TestOpenSession(t *testing.T) {
	t.Parallel()
	h := start(t)
	key := h.insert("ada@example.com", "")

	t.Run("ForTheAccount", func(t *testing.T) {
		opened, err := h.directory.OpenSession(t.Context(), &identityv1.OpenSessionRequest{
			AccountId: key.String(), Delivery: identityv1.Delivery_DELIVERY_TOKEN, UserAgent: "Firefox \x1b[31m\r\n" + strings.Repeat("x", 1000),
		})
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(opened.GetSession().GetUserAgent(), "Firefox [31mxxx"))
		require.LessOrEqual(t, len(opened.GetSession().GetUserAgent()), 512)
		me, err := h.accounts.GetMe(h.as(opened.GetSecret()), &identityv1.GetMeRequest{})
		require.NoError(t, err)
		require.Equal(t, key.String(), me.GetAccount().GetId())
		require.Equal(t, []string{"account.signed_in"}, h.types(key.String()))
	})
	t.Run("RefusesOthers", func(t *testing.T) {
		_, err := h.directory.OpenSession(t.Context(), &identityv1.OpenSessionRequest{AccountId: id.NewAccount().String()})
		requireReason(t, accountNotFound, err)
		_, err = h.directory.OpenSession(t.Context(), &identityv1.OpenSessionRequest{AccountId: "x"})
		requireReason(t, invalid, err)
		_, err = h.membership.OpenSession(t.Context(), &identityv1.OpenSessionRequest{AccountId: key.String()})
		requireReason(t, callerRefused, err)
	})
}
