package store

import (
	"context"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

const identityProviderColumns = `provider_id, display_name, issuer, client_id, secret_set, sealed_secret, enabled, joins, deleted, version, create_time`

// ListIdentityProviders returns the organization's identity providers, oldest first.
func (q Queries) ListIdentityProviders(ctx context.Context, key id.Organization) (all []org.IdentityProvider, err error) {
	q.Read(`SELECT `+identityProviderColumns+` FROM identity_providers WHERE organization_id = $1 AND NOT deleted ORDER BY provider_id`,
		[]any{key}, postgres.All(&all))
	return all, q.Fetch(ctx)
}

// GetIdentityProvider returns an identity provider of the organization.
func (q Queries) GetIdentityProvider(ctx context.Context, key id.Organization, provider id.Provider) (org.IdentityProvider, error) {
	p, err := q.FindIdentityProvider(ctx, key, provider)
	if err == nil && (p.ID.IsZero() || p.Deleted) {
		err = org.ErrNoIdentityProvider
	}
	return p, err
}

// FindIdentityProvider is GetIdentityProvider for one that may be deleted; zero: identity has heard of that, or there never was any.
func (q Queries) FindIdentityProvider(ctx context.Context, key id.Organization, provider id.Provider) (p org.IdentityProvider, err error) {
	var found bool
	q.Read(`SELECT `+identityProviderColumns+` FROM identity_providers WHERE organization_id = $1 AND provider_id = $2`,
		[]any{key, provider}, postgres.One(&p, &found))
	return p, q.Fetch(ctx)
}

// InsertIdentityProvider adds an identity provider.
func (q Queries) InsertIdentityProvider(key id.Organization, p org.IdentityProvider) {
	q.Write(`
		INSERT INTO identity_providers (organization_id, `+identityProviderColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		key, p.ID, p.DisplayName, p.Issuer, p.ClientID, p.SecretSet, p.SealedSecret, p.Enabled, p.Joins, p.Deleted, p.Version, p.CreateTime)
}

// SaveIdentityProvider writes what can change of an identity provider.
func (q Queries) SaveIdentityProvider(key id.Organization, p org.IdentityProvider) {
	q.Write(`
		UPDATE identity_providers
		SET display_name = $3, client_id = $4, secret_set = $5, sealed_secret = $6, enabled = $7, joins = $8, deleted = $9, version = $10
		WHERE organization_id = $1 AND provider_id = $2`,
		key, p.ID, p.DisplayName, p.ClientID, p.SecretSet, p.SealedSecret, p.Enabled, p.Joins, p.Deleted, p.Version)
}

// ToldIdentityProvider notes that identity knows the provider as it is in that version: the secret is there alone from now on, and of one that is deleted
// nothing stays.
func (q Queries) ToldIdentityProvider(key id.Organization, p org.IdentityProvider, kind string) {
	const same = `organization_id = $1 AND provider_id = $2 AND version = $3`
	q.Write(`DELETE FROM due WHERE aggregate_id = $1 AND kind = $4 AND id = $2 AND EXISTS (SELECT FROM identity_providers WHERE `+same+`)`,
		key, p.ID, p.Version, kind)
	q.Write(`UPDATE identity_providers SET sealed_secret = NULL WHERE `+same+` AND sealed_secret IS NOT NULL`, key, p.ID, p.Version)
	q.Write(`DELETE FROM identity_providers WHERE `+same+` AND deleted`, key, p.ID, p.Version)
}

// DeleteIdentityProviders takes all identity providers of an organization away, and schedules a task of a kind for each.
func (q Queries) DeleteIdentityProviders(key id.Organization, kind string) {
	q.Write(`
		UPDATE identity_providers
		SET secret_set = false, sealed_secret = NULL, enabled = false, joins = false, deleted = true, version = version + 1
		WHERE organization_id = $1 AND NOT deleted`, key)
	q.Write(`
		INSERT INTO due (aggregate_id, kind, id, next_time)
		SELECT organization_id, $2, provider_id, now() FROM identity_providers WHERE organization_id = $1
		ON CONFLICT (aggregate_id, kind, id) DO UPDATE SET next_time = excluded.next_time, attempts = 0`, key, kind)
	q.Wake(postgres.Sweeper)
}

// DeleteProviderJoins forgets who waited to join through an identity provider.
func (q Queries) DeleteProviderJoins(key id.Organization, provider id.Provider) {
	q.Write(`DELETE FROM joins WHERE organization_id = $1 AND provider_id = $2`, key, provider)
}
