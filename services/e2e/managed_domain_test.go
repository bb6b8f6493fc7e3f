package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// employee joins the organization with an address on the domain, and then another organization, too.
func (o *organization) employee(t *testing.T, domain string, second *organization) *person {
	t.Helper()
	address := unique("employee") + "@" + domain
	o.invite(t, address, "member")
	who := o.accept(t, mailLink(t, address, "/invite/"))
	_, err := second.createMember(t, second.owner, address, "member")
	require.NoError(t, err)
	return who
}

// managed waits until the person sees who manages their account, and through which domain; nil: nobody does.
func (p *person) managed(t *testing.T, by *organization, through string) {
	t.Helper()
	organization := ""
	if by != nil {
		organization = by.ID
	}
	eventually(t, func() bool {
		me, err := p.GetMe(t.Context(), &identityv1.GetMeRequest{})
		return err == nil && me.GetManagedByOrganizationId() == organization && me.GetManagedThroughDomain() == through
	}, "who manages the account, and why")
}

// TestManagedThroughADomain is about accounts that an organization brought in, which belong to others, too: it goes on managing them while their address is on
// a domain of its own.
func TestManagedThroughADomain(t *testing.T) {
	t.Parallel()

	scenario(t, "RB20 S2-48 S2-51 who has an address on the organization's domain stays managed by it in a second one, until the domain is removed", func(t *testing.T, over string) {
		org, second := create(t, over, rbac), create(t, over, rbac)
		domain := org.domain(t)
		who := org.employee(t, domain, second)
		who.managed(t, org, domain)
		org.manages(t, who, true)
		for power, err := range second.powers(t, who) {
			refused(t, err, errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED)
			require.Error(t, err, power)
		}

		org.disable(t, who)
		credentials := &identityv1.CreateSessionRequest{Email: who.Email, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN}
		_, err := connect(over, "").CreateSession(t.Context(), credentials)
		refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)
		_, err = org.owner.EnableMember(t.Context(), &membershipv1.EnableMemberRequest{OrganizationId: org.ID, AccountId: who.ID})
		require.NoError(t, err)
		signIn(t, over, who.Email)

		org.disable(t, who)
		_, err = connect(over, "").CreateSession(t.Context(), credentials)
		refused(t, err, errorv1.Reason_REASON_CREDENTIALS_INVALID)
		_, err = org.owner.RemoveDomain(t.Context(), &membershipv1.RemoveDomainRequest{OrganizationId: org.ID, Domain: domain})
		require.NoError(t, err)
		eventually(t, func() bool {
			_, err := connect(over, "").CreateSession(t.Context(), credentials)
			return err == nil
		}, "the person signs in again")
		free := signIn(t, over, who.Email)
		free.managed(t, nil, "")
		require.True(t, second.can(t, free, "products.use"))

		_, err = org.owner.EnableMember(t.Context(), &membershipv1.EnableMemberRequest{OrganizationId: org.ID, AccountId: who.ID})
		require.NoError(t, err)
		again, err := org.owner.AddDomain(t.Context(), &membershipv1.AddDomainRequest{OrganizationId: org.ID, Domain: domain})
		require.NoError(t, err)
		suite.DNS.Set(again.GetDomain().GetRecordName(), again.GetDomain().GetRecordValue())
		_, err = org.verify(t, domain)
		require.NoError(t, err)
		org.powerless(t, free)
	})

	scenario(t, "RB20 R66 who makes an address elsewhere the primary one is managed by nobody from then on", func(t *testing.T, over string) {
		org, second := create(t, over, rbac), create(t, over, rbac)
		domain := org.domain(t)
		who := org.employee(t, domain, second)
		who.managed(t, org, domain)
		elsewhere := unique("elsewhere") + "@example.com"
		_, err := who.AddEmail(t.Context(), &identityv1.AddEmailRequest{Email: elsewhere})
		require.NoError(t, err)
		require.NoError(t, prove(t, who.client, elsewhere))
		_, err = who.SetPrimaryEmail(t.Context(), &identityv1.SetPrimaryEmailRequest{Email: elsewhere})
		require.NoError(t, err)
		who.managed(t, nil, "")
		who.Email = elsewhere
		org.powerless(t, who)
	})

	scenario(t, "RB20 an organization that removes somebody manages them no more, and neither does one that is deleted", func(t *testing.T, over string) {
		org, second := create(t, over, rbac), create(t, over, rbac)
		domain := org.domain(t)
		gone, left := org.employee(t, domain, second), org.employee(t, domain, second)
		gone.managed(t, org, domain)
		left.managed(t, org, domain)
		org.remove(t, gone)
		gone.managed(t, nil, "")
		left.managed(t, org, domain)
		_, err := org.owner.DeleteOrganization(t.Context(), &membershipv1.DeleteOrganizationRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		left.managed(t, nil, "")
	})
}
