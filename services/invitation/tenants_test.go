package invitation_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/invitation"
)

// sees runs a query as the service does for an organization.
func (h *harness) sees(t *testing.T, scope id.Organization, query string, args ...any) (found bool) {
	t.Helper()
	require.NoError(t, h.db.View(t.Context(), postgres.In(scope), func(tx *postgres.Tx) error {
		tx.Read(query, args, func(rows pgx.Rows) error {
			for rows.Next() {
				if err := rows.Scan(&found); err != nil {
					return err
				}
			}
			return nil
		})
		return tx.Fetch(context.Background())
	}))
	return found
}

func TestTenants(t *testing.T) {
	t.Parallel()
	h := newHarness(t, invitation.Limits{})
	mine, others := h.organization(), link(t, h.organization())
	foreign := invited{organization: mine, id: others.id}

	t.Run("AnotherOrganizationsInvitationIsNotFound", func(t *testing.T) {
		t.Parallel()
		_, err := mine.client.GetInvitation(as(t, mine.admin), &invitationv1.GetInvitationRequest{OrganizationId: mine.id.String(), InvitationId: others.id})
		refused(t, err, errorv1.Reason_REASON_INVITATION_NOT_FOUND)
		_, err = foreign.revoke(t)
		refused(t, err, errorv1.Reason_REASON_INVITATION_NOT_FOUND)
		refused(t, resend(t, foreign), errorv1.Reason_REASON_INVITATION_NOT_FOUND)
	})

	t.Run("RowLevelSecurityIsTheSecondWall", func(t *testing.T) {
		t.Parallel()
		for table, column := range map[string]string{"invitations": "organization_id", "sent_today": "subject_id", "hands": "organization_id"} {
			for scope, want := range map[id.Organization]bool{mine.id: false, others.organization.id: true} {
				require.Equal(t, want, h.sees(t, scope, `SELECT EXISTS (SELECT FROM `+table+` WHERE `+column+` = $1)`, others.organization.id))
			}
		}
	})
}
