package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func TestDomain(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	domain := &membershipv1.Domain{Id: "dom_1", Name: "example.com", State: membershipv1.Domain_STATE_VERIFIED, RecordName: "_roster-challenge.example.com",
		RecordValue: "roster-domain-verification=abc", CreateTime: away(-2 * day), VerifyTime: away(-2 * day), CheckTime: away(-60e9)}
	gives(w, &membershipv1.AddDomainRequest{}, &membershipv1.AddDomainResponse{Domain: domain})
	gives(w, &membershipv1.VerifyDomainRequest{}, &membershipv1.VerifyDomainResponse{Domain: domain})
	gives(w, &membershipv1.GetDomainRequest{}, &membershipv1.GetDomainResponse{Domain: domain})
	gives(w, &membershipv1.ListDomainsRequest{}, &membershipv1.ListDomainsResponse{Domains: []*membershipv1.Domain{domain}})
	gives(w, &membershipv1.RemoveDomainRequest{}, &membershipv1.RemoveDomainResponse{})
	gives(w, &membershipv1.ListWaitingJoinsRequest{}, &membershipv1.ListWaitingJoinsResponse{Joins: []*membershipv1.WaitingJoin{
		{AccountId: "acc_2", Domain: "example.com", CreateTime: away(-2 * day), DisplayName: "Bob", Email: "bob@example.com"}}})

	require.Equal(t, `Write this into the DNS of example.com, and leave it there:

  _roster-challenge.example.com  TXT  "roster-domain-verification=abc"

Then: roster domain verify example.com
`, w.ok("domain", "add", "Example.com"))
	require.Equal(t, "Example.com", w.last().request.(*membershipv1.AddDomainRequest).GetDomain())
	require.Equal(t, "example.com is verified.\n", w.ok("domain", "verify", "example.com"))
	require.Equal(t, `Domain:    example.com
Status:    verified
Record:    _roster-challenge.example.com
Type:      TXT
Value:     roster-domain-verification=abc
Added:     2026-03-08 12:00 UTC (2d ago)
Verified:  2026-03-08 12:00 UTC (2d ago)
Checked:   2026-03-10 11:59 UTC (1m ago)
Id:        dom_1
`, w.ok("domain", "get", "example.com"))
	require.Equal(t, `DOMAIN       STATUS    VERIFIED
example.com  verified  2026-03-08 12:00 UTC (2d ago)
`, w.ok("domain", "list"))
	require.Equal(t, `NAME  EMAIL            DOMAIN       SINCE                          ACCOUNT
Bob   bob@example.com  example.com  2026-03-08 12:00 UTC (2d ago)  acc_2
`, w.ok("domain", "waiting"))
	require.Equal(t, "example.com is removed. Its DNS record can go too.\n", w.ok("domain", "remove", "example.com", "--yes"))
	require.Equal(t, "example.com", w.last().request.(*membershipv1.RemoveDomainRequest).GetDomain())
}
