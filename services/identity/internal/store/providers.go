package store

import (
	"context"
	"time"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/federation"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

const providerColumns = `id, organization_id, display_name, issuer, client_id, sealed_secret, enabled, deleted, version, create_time, update_time`

// ListProviders returns the providers of an organization, or those of the deployment, oldest first.
func (q Queries) ListProviders(ctx context.Context, of id.Organization) (all []federation.Provider, err error) {
	q.Read(`SELECT `+providerColumns+` FROM providers WHERE organization_id IS NOT DISTINCT FROM $1::uuid AND NOT deleted ORDER BY id`, []any{of}, postgres.All(&all))
	return all, q.Fetch(ctx)
}

// LockProvider returns a provider of an organization, or one of the deployment's, and holds its row until the transaction ends.
func (q Queries) LockProvider(ctx context.Context, of id.Organization, key id.Provider) (p federation.Provider, err error) {
	var found bool
	q.Read(`SELECT `+providerColumns+` FROM providers WHERE id = $1 AND organization_id IS NOT DISTINCT FROM $2::uuid FOR UPDATE`,
		[]any{key, of}, postgres.One(&p, &found))
	if err = q.Fetch(ctx); err == nil && !found {
		err = federation.ErrProviderNotFound
	}
	return p, err
}

// GetSignInProvider returns a provider that people can sign in with.
func (q Queries) GetSignInProvider(ctx context.Context, key id.Provider) (p federation.Provider, err error) {
	var found bool
	q.Read(`SELECT `+providerColumns+` FROM providers WHERE id = $1 AND enabled`, []any{key}, postgres.One(&p, &found))
	if err = q.Fetch(ctx); err == nil && !found {
		err = federation.ErrProviderNotFound
	}
	return p, err
}

// LockSignInProvider is GetSignInProvider, and keeps the provider as it is until the transaction ends: whoever disables it then hears of the
// session.
func (q Queries) LockSignInProvider(ctx context.Context, key id.Provider) (p federation.Provider, err error) {
	var found bool
	q.Read(`SELECT `+providerColumns+` FROM providers WHERE id = $1 AND enabled FOR SHARE`, []any{key}, postgres.One(&p, &found))
	if err = q.Fetch(ctx); err == nil && !found {
		err = federation.ErrProviderNotFound
	}
	return p, err
}

// InsertProvider adds a provider.
func (q Queries) InsertProvider(p federation.Provider) {
	q.Write(`
		INSERT INTO providers (`+providerColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, providerValues(p)...)
}

func providerValues(p federation.Provider) []any {
	return []any{p.ID, p.OrganizationID, p.DisplayName, p.Issuer, p.ClientID, p.SealedSecret, p.Enabled, p.Deleted, p.Version, p.CreateTime, p.UpdateTime}
}

// PutProvider writes a provider of an organization, unless a newer version is there, or it is another organization's.
func (q Queries) PutProvider(p federation.Provider) {
	q.Write(`
		INSERT INTO providers AS now (`+providerColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (id) DO UPDATE
		SET display_name = excluded.display_name, client_id = excluded.client_id, sealed_secret = excluded.sealed_secret,
		    enabled = excluded.enabled, deleted = excluded.deleted, version = excluded.version, update_time = excluded.update_time
		WHERE now.organization_id = excluded.organization_id AND now.version < excluded.version AND NOT now.deleted`, providerValues(p)...)
}

// ScheduleLinked schedules a task of a kind for every account that is linked to the provider.
func (q Queries) ScheduleLinked(key id.Provider, kind string) {
	q.Write(`
		INSERT INTO due (aggregate_id, kind, id, next_time)
		SELECT account_id, $2, provider_id, now() FROM federated_identities WHERE provider_id = $1
		ON CONFLICT (aggregate_id, kind, id) DO UPDATE SET next_time = excluded.next_time, attempts = 0`, key, kind)
	q.Wake(postgres.Sweeper)
}

// DeleteLinksTo takes away the links of accounts to a provider.
func (q Queries) DeleteLinksTo(to id.Provider) {
	q.Write(`DELETE FROM federated_identities WHERE provider_id = $1`, to)
}

// SaveProvider writes what can change of a provider.
func (q Queries) SaveProvider(p federation.Provider) {
	q.Write(`UPDATE providers SET display_name = $2, client_id = $3, sealed_secret = $4, enabled = $5, update_time = $6, version = $7 WHERE id = $1`,
		p.ID, p.DisplayName, p.ClientID, p.SealedSecret, p.Enabled, p.UpdateTime, p.Version)
}

// DeleteProvider takes a provider away, and the links of accounts to it.
func (q Queries) DeleteProvider(key id.Provider) { q.Write(`DELETE FROM providers WHERE id = $1`, key) }

// UseFlow uses a flow up; used tells that somebody has done so before. What says nothing any more goes.
func (s Store) UseFlow(ctx context.Context, f federation.Flow) (used bool, err error) {
	var mine []struct{ ID id.Flow }
	err = s.DB.InTx(ctx, postgres.Scope{}, func(tx *postgres.Tx) error {
		mine = nil
		tx.Read(`DELETE FROM used_flows WHERE expire_time <= now()`, nil, postgres.All(new([]struct{ ID id.Flow })))
		tx.Read(`INSERT INTO used_flows (id, expire_time) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING id`,
			[]any{f.ID, f.End()}, postgres.All(&mine))
		return tx.Fetch(ctx)
	})
	return len(mine) == 0, err
}

// Vouched is whose account somebody's is whom a provider vouches for.
type Vouched struct {
	Linked   id.Account // zero: none yet
	Domain   string     // what the link stands on; empty: nothing that can go
	Claimant id.Account // the account that has proven the address; zero: none
}

// FindVouched returns whose account the subject is, and who has proven the address.
func (q Queries) FindVouched(ctx context.Context, at id.Provider, subject, email string) (v Vouched, err error) {
	var always bool
	q.Read(`SELECT (SELECT account_id FROM federated_identities WHERE provider_id = $1 AND subject = $2) AS linked,
		coalesce((SELECT domain FROM federated_identities WHERE provider_id = $1 AND subject = $2), '') AS domain,
		(SELECT account_id FROM user_emails WHERE email = $3 AND verified) AS claimant`, []any{at, subject, email}, postgres.One(&v, &always))
	return v, q.Fetch(ctx)
}

// InsertLink links an account to whom the provider knows, unless nobody can sign in with it any more, and for as long as its organization
// has the domain; empty: for good.
func (q Queries) InsertLink(at id.Provider, subject, domain string, owner id.Account) {
	q.Write(`INSERT INTO federated_identities (provider_id, subject, account_id, domain, create_time)
		SELECT id, $2, $3, nullif($4, ''), now() FROM providers WHERE id = $1 AND enabled FOR SHARE`,
		at, subject, owner, domain)
}

// Identity is what an identity provider knows a person by.
type Identity struct {
	ProviderID                   id.Provider
	OrganizationID               id.Organization // whose provider it is; zero: the deployment's
	Enabled                      bool            // the provider is
	DisplayName, Issuer, Subject string
	CreateTime                   time.Time
}

// ListIdentities returns whom identity providers know as the account's person, oldest first.
func (q Queries) ListIdentities(ctx context.Context, owner id.Account) (all []Identity, err error) {
	q.Read(`
		SELECT f.provider_id, p.organization_id, p.enabled, p.display_name, p.issuer, f.subject, f.create_time
		FROM federated_identities f JOIN providers p ON p.id = f.provider_id
		WHERE f.account_id = $1 ORDER BY f.create_time, f.provider_id`, []any{owner}, postgres.All(&all))
	return all, q.Fetch(ctx)
}

// IsLinked tells whether the provider signs somebody in to the account.
func (q Queries) IsLinked(ctx context.Context, at id.Provider, owner id.Account) (linked bool, err error) {
	var row struct{ ProviderID id.Provider }
	q.Read(`SELECT provider_id FROM federated_identities WHERE provider_id = $1 AND account_id = $2`, []any{at, owner}, postgres.One(&row, &linked))
	return linked, q.Fetch(ctx)
}

// DeleteLink takes away that an identity provider vouches for an account.
func (q Queries) DeleteLink(owner id.Account, at id.Provider) {
	q.Write(`DELETE FROM federated_identities WHERE account_id = $1 AND provider_id = $2`, owner, at)
}

// InsertAccountWithout adds an account without a password: its person signs in in another way.
func (q Queries) InsertAccountWithout(a account.Account, managedBy id.Organization) {
	q.Write(`
		INSERT INTO accounts (id, display_name, email, email_verified, username, create_time, managed_by)
		VALUES ($1, $2, nullif($3, ''), $4, nullif($5, ''), $6, $7)`,
		a.ID, a.DisplayName, a.Email, a.EmailVerified, a.Username, a.CreateTime, managedBy)
}
