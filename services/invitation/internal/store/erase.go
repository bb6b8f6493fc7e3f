package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/invitation/internal/invite"
)

// SaveHand notes that somebody has had a hand in an organization's invitations. It comes last in a transaction, as CountSent does.
func (q Queries) SaveHand(org id.Organization, account id.Account) {
	q.Write(`INSERT INTO hands (organization_id, account_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`, org, account)
}

// ListOrganizationsOf returns the organizations where an account has had a hand in invitations: has sent or revoked some, or has accepted. The transaction must be across organizations.
func (q Queries) ListOrganizationsOf(ctx context.Context, account id.Account) (keys []id.Organization, err error) {
	q.Read(`
		SELECT organization_id FROM invitations WHERE account_id = $1
		UNION SELECT organization_id FROM invitations WHERE inviter_id = $1
		UNION SELECT organization_id FROM hands WHERE account_id = $1
		ORDER BY 1`, []any{account}, func(rows pgx.Rows) (err error) {
		keys, err = pgx.CollectRows(rows, pgx.RowTo[id.Organization])
		return err
	})
	return keys, q.Fetch(ctx)
}

// LockAcceptedBy returns the invitations that an account accepts or has accepted, and holds their rows until the transaction ends. What becomes of some
// may be open.
func (q Queries) LockAcceptedBy(ctx context.Context, org id.Organization, account id.Account) (invitations []id.Invitation, open bool, err error) {
	var found []invite.Invitation
	q.Read(`SELECT `+columns+` FROM invitations
		WHERE organization_id = $1 AND account_id = $2 AND state NOT IN ('RESERVING', 'PENDING')
		ORDER BY invitation_id FOR UPDATE`,
		[]any{org, account}, postgres.All(&found))
	err = q.Fetch(ctx)
	for _, one := range found {
		invitations = append(invitations, one.InvitationID)
		open = open || one.State == invite.Accepting
	}
	return invitations, open, err
}

// EraseAccount takes what is personal of an account out of the invitations that it has accepted, and out of the events that tell of them or of what
// it did.
func (q Queries) EraseAccount(org id.Organization, account id.Account, invitations []id.Invitation) {
	var about []string
	for _, one := range invitations {
		about = append(about, one.String())
	}
	q.Write(`
		UPDATE invitations SET email = '', email_key = '', username = '', username_key = '', display_name = '', accept_name = ''
		WHERE organization_id = $1 AND invitation_id = ANY ($2)`, org, invitations)
	q.Write(`
		UPDATE events SET personal = NULL, personal_salt = NULL
		WHERE aggregate_id = $1 AND personal IS NOT NULL
		  AND (position(convert_to($2, 'UTF8') IN data) > 0 OR EXISTS (SELECT FROM unnest($3::text[]) one WHERE position(convert_to(one, 'UTF8') IN data) > 0))`,
		org, account.String(), about)
	q.Write(`DELETE FROM idempotency WHERE aggregate_id = $1 AND principal = $2`, org, account.String())
	q.Write(`DELETE FROM hands WHERE organization_id = $1 AND account_id = $2`, org, account)
}
