package credential

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

const (
	keysRest = time.Second // between two fetches, whatever tokens arrive

	// KeysLife is how long a key is believed; then identity is asked whether it has withdrawn it.
	KeysLife = 20 * time.Second
)

// errRefused is the one answer to every bad token. Why it is bad is nobody's business but ours.
var errRefused = fault.New(errorv1.Reason_REASON_UNAUTHENTICATED, "The credential is unknown, expired or revoked. Sign in again.")

// Keys returns the public keys of identity.
type Keys func(context.Context) (jose.JSONWebKeySet, error)

// KeysOf returns the keys that identity publishes.
func KeysOf(client identityv1.CredentialServiceClient) Keys {
	return func(ctx context.Context) (set jose.JSONWebKeySet, err error) {
		resp, err := client.ListSigningKeys(ctx, &identityv1.ListSigningKeysRequest{})
		if err != nil {
			return set, err
		}
		if err := json.Unmarshal([]byte(resp.GetJwks()), &set); err != nil {
			return set, fmt.Errorf("signing keys: %w", err)
		}
		return set, nil
	}
}

// Verifier verifies the internal tokens of one audience. A signature costs as much as the rest of a small call,
// so that a token is verified once and remembered until it expires.
type Verifier struct {
	audience string
	keys     Keys
	now      func() time.Time
	flights  singleflight.Group

	mu       sync.Mutex
	verified cache[[sha256.Size]byte, verified]
	known    map[string]ed25519.PublicKey // by key id
	fetched  time.Time                    // when known was fetched
	asked    time.Time                    // when it was last asked for, and
	failed   error                        // how that failed
}

// verified is a good token, and what it was good by.
type verified struct {
	Claims
	keyID string
}

// NewVerifier returns the verifier of a service.
func NewVerifier(audience string, keys Keys, now func() time.Time) *Verifier {
	return &Verifier{audience: audience, keys: keys, now: now}
}

// Verify returns the claims of a good token. Every other token is UNAUTHENTICATED. When the keys cannot be had,
// the error is theirs: nobody should be signed out because identity restarts.
func (v *Verifier) Verify(ctx context.Context, token string) (Claims, error) {
	hash := sha256.Sum256([]byte(token))
	now := v.now()
	v.mu.Lock()
	known, ok := v.verified.get(hash, now)
	v.mu.Unlock()
	if ok {
		_, err := v.key(ctx, known.keyID) // it may have been withdrawn since
		return known.Claims, err
	}

	signed, keyID, err := parse(token)
	if err != nil {
		return Claims{}, errRefused
	}
	key, err := v.key(ctx, keyID)
	if err != nil {
		return Claims{}, err
	}
	claims, err := read(signed, key, v.audience, now)
	if err != nil {
		return Claims{}, errRefused
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.verified.put(hash, verified{claims, keyID}, now, claims.Expires)
	return claims, nil
}

// key returns the key with an id, asking identity when it is not known or was not confirmed for long.
func (v *Verifier) key(ctx context.Context, keyID string) (ed25519.PublicKey, error) {
	if key, fresh, _ := v.look(keyID); fresh {
		return key, nil
	}
	if _, err := shared(ctx, &v.flights, "", v.fetch); err != nil && ctx.Err() != nil {
		return nil, err
	}
	key, _, err := v.look(keyID)
	switch {
	case key != nil:
		return key, nil // if identity is away, what it said last still stands
	case err != nil:
		return nil, fmt.Errorf("fetch signing keys: %w", err)
	}
	return nil, errRefused
}

// look returns what is known of a key, whether that is fresh, and how the last fetch failed.
func (v *Verifier) look(keyID string) (key ed25519.PublicKey, fresh bool, failed error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key = v.known[keyID]
	return key, key != nil && v.now().Sub(v.fetched) < KeysLife, v.failed
}

// fetch gets the keys, at most once per keysRest.
func (v *Verifier) fetch(ctx context.Context) (struct{}, error) {
	now := v.now()
	v.mu.Lock()
	resting := !v.asked.IsZero() && now.Sub(v.asked) < keysRest
	v.mu.Unlock()
	if resting {
		return struct{}{}, nil
	}
	set, err := v.keys(ctx)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.asked, v.failed = v.now(), err; err != nil {
		return struct{}{}, err
	}
	v.fetched, v.known = now, make(map[string]ed25519.PublicKey, len(set.Keys))
	for _, key := range set.Keys {
		if public, ok := key.Key.(ed25519.PublicKey); ok && key.KeyID != "" && len(public) == ed25519.PublicKeySize {
			v.known[key.KeyID] = public
		}
	}
	return struct{}{}, nil
}
