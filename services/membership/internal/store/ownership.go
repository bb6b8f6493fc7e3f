package store

import (
	"context"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// transfer queues a read of the offer of ownership; the zero Transfer stays when there is none. Where the organization's row
// is held, the offer stays as it is.
func (q Queries) transfer(key id.Organization, into *org.Transfer) {
	var found bool
	q.Read(`SELECT owner_account_id, account_id, ownership, offer_time, expire_time FROM ownership_transfers WHERE organization_id = $1`,
		[]any{key}, postgres.One(into, &found))
}

// GetTransfer returns the offer of ownership with the organization and a member.
func (q Queries) GetTransfer(ctx context.Context, key id.Organization, account id.Account) (Standing, error) {
	var offer org.Transfer
	q.transfer(key, &offer)
	at, err := q.Get(ctx, key, account)
	at.Transfer = offer
	return at, err
}

// LockTransfer returns the organization, its offer of ownership, both who are part of that, and others. It holds the
// organization alone: whatever is decided about its owners comes one after the other.
func (q Queries) LockTransfer(ctx context.Context, key id.Organization, others ...id.Account) (Standing, error) {
	var offer org.Transfer
	q.lockOrganization(key, "FOR UPDATE")
	q.transfer(key, &offer)
	if err := q.Fetch(ctx); err != nil {
		return Standing{}, err
	}
	at, err := q.lockMembers(ctx, key, append(others, offer.Owner, offer.Account)...)
	at.Transfer = offer
	return at, err
}

// SaveTransfer writes the offer of ownership, in place of an older one.
func (q Queries) SaveTransfer(key id.Organization, t org.Transfer) {
	q.Write(`
		INSERT INTO ownership_transfers (organization_id, owner_account_id, account_id, ownership, offer_time, expire_time)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (organization_id) DO UPDATE
		SET owner_account_id = excluded.owner_account_id, account_id = excluded.account_id, ownership = excluded.ownership,
		    offer_time = excluded.offer_time, expire_time = excluded.expire_time`,
		key, t.Owner, t.Account, t.Ownership, t.OfferTime, t.ExpireTime)
}

// DeleteTransfer ends the offer of ownership.
func (q Queries) DeleteTransfer(key id.Organization) {
	q.Write(`DELETE FROM ownership_transfers WHERE organization_id = $1`, key)
}
