package identity

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// wanted is an account that an organization wants made.
func wanted(email string, org id.Organization) *identityv1.CreateManagedAccountRequest {
	return &identityv1.CreateManagedAccountRequest{
		AccountId: id.NewAccount().String(), OrganizationId: org.String(), OperationId: id.NewSeat().String(),
		ActorAccountId: id.NewAccount().String(), Email: email, DisplayName: "Ada Lovelace"}
}

func (h *harness) claims(email string, org id.Organization) []*identityv1.ListClaimsResponse_Claim {
	h.Helper()
	answer, err := h.membership.ListClaims(h.Context(), &identityv1.ListClaimsRequest{Email: email, OrganizationId: org.String()})
	require.NoError(h, err)
	return answer.GetClaims()
}

func TestCreateManagedAccount(t *testing.T) {
	t.Parallel()
	t.Run("S2-22 R9 ItIsTheOrganizationsWithATemporaryPassword", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		org := id.NewOrganization()
		req := wanted("Ada@Example.com", org)
		made, err := h.membership.CreateManagedAccount(t.Context(), req)
		require.NoError(t, err)
		require.False(t, made.GetEmailTaken())
		require.Equal(t, []string{"account.created", "account.temporary_password_issued"}, h.types(req.GetAccountId()))
		require.Equal(t, 1, count(h, `accounts WHERE managed_by = $1 AND NOT email_verified AND email = 'Ada@Example.com'`, org), "R11: nobody has proven it")
		in, err := h.sessions.CreateSession(h.as(""), &identityv1.CreateSessionRequest{
			Email: "ada@example.com", Password: made.GetPassword(), Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		require.NoError(t, err)
		require.True(t, in.GetPasswordChangeRequired())
		for where, text := range map[string]string{"log": h.logged.String(), "database": h.dump()} {
			require.NotContains(t, text, made.GetPassword(), where)
		}

		again := proto.Clone(req).(*identityv1.CreateManagedAccountRequest)
		again.Email, again.DisplayName = "", ""
		repeated, err := h.membership.CreateManagedAccount(t.Context(), again)
		require.NoError(t, err)
		require.Equal(t, made.GetPassword(), repeated.GetPassword(), "the same operation")
		h.exec(`DELETE FROM idempotency`)
		late, err := h.membership.CreateManagedAccount(t.Context(), req)
		require.NoError(t, err)
		require.Empty(t, late.GetPassword(), "a day later")
		require.Equal(t, 1, count(h, `accounts`))
		require.True(t, h.signsIn("ada@example.com", made.GetPassword()))
	})
	t.Run("S2-25 ClaimsTellHowAccountsStandToTheAddress", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		org, other := id.NewOrganization(), id.NewOrganization()
		require.Empty(t, h.claims("ada@example.com", org))
		ada := h.insert("ada@example.com", "")
		claims := h.claims("ADA@example.com", org)
		require.Len(t, claims, 1)
		require.Equal(t, ada.String(), claims[0].GetAccount().GetId())
		require.True(t, claims[0].GetVerified())
		require.False(t, claims[0].GetManaged() || claims[0].GetDisabled())
		h.exec(`UPDATE accounts SET managed_by = $1, sign_in_allowed = false`, other)
		claims = h.claims("ada@example.com", org)
		require.True(t, claims[0].GetDisabled())
		require.False(t, claims[0].GetManaged())
		_, err := h.membership.CreateManagedAccount(t.Context(), wanted("bob@example.com", org))
		require.NoError(t, err)
		claims = h.claims("bob@example.com", org)
		require.Len(t, claims, 1)
		require.True(t, claims[0].GetManaged())
		require.False(t, claims[0].GetVerified())
		require.False(t, h.claims("bob@example.com", other)[0].GetManaged())
	})
	t.Run("AnAddressThatSomebodyClaimsIsTakenForEver", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.insert("ada@example.com", "")
		req := wanted("ada@example.com", id.NewOrganization())
		for range 2 {
			made, err := h.membership.CreateManagedAccount(t.Context(), req)
			require.NoError(t, err)
			require.True(t, made.GetEmailTaken())
			require.Empty(t, made.GetPassword())
			h.exec(`DELETE FROM user_emails`)
			h.exec(`DELETE FROM idempotency`)
		}
		require.Equal(t, 1, count(h, `accounts`))
		first := wanted("bob@example.com", id.NewOrganization())
		_, err := h.membership.CreateManagedAccount(t.Context(), first)
		require.NoError(t, err)
		made, err := h.membership.CreateManagedAccount(t.Context(), wanted("bob@example.com", id.NewOrganization()))
		require.NoError(t, err)
		require.True(t, made.GetEmailTaken(), "two that nobody has proven would lock each other out")
	})
	t.Run("OfSeveralAtOnceOneIsMade", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		var group sync.WaitGroup
		answers := make([]*identityv1.CreateManagedAccountResponse, 6)
		for i := range answers {
			group.Go(func() {
				var err error
				if answers[i], err = h.membership.CreateManagedAccount(h.Context(), wanted("ada@example.com", id.NewOrganization())); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		made := 0
		for _, answer := range answers {
			require.NotEqual(t, answer.GetEmailTaken(), answer.GetPassword() != "")
			if !answer.GetEmailTaken() {
				made++
				require.True(t, h.signsIn("ada@example.com", answer.GetPassword()))
			}
		}
		require.Equal(t, 1, made)
		require.Equal(t, 1, count(h, `accounts`))
	})
	t.Run("WhoProvesTheAddressHasIt", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, err := h.membership.CreateManagedAccount(t.Context(), wanted("ada@example.com", id.NewOrganization()))
		require.NoError(t, err)
		_, err = h.accounts.SignUp(h.as(""), &identityv1.SignUpRequest{Email: "ada@example.com", Password: goodPassword, DisplayName: "Ada"})
		require.NoError(t, err)
		_, err = h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: h.linkFor("ada@example.com")})
		require.NoError(t, err)
		require.True(t, h.signsIn("ada@example.com", goodPassword))
		require.Equal(t, 1, count(h, `user_emails`))
	})
	t.Run("RefusesWhatIsNotValid", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		for _, spoil := range []func(*identityv1.CreateManagedAccountRequest){
			func(r *identityv1.CreateManagedAccountRequest) { r.AccountId = "x" },
			func(r *identityv1.CreateManagedAccountRequest) { r.OrganizationId = "x" },
			func(r *identityv1.CreateManagedAccountRequest) { r.OperationId = "x" },
			func(r *identityv1.CreateManagedAccountRequest) { r.ActorAccountId = "x" },
			func(r *identityv1.CreateManagedAccountRequest) { r.Email = "x" },
			func(r *identityv1.CreateManagedAccountRequest) { r.DisplayName = "\n" },
		} {
			req := wanted("ada@example.com", id.NewOrganization())
			spoil(req)
			_, err := h.membership.CreateManagedAccount(t.Context(), req)
			requireReason(t, invalid, err)
		}
		_, err := h.directory.CreateManagedAccount(t.Context(), wanted("ada@example.com", id.NewOrganization()))
		requireReason(t, callerRefused, err)
		_, err = h.membership.ListClaims(t.Context(), &identityv1.ListClaimsRequest{Email: "x", OrganizationId: id.NewOrganization().String()})
		requireReason(t, invalid, err)
	})
}
