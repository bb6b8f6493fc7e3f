package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

const memberColumns = `account_id, role_id, state, seat_id, invitation_id, join_time, disable_time, disabler_account_id, sole_owner, version`

// Standing is what decisions about members are made from. Absent members and people are zero.
type Standing struct {
	Organization org.Organization
	Members      map[id.Account]org.Member
	People       map[id.Account]org.Profile
	Revision     int64        // of the organization's history
	OthersFull   bool         // another active member can do everything; known only after LockMembers and GetMany
	Erased       []id.Account // those whose account was deleted; known only after LockToAdd and LockOperation
	Transfer     org.Transfer // the offer of ownership; known only after LockMembers, GetTransfer and LockTransfer
}

// nothing collects the rows of a statement that is there for its locks.
func nothing(rows pgx.Rows) error {
	rows.Close()
	return rows.Err()
}

// exists collects whether a statement finds anything.
func exists(into *bool) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		*into = rows.Next()
		rows.Close()
		return rows.Err()
	}
}

// Get returns the organization with some of its members.
func (q Queries) Get(ctx context.Context, key id.Organization, accounts ...id.Account) (Standing, error) {
	collect := q.standing(key, accounts)
	if err := q.Fetch(ctx); err != nil {
		return Standing{}, err
	}
	return collect(), nil
}

// LockMembers returns the organization with an actor and a target, whose rows stay locked until the transaction ends.
// Nobody changes the organization's policy, roles or groups meanwhile. Where the organization as a whole must keep something,
// its own row is held alone: that a member with full rights is left is no member's property.
func (q Queries) LockMembers(ctx context.Context, key id.Organization, actor, target id.Account) (Standing, error) {
	q.Read(`SELECT 1 FROM organizations WHERE organization_id = $1 AND policy ->> 'ownership' <> 'SINGLE' FOR UPDATE`, []any{key}, nothing)
	q.lockOrganization(key, "FOR SHARE")
	q.memberLocks(key, actor, target)
	var others bool
	q.othersFull(key, []id.Account{target}, &others)
	var offer org.Transfer
	q.transfer(key, &offer)
	collect := q.standing(key, []id.Account{actor, target})
	if err := q.Fetch(ctx); err != nil {
		return Standing{}, err
	}
	s := collect()
	s.Transfer, s.OthersFull = offer, others
	return s, nil
}

// GetMany returns the organization with an actor and targets, whose rows nobody holds. OthersFull is about members who are not
// among the targets.
func (q Queries) GetMany(ctx context.Context, key id.Organization, actor id.Account, targets []id.Account) (Standing, error) {
	var others bool
	q.othersFull(key, targets, &others)
	collect := q.standing(key, append([]id.Account{actor}, targets...))
	if err := q.Fetch(ctx); err != nil {
		return Standing{}, err
	}
	s := collect()
	s.OthersFull = others
	return s, nil
}

// othersFull queues whether there is an active member who can do everything, and is none of these.
func (q Queries) othersFull(key id.Organization, besides []id.Account, into *bool) {
	q.Read(`
		SELECT FROM members
		WHERE organization_id = $1 AND state = 'ACTIVE' AND account_id <> ALL ($2)
		  AND role_id IN (SELECT role_id FROM roles WHERE organization_id = $1 AND permissions @> $3)
		LIMIT 1`, []any{key, besides, org.Everything()}, exists(into))
}

// LockToAdd returns the organization, which nobody deletes meanwhile, with members whose rows stay locked, whoever is to be added and who invited
// them, what was answered before about adding somebody on this seat, and what the key of the role stands for by now.
func (q Queries) LockToAdd(ctx context.Context, key id.Organization, seat id.Seat, role *string, account, inviter id.Account) (Standing, org.Operation, error) {
	accounts := []id.Account{account, inviter}
	q.lockOrganization(key, "FOR SHARE")
	q.memberLocks(key, accounts...)
	added := q.operation(bySeat, key, seat, org.AddOperation)
	q.currentRole(key, *role, role)
	var erased []id.Account
	q.unlessErased(account)
	q.erasedAmong([]id.Account{account}, &erased)
	collect := q.standing(key, accounts)
	if err := q.Fetch(ctx); err != nil {
		return Standing{}, org.Operation{}, err
	}
	s := collect()
	s.Erased = erased
	return s, *added, nil
}

// lockMembers holds the members' rows and reads them.
func (q Queries) lockMembers(ctx context.Context, key id.Organization, accounts ...id.Account) (Standing, error) {
	q.memberLocks(key, accounts...)
	return q.Get(ctx, key, accounts...)
}

// memberLocks queues a statement of its own for the locks, in the order of the key. What the rows say is read by the next
// statement, which sees what others committed while this one waited.
func (q Queries) memberLocks(key id.Organization, accounts ...id.Account) {
	q.Read(`SELECT 1 FROM members WHERE organization_id = $1 AND account_id = ANY ($2) ORDER BY account_id FOR UPDATE`,
		[]any{key, accounts}, nothing)
}

// standing queues the reads and returns what collects them after the next Fetch.
func (q Queries) standing(key id.Organization, accounts []id.Account) func() Standing {
	s := Standing{Members: make(map[id.Account]org.Member), People: make(map[id.Account]org.Profile)}
	var members []memberRow
	var people []person
	var granted []grantRow
	var programs []org.ServiceAccount
	var revisions []struct{ Revision int64 }
	// The revision first: what is read after it may be newer than it says, never older.
	q.Read(`SELECT revision FROM heads WHERE aggregate_id = $1`, []any{key}, postgres.All(&revisions))
	q.organization(key, &s.Organization)
	q.Read(`
		SELECT `+memberColumns+`, f.methods
		FROM members LEFT JOIN account_factors f USING (account_id)
		WHERE organization_id = $1 AND account_id = ANY ($2)`,
		[]any{key, accounts}, postgres.All(&members))
	q.acting(key, accounts, &programs)
	q.Read(allGrants, []any{key, accounts}, postgres.All(&granted))
	q.Read(`SELECT person_id, `+profileColumns+` FROM people p WHERE organization_id = $1 AND person_id = ANY ($2)`,
		[]any{key, accounts}, postgres.All(&people))
	return func() Standing {
		for _, row := range members {
			row.Factors, row.Unprotected = row.Methods, unprotected(q.Caller(), row.Account, row.Methods)
			s.Members[row.Account] = row.Member
		}
		for _, program := range programs {
			s.Members[id.Account(program.ID)] = program.Acting(s.Organization.Registry)
		}
		for _, row := range granted {
			m := s.Members[row.Account]
			m.Grants = row.addTo(m.Grants, s.Organization.Registry)
			s.Members[row.Account] = m
		}
		for _, p := range people {
			s.People[id.Account(p.ID)] = p.Profile
		}
		for _, r := range revisions {
			s.Revision = r.Revision
		}
		return s
	}
}

// memberRow is a member with the second factors of the account.
type memberRow struct {
	org.Member
	Methods []string
}

var allGrants = fmt.Sprintf(grants, "$1", "$2", "project_id IS NOT NULL")

// person is somebody's row in people.
type person struct {
	ID id.Any `db:"person_id"`
	org.Profile
}

// SaveMember writes a member's row, new or not. Who is removed leaves every group, for good.
func (q Queries) SaveMember(key id.Organization, m org.Member, isNew bool) {
	if m.State == org.MemberRemoved {
		q.Write(`DELETE FROM group_members WHERE organization_id = $1 AND account_id = $2`, key, m.Account)
	}
	if isNew {
		q.Write(`
			INSERT INTO members (organization_id, `+memberColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			key, m.Account, m.Role, m.State, m.Seat, m.Invitation, m.JoinTime, m.DisableTime, m.Disabler, m.SoleOwner, m.Version)
		return
	}
	q.Write(`
		UPDATE members
		SET role_id = $3, state = $4, seat_id = $5, invitation_id = $6, join_time = $7, disable_time = $8, disabler_account_id = $9,
		    sole_owner = $10, version = $11
		WHERE organization_id = $1 AND account_id = $2`,
		key, m.Account, m.Role, m.State, m.Seat, m.Invitation, m.JoinTime, m.DisableTime, m.Disabler, m.SoleOwner, m.Version)
}

// ListMembersAmong returns those of the accounts that belong to the organization.
func (q Queries) ListMembersAmong(key id.Organization, accounts []id.Account, into *[]id.Account) {
	q.Read(`SELECT account_id FROM members WHERE organization_id = $1 AND account_id = ANY ($2) AND state <> 'REMOVED' ORDER BY account_id`,
		[]any{key, accounts}, func(rows pgx.Rows) (err error) {
			*into, err = pgx.CollectRows(rows, pgx.RowTo[id.Account])
			return err
		})
}

// ListSeatsAlive returns those of the seats that a member or a pending operation names.
func (q Queries) ListSeatsAlive(ctx context.Context, key id.Organization, seats []id.Seat) (alive []id.Seat, err error) {
	q.Read(`
		SELECT seat_id FROM members WHERE organization_id = $1 AND seat_id = ANY ($2)
		UNION
		SELECT seat_id FROM member_operations
		WHERE organization_id = $1 AND seat_id = ANY ($2) AND kind IN ('CREATE', 'ENABLE', 'JOIN', 'DIRECT') AND state = 'PENDING'`,
		[]any{key, seats}, func(rows pgx.Rows) (err error) {
			alive, err = pgx.CollectRows(rows, pgx.RowTo[id.Seat])
			return err
		})
	return alive, q.Fetch(ctx)
}
