package store

import (
	"context"
	"time"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// manager is account.Management.Manager, in SQL, of a row of accounts.
const manager = `(CASE WHEN EXISTS (SELECT FROM managed_domains g WHERE g.account_id = accounts.id AND g.lost) THEN NULL ELSE accounts.managed_by END)`

// GetManagement returns who manages the account.
func (q Queries) GetManagement(ctx context.Context, key id.Account) (account.Management, error) {
	return q.management(ctx, key, ``)
}

// LockManagement returns who manages the account, and holds its row until the transaction ends.
func (q Queries) LockManagement(ctx context.Context, key id.Account) (account.Management, error) {
	return q.management(ctx, key, ` FOR NO KEY UPDATE`)
}

func (q Queries) management(ctx context.Context, key id.Account, lock string) (m account.Management, err error) {
	var row struct {
		ManagedBy      id.Organization
		SignInAllowed  bool
		SignInRevision int64
	}
	var found, rests bool
	q.Read(`SELECT managed_by, sign_in_allowed, sign_in_revision FROM accounts WHERE id = $1`+lock,
		[]any{key}, postgres.One(&row, &found))
	q.Read(`SELECT domain, domain_id, verify_time, join_time, lost FROM managed_domains WHERE account_id = $1`,
		[]any{key}, postgres.One(&m.Ground, &rests))
	if err = q.Fetch(ctx); err == nil && !found {
		err = account.ErrNotFound
	}
	m.ManagedBy, m.SignInAllowed, m.Revision = row.ManagedBy, row.SignInAllowed, row.SignInRevision
	return m, err
}

// SaveManagement writes who manages the account and whether it may sign in. Of the ground it writes that there is one, or none: that it is lost
// is written by who hears so, and stays.
func (q Queries) SaveManagement(key id.Account, m account.Management) {
	q.Write(`UPDATE accounts SET managed_by = $2, sign_in_allowed = $3, sign_in_revision = $4 WHERE id = $1`,
		key, m.ManagedBy, m.SignInAllowed, m.Revision)
	if m.Ground.IsZero() {
		q.Write(`DELETE FROM managed_domains WHERE account_id = $1`, key)
		return
	}
	q.Write(`
		INSERT INTO managed_domains (account_id, organization_id, domain, domain_id, verify_time, join_time)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (account_id) DO NOTHING`,
		key, m.ManagedBy, m.Ground.Domain, m.Ground.DomainID, m.Ground.VerifyTime, m.Ground.JoinTime)
}

// Manages queues the question whether an organization manages an account, for what is fetched next.
func (q Queries) Manages(by id.Organization, key id.Account, into *bool) {
	var row struct{ ManagedBy id.Organization }
	q.Read(`SELECT managed_by FROM accounts WHERE id = $1 AND `+manager+` = $2`, []any{key, by}, postgres.One(&row, into))
}

// LoseDomain ends all managements by an organization that rest on a domain which it had verified by then and has no more. From the commit on nobody
// manages those accounts; for each a task of the kind does what else follows.
func (q Queries) LoseDomain(by id.Organization, kind string, domain id.Domain, verified *time.Time) {
	q.loseGround(by, kind, `domain_id = $3 AND verify_time <= coalesce($4::timestamptz, 'infinity')`, domain, verified)
}

// LoseMember is LoseDomain for an account that belongs to the organization no more, since when it had joined.
func (q Queries) LoseMember(by id.Organization, kind string, member id.Account, joined time.Time) {
	q.loseGround(by, kind, `account_id = $3 AND join_time <= $4`, member, joined)
}

// LoseOrganization is LoseDomain for an organization that is no more.
func (q Queries) LoseOrganization(by id.Organization, kind string) { q.loseGround(by, kind, `true`) }

func (q Queries) loseGround(by id.Organization, kind, which string, args ...any) {
	q.Write(`
		WITH lost AS (
			UPDATE managed_domains SET lost = true
			WHERE organization_id = $1 AND NOT lost AND `+which+`
			RETURNING account_id, organization_id
		)
		INSERT INTO due (aggregate_id, kind, id, next_time)
		SELECT account_id, $2, organization_id, now() FROM lost
		ON CONFLICT (aggregate_id, kind, id) DO UPDATE SET next_time = excluded.next_time, attempts = 0`, append([]any{by, kind}, args...)...)
	q.Wake(postgres.Sweeper)
}
