package identity

import (
	"testing"

	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func (h *harness) hold(invitation id.Invitation, generation int32, username string) error {
	_, err := h.directory.HoldUsername(h.Context(), &identityv1.HoldUsernameRequest{
		InvitationId: invitation.String(), Generation: generation, Username: username,
	})
	return err
}

func (h *harness) release(invitation id.Invitation, generation int32) error {
	_, err := h.directory.ReleaseUsername(h.Context(), &identityv1.ReleaseUsernameRequest{InvitationId: invitation.String(), Generation: generation})
	return err
}

func TestHoldUsername(t *testing.T) {
	t.Parallel()
	first, second := id.NewInvitation(), id.NewInvitation()

	t.Run("OneInvitationHasIt", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		require.NoError(t, h.hold(first, 1, "Ada"))
		requireReason(t, usernameTaken, h.hold(second, 1, "aDA"))
		require.NoError(t, h.hold(first, 1, "ada"), "again")
		require.Equal(t, 1, count(h, `usernames WHERE username = 'ada' AND generation = 1`))
	})
	t.Run("OfManyAtOnceOne", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		held := 0
		for _, err := range h.together(20, func(int) error { return h.hold(id.NewInvitation(), 1, "ada") }) {
			if err == nil {
				held++
				continue
			}
			requireReason(t, usernameTaken, err)
		}
		require.Equal(t, 1, held)
		require.Equal(t, 1, count(h, `usernames`))
	})
	t.Run("RepeatedAtOnce", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		for _, err := range h.together(20, func(int) error { return h.hold(first, 1, "ada") }) {
			require.NoError(t, err)
		}
	})
	t.Run("AnAccountsIsTaken", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.insert("", "ada")
		requireReason(t, usernameTaken, h.hold(first, 1, "Ada"))
	})
	t.Run("AReleasedOneIsFree", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		require.NoError(t, h.hold(first, 1, "ada"))
		for range 2 {
			require.NoError(t, h.release(first, 1))
		}
		require.NoError(t, h.hold(second, 1, "ada"))
		requireReason(t, usernameTaken, h.hold(first, 2, "ada"))
	})
	t.Run("G2 ALateRequestOfAnEndedGenerationHoldsNothing", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		require.NoError(t, h.release(first, 2), "before any hold came")
		for generation := range int32(2) {
			requireReason(t, usernameTaken, h.hold(first, generation+1, "ada"))
		}
		require.Zero(t, count(h, `usernames`))
		require.NoError(t, h.hold(first, 3, "ada"), "resent")
		require.NoError(t, h.release(first, 2), "a late release of what ended before")
		require.Equal(t, 1, count(h, `usernames WHERE generation = 3`))
	})
	t.Run("ResendingKeepsItForTheNewGeneration", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		require.NoError(t, h.hold(first, 1, "ada"))
		require.NoError(t, h.hold(first, 2, "ada"))
		require.NoError(t, h.hold(first, 1, "ada"), "a late repetition hears what it heard before")
		require.NoError(t, h.release(first, 1))
		require.Equal(t, 1, count(h, `usernames WHERE generation = 2`))
	})
	t.Run("ANewGenerationMayAskForAnother", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		require.NoError(t, h.hold(first, 1, "ada"))
		requireReason(t, usernameTaken, h.hold(first, 1, "grace"))
		require.NoError(t, h.hold(first, 2, "grace"))
		require.NoError(t, h.hold(second, 1, "ada"))
		requireReason(t, usernameTaken, h.hold(first, 1, "ada"))
	})
	t.Run("HoldAndReleaseAtOnceLeaveNothing", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		h.together(20, func(i int) error {
			if i%2 == 0 {
				return h.hold(first, 1, "ada")
			}
			return h.release(first, 1)
		})
		require.NoError(t, h.hold(second, 1, "ada"))
	})
	t.Run("RefusesWhatIsNotValid", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		requireReason(t, invalid, h.hold(first, 0, "ada"))
		requireReason(t, invalid, h.hold(id.Invitation{}, 1, "ada"))
		requireReason(t, invalid, h.hold(first, 1, "ada lovelace"))
		requireReason(t, invalid, h.hold(first, 1, ""))
		requireReason(t, invalid, h.release(first, 0))
		requireReason(t, invalid, h.release(id.Invitation{}, 1))
	})
}
