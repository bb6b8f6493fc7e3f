package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// This file is about domains and who joins through them. The table of domains has no row-level security: every statement but
// FindDomain names the organization.

const domainColumns = `domain_id, name, state, challenge, create_time, verify_time, check_time, missing_time`

// ListDomains returns the organization's domains, by name.
func (q Queries) ListDomains(ctx context.Context, key id.Organization) (all []org.Domain, err error) {
	q.Read(`SELECT `+domainColumns+` FROM domains WHERE organization_id = $1 ORDER BY name`, []any{key}, postgres.All(&all))
	return all, q.Fetch(ctx)
}

// GetDomain returns a domain of the organization by its name.
func (q Queries) GetDomain(ctx context.Context, key id.Organization, name string) (org.Domain, error) {
	return q.domain(ctx, `name = $2`, key, name)
}

// GetDomainByID returns a domain of the organization.
func (q Queries) GetDomainByID(ctx context.Context, key id.Organization, domain id.Domain) (org.Domain, error) {
	return q.domain(ctx, `domain_id = $2`, key, domain)
}

func (q Queries) domain(ctx context.Context, where string, args ...any) (d org.Domain, err error) {
	var found bool
	q.Read(`SELECT `+domainColumns+` FROM domains WHERE organization_id = $1 AND `+where, args, postgres.One(&d, &found))
	if err := q.Fetch(ctx); err != nil {
		return d, err
	}
	if !found {
		return d, org.ErrNoDomain
	}
	return d, nil
}

// FindDomain tells which organization has verified a domain, since when; zero: none.
func (q Queries) FindDomain(ctx context.Context, name string) (whose struct {
	OrganizationID id.Organization
	DomainID       id.Domain
	VerifyTime     time.Time
}, err error) {
	var found bool
	q.Read(`SELECT organization_id, domain_id, verify_time FROM domains WHERE name = $1 AND state = 'VERIFIED'`, []any{name}, postgres.One(&whose, &found))
	return whose, q.Fetch(ctx)
}

// InsertDomain writes a new domain.
func (q Queries) InsertDomain(key id.Organization, d org.Domain) {
	q.Write(`
		INSERT INTO domains (organization_id, `+domainColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		key, d.ID, d.Name, d.State, d.Challenge, d.CreateTime, d.VerifyTime, d.CheckTime, d.MissingTime)
}

// SaveDomain writes what a look into the DNS changes. DomainTaken tells of the commit's error whether another organization has
// verified the domain.
func (q Queries) SaveDomain(key id.Organization, d org.Domain) {
	q.Write(`
		UPDATE domains
		SET state = $3, verify_time = $4, check_time = $5, missing_time = $6
		WHERE organization_id = $1 AND domain_id = $2`,
		key, d.ID, d.State, d.VerifyTime, d.CheckTime, d.MissingTime)
}

// DomainTaken tells whether a transaction failed because another organization has verified the domain.
func DomainTaken(err error) bool { return postgres.IsViolation(err, "domains_verified") }

// DeleteDomain forgets a domain, and who waited to join through it.
func (q Queries) DeleteDomain(key id.Organization, domain id.Domain) {
	q.Write(`DELETE FROM joins WHERE organization_id = $1 AND domain_id = $2`, key, domain)
	q.Write(`DELETE FROM domains WHERE organization_id = $1 AND domain_id = $2`, key, domain)
}

// Join is somebody who is to join through a domain or an identity provider.
type Join struct {
	AccountID  id.Account
	Domain     string // its name
	DomainID   id.Domain
	ProviderID id.Provider // of the identity provider that they have signed in with; zero: it is a domain
	Provider   string      // its name
	Open       bool        // whether anybody joins through that now
	CreateTime time.Time
}

// Cursor is where they stand in the list.
func (j Join) Cursor() JoinCursor {
	return JoinCursor{CreateTime: j.CreateTime, AccountID: j.AccountID}
}

// InsertJoin notes who is to join, unless they are noted already.
func (q Queries) InsertJoin(key id.Organization, account id.Account, domain id.Domain) {
	q.Write(`
		INSERT INTO joins (organization_id, account_id, domain_id, invited, create_time) VALUES ($1, $2, $3, false, now())
		ON CONFLICT (organization_id, account_id) DO NOTHING`, key, account, domain)
}

// InsertProviderJoin notes who is to join through an identity provider, unless they are noted already.
func (q Queries) InsertProviderJoin(key id.Organization, account id.Account, provider id.Provider) {
	q.Write(`
		INSERT INTO joins (organization_id, account_id, provider_id, invited, create_time) VALUES ($1, $2, $3, false, now())
		ON CONFLICT (organization_id, account_id) DO NOTHING`, key, account, provider)
}

// DeleteJoin forgets who was to join.
func (q Queries) DeleteJoin(key id.Organization, account id.Account) {
	q.Write(`DELETE FROM joins WHERE organization_id = $1 AND account_id = $2`, key, account)
}

// LeaveToInvitation keeps somebody from joining while an invitation to them is pending.
func (q Queries) LeaveToInvitation(key id.Organization, account id.Account) {
	q.Write(`UPDATE joins SET invited = true WHERE organization_id = $1 AND account_id = $2`, key, account)
}

// JoinsAfterInvitation lets everybody join again who was left to an invitation: each is looked at anew.
func (q Queries) JoinsAfterInvitation(key id.Organization) {
	q.Write(`UPDATE joins SET invited = false WHERE organization_id = $1 AND invited`, key)
}

// joinTables are who is to join, and through what.
const joinTables = `joins j
		LEFT JOIN domains d ON d.organization_id = j.organization_id AND d.domain_id = j.domain_id
		LEFT JOIN identity_providers p ON p.organization_id = j.organization_id AND p.provider_id = j.provider_id`

// openJoin is Join.Open, in SQL.
const openJoin = `coalesce(d.state = 'VERIFIED', p.enabled AND p.joins AND NOT p.deleted, false)`

// ScheduleJoin schedules a task of a kind for who is to join next, if anybody is. It comes after what changes the policy.
func (q Queries) ScheduleJoin(key id.Organization, kind string) {
	q.Write(`
		INSERT INTO due (aggregate_id, kind, id, next_time)
		SELECT j.organization_id, $2, j.account_id, now()
		FROM `+joinTables+`
		JOIN organizations o ON o.organization_id = j.organization_id
		WHERE j.organization_id = $1 AND NOT j.invited AND `+openJoin+` AND (j.domain_id IS NULL OR (o.policy ->> 'auto_join')::boolean)
		ORDER BY j.create_time, j.account_id
		LIMIT 1
		ON CONFLICT (aggregate_id, kind, id) DO UPDATE SET next_time = excluded.next_time, attempts = 0`, key, kind)
	q.Wake(postgres.Sweeper)
}

// AnyJoins tells whether anybody is to join.
func (q Queries) AnyJoins(ctx context.Context, key id.Organization) (bool, error) {
	var found []struct{ Found bool }
	q.Read(`SELECT EXISTS (SELECT FROM joins WHERE organization_id = $1) AS found`, []any{key}, postgres.All(&found))
	err := q.Fetch(ctx)
	return err == nil && found[0].Found, err
}

const joinColumns = `j.account_id, coalesce(d.name, '') AS domain, j.domain_id, j.provider_id, coalesce(p.display_name, '') AS provider,
		` + openJoin + ` AS open, j.create_time`

// Joining is what decides about somebody who is to join.
type Joining struct {
	Standing
	Join    Join          // zero: they are not
	Pending org.Operation // that takes a seat for them already
	Invited bool          // an invitation to the address is pending
}

// LockToJoin returns who is to join with the address. Nobody changes the organization, its domains or the member meanwhile.
func (q Queries) LockToJoin(ctx context.Context, key id.Organization, account id.Account, address string) (Joining, error) {
	var j Joining
	var found bool
	var invited []struct{ Found bool }
	q.lockOrganization(key, "FOR SHARE")
	q.memberLocks(key, account)
	q.Read(`SELECT 1 FROM joins WHERE organization_id = $1 AND account_id = $2 FOR UPDATE`, []any{key, account}, nothing)
	q.join(key, account, &j.Join, &found)
	pending := q.operation(`account_id = $2 AND kind = $3 AND state = 'PENDING' LIMIT 1`, key, account, org.JoinOperation)
	q.Read(`
		SELECT EXISTS (
			SELECT FROM people_search s JOIN people p ON p.organization_id = s.organization_id AND p.person_id = s.person_id
			WHERE s.organization_id = $1 AND s.email = $2 AND p.kind = 'INVITATION'
		) AS found`, []any{key, fold(address)}, postgres.All(&invited))
	collect := q.standing(key, []id.Account{account})
	if err := q.Fetch(ctx); err != nil {
		return Joining{}, err
	}
	j.Standing, j.Pending, j.Invited = collect(), *pending, invited[0].Found
	return j, nil
}

func (q Queries) join(key id.Organization, account id.Account, into *Join, found *bool) {
	q.Read(`
		SELECT `+joinColumns+`
		FROM `+joinTables+`
		WHERE j.organization_id = $1 AND j.account_id = $2`, []any{key, account}, postgres.One(into, found))
}

// GetJoin returns somebody who is to join; zero: they are not.
func (q Queries) GetJoin(ctx context.Context, key id.Organization, account id.Account) (j Join, err error) {
	var found bool
	q.join(key, account, &j, &found)
	return j, q.Fetch(ctx)
}

// ListAddresses returns addresses of active members with one of the roles, in no order that means anything.
func (q Queries) ListAddresses(ctx context.Context, key id.Organization, roles []string, limit int) (addresses []string, err error) {
	q.Read(`
		SELECT coalesce(nullif(overlay_email, ''), email) FROM people
		WHERE organization_id = $1 AND role = ANY ($2) AND state = 'ACTIVE' AND (email <> '' OR overlay_email <> '')
		LIMIT $3`, []any{key, roles, limit}, func(rows pgx.Rows) (err error) {
		addresses, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return addresses, q.Fetch(ctx)
}

// JoinCursor is where a page of those who wait ends.
type JoinCursor struct {
	CreateTime time.Time
	AccountID  id.Account
}

// ListJoins returns a page of those who wait for a seat, the longest first.
func (q Queries) ListJoins(ctx context.Context, key id.Organization, after JoinCursor, size int) (page []Join, err error) {
	q.Read(`
		SELECT `+joinColumns+`
		FROM `+joinTables+`
		WHERE j.organization_id = $1 AND NOT j.invited
		  AND (j.create_time, j.account_id) > ($2, coalesce($3, '00000000-0000-0000-0000-000000000000'::uuid))
		ORDER BY j.create_time, j.account_id
		LIMIT $4`, []any{key, after.CreateTime, after.AccountID, size}, postgres.All(&page))
	return page, q.Fetch(ctx)
}
