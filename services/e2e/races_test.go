package e2e

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// rounds is how often the three-way race runs.
var rounds = flag.Int("rounds", 1000, "rounds of accept against revoke against expiry")

// TestRaces sets parallel calls against each other. Exactly one outcome each, whoever wins.
func TestRaces(t *testing.T) {
	t.Parallel()

	t.Run("R27 100 accepts of one link: one member, one seat, one event", func(t *testing.T) {
		t.Parallel()
		org := create(t, "gRPC", portal)
		invitee := signUp(t, "gRPC")
		org.invite(t, invitee.Email, "member")
		link := mailLink(t, invitee.Email, "/invite/")
		succeeded := 0
		for _, err := range atOnce(100, func(int) error {
			_, err := invitee.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: link})
			return err
		}) {
			switch fault.ReasonOf(err) {
			case errorv1.Reason_REASON_INVITATION_USED, errorv1.Reason_REASON_BUSY:
			default:
				require.NoError(t, err)
				succeeded++
			}
		}
		require.Equal(t, 1, succeeded)
		eventually(t, func() bool { return len(org.people(t, org.owner)) == 2 }, "the owner and one member")
		usage := org.seats(t)
		require.Equal(t, []int32{2, 2, 0}, []int32{usage.GetUsed(), usage.GetOccupied(), usage.GetReserved()})
		require.Equal(t, 2, org.events(t, "membership", "member.added"), "the owner's and the invitee's")
		require.Equal(t, 2, org.events(t, "billing", "seat.occupied"))
		require.Equal(t, 1, org.events(t, "invitation", "invitation.accepted"))
	})

	t.Run("R27 accept against revoke against expiry: exactly one outcome each", func(t *testing.T) {
		t.Parallel()
		const lanes = 8
		var mu sync.Mutex
		tally := map[invitationv1.Invitation_State]int{}
		var running sync.WaitGroup
		for range lanes {
			l := lane{create(t, "gRPC", pipeline), signUp(t, "gRPC"), suite.owners["invitation"], 10 * time.Millisecond}
			running.Go(func() {
				for range *rounds / lanes {
					outcome := l.round(t)
					mu.Lock()
					tally[outcome]++
					mu.Unlock()
				}
			})
		}
		running.Wait()
		t.Log(tally)
		require.Len(t, tally, 3, "each of the three wins sometimes")
	})
}

// lane runs rounds of the three-way race one after the other, in an organization of its own.
type lane struct {
	*organization
	invitee *person
	time    *pgxpool.Pool
	took    time.Duration // an answer, of late: head starts are of this size, so that each comes first sometimes on any machine
}

// upTo is a random time.
func upTo(most time.Duration) time.Duration { return rand.N(most + time.Millisecond) }

// round lets the three run, checks that state, member, seat and events tell one story, and tidies up.
func (l *lane) round(t *testing.T) invitationv1.Invitation_State {
	ctx := t.Context()
	made, err := l.owner.CreateInvitation(ctx, &invitationv1.CreateInvitationRequest{
		OrganizationId: l.ID, Username: unique("u"), DisplayName: "Racer"})
	if err != nil {
		t.Error(err)
		return 0
	}
	ends := map[string]int{}
	for _, end := range []string{"invitation.accepted", "invitation.revoked", "invitation.expired"} {
		ends[end] = l.events(t, "invitation", end)
	}
	delays := []time.Duration{upTo(l.took), upTo(l.took), upTo(2 * l.took)}
	var took [2]time.Duration
	outcomes := atOnce(3, func(i int) (err error) {
		if i == 2 {
			return l.runOut(ctx, made.GetInvitation().GetId(), delays[i])
		}
		<-time.After(delays[i])
		begun := time.Now()
		if i == 0 {
			_, err = l.invitee.AcceptInvitation(ctx, &invitationv1.AcceptInvitationRequest{LinkToken: lastSegment(made.GetLink())})
		} else {
			_, err = l.owner.RevokeInvitation(ctx, &invitationv1.RevokeInvitationRequest{OrganizationId: l.ID, InvitationId: made.GetInvitation().GetId()})
		}
		took[i] = time.Since(begun)
		return err
	})
	l.took = (3*l.took + max(took[0], took[1])) / 4
	if outcomes[2] != nil {
		t.Error(outcomes[2])
	}

	var state invitationv1.Invitation_State
	eventually(t, func() bool {
		got, err := l.owner.GetInvitation(ctx, &invitationv1.GetInvitationRequest{OrganizationId: l.ID, InvitationId: made.GetInvitation().GetId()})
		if err != nil {
			t.Error(err)
			return true
		}
		state = got.GetInvitation().GetState()
		usage := l.seats(t)
		settled := usage.GetUsed() == 1
		if state == invitationv1.Invitation_STATE_ACCEPTED {
			settled = usage.GetOccupied() == 2 && usage.GetReserved() == 0
		}
		return settled && state != invitationv1.Invitation_STATE_ACCEPTING && state != invitationv1.Invitation_STATE_PENDING
	}, "the seat follows the outcome")

	accepted, revoked := outcomes[0] == nil, outcomes[1] == nil
	if accepted && revoked {
		t.Error("accepted and revoked")
	}
	if accepted != (state == invitationv1.Invitation_STATE_ACCEPTED) || revoked != (state == invitationv1.Invitation_STATE_REVOKED) {
		t.Errorf("the callers heard accept=%v revoke=%v, the invitation is %v", outcomes[0], outcomes[1], state)
	}
	total := 0
	for end, before := range ends {
		total += l.events(t, "invitation", end) - before
	}
	if state == invitationv1.Invitation_STATE_EXPIRED { // the sweeper writes the event when it comes by
		eventually(t, func() bool { return l.events(t, "invitation", "invitation.expired") == ends["invitation.expired"]+1 }, "the expiry is noted")
	} else if total != 1 {
		t.Errorf("%d events of an end", total)
	}
	if l.can(t, l.invitee, "products.use") != accepted {
		t.Errorf("accept=%v, but access is the other way", accepted)
	}
	if accepted {
		if _, err := l.owner.RemoveMember(ctx, &membershipv1.RemoveMemberRequest{OrganizationId: l.ID, AccountId: l.invitee.ID}); err != nil {
			t.Error(err)
		}
	}
	return state
}

// runOut lets the invitation's time run out when that is left, and the sweeper come by.
func (l *lane) runOut(ctx context.Context, invitation string, left time.Duration) error {
	key, err := id.ParseInvitation(invitation)
	if err != nil {
		return err
	}
	org, err := id.ParseOrganization(l.ID)
	if err != nil {
		return err
	}
	for _, statement := range []string{
		`UPDATE invitations SET expire_time = clock_timestamp() + $3::interval WHERE organization_id = $1 AND invitation_id = $2`,
		`UPDATE due SET next_time = clock_timestamp() + $3::interval WHERE aggregate_id = $1 AND kind = 'invitation' AND id = $2`,
	} {
		if _, err := l.time.Exec(ctx, statement, fmt.Sprintf("%x", org[:]), fmt.Sprintf("%x", key[:]), left); err != nil {
			return err
		}
	}
	return nil
}
