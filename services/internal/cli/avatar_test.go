package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func TestAvatar(t *testing.T) {
	t.Parallel()

	t.Run("AFileIsSent", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		gives(w, &identityv1.SetAvatarRequest{}, &identityv1.SetAvatarResponse{Account: &identityv1.Account{AvatarUrl: "/avatars/A"}})
		file := filepath.Join(t.TempDir(), "me.png")
		require.NoError(t, os.WriteFile(file, []byte("a picture"), 0o600))
		require.Contains(t, w.ok("account", "avatar", "set", file), "/avatars/A")
		require.Equal(t, "a picture", string(w.last().request.(*identityv1.SetAvatarRequest).GetContent()))
	})
	t.Run("ThePictureIsTakenAway", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		gives(w, &identityv1.DeleteAvatarRequest{}, &identityv1.DeleteAvatarResponse{})
		require.Contains(t, w.ok("account", "avatar", "remove"), "no picture")
	})
}
