package verify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// checkOrganizations checks the organizations of a span: each service's rows with its own history, then one service with
// another.
func (c *Checker) checkOrganizations(ctx context.Context, s span, o Options, history *effects, r *Report) error {
	var all sides
	for _, service := range Services[:3] {
		err := c.snapshot(ctx, service, func(tx pgx.Tx) error {
			if err := c.checkRules(ctx, tx, service, s, o, r); err != nil {
				return err
			}
			switch service {
			case "invitation":
				return c.checkInvitations(ctx, tx, s, history, r, &all)
			case "membership":
				return c.checkMembers(ctx, tx, s, o, history, r, &all)
			}
			return c.checkSeats(ctx, tx, s, history, r, &all)
		})
		if err != nil {
			return err
		}
	}
	r.Organizations += len(all.organizations)
	all.checkAccepted(r)
	if err := c.checkSeated(ctx, all, o, r); err != nil {
		return err
	}
	if err := c.checkOwned(ctx, all, o, r); err != nil {
		return err
	}
	if !o.Settled {
		return nil
	}
	all.checkUsage(r)
	return c.checkPeople(ctx, all, r)
}

// checkAccounts checks the accounts of a span.
func (c *Checker) checkAccounts(ctx context.Context, s span, o Options, history *effects, r *Report) error {
	return c.snapshot(ctx, "identity", func(tx pgx.Tx) error {
		if err := c.checkRules(ctx, tx, "identity", s, o, r); err != nil {
			return err
		}
		return c.checkLog(ctx, tx, "identity", s, r, func(entry) {})
	})
}

// sides are the rows of a span, as each service has them.
type sides struct {
	invitations   []invitationRow
	heads         map[id.Organization]int64 // of invitation's histories
	organizations map[id.Organization]*organizationRow
	members       []memberRow
	operations    map[seatKey][]operationRow
	listed        []listedRow
	followed      map[id.Organization]int64 // how far membership has followed invitation
	usage         map[id.Organization]usageRow
	seats         map[seatKey]seatRow
}

type seatKey struct {
	OrganizationID id.Organization
	SeatID         id.Seat
}

type invitationRow struct {
	seatKey
	InvitationID  id.Invitation
	Email         string
	Username      string
	DisplayName   string
	Role          string
	State         string
	Announced     bool
	Generation    int32
	SendTime      time.Time
	ExpireTime    time.Time
	AccountID     id.Account
	FailureReason string
	PriorState    string
	Releasing     bool
}

func (i invitationRow) live() bool {
	return i.State == "RESERVING" || i.State == "PENDING" || i.State == "ACCEPTING"
}

// checkInvitations compares invitations with what their events tell.
func (c *Checker) checkInvitations(ctx context.Context, tx pgx.Tx, s span, history *effects, r *Report, all *sides) (err error) {
	if all.invitations, err = collect[invitationRow](ctx, tx, `
		SELECT organization_id, seat_id, invitation_id, email, username, display_name, role, state, announced, generation, send_time, expire_time,
			account_id, failure_reason, prior_state, releasing
		FROM invitations WHERE organization_id > $1 AND organization_id <= $2`, uuid(s.after), uuid(s.to)); err != nil {
		return err
	}
	type key struct {
		organization id.Any
		invitation   string
	}
	told := make(map[key]*invitationFold)
	all.heads = make(map[id.Organization]int64)
	err = c.checkLog(ctx, tx, "invitation", s, r, func(e entry) {
		all.heads[id.Organization(e.Aggregate)] = e.Revision
		history.hear("invitation", e)
		if about := invitationOf(e); about != "" {
			k := key{e.Aggregate, about}
			if told[k] == nil {
				told[k] = &invitationFold{}
			}
			told[k].apply(e)
		}
	})
	if err != nil {
		return err
	}
	for _, row := range all.invitations {
		k := key{id.Any(row.OrganizationID), row.InvitationID.String()}
		fold := told[k]
		delete(told, k)
		find := func(id, detail string, args ...any) {
			r.add(Finding{ID: id, Service: "invitation", Organization: row.OrganizationID.String(), Subject: row.InvitationID.String(), Detail: fmt.Sprintf(detail, args...)})
		}
		switch {
		case fold == nil && row.Announced:
			find("A8", "the row is %s, and the events tell nothing", row.State)
		case fold != nil && !row.Announced:
			find("A8", "the row is %s and unheard of, and the events tell of it", row.State)
		case fold == nil:
			if row.State != "RESERVING" && row.State != "FAILED" {
				find("A8", "the row is %s, and the events tell nothing", row.State)
			}
			continue
		default:
			if wants := row.agrees(fold.latest); wants != "" {
				find("A8", "%s", wants)
			}
		}
		if fold.acceptedTwice() {
			find("A12", "accepted %d times", fold.accepted)
		}
	}
	for k := range told {
		r.add(Finding{ID: "A8", Service: "invitation", Organization: aggregate("invitation", k.organization), Subject: k.invitation, Detail: "the events tell of it, and there is no row"})
	}
	return nil
}

// agrees says where the row says something else than the latest event. A new attempt after the end makes no event before
// it has its seat, and leaves none when it gets none.
func (i invitationRow) agrees(told *eventv1.Invitation) string {
	state := map[string]string{"RESERVING": i.PriorState, "ACCEPTING": "PENDING"}[i.State]
	if state == "" {
		state = i.State
	}
	again := i.State == "RESERVING" || (i.State == "EXPIRED" || i.State == "FAILED") && i.Generation > told.GetGeneration()
	row := fmt.Sprintf("%s as %s", state, i.Role)
	event := fmt.Sprintf("%s as %s", told.GetState().String()[len("STATE_"):], told.GetRole())
	if !again {
		row += fmt.Sprintf(", generation %d", i.Generation)
		event += fmt.Sprintf(", generation %d", told.GetGeneration())
		if i.State != "ACCEPTING" { // nobody is told who accepts before it is done
			row, event = row+" "+i.AccountID.String(), event+" "+told.GetAccountId()
		}
	}
	if i.State == "PENDING" || i.State == "ACCEPTING" {
		row += fmt.Sprintf(" until %s on %s", i.ExpireTime.UTC().Format(time.RFC3339Nano), i.SeatID)
		event += fmt.Sprintf(" until %s on %s", at(told.GetExpireTime()), told.GetSeatId())
	}
	if (i.State == "FAILED" || i.State == "EXPIRED") && i.FailureReason+told.GetFailureReason() != "" {
		row, event = row+" for "+i.FailureReason, event+" for "+told.GetFailureReason()
	}
	if row == event {
		return ""
	}
	return fmt.Sprintf("the row says %s; the events say %s", row, event)
}

func (i *invitationFold) acceptedTwice() bool { return i != nil && i.accepted > 1 }

type organizationRow struct {
	OrganizationID id.Organization
	DisplayName    string
	Preset         string
	State          string
}

type memberRow struct {
	OrganizationID id.Organization
	AccountID      id.Account
	Role           string
	State          string
	SeatID         id.Seat
	JoinTime       time.Time
}

// told is the row as an event would tell it.
func (m memberRow) told() string {
	seat := ""
	if !m.SeatID.IsZero() {
		seat = " " + m.SeatID.String()
	}
	return fmt.Sprintf("%s %s %s since %s%s", m.AccountID, m.State, m.Role, m.JoinTime.UTC().Format(time.RFC3339Nano), seat)
}

type operationRow struct {
	seatKey
	Kind      string
	State     string
	AccountID id.Account
	Revision  int64
}

// checkMembers compares organizations, members and operations with what membership's events tell.
func (c *Checker) checkMembers(ctx context.Context, tx pgx.Tx, s span, o Options, history *effects, r *Report, all *sides) error {
	organizations, err := collect[organizationRow](ctx, tx, `
		SELECT organization_id, display_name, preset, state FROM organizations WHERE organization_id > $1 AND organization_id <= $2`, uuid(s.after), uuid(s.to))
	if err != nil {
		return err
	}
	all.organizations = make(map[id.Organization]*organizationRow)
	for _, row := range organizations {
		all.organizations[row.OrganizationID] = &row
	}
	if all.members, err = collect[memberRow](ctx, tx, `
		SELECT m.organization_id, m.account_id, coalesce(r.key, '') AS role, m.state, m.seat_id, m.join_time
		FROM members m LEFT JOIN roles r ON r.organization_id = m.organization_id AND r.role_id = m.role_id
		WHERE m.organization_id > $1 AND m.organization_id <= $2`, uuid(s.after), uuid(s.to)); err != nil {
		return err
	}
	operations, err := collect[operationRow](ctx, tx, `
		SELECT organization_id, seat_id, kind, state, account_id, coalesce(revision, 0) AS revision
		FROM member_operations WHERE organization_id > $1 AND organization_id <= $2`, uuid(s.after), uuid(s.to))
	if err != nil {
		return err
	}
	all.operations = make(map[seatKey][]operationRow)
	for _, row := range operations {
		all.operations[row.seatKey] = append(all.operations[row.seatKey], row)
	}
	if o.Settled {
		if err := readListed(ctx, tx, s, all); err != nil {
			return err
		}
	}

	told := make(map[id.Organization]*organizationFold)
	err = c.checkLog(ctx, tx, "membership", s, r, func(e entry) {
		history.hear("membership", e)
		key := id.Organization(e.Aggregate)
		if told[key] == nil {
			told[key] = &organizationFold{}
		}
		told[key].apply(e)
	})
	if err != nil {
		return err
	}
	find := func(id string, key id.Organization, subject, detail string, args ...any) {
		r.add(Finding{ID: id, Service: "membership", Organization: key.String(), Subject: subject, Detail: fmt.Sprintf(detail, args...)})
	}
	for key, fold := range told {
		for _, p := range fold.wrong {
			find(p.id, key, "", "%s", p.detail)
		}
		if all.organizations[key] == nil {
			find("A8", key, "", "the events tell of an organization, and there is no row")
		}
	}
	for key, row := range all.organizations {
		fold := told[key]
		switch {
		case fold == nil && row.State != "CREATING" && row.State != "FAILED":
			find("A8", key, "", "the row says %s, and the events tell nothing", row.State)
		case fold != nil && (row.State != fold.state || row.DisplayName != fold.display || row.Preset != fold.preset):
			find("A8", key, "", "the row says %q, %s, %s; the events say %q, %s, %s", row.DisplayName, row.Preset, row.State, fold.display, fold.preset, fold.state)
		}
	}
	for _, row := range all.members {
		r.Members++
		fold := told[row.OrganizationID]
		if fold == nil {
			fold = &organizationFold{}
		}
		member := fold.members[row.AccountID.String()]
		if row.told() != describe(member) {
			find("A8", row.OrganizationID, row.AccountID.String(), "the row says %s; the events say %s", row.told(), describe(member))
		}
		delete(fold.members, row.AccountID.String())
	}
	for key, fold := range told {
		for account := range fold.members {
			find("A8", key, account, "the events tell of a member, and there is no row")
		}
	}
	for _, row := range operations {
		if row.State != "DONE" || slices.Contains(seatless, row.Kind) {
			continue
		}
		var joined joining
		if fold := told[row.OrganizationID]; fold != nil {
			joined = fold.joined[row.SeatID.String()]
			delete(fold.joined, row.SeatID.String())
		}
		if want := (joining{row.Revision, row.Kind, row.AccountID.String()}); joined != want {
			find("A11", row.OrganizationID, row.SeatID.String(), "%s of %s is DONE at revision %d; the events tell of %s", row.Kind, row.AccountID, row.Revision, joined)
		}
	}
	for key, fold := range told {
		for seat, joined := range fold.joined {
			find("A11", key, seat, "the events tell of %s, and no operation does", joined)
		}
	}
	return nil
}

// seatless are the operations that give nobody a seat.
var seatless = []string{"RELEASE", "RESET_MFA", "RESET", "REVOKE_SESSIONS", "CHANGE_EMAIL"}

func (j joining) String() string {
	if j.kind == "" {
		return "nobody on this seat"
	}
	return fmt.Sprintf("%s of %s at revision %d", j.kind, j.account, j.revision)
}

type seatRow struct {
	seatKey
	State     string
	AccountID id.Account
}

func (s seatRow) live() bool { return s.State == "RESERVED" || s.State == "OCCUPIED" }

type usageRow struct {
	OrganizationID id.Organization
	Used           int32
	Cap            *int32
}

// checkSeats compares seats and cap with what billing's events tell. Seats that nobody heard of before they were released, or
// that were denied, have no event.
func (c *Checker) checkSeats(ctx context.Context, tx pgx.Tx, s span, history *effects, r *Report, all *sides) error {
	usage, err := collect[usageRow](ctx, tx, `
		SELECT aggregate_id AS organization_id, used, cap FROM heads WHERE aggregate_id > $1 AND aggregate_id <= $2`, uuid(s.after), uuid(s.to))
	if err != nil {
		return err
	}
	all.usage = make(map[id.Organization]usageRow)
	for _, row := range usage {
		all.usage[row.OrganizationID] = row
	}
	seats, err := collect[seatRow](ctx, tx, `
		SELECT organization_id, seat_id, state, account_id FROM seats WHERE organization_id > $1 AND organization_id <= $2`, uuid(s.after), uuid(s.to))
	if err != nil {
		return err
	}
	all.seats = make(map[seatKey]seatRow)
	for _, row := range seats {
		all.seats[row.seatKey] = row
	}
	told := make(map[id.Organization]*seatFold)
	err = c.checkLog(ctx, tx, "billing", s, r, func(e entry) {
		history.hear("billing", e)
		key := id.Organization(e.Aggregate)
		if told[key] == nil {
			told[key] = &seatFold{}
		}
		told[key].apply(e)
	})
	if err != nil {
		return err
	}
	find := func(id string, key id.Organization, subject, detail string, args ...any) {
		r.add(Finding{ID: id, Service: "billing", Organization: key.String(), Subject: subject, Detail: fmt.Sprintf(detail, args...)})
	}
	for _, row := range usage {
		fold := told[row.OrganizationID]
		if fold == nil {
			fold = &seatFold{}
		}
		for _, p := range fold.wrong {
			find(p.id, row.OrganizationID, "", "%s", p.detail)
		}
		if limitText(row.Cap) != limitText(fold.limit) {
			find("A8", row.OrganizationID, "", "the row says a cap of %s; the events say %s", limitText(row.Cap), limitText(fold.limit))
		}
	}
	for _, row := range seats {
		var state, sits string
		if fold := told[row.OrganizationID]; fold != nil {
			state, sits = fold.seats[row.SeatID.String()], fold.sits[row.SeatID.String()]
			delete(fold.seats, row.SeatID.String())
		}
		unheard := state == "" && (row.State == "RELEASED" || row.State == "DENIED")
		if !unheard && (row.State != state || row.AccountID.String() != sits) {
			find("A8", row.OrganizationID, row.SeatID.String(), "the row says %s %s; the events say %s %s", row.State, row.AccountID, orNothing(state), sits)
		}
	}
	for key, fold := range told {
		for seat := range fold.seats {
			find("A8", key, seat, "the events tell of a seat, and there is no row")
		}
	}
	return nil
}
