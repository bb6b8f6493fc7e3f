package invitation_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/internal/id"
)

// kept is an invitation as the database keeps it.
type kept struct {
	InvitationID id.Invitation
	SeatID       id.Seat
	State        string
	Username     string
	AccountID    id.Account
	Announced    bool
	Releasing    bool
	Secrets      bool
	ExpireTime   time.Time
	NextTime     *time.Time // when the sweeper looks
}

func (o organization) kept(t *testing.T) []kept {
	t.Helper()
	rows, _ := o.rows.Query(t.Context(), `
		SELECT i.invitation_id, seat_id, state, username, account_id, announced, releasing,
		       sealed_token IS NOT NULL OR sealed_password IS NOT NULL OR accept_name <> '' AS secrets, expire_time, d.next_time
		FROM invitations i
		LEFT JOIN due d ON d.aggregate_id = organization_id AND d.kind = 'invitation' AND d.id = i.invitation_id
		WHERE organization_id = $1 ORDER BY i.invitation_id`, o.id)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[kept])
	require.NoError(t, err)
	return all
}

// consistent holds the organization, which is at rest, against the invariants, in all services.
func (o organization) consistent(t *testing.T) {
	t.Helper()
	live := map[string]string{} // seats that somebody still names
	pending, accepted := 0, 0
	for _, i := range o.kept(t) {
		require.False(t, i.Releasing, "what ended has given back its seat")
		require.False(t, i.Secrets, "no secret outlives its step")
		seat, holder := o.peers.seats[i.SeatID.String()], o.peers.usernames[i.Username]
		switch i.State {
		case "PENDING":
			pending++
			live[i.SeatID.String()] = i.State
			require.Equal(t, reserved, seat)
			require.NotNil(t, i.NextTime)
			require.Equal(t, i.ExpireTime, *i.NextTime, "the sweeper looks when it expires, not before")
			if i.Username != "" {
				require.Equal(t, i.InvitationID.String(), holder.owner)
			}
			continue
		case "ACCEPTED":
			accepted++
			live[i.SeatID.String()] = i.State
			require.Equal(t, occupied, seat)
			require.Equal(t, addition{account: i.AccountID.String()}, o.peers.additions[i.SeatID.String()])
			require.Equal(t, i.SeatID.String(), o.peers.organizations[o.id.String()].seat[i.AccountID.String()])
		case "DECLINED", "REVOKED", "EXPIRED", "FAILED":
			require.NotContains(t, []any{reserved, occupied}, seat, "no seat is leaked")
		default:
			require.Fail(t, "an invitation got stuck", i.State)
		}
		require.Nil(t, i.NextTime, "nothing is left to do")
		require.NotEqual(t, i.InvitationID.String(), holder.owner)
	}
	for seat, state := range o.peers.seats {
		if state == reserved || state == occupied {
			require.Contains(t, live, seat, "every seat has an owner")
		}
	}
	require.Len(t, o.peers.organizations[o.id.String()].seat, 1+accepted, "members are the creator and who accepted")

	var others int
	require.NoError(t, o.rows.QueryRow(t.Context(), `SELECT count(*) FROM due WHERE aggregate_id = $1 AND kind <> 'invitation'`, o.id).Scan(&others))
	require.Zero(t, others)
	o.tells(t, pending)
}

// tells holds the events against the invitations: each is created once, ends once, and lives again only by being sent again.
func (o organization) tells(t *testing.T, pending int) {
	t.Helper()
	rows, _ := o.rows.Query(t.Context(), `
		SELECT type, convert_from(data, 'UTF8')::json->'context'->'cause'->>'id' FROM events WHERE aggregate_id = $1 ORDER BY revision`, o.id)
	alive := map[string]bool{}
	var kind, about string
	_, err := pgx.ForEachRow(rows, []any{&kind, &about}, func() error {
		lives, known := alive[about]
		switch kind {
		case "invitation.created":
			require.False(t, known, "created twice")
			alive[about] = true
		case "invitation.resent":
			require.True(t, known)
			alive[about] = true
		case "invitation.sent", "invitation.role_changed":
			require.True(t, lives)
		default:
			require.True(t, lives, "%s, but it had ended before", kind)
			alive[about] = false
		}
		return nil
	})
	require.NoError(t, err)
	open, announced := 0, 0
	for _, lives := range alive {
		if lives {
			open++
		}
	}
	for _, i := range o.kept(t) {
		if i.Announced {
			announced++
		}
	}
	require.Equal(t, pending, open)
	require.Len(t, alive, announced, "every invitation that can be seen was told of")
}
