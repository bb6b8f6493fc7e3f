package store

import (
	"context"
	"time"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

const factorColumns = `id, method, display_name, sealed_secret, active, last_step, credential_id, public_key, sign_count, syncable, alone, create_time`

// Factors is what an account has beside its password.
type Factors struct {
	Account  account.Account
	All      []factor.Factor // oldest first; one may wait for its first code
	Recovery int             // codes that are left
}

// Active are the factors that signing in asks for.
func (f Factors) Active() (active []factor.Factor) {
	for _, one := range f.All {
		if one.Active {
			active = append(active, one)
		}
	}
	return active
}

// ListFactors returns what the account has.
func (q Queries) ListFactors(ctx context.Context, owner id.Account) (Factors, error) {
	return q.factors(ctx, owner, ``)
}

// LockFactors returns what the account has, and makes others who try codes, change factors or sign in wait until the transaction ends.
func (q Queries) LockFactors(ctx context.Context, owner id.Account) (Factors, error) {
	return q.factors(ctx, owner, ` FOR NO KEY UPDATE`)
}

func (q Queries) factors(ctx context.Context, owner id.Account, lock string) (f Factors, err error) {
	var found, always bool
	var recovery struct{ Left int }
	q.Read(`SELECT `+accountColumns+` FROM accounts WHERE id = $1`+lock, []any{owner}, postgres.One(&f.Account, &found))
	q.Read(`SELECT `+factorColumns+` FROM factors WHERE account_id = $1 ORDER BY create_time, id`, []any{owner}, postgres.All(&f.All))
	q.Read(`SELECT count(*) AS left FROM recovery_codes WHERE account_id = $1`, []any{owner}, postgres.One(&recovery, &always))
	if err = q.Fetch(ctx); err == nil && !found {
		err = account.ErrNotFound
	}
	f.Recovery = recovery.Left
	return f, err
}

// InsertFactor adds a factor. One that waits for its first code takes the place of another that does.
func (q Queries) InsertFactor(owner id.Account, f factor.Factor) {
	if !f.Active {
		q.Write(`DELETE FROM factors WHERE account_id = $1 AND NOT active`, owner)
	}
	q.Write(`
		INSERT INTO factors (account_id, id, method, display_name, sealed_secret, active, last_step, credential_id, public_key, sign_count, syncable, create_time)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		owner, f.ID, f.Method, f.DisplayName, f.SealedSecret, f.Active, f.LastStep, f.CredentialID, f.PublicKey, f.SignCount, f.Syncable, f.CreateTime)
}

// SaveFactor writes what a person may change, and that signing in asks for it, since when.
func (q Queries) SaveFactor(owner id.Account, f factor.Factor) {
	q.Write(`UPDATE factors SET display_name = $3, active = $4, create_time = $5 WHERE account_id = $1 AND id = $2`, owner, f.ID, f.DisplayName, f.Active, f.CreateTime)
}

// DeleteFactor takes a factor away.
func (q Queries) DeleteFactor(owner id.Account, key id.Factor) {
	q.Write(`DELETE FROM factors WHERE account_id = $1 AND id = $2`, owner, key)
}

// SaveReach writes how many factors signing in takes.
func (q Queries) SaveReach(owner id.Account, reach int) {
	q.Write(`UPDATE accounts SET factors = $2 WHERE id = $1`, owner, reach)
}

// UseStep uses the code of a time step up. Of many who present it, it is used for one.
func (q Queries) UseStep(ctx context.Context, owner id.Account, key id.Factor, step int64) (used bool, err error) {
	var row struct{ ID id.Factor }
	q.Read(`UPDATE factors SET last_step = $3 WHERE account_id = $1 AND id = $2 AND last_step < $3 RETURNING id`,
		[]any{owner, key, step}, postgres.One(&row, &used))
	return used, q.Fetch(ctx)
}

// UseRecoveryCode uses a recovery code up.
func (q Queries) UseRecoveryCode(ctx context.Context, owner id.Account, hash []byte) (used bool, err error) {
	var row struct{ CodeHash []byte }
	q.Read(`DELETE FROM recovery_codes WHERE account_id = $1 AND code_hash = $2 RETURNING code_hash`,
		[]any{owner, hash}, postgres.One(&row, &used))
	return used, q.Fetch(ctx)
}

// DeleteRecoveryCodes takes those away that were made since.
func (q Queries) DeleteRecoveryCodes(owner id.Account, since time.Time) {
	q.Write(`DELETE FROM recovery_codes WHERE account_id = $1 AND create_time >= $2`, owner, since)
}

// ReplaceRecoveryCodes makes these the codes of the account; none, to take them away.
func (q Queries) ReplaceRecoveryCodes(owner id.Account, codes []factor.RecoveryCode) {
	q.Write(`DELETE FROM recovery_codes WHERE account_id = $1`, owner)
	for _, code := range codes {
		q.Write(`INSERT INTO recovery_codes (account_id, code_hash) VALUES ($1, $2)`, owner, code.Hash)
	}
}
