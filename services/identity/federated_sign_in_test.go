package identity

import (
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/federation"
	"github.com/rosterhq/roster/services/internal/id"
)

func TestFederatedSignIn(t *testing.T) {
	t.Parallel()
	t.Run("WhomTheProviderVouchesForHasAnAccount", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		p := h.provider()
		in, err := h.come(p)
		require.NoError(t, err)
		require.Nil(t, in.GetChallenge())
		me, err := h.accounts.GetMe(h.as(in.GetToken()), &identityv1.GetMeRequest{})
		require.NoError(t, err)
		require.Equal(t, "Ada Lovelace", me.GetAccount().GetDisplayName())
		require.Equal(t, "ada@example.com", me.GetAccount().GetEmail())
		require.True(t, me.GetAccount().GetEmailVerified())
		require.Equal(t, []string{"account.created", "account.email_verified", "account.provider_linked", "account.signed_in"}, h.types(me.GetAccount().GetId()))

		again, err := h.come(p.says("email", "other@example.com").says("email_verified", false))
		require.NoError(t, err, "it is the subject that counts from now on")
		require.Equal(t, in.GetSession().GetAccountId(), again.GetSession().GetAccountId())
		activity, err := h.sessions.ListMyLoginActivity(h.as(again.GetToken()), &identityv1.ListMyLoginActivityRequest{})
		require.NoError(t, err)
		require.Equal(t, identityv1.LoginMethod_LOGIN_METHOD_PROVIDER, activity.GetActivity()[0].GetMethod())
	})
	t.Run("R67 AnAccountIsLinkedWhenBothSidesHaveProvenTheAddress", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.insert("ada@example.com", "")
		p := h.provider()
		in, err := h.come(p)
		require.NoError(t, err)
		require.Equal(t, key.String(), in.GetSession().GetAccountId())
		require.Equal(t, []string{"account.provider_linked", "account.signed_in"}, h.types(key.String()))
		h.sweep("mail")
		require.Contains(t, h.outbox.to("ada@example.com")[0].Text, "Example was linked to your account")
	})
	t.Run("R67 AnAccountThatHasNotProvenTheAddressIsNotTaken", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.insert("ada@example.com", "")
		h.exec(`UPDATE user_emails SET verified = false`)
		h.exec(`UPDATE accounts SET email_verified = false`)
		in, err := h.come(h.provider())
		require.NoError(t, err)
		require.NotEqual(t, key.String(), in.GetSession().GetAccountId())
		require.Equal(t, 1, count(h, `federated_identities`))
	})
	t.Run("R67 AnAddressThatWasGivenToSomebodyElseThereIsNobodysWayIn", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		p := h.provider()
		_, err := h.come(p)
		require.NoError(t, err)
		_, err = h.come(p.says("sub", "new-employee"))
		requireReason(t, linkRequired, err)
		require.Equal(t, 1, count(h, `federated_identities`))
		require.Equal(t, 1, count(h, `sessions`))
	})
	for name, value := range map[string]any{
		"Absent": nil, "False": false, "TheWordTrue": "true", "One": 1, "AList": []bool{true}, "AnObject": map[string]any{"true": true}, "TheWordTRUE": "TRUE",
	} {
		t.Run("R65 EmailVerifiedIsNotTrueWhen"+name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			key := h.insert("ada@example.com", "")
			p := h.provider().says("email_verified", value)
			_, err := h.come(p)
			requireReason(t, emailUnverified, err)
			_, err = h.come(p.says("email", "new@example.com"))
			requireReason(t, emailUnverified, err)
			require.Zero(t, count(h, `federated_identities`)+count(h, `sessions`))
			require.Equal(t, 1, count(h, `accounts`))
			require.Empty(t, h.types(key.String()))
		})
		t.Run("R65 NorWhatTheDirectoryTellsWhen"+name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			p := h.provider().says("email", nil).says("email_verified", nil)
			p.Info = map[string]any{"sub": "ada-there", "email": "ada@example.com", "email_verified": value}
			_, err := h.come(p)
			require.Contains(t, []errorv1.Reason{emailUnverified, signInFailed}, fault.ReasonOf(err), err)
			require.Zero(t, count(h, `accounts`))
		})
	}
	t.Run("TheDirectoryTellsWhatIsNotInTheProof", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		p := h.provider().says("email", nil).says("email_verified", nil)
		p.Info = map[string]any{"sub": "ada-there", "email": "ada@example.com", "email_verified": true}
		_, err := h.come(p)
		require.NoError(t, err)
		p.Info["sub"] = "grace-there"
		_, err = h.come(p)
		requireReason(t, signInFailed, err)
	})
	t.Run("R44 WhoMayNotSignInDoesNotByAProviderAndIsNotEnabled", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		p := h.provider()
		linked, err := h.come(p)
		require.NoError(t, err)
		disable := func() {
			h.exec(`UPDATE accounts SET managed_by = gen_random_uuid(), sign_in_allowed = false`)
			h.exec(`DELETE FROM sessions`)
		}
		disable()
		_, err = h.come(p)
		requireReason(t, accountNotFound, err)
		h.insert("grace@example.com", "")
		disable()
		_, err = h.come(p.says("email", "grace@example.com").says("sub", "grace-there"))
		requireReason(t, accountNotFound, err)
		require.Zero(t, count(h, `sessions`)+count(h, `accounts WHERE sign_in_allowed`))
		require.Equal(t, 1, count(h, `federated_identities`), "nor is it linked")
		require.Equal(t, 2, count(h, `sign_ins WHERE method = 'PROVIDER' AND reason = 'DISABLED'`))
		require.NotEmpty(t, linked.GetToken())
	})
	t.Run("R36 TheProvidersFactorsAreNotOurs", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, _, _ := h.withApp("ada@example.com")
		p := h.provider().says("amr", []string{"mfa", "otp", "hwk"}).says("acr", "urn:mace:incommon:iap:gold").says("auth_time", time.Now().Unix())
		in, err := h.come(p)
		require.NoError(t, err)
		require.NotNil(t, in.GetChallenge())
		require.Equal(t, key.String(), in.GetSession().GetAccountId())
		_, err = h.accounts.GetMe(h.as(in.GetToken()), &identityv1.GetMeRequest{})
		requireReason(t, incomplete, err)
	})
	t.Run("AutomaticSignInIsNoProofOfWhoIsThere", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		p := h.provider()
		totp := func(in *identityv1.CompleteFederatedSignInResponse, err error) error {
			require.NoError(t, err)
			_, err = h.factors.BeginTotp(h.as(in.GetToken()), &identityv1.BeginTotpRequest{})
			return err
		}
		requireReason(t, stepUpRequired, totp(h.come(p)))
		requireReason(t, stepUpRequired, totp(h.come(p.says("auth_time", time.Now().Add(-time.Hour).Unix()))))
		require.NoError(t, totp(h.come(p.says("auth_time", time.Now().Unix()))))
		require.NoError(t, totp(h.come(p.says("auth_time", time.Now().Add(time.Hour).Unix()))), "a clock that is fast")

		again := func() error {
			begun, err := h.federated.BeginFederatedSignIn(h.as(""), &identityv1.BeginFederatedSignInRequest{ProviderId: p.id, Again: true})
			require.NoError(t, err)
			trip := p.visited(begun)
			require.Equal(t, "login", trip.sent.Get("prompt"))
			require.Equal(t, "0", trip.sent.Get("max_age"))
			_, err = h.federated.CompleteFederatedSignIn(h.as(""), trip.back)
			return err
		}
		require.NoError(t, again())
		p.says("auth_time", nil)
		requireReason(t, signInFailed, again())
		p.says("auth_time", time.Now().Add(-time.Hour).Unix())
		requireReason(t, signInFailed, again())
	})
	t.Run("WhoHasNoPasswordChoosesOneByMail", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, err := h.come(h.provider())
		require.NoError(t, err)
		_, err = h.passwords.RequestPasswordReset(h.as(""), &identityv1.RequestPasswordResetRequest{Email: "ada@example.com"})
		require.NoError(t, err)
		h.sweep("reset")
		h.sweep("mail")
		_, link, _ := strings.Cut(h.outbox.to("ada@example.com")[0].Text, "/reset/")
		_, err = h.passwords.ResetPassword(h.as(""), &identityv1.ResetPasswordRequest{Token: strings.Fields(link)[0], Password: goodPassword})
		require.NoError(t, err)
		require.NotEmpty(t, h.signIn("ada@example.com").token)
	})
	t.Run("WhoSignedInAtTheSameMomentHasOneAccount", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		p := h.provider()
		const n = 6
		var trips [n]trip
		for i := range trips {
			trips[i] = h.beginAt(p)
		}
		for _, err := range h.together(n, func(i int) error {
			_, err := h.federated.CompleteFederatedSignIn(h.as(""), trips[i].back)
			return err
		}) {
			require.NoError(t, err)
		}
		require.Equal(t, 1, count(h, `accounts`))
		require.Equal(t, 1, count(h, `federated_identities`))
		require.Equal(t, n, count(h, `sessions`))
	})
}

func TestHostileProvider(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T, h *harness, err error) {
		t.Helper()
		requireReason(t, signInFailed, err)
		require.Zero(t, count(h, `accounts`)+count(h, `sessions`)+count(h, `federated_identities`))
	}
	for name, lie := range map[string]func(p *idp){
		"AnotherAudience":               func(p *idp) { p.says("aud", "another") },
		"NoAudience":                    func(p *idp) { p.says("aud", nil) },
		"ManyAudiencesAndNobodyItIsFor": func(p *idp) { p.says("aud", []string{clientID, "another"}) },
		"AnotherAuthorizedParty":        func(p *idp) { p.says("aud", []string{clientID, "another"}).says("azp", "another") },
		"AnotherIssuer":                 func(p *idp) { p.says("iss", "https://accounts.example.com") },
		"NoIssuer":                      func(p *idp) { p.says("iss", nil) },
		"Expired":                       func(p *idp) { p.says("exp", time.Now().Add(-time.Second).Unix()) },
		"WithoutAnEnd":                  func(p *idp) { p.says("exp", nil) },
		"NotYetGood":                    func(p *idp) { p.says("nbf", time.Now().Add(time.Hour).Unix()) },
		"AnotherNonce":                  func(p *idp) { p.says("nonce", "another") },
		"NoNonce":                       func(p *idp) { p.says("nonce", nil) },
		"NoSubject":                     func(p *idp) { p.says("sub", nil) },
		"ASubjectWithoutEnd":            func(p *idp) { p.says("sub", strings.Repeat("a", 256)) },
		"ASubjectThatIsNoText":          func(p *idp) { p.says("sub", 7) },
		"AnAddressThatIsNoText":         func(p *idp) { p.says("email", []string{"ada@example.com"}) },
		"SignedWithAKeyThatIsNotItsOwn": func(p *idp) {
			p.Sign = func(c []byte) string { return p.Signed(jose.SigningKey{Algorithm: jose.ES256, Key: otherKey(p.TB)}, c) }
		},
		"SignedWithItsKeyUnderOneOfOurs": func(p *idp) {
			p.Sign = func(c []byte) string {
				return p.Signed(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: otherKey(p.TB), KeyID: "one"}}, c)
			}
		},
		"SignedWithThePublicKeyAsASecret": func(p *idp) {
			p.Sign = func(c []byte) string {
				return p.Signed(jose.SigningKey{Algorithm: jose.HS256, Key: x509.MarshalPKCS1PublicKey(&p.Key.PublicKey)}, c)
			}
		},
		"SignedWithTheClientSecret": func(p *idp) {
			p.Sign = func(c []byte) string {
				return p.Signed(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(clientSecret + strings.Repeat(" ", 32))}, c)
			}
		},
		"NotSigned": func(p *idp) {
			p.Sign = func(c []byte) string {
				return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(c) + "."
			}
		},
		"Changed":    func(p *idp) { p.Sign = func(c []byte) string { return changed(p.SignRS256(c), c) } },
		"NoProof":    func(p *idp) { p.Sign = func([]byte) string { return "" } },
		"NoProofJWE": func(p *idp) { p.Sign = func([]byte) string { return "a.b.c.d.e" } },
	} {
		t.Run("R48 "+name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			p := h.provider()
			lie(p)
			_, err := h.come(p)
			refused(t, h, err)
		})
	}
	t.Run("R18 TheAnswerIsGoodOnce", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		p := h.provider()
		trip := h.beginAt(p)
		_, err := h.federated.CompleteFederatedSignIn(h.as(""), trip.back)
		require.NoError(t, err)
		p.Used = map[string]bool{} // the provider would take the code again
		_, err = h.federated.CompleteFederatedSignIn(h.as(""), trip.back)
		requireReason(t, signInFailed, err)
		require.Equal(t, 1, count(h, `sessions`))
		require.Equal(t, 1, count(h, `used_flows`))
		h.exec(`UPDATE used_flows SET expire_time = now()`)
		_, err = h.come(p)
		require.NoError(t, err)
		require.Equal(t, 1, count(h, `used_flows`), "what says nothing any more goes")
	})
	t.Run("R18 OfManyWhoComeBackWithItOneIsHeard", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		p := h.provider()
		trip := h.beginAt(p)
		heard := 0
		for _, err := range h.together(8, func(int) error {
			_, err := h.federated.CompleteFederatedSignIn(h.as(""), trip.back)
			return err
		}) {
			if err == nil {
				heard++
			}
		}
		require.Equal(t, 1, heard)
		require.Equal(t, 1, count(h, `sessions`))
	})
	t.Run("R18 AnswersAndBrowsersBelongTogether", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		p := h.provider()
		mine, theirs := h.beginAt(p), h.beginAt(p)
		for name, change := range map[string]func(*identityv1.CompleteFederatedSignInRequest){
			"the state of another browser": func(r *identityv1.CompleteFederatedSignInRequest) { r.State = theirs.back.GetState() },
			"no state":                     func(r *identityv1.CompleteFederatedSignInRequest) { r.State = "x" },
			"another browser's flow":       func(r *identityv1.CompleteFederatedSignInRequest) { r.Flow = theirs.flow },
			"no flow of ours":              func(r *identityv1.CompleteFederatedSignInRequest) { r.Flow = "AAAA" },
			"a flow with a slip":           func(r *identityv1.CompleteFederatedSignInRequest) { r.Flow = "A" + r.GetFlow() },
			"the code of another browser":  func(r *identityv1.CompleteFederatedSignInRequest) { r.Code = theirs.back.GetCode() },
		} {
			one := h.beginAt(p)
			change(one.back)
			_, err := h.federated.CompleteFederatedSignIn(h.as(""), one.back)
			requireReason(t, signInFailed, err)
			require.Zero(t, count(h, `sessions`), name)
		}
		require.NotNil(t, mine.back)
	})
	t.Run("R18 ItIsTooLate", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		p := h.provider()
		trip := h.beginAt(p)
		h.service.Now = func() time.Time { return time.Now().Add(federation.Lifetime) }
		_, err := h.federated.CompleteFederatedSignIn(h.as(""), trip.back)
		requireReason(t, signInFailed, err)
	})
	t.Run("R48 OneProvidersAnswerIsNotAnothers", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		honest, evil := h.provider(), h.provider()
		trip := h.beginAt(evil)
		trip.back.ProviderId = honest.id // the browser was sent on to the honest one, which sends it back to its own redirect URI
		_, err := h.federated.CompleteFederatedSignIn(h.as(""), trip.back)
		refused(t, h, err)
		require.NotContains(t, trip.sent.Get("redirect_uri"), honest.id)
		require.Contains(t, trip.sent.Get("redirect_uri"), evil.id)

		trip = h.beginAt(honest)
		trip.back.Issuer = evil.URL
		_, err = h.federated.CompleteFederatedSignIn(h.as(""), trip.back)
		refused(t, h, err)
		named := h.provider()
		named.Meta["authorization_response_iss_parameter_supported"] = true
		_, err = h.come(named)
		refused(t, h, err)
	})
	for name, path := range map[string]string{"Discovery": "/.well-known/openid-configuration", "Keys": "/jwks", "TheCode": "/token"} {
		for how, answer := range map[string]http.HandlerFunc{
			"WithoutEnd": func(w http.ResponseWriter, _ *http.Request) { flood(w) },
			"WithARedirect": func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
			},
			"WithWhatIsNotJSON":     func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) }, //nolint:errcheck // a test
			"WithAnInternalFailure": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		} {
			t.Run("R76 "+name+"Answered"+how, func(t *testing.T) {
				t.Parallel()
				h := start(t)
				p := h.provider()
				p.Paths[path] = answer
				begun, err := h.federated.BeginFederatedSignIn(h.as(""), &identityv1.BeginFederatedSignInRequest{ProviderId: p.id})
				if path == "/.well-known/openid-configuration" {
					requireReason(t, unavailable, err)
					return
				}
				require.NoError(t, err)
				_, err = h.federated.CompleteFederatedSignIn(h.as(""), p.visited(begun).back)
				require.Error(t, err)
				require.Zero(t, count(h, `accounts`)+count(h, `sessions`))
			})
		}
	}
	t.Run("R76 AnotherIssuersDocumentIsNotBelieved", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		p := h.provider()
		p.Meta["issuer"] = "https://accounts.example.com"
		_, err := h.federated.BeginFederatedSignIn(h.as(""), &identityv1.BeginFederatedSignInRequest{ProviderId: p.id})
		requireReason(t, unavailable, err)
		require.NotContains(t, err.Error(), "accounts.example.com")
	})
}

// changed is a proof with other claims than were signed.
func changed(signed string, claims []byte) string {
	parts := strings.Split(signed, ".")
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(claims), "ada@", "eve@", 1)))
	return strings.Join(parts, ".")
}

func flood(w http.ResponseWriter) {
	for range 1000 {
		if _, err := w.Write([]byte(strings.Repeat(" ", 1024))); err != nil {
			return
		}
	}
}

func TestProviders(t *testing.T) {
	t.Parallel()
	t.Run("OperatorsLookAfterThem", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		create := &identityv1.CreateOperatorProviderRequest{
			DisplayName: "Example", Issuer: "https://accounts.example.com", ClientId: clientID, ClientSecret: clientSecret, Disabled: true, RequestId: "one",
		}
		made, err := h.providers.CreateOperatorProvider(h.as(operator), create)
		require.NoError(t, err)
		again, err := h.providers.CreateOperatorProvider(h.as(operator), create)
		require.NoError(t, err)
		require.Equal(t, made.GetProvider().GetId(), again.GetProvider().GetId())
		p := made.GetProvider()
		require.True(t, p.GetClientSecretSet())
		require.Equal(t, "https://roster.test/signin/oidc/"+p.GetId()+"/callback", p.GetRedirectUri())
		offered := func() int {
			shown, err := h.federated.ListSignInProviders(h.as(""), &identityv1.ListSignInProvidersRequest{})
			require.NoError(t, err)
			return len(shown.GetProviders())
		}
		require.Zero(t, offered())
		_, err = h.federated.BeginFederatedSignIn(h.as(""), &identityv1.BeginFederatedSignInRequest{ProviderId: p.GetId()})
		requireReason(t, providerNotFound, err)

		changed, err := h.providers.UpdateOperatorProvider(h.as(operator), &identityv1.UpdateOperatorProviderRequest{
			ProviderId: p.GetId(), Enabled: new(true), ClientSecret: new(""), DisplayName: new("Other")})
		require.NoError(t, err)
		require.False(t, changed.GetProvider().GetClientSecretSet())
		require.Equal(t, "Other", changed.GetProvider().GetDisplayName())
		require.Equal(t, 1, offered())
		_, err = h.providers.DeleteOperatorProvider(h.as(operator), &identityv1.DeleteOperatorProviderRequest{ProviderId: p.GetId()})
		require.NoError(t, err)
		require.Zero(t, offered())
		_, err = h.providers.DeleteOperatorProvider(h.as(operator), &identityv1.DeleteOperatorProviderRequest{ProviderId: p.GetId()})
		requireReason(t, providerNotFound, err)

		key, err := id.ParseProvider(p.GetId())
		require.NoError(t, err)
		told := h.events(id.Account(key).String())
		require.Equal(t, []string{"account.sign_in_provider_created", "account.sign_in_provider_updated", "account.sign_in_provider_deleted"}, h.types(id.Account(key).String()), "once each")
		for _, e := range told {
			require.Equal(t, "KIND_OPERATOR", e.Data["context"].(map[string]any)["actor"].(map[string]any)["kind"])
			require.Equal(t, "203.0.113.7", e.Personal["clientAddress"], e.Type)
		}
		require.Equal(t, "one", told[0].Data["context"].(map[string]any)["requestId"])
		require.Equal(t, []any{"Example", "Other"}, []any{told[1].Data["before"].(map[string]any)["displayName"], told[1].Data["after"].(map[string]any)["displayName"]})
		require.Equal(t, true, told[1].Data["clientSecretChanged"])
		require.Equal(t, 1, count(h, `idempotency WHERE request_id = 'one'`), "the operator's, as before")
	})
	t.Run("R54 TheSecretIsSealedForItsProvider", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		p := h.provider()
		var sealed []byte
		require.NoError(t, h.owner.QueryRow(t.Context(), `SELECT sealed_secret FROM providers`).Scan(&sealed))
		require.NotContains(t, string(sealed), clientSecret)
		key, err := id.ParseProvider(p.id)
		require.NoError(t, err)
		opened, err := testKey.Open(sealed, providerBound(id.Organization{}, key)...)
		require.NoError(t, err)
		require.Equal(t, clientSecret, string(opened))
		_, err = testKey.Open(sealed, providerBound(id.Organization{}, id.NewProvider())...)
		require.Error(t, err)
		require.NotContains(t, h.logged.String(), clientSecret)
	})
	t.Run("R76 OnlyHTTPSUnlessTheOperatorAllowsMore", func(t *testing.T) {
		t.Parallel()
		for _, issuer := range []string{
			"http://accounts.example.com", "ftp://accounts.example.com", "accounts.example.com", "https://", "https://ada@accounts.example.com",
			"https://accounts.example.com/?tenant=1", "https://accounts.example.com/#", "https:accounts.example.com", "https://a\x00b",
		} {
			_, err := federation.NewProvider("Example", issuer, clientID, false)
			requireReason(t, invalid, err)
		}
		_, err := federation.NewProvider("Example", "https://accounts.example.com/tenant/v2.0", clientID, false)
		require.NoError(t, err)
		_, err = federation.NewProvider("Example", "http://127.0.0.1:1", clientID, true)
		require.NoError(t, err)
	})
	t.Run("R76 APrivateAddressIsNotReached", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		p := h.provider()
		h.service.Outbound.Networks = nil
		h.service.upstream = New(h.service.Dependencies).upstream
		_, err := h.federated.BeginFederatedSignIn(h.as(""), &identityv1.BeginFederatedSignInRequest{ProviderId: p.id})
		requireReason(t, unavailable, err)
		require.Empty(t, p.Used)
	})
	t.Run("ThereAreNotTooMany", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		operator := h.operator()
		h.exec(`INSERT INTO providers SELECT gen_random_uuid(), NULL, 'x', 'x', 'x', NULL, true, now(), now() FROM generate_series(1, 20)`)
		_, err := h.providers.CreateOperatorProvider(h.as(operator), &identityv1.CreateOperatorProviderRequest{
			DisplayName: "Example", Issuer: "https://accounts.example.com", ClientId: clientID})
		requireReason(t, errorv1.Reason_REASON_LIMIT_REACHED, err)
	})
}
