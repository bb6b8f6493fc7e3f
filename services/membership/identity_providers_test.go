package membership_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// upstream is identity's directory of identity providers.
type upstream struct {
	mu  sync.Mutex
	err error // identity is away
	set []*identityv1.SetProviderRequest
}

func (u *upstream) PrepareProvider(_ context.Context, req *identityv1.PrepareProviderRequest, _ ...grpc.CallOption) (*identityv1.PrepareProviderResponse, error) {
	if req.GetIssuer() == "nonsense" {
		return nil, fault.Invalid("issuer", "must be a URL")
	}
	if req.GetClientSecret() == "" {
		return &identityv1.PrepareProviderResponse{}, nil
	}
	return &identityv1.PrepareProviderResponse{SealedSecret: []byte("sealed for " + req.GetProviderId())}, nil
}

func (u *upstream) SetProvider(_ context.Context, req *identityv1.SetProviderRequest, _ ...grpc.CallOption) (*identityv1.SetProviderResponse, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err != nil {
		return nil, u.err
	}
	u.set = append(u.set, req)
	return &identityv1.SetProviderResponse{}, nil
}

// is sets whether identity answers.
func (u *upstream) is(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.err = err
}

// last is what identity was told last.
func (u *upstream) last() *identityv1.SetProviderRequest {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.set[len(u.set)-1]
}

const clientSecret = "correct horse battery staple"

// provider adds an identity provider through which people join.
func (o organization) provider(edit func(*membershipv1.CreateIdentityProviderRequest)) (*membershipv1.OrganizationProvider, error) {
	req := &membershipv1.CreateIdentityProviderRequest{
		OrganizationId: o.id.String(), DisplayName: "Works", Issuer: "https://login.works.example", ClientId: "roster", ClientSecret: clientSecret, Join: true}
	if edit != nil {
		edit(req)
	}
	answer, err := o.providers.CreateIdentityProvider(o.as(o.creator), req)
	return answer.GetProvider(), err
}

func (o organization) updateProvider(provider string, edit func(*membershipv1.UpdateIdentityProviderRequest)) (*membershipv1.OrganizationProvider, error) {
	req := &membershipv1.UpdateIdentityProviderRequest{OrganizationId: o.id.String(), ProviderId: provider}
	edit(req)
	answer, err := o.providers.UpdateIdentityProvider(o.as(o.creator), req)
	return answer.GetProvider(), err
}

func (o organization) deleteProvider(provider string) error {
	_, err := o.providers.DeleteIdentityProvider(o.as(o.creator), &membershipv1.DeleteIdentityProviderRequest{OrganizationId: o.id.String(), ProviderId: provider})
	return err
}

// signsIn tells as identity does that somebody has signed in with the provider.
func (o organization) signsIn(account id.Account, provider string) {
	o.Helper()
	o.hear("identity", "account.signed_in", account.String(), 3, &eventv1.AccountSignedIn{
		SessionId: id.NewSession().String(), ProviderId: provider, OrganizationId: o.id.String()})
}

// everything that the database has stored of the organization, as text.
func (o organization) stored(table string) (rows []string) {
	o.Helper()
	found, err := o.owner().Query(o.Context(), `SELECT t::text FROM `+table+` t`)
	require.NoError(o, err)
	for found.Next() {
		var row string
		require.NoError(o, found.Scan(&row))
		rows = append(rows, row)
	}
	require.NoError(o, found.Err())
	return rows
}

func TestIdentityProviders(t *testing.T) {
	t.Parallel()
	t.Run("R54 TheSecretIsIdentitysAlone", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		p, err := o.provider(nil)
		require.NoError(t, err)
		require.True(t, p.GetClientSecretSet())
		require.Equal(t, "https://roster.example/signin/oidc/"+p.GetId()+"/callback", p.GetRedirectUri())
		told := o.upstream.last()
		require.Equal(t, "sealed for "+p.GetId(), string(told.GetSealedSecret()))
		require.Equal(t, []any{o.id.String(), "https://login.works.example", true, false}, []any{told.GetOrganizationId(), told.GetIssuer(), told.GetEnabled(), told.GetDeleted()})
		for _, table := range []string{"identity_providers", "events", "idempotency", "due", "outbox"} {
			for _, row := range o.stored(table) {
				require.NotContains(t, row, clientSecret)
				require.NotContains(t, row, `\\x7365616c6564`, "what identity has need not stay here: %s", table)
			}
		}
		require.Zero(t, o.due())
		require.Equal(t, "provider.created", o.types()[len(o.types())-1])
	})
	t.Run("WhatIdentityHasNotHeardItHearsFromTheSweeper", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		o.upstream.is(errors.New("away"))
		req := func(r *membershipv1.CreateIdentityProviderRequest) { r.RequestId = "once" }
		_, err := o.provider(req)
		refused(t, err, errorv1.Reason_REASON_UNAVAILABLE)
		o.upstream.is(nil)
		o.sweep()
		require.Len(t, o.upstream.set, 1)
		require.NotEmpty(t, o.upstream.last().GetSealedSecret(), "with the secret, though nobody gives it again")
		p, err := o.provider(req)
		require.NoError(t, err)
		require.Equal(t, o.upstream.set[0].GetProviderId(), p.GetId())
		require.Equal(t, []string{"organization.created", "member.added", "provider.created"}, o.types())
		listed, err := o.providers.ListIdentityProviders(o.as(o.creator), &membershipv1.ListIdentityProvidersRequest{OrganizationId: o.id.String()})
		require.NoError(t, err)
		require.Len(t, listed.GetProviders(), 1)
		require.Zero(t, o.due())
	})
	t.Run("ChangesAreToldInTheirOrder", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		p, err := o.provider(nil)
		require.NoError(t, err)
		name, client, secret := "Works and more", "another", ""
		_, err = o.updateProvider(p.GetId(), func(r *membershipv1.UpdateIdentityProviderRequest) { r.DisplayName, r.ClientId = &name, &client })
		require.NoError(t, err)
		require.Equal(t, []any{name, client, true, 0, int64(2)}, []any{o.upstream.last().GetDisplayName(), o.upstream.last().GetClientId(),
			o.upstream.last().GetClientSecretSet(), len(o.upstream.last().GetSealedSecret()), o.upstream.last().GetVersion()})
		p, err = o.updateProvider(p.GetId(), func(r *membershipv1.UpdateIdentityProviderRequest) {
			r.ClientSecret, r.Enabled = &secret, proto.Bool(false)
		})
		require.NoError(t, err)
		require.False(t, p.GetClientSecretSet() || p.GetEnabled())
		require.False(t, o.upstream.last().GetClientSecretSet() || o.upstream.last().GetEnabled())
		require.NoError(t, o.deleteProvider(p.GetId()))
		require.True(t, o.upstream.last().GetDeleted())
		require.EqualValues(t, 4, o.upstream.last().GetVersion())
		require.Empty(t, o.stored("identity_providers"))
		require.Equal(t, []string{"provider.created", "provider.updated", "provider.updated", "provider.deleted"}, o.types()[len(o.types())-4:])
		refused(t, o.deleteProvider(p.GetId()), errorv1.Reason_REASON_IDENTITY_PROVIDER_NOT_FOUND)
	})
	t.Run("RB16 ItTakesSSOManageAndAProofOfWhoIsThere", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		req := &membershipv1.CreateIdentityProviderRequest{OrganizationId: o.id.String(), DisplayName: "Works", Issuer: "https://login.works.example", ClientId: "roster"}
		_, err := o.providers.CreateIdentityProvider(o.stale(o.creator), req)
		refused(t, err, errorv1.Reason_REASON_STEP_UP_REQUIRED)
		_, err = o.providers.CreateIdentityProvider(o.as(o.add("member")), req)
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = o.providers.CreateIdentityProvider(o.as(id.NewAccount()), req)
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		_, err = o.provider(func(r *membershipv1.CreateIdentityProviderRequest) { r.Issuer = "nonsense" })
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		require.Empty(t, o.upstream.set)
	})
	t.Run("R77 AnotherOrganizationsProviderIsNotFound", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, other := h.create(portal), h.create(portal)
		p, err := o.provider(nil)
		require.NoError(t, err)
		_, err = other.updateProvider(p.GetId(), func(r *membershipv1.UpdateIdentityProviderRequest) { r.Enabled = proto.Bool(false) })
		refused(t, err, errorv1.Reason_REASON_IDENTITY_PROVIDER_NOT_FOUND)
		refused(t, other.deleteProvider(p.GetId()), errorv1.Reason_REASON_IDENTITY_PROVIDER_NOT_FOUND)
		require.Len(t, h.upstream.set, 1)
	})
	t.Run("ThereAreTwenty", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		for range 20 {
			_, err := o.provider(nil)
			require.NoError(t, err)
		}
		_, err := o.provider(nil)
		refused(t, err, errorv1.Reason_REASON_LIMIT_REACHED)
	})
	t.Run("AnOrganizationThatIsDeletedTakesItsProvidersAlong", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		p, err := o.provider(nil)
		require.NoError(t, err)
		_, err = o.organizations.DeleteOrganization(o.as(o.creator), &membershipv1.DeleteOrganizationRequest{OrganizationId: o.id.String()})
		require.NoError(t, err)
		o.sweep()
		require.True(t, o.upstream.last().GetDeleted())
		require.Equal(t, p.GetId(), o.upstream.last().GetProviderId())
		require.Empty(t, o.stored("identity_providers"))
	})
	t.Run("R67 WhoHasADomainIsToldWhileItIsVerified", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, other := h.create(portal), h.create(portal)
		has := func(o organization) bool {
			answer, err := h.proofs.HasDomain(t.Context(), &membershipv1.HasDomainRequest{OrganizationId: o.id.String(), Domain: "works.example"})
			require.NoError(t, err)
			return answer.GetVerified()
		}
		_, err := o.addDomain(o.creator, "works.example")
		require.NoError(t, err)
		require.False(t, has(o), "it is not proven")
		other.verified("works.example")
		require.True(t, has(other))
		require.False(t, has(o))
		_, err = h.owner().Exec(t.Context(), `UPDATE domains SET state = 'SUSPENDED' WHERE state = 'VERIFIED'`)
		require.NoError(t, err)
		require.False(t, has(other))
	})
	t.Run("RB20_AGroundForManagingAnAccountIsADomainAndAMember", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, other := h.create(portal), h.create(portal)
		d := o.verified("works.example")
		member, stranger := o.add("member"), other.add("member")
		ground := func(account string) (*membershipv1.HasDomainResponse, error) {
			return h.proofs.HasDomain(t.Context(), &membershipv1.HasDomainRequest{OrganizationId: o.id.String(), Domain: "works.example", AccountId: account})
		}
		_, err := ground("x")
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		answer, err := ground(stranger.String())
		require.NoError(t, err)
		require.False(t, answer.GetVerified())
		require.Nil(t, answer.GetVerifyTime(), "of who is no member nothing is said")
		first, err := ground(member.String())
		require.NoError(t, err)
		require.True(t, first.GetVerified())
		require.Equal(t, d.GetId(), first.GetDomainId())
		require.Equal(t, d.GetVerifyTime().AsTime(), first.GetVerifyTime().AsTime())
		require.NotNil(t, first.GetJoinTime())
		_, err = o.remove(o.creator, member)
		require.NoError(t, err)
		answer, err = ground(member.String())
		require.NoError(t, err)
		require.False(t, answer.GetVerified())

		_, err = h.domains.RemoveDomain(o.as(o.creator), &membershipv1.RemoveDomainRequest{OrganizationId: o.id.String(), Domain: "works.example"})
		require.NoError(t, err)
		removed := o.history()[len(o.history())-1]
		require.Equal(t, "domain.removed", removed.Type)
		require.Contains(t, removed.Data, d.GetId())
		require.Contains(t, removed.Data, "verifyTime", "so that who hears it late knows which ground is meant")
	})
}

func TestJoinByProvider(t *testing.T) {
	t.Parallel()
	t.Run("RB13 WhoSignsInWithTheProviderBecomesAMemberOnce", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		o.setPolicy("auto_join", "false") // that is about domains
		p, err := o.provider(nil)
		require.NoError(t, err)
		account := id.NewAccount()
		o.signsIn(account, p.GetId())
		o.signsIn(account, p.GetId())
		o.sweep()
		require.Equal(t, "member", o.roleOf(account))
		added := o.history()[len(o.history())-1]
		require.Equal(t, "member.added", added.Type)
		require.Contains(t, added.Data, "KIND_PROVIDER")
		require.Contains(t, added.Data, p.GetId())
		o.signsIn(account, p.GetId())
		o.sweep()
		require.Equal(t, "member.added", o.types()[len(o.types())-1])
		require.Len(t, o.seats.occupied(), 2)
		require.Zero(t, o.due())
	})
	t.Run("RB13 WhoWasRemovedOrDisabledStaysSo", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		p, err := o.provider(nil)
		require.NoError(t, err)
		removed, disabled := o.add("admin"), o.add("member")
		_, err = o.remove(o.creator, removed)
		require.NoError(t, err)
		_, err = o.disable(o.creator, disabled)
		require.NoError(t, err)
		before := o.types()
		for _, account := range []id.Account{removed, disabled, o.creator} {
			o.signsIn(account, p.GetId())
		}
		o.sweep()
		require.Equal(t, before, o.types())
		require.Empty(t, o.waiting(o.creator))
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(o.creator, "org.delete"), "the owner is untouched")
	})
	t.Run("RB13 NobodyJoinsUnlessTheProviderSaysSo", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, other := h.create(portal), h.create(portal)
		off, err := o.provider(func(r *membershipv1.CreateIdentityProviderRequest) { r.Join = false })
		require.NoError(t, err)
		disabled, err := o.provider(func(r *membershipv1.CreateIdentityProviderRequest) { r.Disabled = true })
		require.NoError(t, err)
		gone, err := o.provider(nil)
		require.NoError(t, err)
		require.NoError(t, o.deleteProvider(gone.GetId()))
		theirs, err := other.provider(nil)
		require.NoError(t, err)
		for _, provider := range []string{off.GetId(), disabled.GetId(), gone.GetId(), theirs.GetId(), id.NewProvider().String()} {
			account := id.NewAccount()
			o.signsIn(account, provider)
			o.sweep()
			require.Empty(t, o.roleOf(account))
			require.Empty(t, other.roleOf(account))
		}
	})
	t.Run("RB14 NobodyGetsMoreThanAMemberMay", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		p, err := o.provider(nil)
		require.NoError(t, err)
		o.setPolicy("default_join_role", `"admin"`)
		_, err = o.provider(nil)
		refused(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		account := id.NewAccount()
		o.signsIn(account, p.GetId())
		o.sweep()
		require.Empty(t, o.roleOf(account))
		o.setPolicy("default_join_role", `"owner"`)
		o.signsIn(account, p.GetId())
		o.sweep()
		require.Empty(t, o.roleOf(account))
		flat := o.create(membershipv1.Preset_PRESET_FLAT)
		flat.setPolicy("default_join_role", `"member"`)
		_, err = flat.provider(nil)
		refused(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
	})
	t.Run("RB13 WithoutASeatTheyWaitBehindNobodyWhoCannotJoin", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		o.verified("works.example")
		p, err := o.provider(nil)
		require.NoError(t, err)
		h.setLimit(1)
		ada, grace := h.signUp("ada@works.example"), id.NewAccount()
		o.signsIn(grace, p.GetId())
		h.sweep()
		waiting := o.waiting(o.creator)
		require.Len(t, waiting, 2)
		require.Equal(t, []string{"works.example", ""}, []string{waiting[0].GetDomain(), waiting[1].GetDomain()})
		require.Equal(t, p.GetId(), waiting[1].GetProviderId())
		o.setPolicy("auto_join", "false")
		h.setLimit(2)
		o.seatFreed()
		h.sweep()
		require.Equal(t, "member", o.roleOf(grace))
		require.Empty(t, o.roleOf(ada))
		_, err = o.updateProvider(p.GetId(), func(r *membershipv1.UpdateIdentityProviderRequest) { r.Join = proto.Bool(false) })
		require.NoError(t, err)
	})
}
