package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func TestOperatorAccountsDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gives(w, &identityv1.ClaimOperatorRequest{}, &identityv1.ClaimOperatorResponse{OperatorId: "opr_1", ApiKey: "rok_key"})
	w.ok("operator", "claim", "token")
	gives(w, &identityv1.DeleteAccountRequest{}, &identityv1.DeleteAccountResponse{Deleted: true})
	require.Contains(t, w.run("operator", "accounts", "delete", "acc_1", "--yes").err, "--reason is missing")
	require.Contains(t, w.run("operator", "accounts", "delete", "acc_1", "--reason", "by law").err, "there is no terminal to ask on: say --yes")
	require.Equal(t, "acc_1 is deleted.\n", w.ok("operator", "accounts", "delete", "acc_1", "--reason", "by law", "--yes"))
	asked := w.last().request.(*identityv1.DeleteAccountRequest)
	require.Equal(t, []any{"acc_1", "by law", false}, []any{asked.GetAccountId(), asked.GetReason(), asked.GetValidateOnly()})
	require.NotEmpty(t, asked.GetRequestId())
}
