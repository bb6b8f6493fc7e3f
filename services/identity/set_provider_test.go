package identity

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// tenant is an organization with an identity provider of its own.
type tenant struct {
	*idp
	h    *harness
	org  string
	told *identityv1.SetProviderRequest
}

// tenant returns an organization that has verified the domains.
func (h *harness) tenant(verified ...string) *tenant {
	h.Helper()
	o := &tenant{idp: &idp{IDP: testkit.NewIDP(h.T), id: id.NewProvider().String()}, h: h, org: id.NewOrganization().String()}
	sealed, err := h.decided.PrepareProvider(h.Context(), &identityv1.PrepareProviderRequest{
		ProviderId: o.id, OrganizationId: o.org, DisplayName: "Works", Issuer: o.URL, ClientId: clientID, ClientSecret: clientSecret})
	require.NoError(h, err)
	require.NotContains(h, string(sealed.GetSealedSecret()), clientSecret)
	h.domains.mu.Lock()
	if h.domains.of == nil {
		h.domains.of = make(map[string]string)
	}
	for _, domain := range verified {
		h.domains.of[domain] = o.org
	}
	h.domains.mu.Unlock()
	o.told = &identityv1.SetProviderRequest{
		ProviderId: o.id, OrganizationId: o.org, Version: 1, DisplayName: "Works", Issuer: o.URL, ClientId: clientID,
		ClientSecretSet: true, SealedSecret: sealed.GetSealedSecret(), Enabled: true,
	}
	o.tell(func(*identityv1.SetProviderRequest) {})
	return o
}

// tell tells identity of the next version.
func (o *tenant) tell(edit func(*identityv1.SetProviderRequest)) {
	o.h.Helper()
	edit(o.told)
	_, err := o.h.decided.SetProvider(o.h.Context(), o.told)
	require.NoError(o.h, err)
	o.told.Version++
	o.told.SealedSecret = nil
}

func (o *tenant) disable() { o.tell(func(r *identityv1.SetProviderRequest) { r.Enabled = false }) }
func (o *tenant) enable()  { o.tell(func(r *identityv1.SetProviderRequest) { r.Enabled = true }) }
func (o *tenant) remove()  { o.tell(func(r *identityv1.SetProviderRequest) { r.Deleted = true }) }

func TestOrganizationProvider(t *testing.T) {
	t.Parallel()
	t.Run("R67 ItsWordCountsForAddressesOnItsDomains", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		o := h.tenant("example.com")
		in, err := h.come(o.idp)
		require.NoError(t, err)
		require.Equal(t, 1, count(h, `accounts WHERE managed_by IS NOT NULL`), "it made the account")
		signedIn := h.events(in.GetSession().GetAccountId())[3]
		require.Equal(t, "account.signed_in", signedIn.Type)
		require.Equal(t, []any{o.id, o.org}, []any{signedIn.Data["providerId"], signedIn.Data["organizationId"]})

		key := h.insert("grace@example.com", "")
		in, err = h.come(o.says("sub", "grace-there").says("email", "grace@example.com"))
		require.NoError(t, err)
		require.Equal(t, key.String(), in.GetSession().GetAccountId())
	})
	t.Run("R67 AForeignDomainTakesASignInAndALink", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.insert("ada@example.com", "")
		o := h.tenant("works.example")
		h.tenant("example.com") // somebody else's
		_, err := h.come(o.idp)
		requireReason(t, linkRequired, err)
		_, err = h.come(o.says("email", "nobody@example.com"))
		requireReason(t, linkRequired, err)
		_, err = h.come(o.says("email", "ada@sub.works.example"))
		requireReason(t, linkRequired, err)
		require.Zero(t, count(h, `federated_identities`)+count(h, `sessions`))
		require.Equal(t, 1, count(h, `accounts`))
		require.Empty(t, h.types(key.String()))
	})
	t.Run("R65 NorIsItBelievedWithoutSayingThatTheAddressIsProven", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		o := h.tenant("example.com")
		_, err := h.come(o.says("email_verified", "true"))
		requireReason(t, emailUnverified, err)
		require.Zero(t, count(h, `accounts`))
	})
	t.Run("R67 WhenTheDomainIsSuspendedItsWordDoesNotCountAnyMore", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		o := h.tenant("example.com")
		_, err := h.come(o.idp)
		require.NoError(t, err)
		delete(h.domains.of, "example.com")
		_, err = h.come(o.idp)
		requireReason(t, linkRequired, err)
		h.domains.of["example.com"] = id.NewOrganization().String() // somebody else has it now
		_, err = h.come(o.idp)
		requireReason(t, linkRequired, err)
		require.Equal(t, 1, count(h, `sessions`))
	})
	t.Run("R87 NobodyGetsInWhileNobodyKnowsWhoseTheDomainIs", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		o := h.tenant("example.com")
		_, err := h.come(o.idp)
		require.NoError(t, err)
		h.domains.err = errors.New("away")
		_, err = h.come(o.idp)
		requireReason(t, unavailable, err)
		_, err = h.come(o.says("sub", "grace-there").says("email", "grace@example.com"))
		requireReason(t, unavailable, err)
		require.Equal(t, 1, count(h, `accounts`))
		require.Equal(t, 1, count(h, `sessions`))
	})
	t.Run("R18 AnAnswerOfAnotherOrganizationsProviderIsNone", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		mine, theirs := h.tenant("example.com"), h.tenant("evil.example")
		trip := h.beginAt(theirs.idp)
		trip.back.ProviderId = mine.id // the browser is sent to the other redirect URI
		_, err := h.federated.CompleteFederatedSignIn(h.as(""), trip.back)
		requireReason(t, signInFailed, err)
		mixed := h.beginAt(mine.idp)
		mixed.back.Code = h.beginAt(theirs.idp).back.Code
		_, err = h.federated.CompleteFederatedSignIn(h.as(""), mixed.back)
		requireReason(t, signInFailed, err)
		named := h.beginAt(mine.idp)
		named.back.Issuer = theirs.URL
		_, err = h.federated.CompleteFederatedSignIn(h.as(""), named.back)
		requireReason(t, signInFailed, err)
		require.Zero(t, count(h, `accounts`)+count(h, `sessions`))
	})
	t.Run("R43 WhenItIsDisabledOrGoneTheSessionsThatCameFromItEnd", func(t *testing.T) {
		t.Parallel()
		for name, end := range map[string]func(*tenant){"disabled": (*tenant).disable, "gone": (*tenant).remove} {
			h := start(t)
			o := h.tenant("example.com")
			in, err := h.come(o.idp)
			require.NoError(t, err)
			owner, err := id.ParseAccount(in.GetSession().GetAccountId())
			require.NoError(t, err)
			_, kept := h.open(owner)
			waiting := h.beginAt(o.idp)
			end(o)
			require.Equal(t, 1, h.sweep("provided"), name)
			_, err = h.accounts.GetMe(h.as(in.GetToken()), &identityv1.GetMeRequest{})
			requireReason(t, unauthenticated, err)
			_, err = h.accounts.GetMe(h.as(kept), &identityv1.GetMeRequest{})
			require.NoError(t, err, "which came another way")
			require.Equal(t, "session.ended", h.types(owner.String())[len(h.types(owner.String()))-1])
			_, err = h.federated.BeginFederatedSignIn(h.as(""), &identityv1.BeginFederatedSignInRequest{ProviderId: o.id})
			requireReason(t, providerNotFound, err)
			_, err = h.federated.CompleteFederatedSignIn(h.as(""), waiting.back)
			requireReason(t, providerNotFound, err)
			o.enable()
			_, err = h.federated.CompleteFederatedSignIn(h.as(""), waiting.back)
			if name == "gone" {
				requireReason(t, providerNotFound, err)
				require.Zero(t, count(h, `federated_identities`))
				require.Zero(t, count(h, `providers WHERE sealed_secret IS NOT NULL`))
				continue
			}
			requireReason(t, signInFailed, err)
			_, err = h.come(o.idp)
			require.NoError(t, err)
		}
	})
	t.Run("R43 ASessionThatWaitsForItsSecondFactorEndsToo", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, app, _ := h.withApp("ada@example.com")
		o := h.tenant("example.com")
		in, err := h.come(o.idp)
		require.NoError(t, err)
		require.NotNil(t, in.GetChallenge())
		o.disable() // and nobody has swept yet
		_, err = h.sessions.AnswerChallenge(h.as(in.GetToken()), &identityv1.AnswerChallengeRequest{Code: app.code()})
		requireReason(t, unauthenticated, err)
	})
	t.Run("WhatIsHeardLateChangesNothing", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		o := h.tenant("example.com")
		late := proto.Clone(o.told).(*identityv1.SetProviderRequest)
		o.disable()
		_, err := h.decided.SetProvider(t.Context(), late)
		require.NoError(t, err)
		require.Equal(t, 1, count(h, `providers WHERE NOT enabled AND version = 2`))
		stolen := proto.Clone(o.told).(*identityv1.SetProviderRequest)
		stolen.OrganizationId, stolen.Version = id.NewOrganization().String(), 100
		_, _ = h.decided.SetProvider(t.Context(), stolen)
		require.Equal(t, 1, count(h, `providers WHERE version = 2`), "it is another organization's")
		o.remove()
		late.Version = 100
		_, err = h.decided.SetProvider(t.Context(), late)
		require.NoError(t, err)
		require.Equal(t, 1, count(h, `providers WHERE deleted`))
	})
	t.Run("R63 ItIsOnItsOrganizationsPageAlone", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.provider()
		o := h.tenant()
		names := func(organization string) (ids []string) {
			answer, err := h.federated.ListSignInProviders(h.as(""), &identityv1.ListSignInProvidersRequest{OrganizationId: organization})
			require.NoError(t, err)
			for _, p := range answer.GetProviders() {
				ids = append(ids, p.GetId())
			}
			return ids
		}
		require.Equal(t, []string{o.id}, names(o.org))
		require.NotContains(t, names(""), o.id)
		require.Empty(t, names(id.NewOrganization().String()))
		operators, err := h.providers.ListOperatorProviders(h.as(h.operator()), &identityv1.ListOperatorProvidersRequest{})
		require.NoError(t, err)
		require.Len(t, operators.GetProviders(), 1)
	})
}
