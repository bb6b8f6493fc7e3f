package identity

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

// ListSigningKeys returns the public halves of all keys that tokens may be signed with.
func (s *Service) ListSigningKeys(ctx context.Context, _ *identityv1.ListSigningKeysRequest) (*identityv1.ListSigningKeysResponse, error) {
	if _, err := s.signingKey(ctx); err != nil { // there is one, from now on
		return nil, err
	}
	keys, err := s.storedKeys(ctx)
	if err != nil {
		return nil, err
	}
	var set jose.JSONWebKeySet
	for _, key := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{
			Key: ed25519.PublicKey(key.PublicKey), KeyID: key.ID, Algorithm: string(jose.EdDSA), Use: "sig",
		})
	}
	jwks, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encode keys: %w", err)
	}
	return &identityv1.ListSigningKeysResponse{Jwks: string(jwks)}, nil
}
