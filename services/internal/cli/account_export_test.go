package cli

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func TestAccountExport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env["ROSTER_TOKEN"] = "session-token"
	gives(w, &identityv1.ExportAccountRequest{}, &identityv1.ExportAccountResponse{Account: me.GetAccount()})
	gives(w, &membershipv1.ListOrganizationsRequest{}, &membershipv1.ListOrganizationsResponse{
		Organizations: []*membershipv1.Organization{{Id: "org_1", DisplayName: "Apollo", MyRole: "viewer"}}})
	gives(w, &membershipv1.GetMemberRequest{}, &membershipv1.GetMemberResponse{Member: &membershipv1.Member{AccountId: "acc_1", Phone: "12345"}})
	var document struct {
		Identity    struct{ Account struct{ Email string } }
		Memberships []struct {
			Organization struct{ MyRole string }
			Member       struct{ Phone string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(w.ok("account", "export")), &document))
	require.Equal(t, "ada@example.com", document.Identity.Account.Email)
	require.Len(t, document.Memberships, 1)
	require.Equal(t, "viewer 12345", document.Memberships[0].Organization.MyRole+" "+document.Memberships[0].Member.Phone)
}
