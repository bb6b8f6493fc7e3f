package verify

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
)

// checkAccepted judges A12 across services: who an accepted invitation names was added on its seat before it was accepted, and
// membership was read after it. The operation is kept for ever.
func (s sides) checkAccepted(r *Report) {
	for _, i := range s.invitations {
		if i.State != "ACCEPTED" {
			continue
		}
		var added bool
		for _, op := range s.operations[i.seatKey] {
			added = added || op.Kind == "ADD" && op.State == "DONE" && op.AccountID == i.AccountID
		}
		if !added {
			r.add(Finding{ID: "A12", Service: "membership", Organization: i.OrganizationID.String(), Subject: i.InvitationID.String(),
				Detail: fmt.Sprintf("accepted by %s, who was never added on %s", i.AccountID, i.SeatID)})
		}
	}
}

// checkSeated judges E2. Billing was read last: a seat that is not there then, and whose member or invitation is unchanged
// still, was taken away from somebody.
func (c *Checker) checkSeated(ctx context.Context, all sides, o Options, r *Report) error {
	var members []memberRow
	for _, m := range all.members {
		if seat := all.seats[seatKey{m.OrganizationID, m.SeatID}]; m.State == "ACTIVE" && (seat.State != "OCCUPIED" || seat.AccountID != m.AccountID) {
			members = append(members, m)
		}
	}
	var invitations []invitationRow
	for _, i := range all.invitations {
		if i.State == "PENDING" && all.seats[i.seatKey].State != "RESERVED" {
			invitations = append(invitations, i)
		}
	}
	if len(members)+len(invitations) == 0 {
		return nil
	}
	pending, err := c.still(ctx, "invitation", `SELECT organization_id, seat_id FROM invitations WHERE organization_id = ANY ($1) AND seat_id = ANY ($2) AND state = 'PENDING'`,
		keysOf(invitations, func(i invitationRow) seatKey { return i.seatKey }))
	if err != nil {
		return err
	}
	active, err := c.still(ctx, "membership", `SELECT organization_id, seat_id FROM members WHERE organization_id = ANY ($1) AND seat_id = ANY ($2) AND state = 'ACTIVE'`,
		keysOf(members, func(m memberRow) seatKey { return seatKey{m.OrganizationID, m.SeatID} }))
	if err != nil {
		return err
	}
	deleted, err := c.deleted(ctx, keysOf(invitations, func(i invitationRow) seatKey { return i.seatKey }))
	if err != nil {
		return err
	}
	for _, m := range members {
		if key := (seatKey{m.OrganizationID, m.SeatID}); active[key] {
			r.add(Finding{ID: "E2", Service: "billing", Organization: m.OrganizationID.String(), Subject: m.SeatID.String(),
				Detail: fmt.Sprintf("%s is active on it, and it is %s", m.AccountID, all.seats[key].standing()),
				Advice: "Disable the member and enable them again: that takes a new seat, which the cap may refuse. A seat that was released is never taken again."})
		}
	}
	for _, i := range invitations {
		if pending[i.seatKey] && (o.Settled || !deleted[i.OrganizationID]) {
			r.add(Finding{ID: "E2", Service: "billing", Organization: i.OrganizationID.String(), Subject: i.SeatID.String(),
				Detail: fmt.Sprintf("%s is pending with it, and it is %s", i.InvitationID, all.seats[i.seatKey].standing()),
				Advice: "Revoke the invitation and send another: accepting this one would fail."})
		}
	}
	return nil
}

// standing is the state of the seat for people.
func (s seatRow) standing() string {
	return strings.TrimSpace(orNothing(s.State) + " " + s.AccountID.String())
}

// checkOwned judges E3. Whoever takes a seat has noted that before, and whoever gives one up notes it when it ends and keeps the
// note until the seat is free: so owners are read again after the seat, invitation before membership, as seats are handed
// over, and then the seat.
func (c *Checker) checkOwned(ctx context.Context, all sides, o Options, r *Report) error {
	owned := make(map[seatKey]bool)
	for _, i := range all.invitations {
		owned[i.seatKey] = owned[i.seatKey] || i.live()
	}
	for _, m := range all.members {
		if m.State == "ACTIVE" {
			owned[seatKey{m.OrganizationID, m.SeatID}] = true
		}
	}
	var orphans []seatRow
	for key, seat := range all.seats {
		if seat.live() && !owned[key] {
			orphans = append(orphans, seat)
		}
	}
	if len(orphans) == 0 {
		return nil
	}
	keys := keysOf(orphans, func(s seatRow) seatKey { return s.seatKey })
	invited, err := c.still(ctx, "invitation", liveInvitations, keys)
	if err != nil {
		return err
	}
	joined, err := c.still(ctx, "membership", membersAndOperations, keys)
	if err != nil {
		return err
	}
	deleted, err := c.deleted(ctx, keys)
	if err != nil {
		return err
	}
	live, err := c.still(ctx, "billing", `SELECT organization_id, seat_id FROM seats WHERE organization_id = ANY ($1) AND seat_id = ANY ($2) AND state IN ('RESERVED', 'OCCUPIED')`, keys)
	if err != nil {
		return err
	}
	for _, seat := range orphans {
		if !live[seat.seatKey] || invited[seat.seatKey] || joined[seat.seatKey] || deleted[seat.OrganizationID] && !o.Settled {
			continue
		}
		f := Finding{ID: "E3", Service: "billing", Organization: seat.OrganizationID.String(), Subject: seat.SeatID.String(),
			Detail: fmt.Sprintf("%s, and nobody's", seat.standing())}
		f.Repair, f.repair = c.freeSeat(seat)
		r.add(f)
	}
	return nil
}

// Who owns a seat, or is about to free it.
const (
	liveInvitations = `
		SELECT organization_id, seat_id FROM invitations
		WHERE organization_id = ANY ($1) AND seat_id = ANY ($2) AND (releasing OR state IN ('RESERVING', 'PENDING', 'ACCEPTING'))`
	membersAndOperations = `
		SELECT organization_id, seat_id FROM members
		WHERE organization_id = ANY ($1) AND seat_id = ANY ($2) AND state = 'ACTIVE'
		UNION ALL
		SELECT organization_id, seat_id FROM member_operations
		WHERE organization_id = ANY ($1) AND seat_id = ANY ($2) AND state = 'PENDING'`
)

func keysOf[T any](rows []T, key func(T) seatKey) []seatKey {
	keys := make([]seatKey, len(rows))
	for i, row := range rows {
		keys[i] = key(row)
	}
	return keys
}

// still returns those of the seats that a statement about them returns now.
func (c *Checker) still(ctx context.Context, service, sql string, keys []seatKey) (map[seatKey]bool, error) {
	organizations, seats := make([]id.Organization, len(keys)), make([]id.Seat, len(keys))
	for i, key := range keys {
		organizations[i], seats[i] = key.OrganizationID, key.SeatID
	}
	found := make(map[seatKey]bool)
	err := c.snapshot(ctx, service, func(tx pgx.Tx) error {
		rows, err := collect[seatKey](ctx, tx, sql, organizations, seats)
		for _, row := range rows {
			found[row] = true
		}
		return err
	})
	return found, err
}

// deleted returns those of the organizations that are deleted: their seats and invitations end when the news arrives.
func (c *Checker) deleted(ctx context.Context, keys []seatKey) (map[id.Organization]bool, error) {
	rows, err := c.still(ctx, "membership", `
		SELECT o.organization_id, s.seat_id FROM organizations o, unnest($2::uuid[]) AS s (seat_id)
		WHERE o.organization_id = ANY ($1) AND o.state = 'DELETED'`, keys)
	deleted := make(map[id.Organization]bool)
	for key := range rows {
		deleted[key.OrganizationID] = true
	}
	return deleted, err
}

// checkUsage judges E4.
func (s sides) checkUsage(r *Report) {
	type count struct{ members, invitations int32 }
	counts := make(map[id.Organization]count)
	for key := range s.usage {
		counts[key] = count{}
	}
	for _, m := range s.members {
		if m.State == "ACTIVE" {
			n := counts[m.OrganizationID]
			n.members++
			counts[m.OrganizationID] = n
		}
	}
	for _, i := range s.invitations {
		if i.live() {
			n := counts[i.OrganizationID]
			n.invitations++
			counts[i.OrganizationID] = n
		}
	}
	for key, n := range counts {
		if used := s.usage[key].Used; used != n.members+n.invitations {
			r.add(Finding{ID: "E4", Service: "billing", Organization: key.String(),
				Detail: fmt.Sprintf("%d seats are used, by %d active members and %d live invitations", used, n.members, n.invitations)})
		}
	}
}

// listedRow is somebody in membership's list of people.
type listedRow struct {
	OrganizationID id.Organization
	PersonID       id.Any
	Kind           string
	DisplayName    string
	Email          string
	Username       string
	Role           string
	JoinTime       time.Time
	ExpireTime     *time.Time
}

func readListed(ctx context.Context, tx pgx.Tx, s span, all *sides) (err error) {
	if all.listed, err = collect[listedRow](ctx, tx, `
		SELECT organization_id, person_id, kind, display_name, email, username, role, join_time, expire_time
		FROM people WHERE organization_id > $1 AND organization_id <= $2`, uuid(s.after), uuid(s.to)); err != nil {
		return err
	}
	positions, err := collect[struct {
		AggregateID id.Organization
		Revision    int64
	}](ctx, tx, `SELECT aggregate_id, revision FROM positions WHERE service = 'invitation' AND aggregate_id > $1 AND aggregate_id <= $2`, uuid(s.after), uuid(s.to))
	all.followed = make(map[id.Organization]int64)
	for _, p := range positions {
		all.followed[p.AggregateID] = p.Revision
	}
	return err
}

// checkPeople judges the part of E7 that other services are the source of.
func (c *Checker) checkPeople(ctx context.Context, all sides, r *Report) error {
	find := func(key id.Organization, subject, detail string, args ...any) {
		r.add(Finding{ID: "E7", Service: "membership", Organization: key.String(), Subject: subject, Detail: fmt.Sprintf(detail, args...)})
	}
	for key, head := range all.heads {
		if all.followed[key] < head {
			find(key, "", "it has followed invitation's history up to revision %d of %d", all.followed[key], head)
		}
	}
	type person struct {
		organization id.Organization
		id           id.Any
	}
	waiting := make(map[person]invitationRow)
	for _, i := range all.invitations {
		switch o := all.organizations[i.OrganizationID]; {
		case !i.live():
		case o == nil || o.State != "ACTIVE":
			find(i.OrganizationID, i.InvitationID.String(), "is %s in an organization that is gone", i.State)
		case i.State != "RESERVING":
			waiting[person{i.OrganizationID, id.Any(i.InvitationID)}] = i
		}
	}
	var accounts []id.Account
	for _, l := range all.listed {
		if l.Kind == "MEMBER" {
			accounts = append(accounts, id.Account(l.PersonID))
			continue
		}
		i, known := waiting[person{l.OrganizationID, l.PersonID}]
		delete(waiting, person{l.OrganizationID, l.PersonID})
		switch {
		case !known:
			find(l.OrganizationID, invitation(l.PersonID), "is listed, and not pending")
		case l.words() != fmt.Sprint(clean(i.DisplayName), clean(i.Email), clean(i.Username), i.Role) || !l.JoinTime.Equal(i.SendTime) || l.ExpireTime == nil || !l.ExpireTime.Equal(i.ExpireTime):
			find(l.OrganizationID, invitation(l.PersonID), "is listed otherwise than the invitation says")
		}
	}
	for p := range waiting {
		find(p.organization, invitation(p.id), "is pending, and not listed")
	}
	names, err := c.readNames(ctx, accounts)
	for _, l := range all.listed {
		if name, known := names[id.Account(l.PersonID)]; known && l.Kind == "MEMBER" && (l.DisplayName != clean(name.DisplayName) || l.Username != clean(name.Username)) {
			find(l.OrganizationID, account(l.PersonID), "is listed under another name than the account has")
		}
	}
	return err
}

func (l listedRow) words() string { return fmt.Sprint(l.DisplayName, l.Email, l.Username, l.Role) }

// name is how an account is shown.
type name struct {
	ID          id.Account
	DisplayName string
	Username    string
}

func (c *Checker) readNames(ctx context.Context, accounts []id.Account) (map[id.Account]name, error) {
	names := make(map[id.Account]name)
	for ; len(accounts) > 0; accounts = accounts[min(len(accounts), spanAggregates):] {
		err := c.snapshot(ctx, "identity", func(tx pgx.Tx) error {
			rows, err := collect[name](ctx, tx, `SELECT id, display_name, coalesce(username, '') AS username FROM accounts WHERE id = ANY ($1)`,
				accounts[:min(len(accounts), spanAggregates)])
			for _, row := range rows {
				names[row.ID] = row
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}

// clean is what membership keeps of a name.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
}
