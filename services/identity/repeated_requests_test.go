package identity

import (
	"image/color"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/secret"
)

// asked makes a request under an id.
type asked func(id string) (proto.Message, error)

// repeated is a method that answers a repeated request as it did first.
type repeated struct {
	same    asked
	other   asked                      // the same caller, about something else; nil: there is nothing else to ask for
	anyBody bool                       // the id stands for the request, whatever else it says
	foreign asked                      // somebody else; nil: they may do the same, with the same answer
	owner   id.Account                 // who asks, signed in; zero: nobody is
	secret  func(proto.Message) string // what is shown once
	managed id.Account                 // to whom manages this account; zero: to who asks
}

// own is somebody's request about their own account. ask gets who asks, and whether it is about something else.
func (h *harness) own(key id.Account, bearer, stranger string, ask func(bearer, requestID string, other bool) (proto.Message, error)) repeated {
	return repeated{
		owner:   key,
		same:    func(id string) (proto.Message, error) { return ask(bearer, id, false) },
		other:   func(id string) (proto.Message, error) { return ask(bearer, id, true) },
		foreign: func(id string) (proto.Message, error) { return ask(stranger, id, false) },
	}
}

// two makes two people who are signed in.
func (h *harness) two() (key id.Account, bearer, stranger string) {
	h.Helper()
	key = h.insert("ada@example.com", "")
	_, bearer = h.open(key)
	_, stranger = h.open(h.insert("bob@example.com", ""))
	return key, bearer, stranger
}

// linked is what is done with a link of a mail.
func linked(mine, theirs string, ask func(token, requestID string, other bool) (proto.Message, error)) repeated {
	return repeated{
		same:    func(id string) (proto.Message, error) { return ask(mine, id, false) },
		other:   func(id string) (proto.Message, error) { return ask(mine, id, true) },
		foreign: func(id string) (proto.Message, error) { return ask(theirs, id, false) },
	}
}

func pick[T any](other bool, this, that T) T {
	if other {
		return that
	}
	return this
}

// secondOperator returns the key of one more operator.
func (h *harness) secondOperator() string {
	h.Helper()
	key := secret.New(secret.OperatorKey, id.NewOperator())
	require.NoError(h, h.service.inTx(h.Context(), postgres.Scope{}, func(q store.Queries) error {
		q.InsertOperator(id.Operator(key.Owner), "Second", key.Hash, time.Now(), time.Now().Add(time.Hour))
		return nil
	}))
	return key.Text()
}

// repeatable are the methods whose requests have an id.
var repeatable = map[string]func(h *harness) repeated{
	"AccountService.UpdateMe": func(h *harness) repeated {
		key, bearer, stranger := h.two()
		return h.own(key, bearer, stranger, func(bearer, requestID string, other bool) (proto.Message, error) {
			return h.accounts.UpdateMe(h.as(bearer), &identityv1.UpdateMeRequest{DisplayName: pick(other, "Countess", "Ada Byron"), RequestId: requestID})
		})
	},
	"AvatarService.SetAvatar": func(h *harness) repeated {
		key, bearer, stranger := h.two()
		return h.own(key, bearer, stranger, func(bearer, requestID string, other bool) (proto.Message, error) {
			return h.avatars.SetAvatar(h.as(bearer), &identityv1.SetAvatarRequest{Content: dot(h.T, pick(other, color.White, color.Black)), RequestId: requestID})
		})
	},
	"AvatarService.DeleteAvatar": func(h *harness) repeated {
		key, bearer, stranger := h.two()
		_, err := h.avatars.SetAvatar(h.as(bearer), &identityv1.SetAvatarRequest{Content: dot(h.T, color.White)})
		require.NoError(h, err)
		r := h.own(key, bearer, stranger, func(bearer, requestID string, _ bool) (proto.Message, error) {
			return h.avatars.DeleteAvatar(h.as(bearer), &identityv1.DeleteAvatarRequest{RequestId: requestID})
		})
		r.other = nil
		return r
	},
	"EmailService.RemoveEmail": func(h *harness) repeated {
		key, bearer, stranger := h.two()
		h.exec(`INSERT INTO user_emails (email, account_id, verified) VALUES ('second@example.com', $1, true), ('third@example.com', $1, true)`, key)
		return h.own(key, bearer, stranger, func(bearer, requestID string, other bool) (proto.Message, error) {
			return h.emails.RemoveEmail(h.as(bearer), &identityv1.RemoveEmailRequest{Email: pick(other, "second@example.com", "third@example.com"), RequestId: requestID})
		})
	},
	"EmailService.SetPrimaryEmail": func(h *harness) repeated {
		key, bearer, stranger := h.two()
		h.exec(`INSERT INTO user_emails (email, account_id, verified) VALUES ('second@example.com', $1, true), ('third@example.com', $1, true)`, key)
		return h.own(key, bearer, stranger, func(bearer, requestID string, other bool) (proto.Message, error) {
			return h.emails.SetPrimaryEmail(h.as(bearer), &identityv1.SetPrimaryEmailRequest{
				Email: pick(other, "second@example.com", "third@example.com"), RequestId: requestID})
		})
	},
	"EmailService.RevertEmailChange": func(h *harness) repeated {
		link := func(address string) string {
			key := h.insert(address, "")
			link := secret.New(secret.Link, key)
			h.exec(`INSERT INTO email_reverts (account_id, token_hash, address, expire_time) VALUES ($1, $2, $3, now() + interval '1 day')`, key, link.Hash, address)
			return link.Text()
		}
		r := linked(link("ada@example.com"), link("bob@example.com"), func(token, requestID string, _ bool) (proto.Message, error) {
			return h.emails.RevertEmailChange(h.as(""), &identityv1.RevertEmailChangeRequest{Token: token, RequestId: requestID})
		})
		r.other = nil
		return r
	},
	"AccountService.VerifyEmail": func(h *harness) repeated {
		link := func(address string) string {
			_, err := h.accounts.SignUp(h.as(""), &identityv1.SignUpRequest{Email: address, Password: goodPassword, DisplayName: "Ada Lovelace"})
			require.NoError(h, err)
			return h.linkFor(address)
		}
		r := linked(link("ada@example.com"), link("bob@example.com"), func(token, requestID string, _ bool) (proto.Message, error) {
			return h.accounts.VerifyEmail(h.as(""), &identityv1.VerifyEmailRequest{Token: token, RequestId: requestID})
		})
		r.other = nil
		return r
	},
	"PasswordService.ResetPassword": func(h *harness) repeated {
		link := func(address string) string {
			h.insert(address, "")
			return h.resetLinks(byEmail(address), address)[0]
		}
		return linked(link("ada@example.com"), link("bob@example.com"), func(token, requestID string, other bool) (proto.Message, error) {
			return h.passwords.ResetPassword(h.as(""), &identityv1.ResetPasswordRequest{
				Token: token, Password: pick(other, otherPassword, goodPassword), RequestId: requestID})
		})
	},
	"FactorService.RenameFactor": func(h *harness) repeated {
		key, app, in := h.withApp("ada@example.com")
		_, _, stranger := h.withApp("bob@example.com")
		return h.own(key, in.GetToken(), stranger.GetToken(), func(bearer, requestID string, other bool) (proto.Message, error) {
			return h.factors.RenameFactor(h.as(bearer), &identityv1.RenameFactorRequest{
				FactorId: app.id, DisplayName: pick(other, "Old phone", "New phone"), RequestId: requestID})
		})
	},
	"FactorService.RemoveFactor": func(h *harness) repeated {
		key, app, in := h.withApp("ada@example.com")
		_, bobs, stranger := h.withApp("bob@example.com")
		return h.own(key, in.GetToken(), stranger.GetToken(), func(bearer, requestID string, other bool) (proto.Message, error) {
			return h.factors.RemoveFactor(h.as(bearer), &identityv1.RemoveFactorRequest{FactorId: pick(other, app.id, bobs.id), RequestId: requestID})
		})
	},
	"FactorService.RegenerateRecoveryCodes": func(h *harness) repeated {
		key, _, in := h.withApp("ada@example.com")
		_, _, stranger := h.withApp("bob@example.com")
		r := h.own(key, in.GetToken(), stranger.GetToken(), func(bearer, requestID string, _ bool) (proto.Message, error) {
			return h.factors.RegenerateRecoveryCodes(h.as(bearer), &identityv1.RegenerateRecoveryCodesRequest{RequestId: requestID})
		})
		r.other = nil
		r.secret = func(m proto.Message) string {
			return m.(*identityv1.RegenerateRecoveryCodesResponse).GetRecoveryCodes()[0]
		}
		return r
	},
	"FederatedIdentityService.UnlinkProvider": func(h *harness) repeated {
		key, bearer, stranger := h.two()
		one, two := h.provider(), h.provider()
		require.NoError(h, h.linkTo(one, bearer))
		require.NoError(h, h.linkTo(two, bearer))
		return h.own(key, bearer, stranger, func(bearer, requestID string, other bool) (proto.Message, error) {
			return h.identities.UnlinkProvider(h.as(bearer), &identityv1.UnlinkProviderRequest{ProviderId: pick(other, one.id, two.id), RequestId: requestID})
		})
	},
	"OperatorService.ClaimOperator": func(h *harness) repeated {
		nobodys := secret.New(secret.Link, id.NewOperator())
		r := linked(h.bootstrap(h.service), nobodys.Text(), func(token, requestID string, other bool) (proto.Message, error) {
			return h.operators.ClaimOperator(h.as(""), &identityv1.ClaimOperatorRequest{Token: token, DisplayName: pick(other, "Grace", "Ada"), RequestId: requestID})
		})
		r.secret = func(m proto.Message) string { return m.(*identityv1.ClaimOperatorResponse).GetApiKey() }
		return r
	},
	"ServiceAccountService.CreateServiceAccount": func(h *harness) repeated {
		first, second := h.operator(), h.secondOperator()
		return linked(first, second, func(operator, requestID string, other bool) (proto.Message, error) {
			return h.services.CreateServiceAccount(h.as(operator), &identityv1.CreateServiceAccountRequest{
				DisplayName: pick(other, "Reports", "Other"), Scopes: []string{"access.check"}, RequestId: requestID})
		})
	},
	"OperatorProviderService.CreateOperatorProvider": func(h *harness) repeated {
		first, second := h.operator(), h.secondOperator()
		return linked(first, second, func(operator, requestID string, other bool) (proto.Message, error) {
			return h.providers.CreateOperatorProvider(h.as(operator), &identityv1.CreateOperatorProviderRequest{
				DisplayName: pick(other, "Example", "Other"), Issuer: "https://accounts.example.com", ClientId: clientID, RequestId: requestID})
		})
	},
	"OperatorProviderService.UpdateOperatorProvider": func(h *harness) repeated {
		key := h.provider().id
		operator := h.operator()
		r := linked(operator, "", func(operator, requestID string, other bool) (proto.Message, error) {
			return h.providers.UpdateOperatorProvider(h.as(operator), &identityv1.UpdateOperatorProviderRequest{
				ProviderId: key, DisplayName: new(pick(other, "Example", "Other")), RequestId: requestID})
		})
		r.foreign = nil
		return r
	},
	"OperatorProviderService.DeleteOperatorProvider": func(h *harness) repeated {
		key, other := h.provider().id, h.provider().id
		first, second := h.operator(), h.secondOperator()
		return linked(first, second, func(operator, requestID string, another bool) (proto.Message, error) {
			return h.providers.DeleteOperatorProvider(h.as(operator), &identityv1.DeleteOperatorProviderRequest{ProviderId: pick(another, key, other), RequestId: requestID})
		})
	},
	"OperatorService.DeleteAccount": func(h *harness) repeated {
		key, other := h.insert("ada@example.com", ""), h.insert("bob@example.com", "")
		first, second := h.operator(), h.secondOperator()
		return linked(first, second, func(operator, requestID string, another bool) (proto.Message, error) {
			return h.operators.DeleteAccount(h.as(operator), &identityv1.DeleteAccountRequest{AccountId: pick(another, key, other).String(), Reason: "by law", RequestId: requestID})
		})
	},
	"AccountDirectoryService.CreateManagedAccount": func(h *harness) repeated {
		req := wanted("ada@example.com", id.NewOrganization())
		r := h.managing(func(org id.Organization, operation string, other bool) (proto.Message, error) {
			asks := proto.CloneOf(req)
			asks.OperationId, asks.Email = operation, pick(other, req.GetEmail(), "other@example.com")
			if !org.IsZero() {
				asks.OrganizationId = org.String()
			}
			return h.membership.CreateManagedAccount(h.Context(), asks)
		})
		r.anyBody = true
		made, err := id.ParseAccount(req.GetAccountId())
		require.NoError(h, err)
		r.managed = made
		r.secret = func(m proto.Message) string { return m.(*identityv1.CreateManagedAccountResponse).GetPassword() }
		return r
	},
	"AccountDirectoryService.IssueTemporaryPassword": func(h *harness) repeated {
		key, mine := h.broughtIn("ada@example.com")
		r := h.managing(func(org id.Organization, operation string, _ bool) (proto.Message, error) {
			return h.membership.IssueTemporaryPassword(h.Context(), &identityv1.IssueTemporaryPasswordRequest{
				AccountId: key.String(), OrganizationId: pick(org.IsZero(), org, mine).String(), OperationId: operation})
		})
		r.other = nil
		r.managed = key
		r.secret = func(m proto.Message) string { return m.(*identityv1.IssueTemporaryPasswordResponse).GetPassword() }
		return r
	},
	"AccountDirectoryService.SendPasswordReset": func(h *harness) repeated {
		key, mine := h.broughtIn("ada@example.com")
		h.exec(`UPDATE accounts SET email_verified = false`)
		r := h.managing(func(org id.Organization, operation string, _ bool) (proto.Message, error) {
			return h.membership.SendPasswordReset(h.Context(), &identityv1.SendPasswordResetRequest{
				AccountId: key.String(), OrganizationId: pick(org.IsZero(), org, mine).String(), OperationId: operation})
		})
		r.other = nil
		r.managed = key
		r.secret = func(m proto.Message) string { return m.(*identityv1.SendPasswordResetResponse).GetResetUrl() }
		return r
	},
	"AccountDirectoryService.ChangeAccountEmail": func(h *harness) repeated {
		key, mine := h.broughtIn("ada@example.com")
		actor := id.NewAccount().String()
		r := h.managing(func(org id.Organization, operation string, other bool) (proto.Message, error) {
			return h.membership.ChangeAccountEmail(h.Context(), &identityv1.ChangeAccountEmailRequest{
				AccountId: key.String(), OrganizationId: pick(org.IsZero(), org, mine).String(), OperationId: operation, ActorAccountId: actor,
				Email: pick(other, "countess@example.com", "other@example.com")})
		})
		r.anyBody = true
		return r
	},
	"AccountDirectoryService.ResetMfa": func(h *harness) repeated {
		key, _, _ := h.withApp("ada@example.com")
		mine, actor := id.NewOrganization(), id.NewAccount().String()
		h.exec(`UPDATE accounts SET managed_by = $1`, mine)
		return h.managing(func(org id.Organization, operation string, other bool) (proto.Message, error) {
			return h.membership.ResetMfa(h.Context(), &identityv1.ResetMfaRequest{
				AccountId: key.String(), OrganizationId: pick(org.IsZero(), org, mine).String(), OperationId: operation, ActorAccountId: pick(other, actor, id.NewAccount().String())})
		})
	},
	"AccountDirectoryService.EndSessions": func(h *harness) repeated {
		key, mine := h.broughtIn("ada@example.com")
		h.open(key)
		actor := id.NewAccount().String()
		return h.managing(func(org id.Organization, operation string, other bool) (proto.Message, error) {
			return h.membership.EndSessions(h.Context(), &identityv1.EndSessionsRequest{
				AccountId: key.String(), OrganizationId: pick(org.IsZero(), org, mine).String(), OperationId: operation, ActorAccountId: pick(other, actor, id.NewAccount().String())})
		})
	},
}

// managing is what membership asks for the organization that manages an account; ask gets another organization, or none.
func (h *harness) managing(ask func(org id.Organization, operation string, other bool) (proto.Message, error)) repeated {
	return repeated{
		same:    func(operation string) (proto.Message, error) { return ask(id.Organization{}, operation, false) },
		other:   func(operation string) (proto.Message, error) { return ask(id.Organization{}, operation, true) },
		foreign: func(operation string) (proto.Message, error) { return ask(id.NewOrganization(), operation, false) },
	}
}

// TestRepeatedRequests holds, of every method whose requests have an id, that the same request is answered once more as it was, by another instance too, and
// changes nothing; that another request under the id is refused; and that the answer is heard neither by somebody else, nor by who was signed out since, nor, where
// it was shown once, by who does not manage the account any more. An id is one method's: another method under it is another request.
func TestRepeatedRequests(t *testing.T) {
	t.Parallel()

	for name, arrange := range repeatable {
		t.Run("R79 "+name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			r := arrange(h)
			key := id.NewSeat().String()
			first, err := r.same(key)
			require.NoError(t, err)
			state := func() []int {
				return []int{count(h, `events`), count(h, `mails`), count(h, `accounts`), count(h, `providers`), count(h, `service_accounts`)}
			}
			before := state()
			same := func() {
				t.Helper()
				again, err := r.same(key)
				require.NoError(t, err)
				require.True(t, proto.Equal(first, again), "%v is not %v", again, first)
				require.Equal(t, before, state())
			}
			same()
			h.serve()
			same()
			if r.secret != nil {
				shown := r.secret(first)
				require.NotEmpty(t, shown)
				require.Zero(t, count(h, `idempotency WHERE position(convert_to($1, 'UTF8') IN response) > 0`, shown), "it is sealed")
			}
			switch {
			case r.anyBody:
				again, err := r.other(key)
				require.NoError(t, err)
				require.True(t, proto.Equal(first, again))
			case r.other != nil:
				_, err := r.other(key)
				requireReason(t, errorv1.Reason_REASON_REQUEST_ID_REUSED, err)
			}
			require.Equal(t, before, state())
			if r.foreign != nil {
				theirs, err := r.foreign(key)
				require.True(t, err != nil || proto.Size(theirs) == 0 || !proto.Equal(first, theirs), "somebody else hears %v", theirs)
			}
			if !r.managed.IsZero() {
				h.exec(`INSERT INTO managed_domains SELECT id, managed_by, 'example.com', gen_random_uuid(), now(), now(), true FROM accounts WHERE id = $1`, r.managed)
				again, err := r.same(key)
				require.NoError(t, err)
				require.Empty(t, r.secret(again), "the organization does not manage the account any more")
			}
			if !r.owner.IsZero() {
				h.exec(`UPDATE sessions SET expire_time = now() WHERE account_id = $1`, r.owner)
				_, err := r.same(key)
				requireReason(t, unauthenticated, err)
			}
		})
	}

	t.Run("R79 AnotherMethodUnderTheIDIsAnotherRequest", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, bearer, _ := h.two()
		set, err := h.avatars.SetAvatar(h.as(bearer), &identityv1.SetAvatarRequest{Content: dot(t, color.White), RequestId: "one"})
		require.NoError(t, err)
		require.NotEmpty(t, set.GetAccount().GetAvatarUrl())
		_, err = h.avatars.DeleteAvatar(h.as(bearer), &identityv1.DeleteAvatarRequest{RequestId: "one"})
		require.NoError(t, err)
		me, err := h.accounts.GetMe(h.as(bearer), &identityv1.GetMeRequest{})
		require.NoError(t, err)
		require.Empty(t, me.GetAccount().GetAvatarUrl())
	})
	t.Run("EveryMethodWithAnIDIsHere", func(t *testing.T) {
		t.Parallel()
		var found []string
		protoregistry.GlobalFiles.RangeFilesByPackage("roster.identity.v1", func(file protoreflect.FileDescriptor) bool {
			for i := range file.Services().Len() {
				service := file.Services().Get(i)
				for j := range service.Methods().Len() {
					method := service.Methods().Get(j)
					fields := method.Input().Fields()
					if fields.ByName("request_id") != nil || fields.ByName("operation_id") != nil {
						found = append(found, string(service.Name())+"."+string(method.Name()))
					}
				}
			}
			return true
		})
		require.NotEmpty(t, found)
		for _, name := range found {
			require.Contains(t, repeatable, name, "a request of it can be repeated: add a row")
		}
		require.Len(t, repeatable, len(found))
	})
}
