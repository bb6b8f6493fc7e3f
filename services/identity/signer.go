package identity

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rosterhq/roster/services/identity/internal/keyring"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
)

// signer holds the key that internal tokens are signed with, once somebody has asked for it.
type signer struct {
	mu   sync.Mutex
	key  jose.JSONWebKey
	read time.Time // another copy may have changed it since
}

// ring stands for the ring of keys among the sweeper's tasks.
var ring = id.Any{0xff, 'r', 'i', 'n', 'g'}

// signingKey returns the key that internal tokens are signed with. The first to ask, of all instances, makes it.
func (s *Service) signingKey(ctx context.Context) (jose.JSONWebKey, error) {
	s.signer.mu.Lock()
	defer s.signer.mu.Unlock()
	if s.signer.key.KeyID != "" && time.Since(s.signer.read) < keyring.Lag {
		return s.signer.key, nil
	}
	read := time.Now()
	stored, err := s.activeKey(ctx)
	if errors.Is(err, errNoKey) {
		if err := s.TurnKeys(ctx, keyring.Tend); err != nil {
			return jose.JSONWebKey{}, err
		}
		stored, err = s.activeKey(ctx) // perhaps that of another instance
	}
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	if stored.ID != s.signer.key.KeyID {
		seed, err := s.Key.Open(stored.SealedSeed, keyBound(stored.ID)...)
		if err != nil || len(seed) != ed25519.SeedSize {
			return jose.JSONWebKey{}, fmt.Errorf("open signing key %s (do all instances have the same key file?): %w", stored.ID, err)
		}
		s.signer.key = jose.JSONWebKey{Key: ed25519.NewKeyFromSeed(seed), KeyID: stored.ID, Algorithm: string(jose.EdDSA), Use: "sig"}
	}
	s.signer.read = read
	return s.signer.key, nil
}

var errNoKey = errors.New("there is no active signing key")

func (s *Service) activeKey(ctx context.Context) (store.SigningKey, error) {
	keys, err := s.storedKeys(ctx)
	if err != nil {
		return store.SigningKey{}, err
	}
	for _, key := range keys {
		if key.Active {
			return key, nil
		}
	}
	return store.SigningKey{}, errNoKey
}

func (s *Service) storedKeys(ctx context.Context) (keys []store.SigningKey, err error) {
	err = s.view(ctx, postgres.Scope{}, func(q store.Queries) (err error) {
		keys, err = q.ListSigningKeys(ctx)
		return err
	})
	return keys, err
}

// ErrTooYoung says that the ring was not turned: the next key has not been published for long enough.
var ErrTooYoung = fmt.Errorf("the next key has not been published for %s yet; wait, or retire the one that signs", keyring.Ahead)

// RotateKeys makes the next key sign. When somebody else knows the one that signs, that is no reason to wait, and nobody believes it any more
// a minute later.
func (s *Service) RotateKeys(ctx context.Context, compromised bool) error {
	if compromised {
		return s.TurnKeys(ctx, keyring.Retire)
	}
	return s.TurnKeys(ctx, keyring.Rotate)
}

// TurnKeys does with the ring of signing keys what is ordered and what time asks for, and looks again when there is more to do.
func (s *Service) TurnKeys(ctx context.Context, order keyring.Order) error {
	var plan keyring.Plan
	err := s.inTx(ctx, postgres.Scope{}, func(q store.Queries) error {
		stored, err := q.LockSigningKeys(ctx)
		if err != nil {
			return err
		}
		var keys []keyring.Key
		for _, key := range stored {
			keys = append(keys, key.Key)
		}
		plan = keyring.PlanOf(keys, order, q.Now())
		for _, key := range plan.Drop {
			q.DeleteSigningKey(key)
		}
		if plan.Next != "" {
			q.ReplaceSigningKey(plan.Retire, plan.Next, plan.Until)
		}
		for _, missing := range []struct{ one, active bool }{{plan.First, true}, {plan.Follow, false}} {
			if !missing.one {
				continue
			}
			key, err := s.newKey()
			if err != nil {
				return err
			}
			key.Active = missing.active
			q.InsertSigningKey(key)
		}
		saga.For(ring, ringTask, ring).At(q.Tx, plan.Again)
		return nil
	})
	if err == nil && order != keyring.Tend && plan.Next == "" {
		err = ErrTooYoung
	}
	return err
}

// newKey makes a key. Its id is its thumbprint, RFC 7638.
func (s *Service) newKey() (store.SigningKey, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return store.SigningKey{}, fmt.Errorf("make signing key: %w", err)
	}
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return store.SigningKey{}, fmt.Errorf("make signing key: %w", err)
	}
	name := base64.RawURLEncoding.EncodeToString(sum)
	return store.SigningKey{
		Key: keyring.Key{ID: name}, PublicKey: public, SealedSeed: s.Key.Seal(private.Seed(), keyBound(name)...),
	}, nil
}

// turnKeys is TurnKeys for the sweeper.
func (s *Service) turnKeys(ctx context.Context, _ saga.Task) error {
	return s.TurnKeys(ctx, keyring.Tend)
}
