package membership_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func (o organization) addDomain(by id.Account, name string) (*membershipv1.Domain, error) {
	answer, err := o.domains.AddDomain(o.as(by), &membershipv1.AddDomainRequest{OrganizationId: o.id.String(), Domain: name})
	return answer.GetDomain(), err
}

func (o organization) verifyDomain(by id.Account, name string) (*membershipv1.Domain, error) {
	answer, err := o.domains.VerifyDomain(o.as(by), &membershipv1.VerifyDomainRequest{OrganizationId: o.id.String(), Domain: name})
	return answer.GetDomain(), err
}

func (o organization) getDomain(name string) *membershipv1.Domain {
	o.Helper()
	answer, err := o.domains.GetDomain(o.as(o.creator), &membershipv1.GetDomainRequest{OrganizationId: o.id.String(), Domain: name})
	require.NoError(o, err)
	return answer.GetDomain()
}

// verified is an organization that has proven a domain.
func (o organization) verified(name string) *membershipv1.Domain {
	o.Helper()
	d, err := o.addDomain(o.creator, name)
	require.NoError(o, err)
	o.dns.Set(d.GetRecordName(), d.GetRecordValue())
	d, err = o.verifyDomain(o.creator, name)
	require.NoError(o, err)
	require.Equal(o, membershipv1.Domain_STATE_VERIFIED, d.GetState())
	return d
}

// ageDomain makes a domain as if its checks had been so much earlier.
func (o organization) ageDomain(name string, by time.Duration) {
	o.Helper()
	tag, err := o.owner().Exec(o.Context(), `
		UPDATE domains SET verify_time = verify_time - $3::interval, check_time = check_time - $3::interval, missing_time = missing_time - $3::interval
		WHERE organization_id = $1 AND name = $2`, o.id, name, by)
	require.NoError(o, err)
	require.EqualValues(o, 1, tag.RowsAffected())
}

func TestDomains(t *testing.T) {
	t.Parallel()
	h := newHarness(t)

	t.Run("R68_ADomainIsProvenByItsRecord", func(t *testing.T) {
		t.Parallel()
		o := h.create(portal)
		d, err := o.addDomain(o.creator, "One.Example")
		require.NoError(t, err)
		require.Equal(t, "one.example", d.GetName())
		require.Equal(t, membershipv1.Domain_STATE_PENDING, d.GetState())
		f := refused(t, second(o.verifyDomain(o.creator, "one.example")), errorv1.Reason_REASON_DOMAIN_UNPROVEN)
		require.Equal(t, d.GetRecordName(), f.Metadata["record"])
		require.Equal(t, d.GetRecordValue(), f.Metadata["value"])
		h.dns.Set("one.example", d.GetRecordValue()) // elsewhere
		h.dns.Set(d.GetRecordName(), strings.ToUpper(d.GetRecordValue()), d.GetRecordValue()+"x")
		refused(t, second(o.verifyDomain(o.creator, "one.example")), errorv1.Reason_REASON_DOMAIN_UNPROVEN)
		h.dns.Break(d.GetRecordName(), true)
		refused(t, second(o.verifyDomain(o.creator, "one.example")), errorv1.Reason_REASON_UNAVAILABLE)
		h.dns.Break(d.GetRecordName(), false)
		h.dns.Set(d.GetRecordName(), "something else", d.GetRecordValue())
		d, err = o.verifyDomain(o.creator, "one.example")
		require.NoError(t, err)
		require.Equal(t, membershipv1.Domain_STATE_VERIFIED, d.GetState())
		require.NotNil(t, d.GetVerifyTime())
		again, err := o.verifyDomain(o.creator, "one.example")
		require.NoError(t, err)
		require.Equal(t, d.GetVerifyTime().AsTime(), again.GetVerifyTime().AsTime())
		require.Equal(t, []string{"organization.created", "member.added", "domain.added", "domain.verified"}, o.types())
	})

	t.Run("R68_WhatNobodyOwnsIsRefused", func(t *testing.T) {
		t.Parallel()
		o := h.create(portal)
		for _, name := range []string{"com", "co.uk", "gmail.com", "mail.example"} {
			_, err := o.addDomain(o.creator, name)
			require.Error(t, err, name)
		}
		refused(t, second(o.addDomain(o.creator, "co.uk")), errorv1.Reason_REASON_DOMAIN_REFUSED)
		require.Len(t, o.types(), 2)
	})

	t.Run("R68_OneOrganizationHasADomainAndOnlyWhoProvesItHearsThat", func(t *testing.T) {
		t.Parallel()
		o, other := h.create(portal), h.create(portal)
		first := o.verified("two.example")
		d, err := other.addDomain(other.creator, "two.example")
		require.NoError(t, err)
		require.NotEqual(t, first.GetRecordValue(), d.GetRecordValue())
		refused(t, second(other.verifyDomain(other.creator, "two.example")), errorv1.Reason_REASON_DOMAIN_UNPROVEN)
		h.dns.Set(d.GetRecordName(), first.GetRecordValue(), d.GetRecordValue())
		refused(t, second(other.verifyDomain(other.creator, "two.example")), errorv1.Reason_REASON_DOMAIN_TAKEN)
		require.Equal(t, membershipv1.Domain_STATE_PENDING, other.getDomain("two.example").GetState())

		_, err = o.domains.RemoveDomain(o.as(o.creator), &membershipv1.RemoveDomainRequest{OrganizationId: o.id.String(), Domain: "two.example"})
		require.NoError(t, err)
		_, err = other.verifyDomain(other.creator, "two.example")
		require.NoError(t, err)
	})

	t.Run("R68_OfTwoThatProveADomainAtOnceOneHasIt", func(t *testing.T) {
		t.Parallel()
		o, other := h.create(portal), h.create(portal)
		var values []string
		for _, of := range []organization{o, other} {
			d, err := of.addDomain(of.creator, "race.example")
			require.NoError(t, err)
			values = append(values, d.GetRecordValue())
		}
		h.dns.Set("_roster-challenge.race.example", values...)
		outcomes := make(chan error)
		for _, of := range []organization{o, other} {
			go func() {
				_, err := of.verifyDomain(of.creator, "race.example")
				outcomes <- err
			}()
		}
		one, two := <-outcomes, <-outcomes
		require.True(t, (one == nil) != (two == nil), "%v, %v", one, two)
		refused(t, errors.Join(one, two), errorv1.Reason_REASON_DOMAIN_TAKEN)
	})

	t.Run("R77_WhoMayNotAndForeignDomainsChangeNothing", func(t *testing.T) {
		t.Parallel()
		o, other := h.create(portal), h.create(portal)
		member := o.add("member")
		o.verified("three.example")
		before := o.types()
		for _, by := range []id.Account{member, other.creator} {
			reason := errorv1.Reason_REASON_PERMISSION_MISSING
			if by == other.creator {
				reason = errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND
			}
			refused(t, second(o.addDomain(by, "four.example")), reason)
			refused(t, second(o.verifyDomain(by, "three.example")), reason)
			_, err := o.domains.RemoveDomain(o.as(by), &membershipv1.RemoveDomainRequest{OrganizationId: o.id.String(), Domain: "three.example"})
			refused(t, err, reason)
			_, err = o.domains.ListDomains(o.as(by), &membershipv1.ListDomainsRequest{OrganizationId: o.id.String()})
			refused(t, err, reason)
		}
		_, err := other.domains.GetDomain(other.as(other.creator), &membershipv1.GetDomainRequest{OrganizationId: other.id.String(), Domain: "three.example"})
		refused(t, err, errorv1.Reason_REASON_DOMAIN_NOT_FOUND)
		_, err = other.domains.RemoveDomain(other.as(other.creator), &membershipv1.RemoveDomainRequest{OrganizationId: other.id.String(), Domain: "three.example"})
		refused(t, err, errorv1.Reason_REASON_DOMAIN_NOT_FOUND)
		refused(t, second(other.verifyDomain(other.creator, "three.example")), errorv1.Reason_REASON_DOMAIN_NOT_FOUND)
		listed, err := other.domains.ListDomains(other.as(other.creator), &membershipv1.ListDomainsRequest{OrganizationId: other.id.String()})
		require.NoError(t, err)
		require.Empty(t, listed.GetDomains())
		require.Equal(t, before, o.types())
	})

	t.Run("ThereAreSoManyAndEachOnce", func(t *testing.T) {
		t.Parallel()
		o := h.create(portal)
		for i := range 20 {
			_, err := o.addDomain(o.creator, fmt.Sprintf("d%02d.example", i))
			require.NoError(t, err)
		}
		refused(t, second(o.addDomain(o.creator, "d20.example")), errorv1.Reason_REASON_LIMIT_REACHED)
		refused(t, second(o.addDomain(o.creator, "d07.example")), errorv1.Reason_REASON_NAME_TAKEN)
		listed, err := o.domains.ListDomains(o.as(o.creator), &membershipv1.ListDomainsRequest{OrganizationId: o.id.String()})
		require.NoError(t, err)
		require.Len(t, listed.GetDomains(), 20)
		require.Equal(t, "d07.example", listed.GetDomains()[7].GetName())
	})

	t.Run("ARepeatedRequestChangesNothing", func(t *testing.T) {
		t.Parallel()
		o := h.create(portal)
		add := &membershipv1.AddDomainRequest{OrganizationId: o.id.String(), Domain: "again.example", RequestId: "add"}
		first, err := h.domains.AddDomain(o.as(o.creator), add)
		require.NoError(t, err)
		again, err := h.domains.AddDomain(o.as(o.creator), add)
		require.NoError(t, err)
		require.Equal(t, first.GetDomain().GetRecordValue(), again.GetDomain().GetRecordValue())
		h.dns.Set(first.GetDomain().GetRecordName(), first.GetDomain().GetRecordValue())
		verify := &membershipv1.VerifyDomainRequest{OrganizationId: o.id.String(), Domain: "again.example", RequestId: "verify"}
		done, err := h.domains.VerifyDomain(o.as(o.creator), verify)
		require.NoError(t, err)
		h.dns.Set(first.GetDomain().GetRecordName())
		replayed, err := h.domains.VerifyDomain(o.as(o.creator), verify)
		require.NoError(t, err, "what the DNS says by now does not change the answer")
		require.Equal(t, done.GetToken(), replayed.GetToken())
		require.Equal(t, []string{"organization.created", "member.added", "domain.added", "domain.verified"}, o.types())
	})

	t.Run("ADeletedOrganizationHasNoDomains", func(t *testing.T) {
		t.Parallel()
		o, other := h.create(portal), h.create(portal)
		d := o.verified("five.example")
		_, err := h.organizations.DeleteOrganization(o.as(o.creator), &membershipv1.DeleteOrganizationRequest{OrganizationId: o.id.String()})
		require.NoError(t, err)
		mine, err := other.addDomain(other.creator, "five.example")
		require.NoError(t, err)
		h.dns.Set(d.GetRecordName(), d.GetRecordValue(), mine.GetRecordValue())
		_, err = other.verifyDomain(other.creator, "five.example")
		require.NoError(t, err)
		require.Equal(t, "organization.deleted", o.types()[len(o.types())-1])
	})
}

func TestLostDomain(t *testing.T) {
	t.Parallel()

	t.Run("R68_AVanishedProofSuspendsAndComesBack", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		d := o.verified("lost.example")
		asked := h.dns.Asked(d.GetRecordName())
		h.sweep()
		require.Greater(t, h.dns.Asked(d.GetRecordName()), asked)
		require.Equal(t, membershipv1.Domain_STATE_VERIFIED, o.getDomain("lost.example").GetState())

		h.dns.Set(d.GetRecordName())
		h.sweep()
		away := o.getDomain("lost.example")
		require.Equal(t, membershipv1.Domain_STATE_VERIFIED, away.GetState(), "for a while")
		require.NotNil(t, away.GetMissingTime())
		o.ageDomain("lost.example", 71*time.Hour)
		h.dns.Break(d.GetRecordName(), true) // no answer is no proof
		h.sweep()
		require.Equal(t, membershipv1.Domain_STATE_VERIFIED, o.getDomain("lost.example").GetState())
		o.ageDomain("lost.example", time.Hour)
		h.sweep()
		require.Equal(t, membershipv1.Domain_STATE_SUSPENDED, o.getDomain("lost.example").GetState())
		h.sweep()
		o.signUp("early@lost.example")
		h.sweep()

		h.dns.Break(d.GetRecordName(), false)
		h.dns.Set(d.GetRecordName(), d.GetRecordValue())
		h.sweep()
		back := o.getDomain("lost.example")
		require.Equal(t, membershipv1.Domain_STATE_VERIFIED, back.GetState())
		require.Nil(t, back.GetMissingTime())
		require.Equal(t, []string{"organization.created", "member.added", "domain.added", "domain.verified", "domain.lost", "domain.verified"}, o.types(),
			"and nobody joined meanwhile")
	})

	t.Run("R68_WhoProvesItMeanwhileHasIt", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, other := h.create(portal), h.create(portal)
		d := o.verified("sold.example")
		theirs, err := other.addDomain(other.creator, "sold.example")
		require.NoError(t, err)
		h.dns.Set(d.GetRecordName(), theirs.GetRecordValue())
		h.sweep()
		refused(t, second(other.verifyDomain(other.creator, "sold.example")), errorv1.Reason_REASON_DOMAIN_TAKEN)
		o.ageDomain("sold.example", 72*time.Hour)
		h.sweep()
		_, err = other.verifyDomain(other.creator, "sold.example")
		require.NoError(t, err)
		h.dns.Set(d.GetRecordName(), theirs.GetRecordValue(), d.GetRecordValue())
		h.sweep()
		require.Equal(t, membershipv1.Domain_STATE_SUSPENDED, o.getDomain("sold.example").GetState())
		require.Equal(t, membershipv1.Domain_STATE_VERIFIED, other.getDomain("sold.example").GetState())
	})

	t.Run("ARemovedDomainIsNotLookedForAgain", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(portal)
		o.verified("gone.example")
		_, err := h.domains.RemoveDomain(o.as(o.creator), &membershipv1.RemoveDomainRequest{OrganizationId: o.id.String(), Domain: "gone.example"})
		require.NoError(t, err)
		require.Zero(t, h.due())
		require.Equal(t, "domain.removed", o.types()[len(o.types())-1])
	})
}

// signUp makes an account with a proven address, and delivers the news.
func (h *harness) signUp(email string) id.Account {
	h.Helper()
	return h.signUpAt(email, time.Now())
}

func (h *harness) signUpAt(email string, at time.Time) id.Account {
	h.Helper()
	account := id.NewAccount()
	h.accounts.set(account, email)
	h.hearAt(at, "identity", "account.email_verified", account.String(), 2,
		&eventv1.AccountEmailVerified{Personal: &eventv1.Personal{Email: email}})
	return account
}
