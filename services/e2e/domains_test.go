package e2e

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/devmail"
)

// addDomain adds a domain that no other test uses.
func (o *organization) addDomain(t *testing.T) *membershipv1.Domain {
	t.Helper()
	added, err := o.owner.AddDomain(t.Context(), &membershipv1.AddDomainRequest{OrganizationId: o.ID, Domain: unique("Works") + ".example"})
	require.NoError(t, err)
	return added.GetDomain()
}

func (o *organization) verify(t *testing.T, name string) (*membershipv1.Domain, error) {
	t.Helper()
	answer, err := o.owner.VerifyDomain(t.Context(), &membershipv1.VerifyDomainRequest{OrganizationId: o.ID, Domain: name})
	return answer.GetDomain(), err
}

// domain is one that the organization has proven.
func (o *organization) domain(t *testing.T) string {
	t.Helper()
	d := o.addDomain(t)
	suite.DNS.Set(d.GetRecordName(), d.GetRecordValue())
	_, err := o.verify(t, d.GetName())
	require.NoError(t, err)
	return d.GetName()
}

// waiting returns the accounts that wait for a seat.
func (o *organization) waiting(t *testing.T, by *person) (accounts []string) {
	t.Helper()
	answer, err := by.ListWaitingJoins(t.Context(), &membershipv1.ListWaitingJoinsRequest{OrganizationId: o.ID})
	require.NoError(t, err)
	for _, join := range answer.GetJoins() {
		accounts = append(accounts, join.GetAccountId())
	}
	return accounts
}

// TestDomains holds what domains are for: to know whose people somebody is one of.
func TestDomains(t *testing.T) {
	t.Parallel()

	scenario(t, "S1-47 R68 an organization proves a domain by a DNS record, and has it alone", func(t *testing.T, over string) {
		org, other := create(t, over, portal), create(t, over, portal)
		admin, member := org.join(t, "admin"), org.join(t, "member")
		_, err := member.AddDomain(t.Context(), &membershipv1.AddDomainRequest{OrganizationId: org.ID, Domain: "works.example"})
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		for _, name := range []string{"gmail.com", "co.uk"} {
			_, err := admin.AddDomain(t.Context(), &membershipv1.AddDomainRequest{OrganizationId: org.ID, Domain: name})
			refused(t, err, errorv1.Reason_REASON_DOMAIN_REFUSED)
		}
		_, err = admin.AddDomain(t.Context(), &membershipv1.AddDomainRequest{OrganizationId: org.ID, Domain: "nonsense"})
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)

		d := org.addDomain(t)
		_, err = org.verify(t, d.GetName())
		f := refused(t, err, errorv1.Reason_REASON_DOMAIN_UNPROVEN)
		require.Equal(t, "_roster-challenge."+d.GetName(), f.Metadata["record"])
		require.Equal(t, d.GetRecordValue(), f.Metadata["value"])
		suite.DNS.Set(d.GetRecordName(), "v=spf1 -all", d.GetRecordValue())
		verified, err := admin.VerifyDomain(t.Context(), &membershipv1.VerifyDomainRequest{OrganizationId: org.ID, Domain: d.GetName()})
		require.NoError(t, err)
		require.Equal(t, membershipv1.Domain_STATE_VERIFIED, verified.GetDomain().GetState())
		listed, err := org.owner.ListDomains(t.Context(), &membershipv1.ListDomainsRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		require.Len(t, listed.GetDomains(), 1)

		theirs, err := other.owner.AddDomain(t.Context(), &membershipv1.AddDomainRequest{OrganizationId: other.ID, Domain: d.GetName()})
		require.NoError(t, err, "who has it is nobody's business before a proof")
		_, err = other.verify(t, d.GetName())
		refused(t, err, errorv1.Reason_REASON_DOMAIN_UNPROVEN)
		suite.DNS.Set(d.GetRecordName(), d.GetRecordValue(), theirs.GetDomain().GetRecordValue())
		_, err = other.verify(t, d.GetName())
		refused(t, err, errorv1.Reason_REASON_DOMAIN_TAKEN)

		_, err = org.owner.RemoveDomain(t.Context(), &membershipv1.RemoveDomainRequest{OrganizationId: org.ID, Domain: d.GetName()})
		require.NoError(t, err)
		_, err = org.owner.GetDomain(t.Context(), &membershipv1.GetDomainRequest{OrganizationId: org.ID, Domain: d.GetName()})
		refused(t, err, errorv1.Reason_REASON_DOMAIN_NOT_FOUND)
		_, err = other.verify(t, d.GetName())
		require.NoError(t, err)
		for kind, n := range map[string]int{"domain.added": 1, "domain.verified": 1, "domain.removed": 1} {
			require.Equal(t, n, org.events(t, "membership", kind), kind)
		}
	})

	scenario(t, "S1-48 R69 who signs up with an address of a verified domain becomes a member, and nobody else", func(t *testing.T, over string) {
		org := create(t, over, portal)
		pending := org.addDomain(t).GetName()
		early := signUpAs(t, over, "early@"+pending)
		name := org.domain(t)
		elsewhere := signUpAs(t, over, "ada@mail."+name)
		ada := signUpAs(t, over, "ada@"+name)
		eventually(t, func() bool { return org.can(t, ada, "products.use") }, "she is let in")
		require.Equal(t, "member", org.row(t, ada.ID).GetRole())
		require.Equal(t, ada.Email, org.row(t, ada.ID).GetEmail())
		told := mailTo(t, org.owner.Email, func(m devmail.Received) bool { return strings.Contains(m.Subject, "joined "+org.Name) })
		require.Contains(t, told.Subject, ada.Name)
		require.Contains(t, told.Text, "as Member")
		require.EqualValues(t, 2, org.seats(t).GetUsed())
		require.False(t, org.can(t, early, "products.use"), "the domain was not verified")
		require.False(t, org.can(t, elsewhere, "products.use"), "another domain")
	})

	scenario(t, "S1-48 R69 without a seat they wait, sign in all the same, and come in when one is free", func(t *testing.T, over string) {
		org := create(t, over, portal)
		name := org.domain(t)
		member := org.join(t, "member")
		org.limit(t, 2)
		ada := signUpAs(t, over, "ada@"+name)
		eventually(t, func() bool { return len(org.waiting(t, member)) == 1 }, "she waits")
		grace := signUpAs(t, over, "grace@"+name)
		eventually(t, func() bool { return len(org.waiting(t, member)) == 2 }, "she waits too")
		require.Equal(t, []string{ada.ID, grace.ID}, org.waiting(t, member))
		require.EqualValues(t, 2, org.seats(t).GetUsed())
		org.remove(t, member)
		eventually(t, func() bool { return org.can(t, ada, "products.use") }, "the seat is hers")
		require.Equal(t, []string{grace.ID}, org.waiting(t, org.owner))
		org.limit(t, 3)
		eventually(t, func() bool { return org.can(t, grace, "products.use") }, "there are more seats")
		require.Empty(t, org.waiting(t, org.owner))
	})

	scenario(t, "R69 who was removed does not come back by themselves, and an invitation goes first", func(t *testing.T, over string) {
		org := create(t, over, portal)
		name := org.domain(t)
		email := "ada@" + name
		invited := org.invite(t, email, "admin")
		require.Len(t, org.pending(t, invited.GetToken()), 1)
		ada := org.accept(t, mailLink(t, email, "/invite/"))
		require.Equal(t, "admin", org.row(t, ada.ID).GetRole())
		org.remove(t, ada)
		grace := signUpAs(t, over, "grace@"+name)
		eventually(t, func() bool { return org.can(t, grace, "products.use") }, "who comes later is let in")
		require.False(t, org.can(t, ada, "products.use"))
		require.Empty(t, org.waiting(t, org.owner))
	})

	scenario(t, "RB14 nobody joins with a role that reaches further than a member's", func(t *testing.T, over string) {
		org := create(t, over, portal)
		name := org.domain(t)
		_, err := org.owner.UpdatePolicy(t.Context(), org.amendment(t, `{"default_join_role": "admin"}`))
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		org.amend(t, `{"custom_roles": true}`)
		role := org.shape(t, "Reader", "org.read")
		org.amend(t, `{"default_join_role": "reader"}`)
		_, err = org.owner.UpdateRole(t.Context(), &membershipv1.UpdateRoleRequest{
			OrganizationId: org.ID, RoleId: role.GetId(), Permissions: []string{"org.read", "members.remove"}})
		require.NoError(t, err)
		ada := signUpAs(t, over, "ada@"+name)
		eventually(t, func() bool { return len(org.waiting(t, org.owner)) == 1 }, "she waits")
		require.False(t, org.can(t, ada, "org.read"))
		org.amend(t, `{"default_join_role": "member"}`)
		grace := signUpAs(t, over, "grace@"+name)
		eventually(t, func() bool { return org.can(t, ada, "products.use") && org.can(t, grace, "products.use") }, "both are let in")
	})

	scenario(t, "R68 of many that prove a domain at once one has it", func(t *testing.T, over string) {
		first := create(t, over, portal)
		name := first.addDomain(t).GetName()
		orgs := []*organization{first}
		for range 3 {
			orgs = append(orgs, create(t, over, portal))
		}
		var values []string
		for _, org := range orgs {
			answer, err := org.owner.GetDomain(t.Context(), &membershipv1.GetDomainRequest{OrganizationId: org.ID, Domain: name})
			if err != nil {
				added, err := org.owner.AddDomain(t.Context(), &membershipv1.AddDomainRequest{OrganizationId: org.ID, Domain: name})
				require.NoError(t, err)
				values = append(values, added.GetDomain().GetRecordValue())
				continue
			}
			values = append(values, answer.GetDomain().GetRecordValue())
		}
		suite.DNS.Set("_roster-challenge."+name, values...)
		outcomes := atOnce(len(orgs), func(i int) error {
			_, err := orgs[i].verify(t, name)
			return err
		})
		won := 0
		for _, err := range outcomes {
			if err == nil {
				won++
			}
		}
		require.Equal(t, 1, won, "%v", errors.Join(outcomes...))
	})
}
