package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
)

const columns = `organization_id, invitation_id, seat_id, email, email_key, username, username_key, display_name, role, state,
	announced, generation, token_hash, sealed_token, delivery, send_id, link_shown, inviter_id, create_time, send_time, expire_time,
	ttl, account_id, new_account, sealed_password, accept_name, failure_reason, prior_state, prior_failure, releasing, refused_reason`

// Get returns the invitation, or ErrNotFound.
func (q Queries) Get(ctx context.Context, org id.Organization, inv id.Invitation) (*invite.Invitation, error) {
	return q.one(ctx, invite.ErrNotFound, `organization_id = $1 AND invitation_id = $2`, org, inv)
}

// Lock returns the invitation and holds its row until the transaction ends.
func (q Queries) Lock(ctx context.Context, org id.Organization, inv id.Invitation) (*invite.Invitation, error) {
	return q.one(ctx, invite.ErrNotFound, `organization_id = $1 AND invitation_id = $2 FOR UPDATE`, org, inv)
}

// GetByLink returns the invitation whose newest link holds the token, or ErrLinkInvalid.
func (q Queries) GetByLink(ctx context.Context, token invite.Token) (*invite.Invitation, error) {
	return q.one(ctx, invite.ErrLinkInvalid, `organization_id = $1 AND token_hash = $2`, token.Organization, token.Hash())
}

// LockByLink is GetByLink, and holds the row until the transaction ends.
func (q Queries) LockByLink(ctx context.Context, token invite.Token) (*invite.Invitation, error) {
	return q.one(ctx, invite.ErrLinkInvalid, `organization_id = $1 AND token_hash = $2 FOR UPDATE`, token.Organization, token.Hash())
}

// LockBySend returns the invitation that a mail was about and holds its row; ErrNotFound when a newer one was sent.
func (q Queries) LockBySend(ctx context.Context, org id.Organization, send id.Mail) (*invite.Invitation, error) {
	return q.one(ctx, invite.ErrNotFound, `organization_id = $1 AND send_id = $2 FOR UPDATE`, org, send)
}

func (q Queries) one(ctx context.Context, absent error, where string, args ...any) (*invite.Invitation, error) {
	var inv invite.Invitation
	var found bool
	q.Read(`SELECT `+columns+` FROM invitations WHERE `+where, args, postgres.One(&inv, &found))
	if err := q.Fetch(ctx); err != nil {
		return nil, err
	}
	if !found {
		return nil, absent
	}
	return &inv, nil
}

// Revision queues a read of the revision of the organization's history, for the next Get.
func (q Queries) Revision(org id.Organization, revision *int64) {
	q.Read(`SELECT revision FROM heads WHERE aggregate_id = $1`, []any{org}, func(rows pgx.Rows) error {
		for rows.Next() {
			if err := rows.Scan(revision); err != nil {
				return err
			}
		}
		return nil
	})
}

// Rivals is what stands in the way of a new invitation.
type Rivals struct {
	Live    []invite.Invitation // for the same address or username, and still waiting
	Overdue []invite.Invitation // of anybody; locked
}

// overdueAtOnce bounds how many overdue invitations one call tidies up. The sweeper does the rest.
const overdueAtOnce = 20

// LockRivals returns the live invitations for the same person, and locks overdue ones of the organization, the
// person's own always among them, so that an expired invitation blocks neither its address nor its seat.
func (q Queries) LockRivals(ctx context.Context, org id.Organization, who invite.Invitee) (r Rivals, err error) {
	q.Read(`
		SELECT `+columns+` FROM invitations
		WHERE organization_id = $1 AND state = 'PENDING' AND expire_time <= now() AND invitation_id IN (
			SELECT invitation_id FROM invitations
			WHERE organization_id = $1 AND state = 'PENDING'
			  AND (email_key <> '' AND email_key = $2 OR username_key <> '' AND username_key = $3)
			UNION ALL
			(SELECT invitation_id FROM invitations
			 WHERE organization_id = $1 AND state = 'PENDING' AND expire_time <= now()
			 ORDER BY expire_time LIMIT $4))
		ORDER BY invitation_id
		FOR UPDATE`, []any{org, who.Email.Key, who.UsernameKey, overdueAtOnce}, postgres.All(&r.Overdue))
	q.Read(`
		SELECT `+columns+` FROM invitations
		WHERE organization_id = $1 AND state IN ('RESERVING', 'PENDING', 'ACCEPTING')
		  AND (email_key <> '' AND email_key = $2 OR username_key <> '' AND username_key = $3)
		  AND NOT (state = 'PENDING' AND expire_time <= now())`,
		[]any{org, who.Email.Key, who.UsernameKey}, postgres.All(&r.Live))
	return r, q.Fetch(ctx)
}

// LockOpen locks some of the organization's invitations that wait, for their seat or for the invitee.
func (q Queries) LockOpen(ctx context.Context, org id.Organization, limit int) (open []invite.Invitation, err error) {
	q.Read(`
		SELECT `+columns+` FROM invitations
		WHERE organization_id = $1 AND state IN ('RESERVING', 'PENDING')
		ORDER BY invitation_id LIMIT $2
		FOR UPDATE`, []any{org, limit}, postgres.All(&open))
	return open, q.Fetch(ctx)
}

// LockOpenOfRole locks some invitations that wait for the invitee, or for their first seat, and give the role; they come
// in the order of their ids, from after on. A new attempt after the end keeps the role that it was announced with.
func (q Queries) LockOpenOfRole(ctx context.Context, org id.Organization, role string, after id.Invitation, limit int) (open []invite.Invitation, err error) {
	q.Read(`
		SELECT `+columns+` FROM invitations
		WHERE organization_id = $1 AND role = $2 AND (state IN ('PENDING', 'ACCEPTING') OR state = 'RESERVING' AND NOT announced)
		  AND ($3::uuid IS NULL OR invitation_id > $3)
		ORDER BY invitation_id LIMIT $4
		FOR UPDATE`, []any{org, role, after, limit}, postgres.All(&open))
	return open, q.Fetch(ctx)
}

// SaveRole writes the role that the invitation gives, which nothing else changes.
func (q Queries) SaveRole(inv *invite.Invitation) {
	q.Write(`UPDATE invitations SET role = $3 WHERE organization_id = $1 AND invitation_id = $2`, inv.OrganizationID, inv.InvitationID, inv.Role)
}

// ListReleasing returns seats that ended invitations still have to give back.
func (q Queries) ListReleasing(ctx context.Context, org id.Organization, limit int) ([]string, error) {
	var ended []struct{ SeatID id.Seat }
	q.Read(`SELECT seat_id FROM invitations WHERE organization_id = $1 AND releasing LIMIT $2`, []any{org, limit}, postgres.All(&ended))
	if err := q.Fetch(ctx); err != nil {
		return nil, err
	}
	seats := make([]string, len(ended))
	for i, e := range ended {
		seats[i] = e.SeatID.String()
	}
	return seats, nil
}

// ListReleasingUsername returns ended invitations that still have to give back a username.
func (q Queries) ListReleasingUsername(ctx context.Context, org id.Organization, usernameKey string) (ended []invite.Invitation, err error) {
	q.Read(`SELECT `+columns+` FROM invitations WHERE organization_id = $1 AND releasing AND username_key = $2`,
		[]any{org, usernameKey}, postgres.All(&ended))
	return ended, q.Fetch(ctx)
}

// List returns a page, newest first, of invitations that the world has heard of. after is the last one of the page
// before; states are as others see them, all when empty.
func (q Queries) List(ctx context.Context, org id.Organization, states []string, after id.Invitation, limit int) (page []invite.Invitation, err error) {
	q.Read(`
		SELECT `+columns+` FROM invitations
		WHERE organization_id = $1 AND announced AND ($2::uuid IS NULL OR invitation_id < $2)
		  AND (cardinality($3::text[]) = 0
		       OR (CASE WHEN state = 'PENDING' AND expire_time <= now() THEN 'EXPIRED' ELSE state END) = ANY ($3))
		ORDER BY invitation_id DESC LIMIT $4`,
		[]any{org, after, append([]string{}, states...), limit}, postgres.All(&page))
	return page, q.Fetch(ctx)
}

// ListSeatClaims returns those invitations among ids that are live, with the seat each names.
func (q Queries) ListSeatClaims(ctx context.Context, org id.Organization, ids []id.Invitation) (map[id.Invitation]id.Seat, error) {
	var live []struct {
		InvitationID id.Invitation
		SeatID       id.Seat
	}
	q.Read(`
		SELECT invitation_id, seat_id FROM invitations
		WHERE organization_id = $1 AND invitation_id = ANY ($2) AND state IN ('RESERVING', 'PENDING', 'ACCEPTING')`,
		[]any{org, ids}, postgres.All(&live))
	if err := q.Fetch(ctx); err != nil {
		return nil, err
	}
	claims := make(map[id.Invitation]id.Seat, len(live))
	for _, l := range live {
		claims[l.InvitationID] = l.SeatID
	}
	return claims, nil
}

// Insert writes a new invitation.
func (q Queries) Insert(inv *invite.Invitation) {
	q.Write(`INSERT INTO invitations (`+columns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31)`,
		inv.OrganizationID, inv.InvitationID, inv.SeatID, inv.Email, inv.EmailKey, inv.Username, inv.UsernameKey, inv.DisplayName, inv.Role,
		inv.State, inv.Announced, inv.Generation, inv.TokenHash, inv.SealedToken, inv.Delivery, inv.SendID, inv.LinkShown, inv.InviterID,
		inv.CreateTime, inv.SendTime, inv.ExpireTime, inv.TTL, inv.AccountID, inv.NewAccount, inv.SealedPassword, inv.AcceptName,
		inv.FailureReason, inv.PriorState, inv.PriorFailure, inv.Releasing, inv.RefusedReason)
	q.Schedule(inv)
}

// Save writes what may change, and schedules what follows from it.
func (q Queries) Save(inv *invite.Invitation) {
	q.Write(`
		UPDATE invitations
		SET seat_id = $3, state = $4, announced = $5, generation = $6, token_hash = $7, sealed_token = $8, delivery = $9, send_id = $10,
		    link_shown = $11, inviter_id = $12, send_time = $13, expire_time = $14, account_id = $15, new_account = $16,
		    sealed_password = $17, accept_name = $18, failure_reason = $19, prior_state = $20, prior_failure = $21, releasing = $22,
		    refused_reason = $23
		WHERE organization_id = $1 AND invitation_id = $2`,
		inv.OrganizationID, inv.InvitationID, inv.SeatID, inv.State, inv.Announced, inv.Generation, inv.TokenHash, inv.SealedToken,
		inv.Delivery, inv.SendID, inv.LinkShown, inv.InviterID, inv.SendTime, inv.ExpireTime, inv.AccountID, inv.NewAccount,
		inv.SealedPassword, inv.AcceptName, inv.FailureReason, inv.PriorState, inv.PriorFailure, inv.Releasing, inv.RefusedReason)
	q.Schedule(inv)
}

// TaskKind is the kind of the sweeper's task that drives an invitation.
const TaskKind = "invitation"

// Schedule tells the sweeper when to look at the invitation: soon, if something is under way; at the expiry; or never.
func (q Queries) Schedule(inv *invite.Invitation) {
	task := saga.For(inv.OrganizationID, TaskKind, inv.InvitationID)
	switch {
	case inv.State == invite.Reserving, inv.State == invite.Accepting, inv.Releasing:
		task.At(q.Tx, q.Now().Add(saga.Grace))
	case inv.State == invite.Pending:
		task.At(q.Tx, inv.ExpireTime)
	default:
		task.Done(q.Tx)
	}
}
