package identity

import (
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/reseal"
)

// Sealed is what the service seals and keeps. A column that is to be sealed belongs here.
func (s *Service) Sealed() []reseal.Column {
	return []reseal.Column{
		{Table: "factors", Column: "sealed_secret", Row: []string{"account_id", "id"}, Key: s.Key, Bound: func(row []any) reseal.Bound {
			owner, key := id.Account(row[0].([16]byte)), id.Factor(row[1].([16]byte))
			return reseal.Bound{Scope: postgres.In(owner), Context: factorBound(owner, key)}
		}},
		{Table: "providers", Column: "sealed_secret", Row: []string{"id"}, Also: []string{"organization_id"}, Key: s.Key, Bound: func(row []any) reseal.Bound {
			key := id.Provider(row[0].([16]byte))
			of, _ := row[1].([16]byte) // NULL: the deployment's
			return reseal.Bound{Context: providerBound(of, key), Older: providerBoundBefore(key)}
		}},
		{Table: "signing_keys", Column: "sealed_seed", Row: []string{"id"}, Key: s.Key, Bound: func(row []any) reseal.Bound {
			return reseal.Bound{Context: keyBound(row[0].(string))}
		}},
	}
}

// What sealed values are bound to: what for, whose, which.

// factorBound is for the secret of an authenticator app.
func factorBound(owner id.Account, key id.Factor) []string {
	return []string{"factor", owner.String(), key.String()}
}

// providerBound is for our secret at an identity provider.
func providerBound(of id.Organization, key id.Provider) []string {
	return []string{"provider", key.String(), of.String()}
}

// providerBoundBefore is what it was before values named their key.
func providerBoundBefore(key id.Provider) []string { return []string{"provider", key.String()} }

// keyBound is for a key that signs internal tokens. It is nobody's.
func keyBound(key string) []string { return []string{"signing key", key} }
