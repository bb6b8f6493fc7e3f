package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func TestAccountDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.in = "a long password\n"
	gives(w, &identityv1.CreateSessionRequest{}, signIn)
	gives(w, &identityv1.GetMeRequest{}, me)
	w.ok("login", "ada@example.com", "--password-stdin")
	gives(w, &identityv1.DeleteMeRequest{}, &identityv1.DeleteMeResponse{Deleted: true})
	r := w.run("account", "delete")
	require.NotZero(t, r.code)
	require.Contains(t, r.err, "there is no terminal to ask on: say --yes")
	require.Equal(t, "Your account is deleted.\n", w.ok("account", "delete", "--yes"))
	require.NotZero(t, w.run("me").code, "the session is forgotten")
}
