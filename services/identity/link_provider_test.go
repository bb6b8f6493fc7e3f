package identity

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/federation"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
)

// beginLink goes to the provider for whoever is signed in, and returns what the browser comes back with.
func (h *harness) beginLink(p *idp, bearer string) *identityv1.CompleteLinkProviderRequest {
	h.Helper()
	begun, err := h.identities.BeginLinkProvider(h.as(bearer), &identityv1.BeginLinkProviderRequest{ProviderId: p.id})
	require.NoError(h, err)
	sent, code := p.Visit(begun.GetAuthorizationUrl())
	return &identityv1.CompleteLinkProviderRequest{ProviderId: p.id, Flow: begun.GetFlow(), State: sent.Get("state"), Code: code}
}

func (h *harness) completeLink(bearer string, back *identityv1.CompleteLinkProviderRequest) error {
	_, err := h.identities.CompleteLinkProvider(h.as(bearer), back)
	return err
}

// linkTo goes to the provider and back.
func (h *harness) linkTo(p *idp, bearer string) error {
	h.Helper()
	return h.completeLink(bearer, h.beginLink(p, bearer))
}

func (h *harness) unlink(bearer, provider string) error {
	_, err := h.identities.UnlinkProvider(h.as(bearer), &identityv1.UnlinkProviderRequest{ProviderId: provider})
	return err
}

// linked are the subjects by which providers know the person.
func (h *harness) linked(bearer string) (subjects []string) {
	h.Helper()
	listed, err := h.identities.ListFederatedIdentities(h.as(bearer), &identityv1.ListFederatedIdentitiesRequest{})
	require.NoError(h, err)
	for _, one := range listed.GetFederatedIdentities() {
		subjects = append(subjects, one.GetSubject())
	}
	return subjects
}

func TestLinkProvider(t *testing.T) {
	t.Parallel()
	t.Run("R67 WhoIsSignedInToBothLinksThem", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		ada := h.signIn("ada@example.com").token
		p := h.provider().says("email", "lovelace@elsewhere.example").says("email_verified", nil)
		require.Empty(t, h.linked(ada))
		require.NoError(t, h.linkTo(p, ada))
		require.NoError(t, h.linkTo(p, ada), "again changes nothing")
		require.Equal(t, []string{"ada-there"}, h.linked(ada))
		require.Equal(t, 1, count(h, `events WHERE type = 'account.provider_linked'`))
		h.sweep(mail.TaskKind)
		require.Contains(t, h.outbox.to("ada@example.com")[0].Text, "Example was linked to your account")
		in, err := h.come(p)
		require.NoError(t, err)
		require.Equal(t, key.String(), in.GetSession().GetAccountId())
		require.Equal(t, 1, count(h, `accounts`))
		require.Zero(t, count(h, `user_emails WHERE email = 'lovelace@elsewhere.example'`), "the account gets no address by it")
	})
	t.Run("R67 WhomTheProviderKnowsAsAnotherAccountIsLeftThere", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		h.withPassword("grace@example.com", "")
		ada, grace := h.signIn("ada@example.com").token, h.signIn("grace@example.com").token
		p := h.provider()
		require.NoError(t, h.linkTo(p, ada))
		err := h.linkTo(p, grace)
		requireReason(t, identityTaken, err)
		require.NotContains(t, err.Error(), "ada")
		require.NotContains(t, err.Error(), "acc_")
		require.NoError(t, h.linkTo(p.says("sub", "grace-there"), grace))
		requireReason(t, identityTaken, h.linkTo(p.says("sub", "grace-elsewhere"), grace))
		require.Equal(t, []string{"grace-there"}, h.linked(grace))
		require.Equal(t, []string{"ada-there"}, h.linked(ada))
	})
	t.Run("R67 OfTwoAccountsAtOnceOneIsLinked", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		p := h.provider()
		var bearers [2]string
		var back [2]*identityv1.CompleteLinkProviderRequest
		for i, email := range []string{"ada@example.com", "grace@example.com"} {
			h.withPassword(email, "")
			bearers[i] = h.signIn(email).token
			back[i] = h.beginLink(p, bearers[i])
		}
		linked := 0
		for _, err := range h.together(2, func(i int) error { return h.completeLink(bearers[i], back[i]) }) {
			if err == nil {
				linked++
				continue
			}
			requireReason(t, identityTaken, err)
		}
		require.Equal(t, 1, linked)
		require.Equal(t, 1, count(h, `federated_identities`))
		require.Equal(t, 1, count(h, `events WHERE type = 'account.provider_linked'`))
	})
	t.Run("R67 TheWordOfAnOrganizationsProviderCountsOnItsDomains", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@home.example", "")
		ada := h.signIn("ada@home.example").token
		o := h.tenant("example.com")
		requireReason(t, linkRequired, h.linkTo(o.says("email", "ada@elsewhere.example"), ada))
		requireReason(t, emailUnverified, h.linkTo(o.says("email", "ada@example.com").says("email_verified", "true"), ada))
		h.domains.err = errors.New("away")
		requireReason(t, unavailable, h.linkTo(o.says("email_verified", true), ada))
		h.domains.err = nil
		require.Zero(t, count(h, `federated_identities`))
		require.NoError(t, h.linkTo(o.idp, ada))
		in, err := h.come(o.idp)
		require.NoError(t, err)
		require.Equal(t, key.String(), in.GetSession().GetAccountId())
		delete(h.domains.of, "example.com")
		_, err = h.come(o.idp)
		requireReason(t, linkRequired, err)
	})
	t.Run("RB16 ItTakesAProofOfWhoIsThere", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		p, ada := h.provider(), h.signIn("ada@example.com").token
		require.NoError(t, h.linkTo(p, ada))
		h.withApp("grace@example.com")
		later := h.signIn("ada@example.com").token
		h.exec(`UPDATE sessions SET auth_time = now() - interval '6 minutes'`)
		_, err := h.identities.BeginLinkProvider(h.as(later), &identityv1.BeginLinkProviderRequest{ProviderId: p.id})
		requireReason(t, stepUpRequired, err)
		requireReason(t, stepUpRequired, h.unlink(later, p.id))
		_, err = h.identities.BeginLinkProvider(h.as(h.challenge("grace@example.com")), &identityv1.BeginLinkProviderRequest{ProviderId: p.id})
		requireReason(t, incomplete, err)
	})
	t.Run("RB20 WhoIsUnprovenLinksNothing", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		p, ada := h.provider(), h.signIn("ada@example.com").token
		waiting := h.beginLink(p, ada)
		h.exec(`UPDATE accounts SET unproven_time = now() WHERE id = $1`, key)
		_, err := h.identities.BeginLinkProvider(h.as(ada), &identityv1.BeginLinkProviderRequest{ProviderId: p.id})
		requireReason(t, emailUnverified, err)
		requireReason(t, emailUnverified, h.completeLink(ada, waiting))
		_, err = h.come(p)
		requireReason(t, linkRequired, err)
		require.ErrorContains(t, err, "An admin has had a password made")
		require.Zero(t, count(h, `federated_identities`))
	})
	t.Run("R18 WhatComesBackIsForTheSessionThatBeganIt", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.withPassword("ada@example.com", "")
		h.withPassword("eve@example.com", "")
		p, ada, eve := h.provider(), h.signIn("ada@example.com").token, h.signIn("eve@example.com").token
		another := h.signIn("ada@example.com").token
		for name, bearer := range map[string]string{"another account": eve, "another session": another} {
			requireReason(t, signInFailed, h.completeLink(bearer, h.beginLink(p, ada)))
			require.Zero(t, count(h, `federated_identities`), name)
		}
		requireReason(t, unauthenticated, h.completeLink("", h.beginLink(p, ada)))

		trip := h.beginAt(p) // a sign-in links nothing
		requireReason(t, signInFailed, h.completeLink(ada, &identityv1.CompleteLinkProviderRequest{
			ProviderId: p.id, Flow: trip.flow, State: trip.back.GetState(), Code: trip.back.GetCode()}))
		back := h.beginLink(p, ada) // and what links signs nobody in
		_, err := h.federated.CompleteFederatedSignIn(h.as(""), &identityv1.CompleteFederatedSignInRequest{
			ProviderId: p.id, Flow: back.GetFlow(), State: back.GetState(), Code: back.GetCode(), Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		requireReason(t, signInFailed, err)

		back = h.beginLink(p, ada)
		proven, err := h.reauthenticate(ada, goodPassword)
		require.NoError(t, err)
		requireReason(t, signInFailed, h.completeLink(proven.GetToken(), back))
		require.Zero(t, count(h, `federated_identities`))
		ada = proven.GetToken()
		back = h.beginLink(p, ada)
		require.NoError(t, h.completeLink(ada, back))
		p.Used = map[string]bool{} // the provider would take the code again
		requireReason(t, signInFailed, h.completeLink(ada, back))
		back = h.beginLink(p, ada)
		h.service.Now = func() time.Time { return time.Now().Add(federation.Lifetime) }
		requireReason(t, signInFailed, h.completeLink(ada, back))
	})
	t.Run("R43 AProviderThatIsDisabledMeanwhileIsNotLinked", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		p, ada := h.provider(), h.signIn("ada@example.com").token
		back := h.beginLink(p, ada)
		err := h.meanwhile(key, `UPDATE providers SET enabled = false`, func() error { return h.completeLink(ada, back) })
		requireReason(t, providerNotFound, err)
		require.Empty(t, h.linked(ada))
		require.Zero(t, count(h, `events WHERE type = 'account.provider_linked'`))
	})
}

func TestUnlinkProvider(t *testing.T) {
	t.Parallel()
	t.Run("R43 TheSessionsThatCameFromItEnd", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		p, other, ada := h.provider(), h.provider(), h.signIn("ada@example.com").token
		require.NoError(t, h.linkTo(p, ada))
		require.NoError(t, h.linkTo(other, ada))
		in, err := h.come(p)
		require.NoError(t, err)
		kept, err := h.come(other)
		require.NoError(t, err)
		req := &identityv1.UnlinkProviderRequest{ProviderId: p.id, RequestId: "one"}
		for range 2 {
			_, err = h.identities.UnlinkProvider(h.as(ada), req)
			require.NoError(t, err)
		}
		_, err = h.accounts.GetMe(h.as(in.GetToken()), &identityv1.GetMeRequest{})
		requireReason(t, unauthenticated, err)
		for _, bearer := range []string{ada, kept.GetToken()} {
			_, err = h.accounts.GetMe(h.as(bearer), &identityv1.GetMeRequest{})
			require.NoError(t, err)
		}
		require.Equal(t, []string{"account.provider_unlinked", "session.ended"}, h.types(key.String())[5:])
		unlinked := h.events(key.String())[5]
		require.Equal(t, p.id, unlinked.Data["providerId"])
		require.Equal(t, "203.0.113.7", unlinked.Personal["clientAddress"])
		h.sweep(mail.TaskKind)
		require.Contains(t, h.outbox.to("ada@example.com")[0].Text, "Example was unlinked from your account")
		requireReason(t, providerNotFound, h.unlink(ada, p.id))
		requireReason(t, providerNotFound, h.unlink(ada, "x"))
		require.Equal(t, []string{"ada-there"}, h.linked(ada))
	})
	t.Run("R43 ASignInThatIsUnderWayOpensNothingAfterwards", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key, app, confirmed := h.withApp("ada@example.com")
		p := h.provider()
		require.NoError(t, h.linkTo(p, confirmed.GetToken()))
		in, err := h.come(p)
		require.NoError(t, err)
		require.NotNil(t, in.GetChallenge())
		require.NoError(t, h.unlink(confirmed.GetToken(), p.id))
		_, err = h.sessions.AnswerChallenge(h.as(in.GetToken()), &identityv1.AnswerChallengeRequest{Code: app.code()})
		requireReason(t, unauthenticated, err)

		require.NoError(t, h.linkTo(p, confirmed.GetToken()))
		trip := h.beginAt(p)
		before := count(h, `sessions`)
		err = h.meanwhile(key, `DELETE FROM federated_identities`, func() error {
			_, err := h.federated.CompleteFederatedSignIn(h.as(""), trip.back)
			return err
		})
		requireReason(t, signInFailed, err)
		require.Equal(t, before, count(h, `sessions`))
	})
	t.Run("ItIsNotTheLastWayIn", func(t *testing.T) {
		t.Parallel()
		for name, leave := range map[string]struct {
			prepare func(h *harness, bearer string) string // returns the session of afterwards
			may     bool
		}{
			"nothing else": {func(_ *harness, bearer string) string { return bearer }, false},
			"a password": {func(h *harness, bearer string) string {
				h.exec(`INSERT INTO credentials SELECT id, 'none', now() FROM accounts`)
				return bearer
			}, true},
			"a temporary password": {func(h *harness, bearer string) string {
				h.exec(`INSERT INTO credentials (account_id, password_hash, set_time, temporary_until) SELECT id, 'none', now(), now() + interval '1 hour' FROM accounts`)
				return bearer
			}, false},
			"an app": {func(h *harness, bearer string) string {
				_, confirmed := h.enrol(bearer)
				return confirmed.GetToken()
			}, false},
			"another provider": {func(h *harness, bearer string) string {
				require.NoError(h, h.linkTo(h.provider(), bearer))
				return bearer
			}, true},
			"another provider that is disabled": {func(h *harness, bearer string) string {
				other := h.provider()
				require.NoError(h, h.linkTo(other, bearer))
				_, err := h.providers.UpdateOperatorProvider(h.as(h.operator()), &identityv1.UpdateOperatorProviderRequest{ProviderId: other.id, Enabled: new(false)})
				require.NoError(h, err)
				return bearer
			}, false},
		} {
			h := start(t)
			p := h.provider().says("auth_time", time.Now().Unix())
			in, err := h.come(p)
			require.NoError(t, err)
			bearer := leave.prepare(h, in.GetToken())
			err = h.unlink(bearer, p.id)
			if leave.may {
				require.NoError(t, err, name)
				require.Zero(t, count(h, `sessions`), "the one that called has come from it, too")
				continue
			}
			requireReason(t, lastWayIn, err)
			require.Contains(t, h.linked(bearer), "ada-there", name)
		}
	})
	t.Run("R34 APasskeyIsAWayInFromWhenItWasOne", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		_, key, confirmed := h.withPasskey("ada@example.com")
		p, ada := h.provider(), confirmed.GetToken()
		require.NoError(t, h.linkTo(p, ada))
		h.exec(`DELETE FROM credentials`)
		again, err := h.sessions.Reauthenticate(h.as(ada), &identityv1.ReauthenticateRequest{Passkey: key.Sign(t, h.proof(ada))})
		require.NoError(t, err)
		requireReason(t, lastWayIn, h.unlink(again.GetToken(), p.id))
		in, err := h.finish(key.Sign(t, h.signInOptions()))
		require.NoError(t, err)
		require.NoError(t, h.unlink(in.GetToken(), p.id))
	})
	t.Run("R66 TheUndoOfAnAddressSaysWhatItUnlinks", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		eve := h.newcomer("ada@example.com")
		p, ofBefore := h.provider(), h.provider()
		require.NoError(t, h.linkTo(ofBefore, eve.token))
		h.addEmail(eve.token, "eve@evil.example")
		h.setPrimary(eve.token, "eve@evil.example")
		require.NoError(t, h.linkTo(p, eve.token))
		_, err := h.emails.RevertEmailChange(h.as(""), &identityv1.RevertEmailChangeRequest{Token: h.revertLink("ada@example.com")})
		require.NoError(t, err)
		require.Zero(t, count(h, `federated_identities`))
		var told []any
		for _, e := range h.events(eve.session.GetAccountId()) {
			if e.Type == "account.provider_unlinked" {
				told = append(told, e.Data["providerId"])
			}
		}
		require.ElementsMatch(t, []any{p.id, ofBefore.id}, told)
	})
	t.Run("RB20 WhatWasLinkedSinceAnAdminHadAPasswordMadeGoesWithTheProof", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		p, since, ada := h.provider(), h.provider(), h.signIn("ada@example.com").token
		require.NoError(t, h.linkTo(p, ada))
		require.NoError(t, h.linkTo(since, ada))
		h.exec(`UPDATE accounts SET unproven_time = now() - interval '1 minute'`)
		before, err := id.ParseProvider(p.id)
		require.NoError(t, err)
		h.exec(`UPDATE federated_identities SET create_time = now() - interval '1 hour' WHERE provider_id = $1`, before)
		require.NoError(t, h.reset(h.resetLinks(byEmail("ada@example.com"), "ada@example.com")[0], otherPassword, ""))
		require.Zero(t, count(h, `accounts WHERE unproven_time IS NOT NULL`))
		require.Equal(t, 1, count(h, `federated_identities WHERE create_time < now() - interval '30 minutes'`), "what was there before stays")
		require.Equal(t, 1, count(h, `federated_identities`))
		require.Equal(t, 1, count(h, `events WHERE type = 'account.provider_unlinked' AND aggregate_id = $1`, key))
	})
}
