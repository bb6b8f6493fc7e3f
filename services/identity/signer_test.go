package identity

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/keyring"
	"github.com/rosterhq/roster/services/internal/credential"
)

// published are the ids of the keys that everybody is told of.
func (h *harness) published() (ids []string) {
	h.Helper()
	set, err := credential.KeysOf(h.credential)(h.Context())
	require.NoError(h, err)
	for _, key := range set.Keys {
		ids = append(ids, key.KeyID)
	}
	return ids
}

// age makes the ring older.
func (h *harness) age(by time.Duration) {
	h.exec(`UPDATE signing_keys SET create_time = create_time - $1::interval, activate_time = activate_time - $1::interval, retire_time = retire_time - $1::interval`, by)
	h.exec(`UPDATE due SET next_time = next_time - $1::interval WHERE kind = 'ring'`, by)
}

// signs is the id of the key that an instance signs with.
func (h *harness) signs(s *Service) string {
	h.Helper()
	key, err := s.signingKey(h.Context())
	require.NoError(h, err)
	return key.KeyID
}

func TestSigningKeys(t *testing.T) {
	t.Parallel()

	t.Run("R49 TheNextIsPublishedBeforeItSigns", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		first := h.signs(h.service)
		before := h.published()
		require.Len(t, before, 2)
		require.Contains(t, before, first)
		require.ErrorIs(t, h.service.TurnKeys(t.Context(), keyring.Rotate), ErrTooYoung)
		require.Equal(t, before, h.published())
		h.age(keyring.Ahead)
		require.NoError(t, h.service.TurnKeys(t.Context(), keyring.Rotate))
		after := h.published()
		require.Len(t, after, 3, "the one that signs, the one that has signed, the one that will")
		require.Subset(t, after, before)
		other := h.instance()
		require.Contains(t, before, h.signs(other))
		require.NotEqual(t, first, h.signs(other))
	})
	t.Run("R49 TheSweeperTurnsTheRing", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		first := h.signs(h.service)
		h.age(keyring.Ahead)
		require.Equal(t, 1, h.sweep(ringTask))
		require.Equal(t, first, h.signs(h.instance()), "it is not time")
		require.Zero(t, h.sweep(ringTask))
		h.age(keyring.Period)
		require.Equal(t, 1, h.sweep(ringTask))
		require.NotEqual(t, first, h.signs(h.instance()))
		require.Contains(t, h.published(), first)
		h.age(keyring.Ahead)
		require.Equal(t, 1, h.sweep(ringTask))
		require.NotContains(t, h.published(), first)
		require.Equal(t, 2, count(h, `signing_keys`), "it is forgotten")
	})
	t.Run("R49 AKeyThatIsKnownToSomebodyElseIsGoneWithinAMinute", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		first := h.signs(h.service)
		require.NoError(t, h.service.TurnKeys(t.Context(), keyring.Retire), "however young the next is")
		require.NotEqual(t, first, h.signs(h.instance()))
		require.Equal(t, 1, count(h, `signing_keys WHERE id = $1 AND retire_time BETWEEN now() + interval '20 seconds' AND now() + interval '36 seconds'`, first))
		h.exec(`UPDATE signing_keys SET retire_time = now() WHERE id = $1`, first)
		require.NotContains(t, h.published(), first)
	})
	t.Run("R49 TurningTheRingUnderLoadFailsNobody", func(t *testing.T) {
		t.Parallel()
		h := start(t)
		key := h.withPassword("ada@example.com", "")
		_, token := h.open(key)
		instances := []*Service{h.service, h.instance(), h.instance()}
		first := h.signs(h.service)
		published := func(ctx context.Context) (set jose.JSONWebKeySet, err error) {
			return credential.KeysOf(h.credential)(ctx)
		}
		ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
		defer stop()
		var mu sync.Mutex
		seen := make(map[string]map[int]bool)
		var load sync.WaitGroup
		for i, instance := range instances {
			verifier := credential.NewVerifier("membership", published, time.Now)
			load.Go(func() {
				for ctx.Err() == nil {
					signed, err := instance.ResolveCredential(ctx, &identityv1.ResolveCredentialRequest{Secret: token, Audience: "membership"})
					if err == nil {
						_, err = verifier.Verify(ctx, signed.GetToken())
					}
					if err != nil && ctx.Err() == nil {
						t.Errorf("a token was refused: %v", err)
						return
					}
					by, err := jose.ParseSignedCompact(signed.GetToken(), []jose.SignatureAlgorithm{jose.EdDSA})
					if err != nil {
						return
					}
					mu.Lock()
					if id := by.Signatures[0].Header.KeyID; seen[id] == nil {
						seen[id] = make(map[int]bool)
					}
					seen[by.Signatures[0].Header.KeyID][i] = true
					mu.Unlock()
				}
			})
		}
		everybody := func(not string) bool { // signs with another key
			mu.Lock()
			defer mu.Unlock()
			for id, by := range seen {
				if id != not && len(by) == len(instances) {
					return true
				}
			}
			return false
		}
		require.Eventually(t, func() bool { return everybody("") }, 20*time.Second, 10*time.Millisecond)
		h.age(keyring.Ahead)
		require.NoError(t, h.service.TurnKeys(t.Context(), keyring.Rotate))
		require.Eventually(t, func() bool { return everybody(first) }, 20*time.Second, 10*time.Millisecond)
		stop()
		load.Wait()
		require.Len(t, seen, 2)
	})
}
