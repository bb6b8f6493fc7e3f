package invitation_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/invitation"
)

func TestListInvitations(t *testing.T) {
	t.Parallel()
	h := newHarness(t, invitation.Limits{})
	o := h.organization()
	var made []string
	for n := range 5 {
		i := link(t, o)
		made = append([]string{i.id}, made...)
		if n == 1 {
			i.age(t)
		}
	}
	list := func(who id.Account, token string, states ...invitationv1.Invitation_State) (*invitationv1.ListInvitationsResponse, error) {
		return o.client.ListInvitations(as(t, who), &invitationv1.ListInvitationsRequest{OrganizationId: o.id.String(), PageSize: 2, PageToken: token, States: states})
	}

	t.Run("PagesAreNewestFirstAndComplete", func(t *testing.T) {
		t.Parallel()
		var seen []string
		for token, pages := "", 0; pages < 3; pages++ {
			answer, err := list(o.admin, token)
			require.NoError(t, err)
			for _, i := range answer.GetInvitations() {
				seen = append(seen, i.GetId())
			}
			token = answer.GetNextPageToken()
			require.Equal(t, pages == 2, token == "")
		}
		require.Equal(t, made, seen)
	})

	t.Run("AnOverdueOneIsListedAsExpired", func(t *testing.T) {
		t.Parallel()
		answer, err := list(o.admin, "", invitationv1.Invitation_STATE_EXPIRED)
		require.NoError(t, err)
		require.Len(t, answer.GetInvitations(), 1)
		require.Equal(t, invitationv1.Invitation_STATE_EXPIRED, answer.GetInvitations()[0].GetState())
	})

	t.Run("PAGE_TOKEN_INVALID of another caller, filter or list", func(t *testing.T) {
		t.Parallel()
		first, err := list(o.admin, "")
		require.NoError(t, err)
		other := h.peers.signUp("")
		h.peers.with(func() { h.peers.organizations[o.id.String()].seat[other.String()] = "a seat" })
		_, err = list(other, first.GetNextPageToken())
		refused(t, err, errorv1.Reason_REASON_PAGE_TOKEN_INVALID)
		_, err = list(o.admin, first.GetNextPageToken(), invitationv1.Invitation_STATE_PENDING)
		refused(t, err, errorv1.Reason_REASON_PAGE_TOKEN_INVALID)
		_, err = list(o.admin, "x"+first.GetNextPageToken())
		refused(t, err, errorv1.Reason_REASON_PAGE_TOKEN_INVALID)
	})

	t.Run("R21 no answer and no event holds a link", func(t *testing.T) {
		t.Parallel()
		i := link(t, h.organization())
		got, err := i.client.GetInvitation(as(t, i.admin), &invitationv1.GetInvitationRequest{OrganizationId: i.organization.id.String(), InvitationId: i.id})
		require.NoError(t, err)
		text, err := protojson.Marshal(got)
		require.NoError(t, err)
		secret := i.token[len(i.organization.id.String())+1:]
		require.NotContains(t, string(text), secret)
		for _, table := range []string{"invitations", "events", "idempotency", "mails"} {
			var stored int
			require.NoError(t, h.rows.QueryRow(t.Context(), fmt.Sprintf(`
				SELECT count(*) FROM %s r WHERE r::text LIKE '%%' || $1 || '%%' OR r::text LIKE '%%' || encode(convert_to($1, 'UTF8'), 'hex') || '%%'`, table), secret).Scan(&stored))
			require.Zero(t, stored, table)
		}
	})
}
