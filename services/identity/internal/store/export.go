package store

import (
	"context"
	"time"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/apikey"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// Export is what is kept of an account.
type Export struct {
	Emails          account.Emails
	Management      account.Management
	FormerUsernames []string
	PasswordSet     time.Time // zero: there is none
	Factors         Factors
	Sessions        []session.Session
	Keys            []apikey.Key
	Attempts        []session.Attempt
	Networks        []Network
	Devices         []Device
	Identities      []Identity
}

// Network is where a person has signed in from.
type Network struct {
	Network    string
	ExpireTime time.Time
}

// Device is what a person has signed in with.
type Device struct {
	Device, Network string
	LastTime        time.Time
}

// Export reads what is kept of an account, and nothing that opens it.
func (q Queries) Export(ctx context.Context, owner id.Account) (e Export, err error) {
	var credential struct{ SetTime time.Time }
	var former []struct{ Username string }
	var hasPassword bool
	q.Read(`SELECT set_time FROM credentials WHERE account_id = $1`, []any{owner}, postgres.One(&credential, &hasPassword))
	q.Read(`SELECT username FROM usernames WHERE account_id = $1 AND former ORDER BY username`, []any{owner}, postgres.All(&former))
	q.Read(`SELECT network, expire_time FROM known_networks WHERE account_id = $1 AND expire_time > now() ORDER BY expire_time DESC, network`,
		[]any{owner}, postgres.All(&e.Networks))
	q.Read(`SELECT device, network, last_time FROM devices WHERE account_id = $1 ORDER BY last_time DESC, device, network`, []any{owner}, postgres.All(&e.Devices))
	if e.Identities, err = q.ListIdentities(ctx, owner); err != nil {
		return e, err
	}
	if e.Emails, err = q.ListEmails(ctx, owner); err != nil {
		return e, err
	}
	if e.Management, err = q.GetManagement(ctx, owner); err != nil {
		return e, err
	}
	e.PasswordSet = credential.SetTime
	for _, row := range former {
		e.FormerUsernames = append(e.FormerUsernames, row.Username)
	}
	if e.Factors, err = q.ListFactors(ctx, owner); err != nil {
		return e, err
	}
	if e.Sessions, err = q.ListSessions(ctx, owner); err != nil {
		return e, err
	}
	if e.Keys, err = q.ListAPIKeys(ctx, owner); err != nil {
		return e, err
	}
	e.Attempts, err = q.ListAttempts(ctx, owner)
	return e, err
}
