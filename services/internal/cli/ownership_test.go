package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func TestTransfer(t *testing.T) {
	t.Parallel()
	w := signedIn(t)
	offer := &membershipv1.Transfer{OwnerAccountId: "acc_1", AccountId: "acc_2", ReplacesOwner: true, OfferTime: away(0), ExpireTime: away(3 * day)}
	gives(w, &membershipv1.GetMemberRequest{}, &membershipv1.GetMemberResponse{Member: bob})
	gives(w, &membershipv1.OfferTransferRequest{}, &membershipv1.OfferTransferResponse{Transfer: offer})
	gives(w, &membershipv1.GetTransferRequest{}, &membershipv1.GetTransferResponse{Transfer: offer})
	gives(w, &membershipv1.AcceptTransferRequest{}, &membershipv1.AcceptTransferResponse{Member: &membershipv1.Member{Role: "owner"}})
	gives(w, &membershipv1.DeclineTransferRequest{}, &membershipv1.DeclineTransferResponse{})
	gives(w, &membershipv1.CancelTransferRequest{}, &membershipv1.CancelTransferResponse{})
	gives(w, &membershipv1.StepDownRequest{}, &membershipv1.StepDownResponse{Member: &membershipv1.Member{Role: "admin"}})

	shown := `From:                acc_1
To:                  acc_2
Replaces the owner:  yes
Offered:             2026-03-10 12:00 UTC (now)
Expires:             2026-03-13 12:00 UTC (in 3d)
`
	w.interactive, w.in = true, "n\n"
	require.Equal(t, "Offer the ownership of org_1 to Bob (acc_2)? [y/N] Error: stopped, nothing was changed\n", w.run("org", "transfer", "offer", "acc_2").err)
	require.Equal(t, shown+"\nTo take it back: roster org transfer cancel\n", w.ok("org", "transfer", "offer", "acc_2", "--yes"))
	require.Equal(t, "acc_2", w.last().request.(*membershipv1.OfferTransferRequest).GetAccountId())
	require.Equal(t, shown, w.ok("org", "transfer", "show"))
	require.Equal(t, "You are now owner of org_1.\n", w.ok("org", "transfer", "accept"))
	require.Equal(t, "Declined. Nothing has changed in org_1.\n", w.ok("org", "transfer", "decline"))
	require.Equal(t, "The ownership of org_1 is offered to nobody.\n", w.ok("org", "transfer", "cancel"))
	require.Equal(t, "Give up the ownership of org_1? [y/N] Error: stopped, nothing was changed\n", w.run("org", "step-down").err)
	require.Equal(t, "You are now admin of org_1.\n", w.ok("org", "step-down", "-y"))
	require.Equal(t, "org_1", w.last().request.(*membershipv1.StepDownRequest).GetOrganizationId())
}
