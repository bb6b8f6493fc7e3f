package identity

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/go-jose/go-jose/v4"

	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// signer holds the key that internal tokens are signed with, once somebody has asked for it.
type signer struct {
	mu  sync.Mutex
	key jose.JSONWebKey
}

// keySeal is the purpose of a sealed signing key; its id is the rest of the context.
const keySeal = "signing key"

// signingKey returns the key that internal tokens are signed with. The first to ask, of all instances, makes it.
func (s *Service) signingKey(ctx context.Context) (jose.JSONWebKey, error) {
	s.signer.mu.Lock()
	defer s.signer.mu.Unlock()
	if s.signer.key.KeyID != "" {
		return s.signer.key, nil
	}
	stored, err := s.activeKey(ctx)
	if errors.Is(err, errNoKey) {
		if err := s.makeKey(ctx); err != nil {
			return jose.JSONWebKey{}, err
		}
		stored, err = s.activeKey(ctx) // perhaps that of another instance
	}
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	seed, err := s.Key.Open(stored.SealedSeed, keySeal, stored.ID)
	if err != nil || len(seed) != ed25519.SeedSize {
		return jose.JSONWebKey{}, fmt.Errorf("open signing key %s (do all instances have the same key file?): %w", stored.ID, err)
	}
	s.signer.key = jose.JSONWebKey{Key: ed25519.NewKeyFromSeed(seed), KeyID: stored.ID, Algorithm: string(jose.EdDSA), Use: "sig"}
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

func (s *Service) makeKey(ctx context.Context) error {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	name := "key_" + rand.Text()
	return s.store.InsertSigningKey(ctx, store.SigningKey{
		ID: name, PublicKey: public, SealedSeed: s.Key.Seal(private.Seed(), keySeal, name),
	})
}
