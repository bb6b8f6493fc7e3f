package invitation_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/invitation"
)

// at makes the first call of a method wait, once it had its effect, until released. It returns a channel that is closed
// when the call waits.
func (p *peers) at(method string, released <-chan struct{}) (waits chan struct{}) {
	waits = make(chan struct{})
	first := make(chan struct{}, 1)
	first <- struct{}{}
	before := p.lose
	p.lose = func(called string, after bool) error {
		if called == method && after {
			select {
			case <-first:
				close(waits)
				select {
				case <-released:
				case <-time.After(5 * time.Second): // the test has failed
				}
			default:
			}
		}
		return before(called, after)
	}
	return waits
}

func TestCrashes(t *testing.T) {
	t.Parallel()

	t.Run("a crash between the seat and the member in accept is finished by the sweeper", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, invitation.Limits{})
		o := h.organization()
		i := mailed(t, o)
		since := len(h.peers.calls)
		h.peers.lose = func(method string, after bool) error {
			if method == "GetAccounts" || method == "AddMember" || method == "OpenSession" {
				return errDown
			}
			return nil
		}
		_, err := i.accept(t, nobody)
		refused(t, err, errorv1.Reason_REASON_UNAVAILABLE)
		require.Equal(t, "ACCEPTING", i.state(t))
		seat, err := id.ParseSeat(i.kept(t)[0].SeatID.String())
		require.NoError(t, err)
		require.Equal(t, occupied, h.peers.seats[seat.String()])
		require.Len(t, h.peers.organizations[o.id.String()].seat, 1, "no member yet")

		h.heal()
		o.sweep(t)
		require.Equal(t, "ACCEPTED", i.state(t))
		o.consistent(t)
		adds := 0
		for _, method := range h.peers.methods(since) {
			if method == "AddMember" {
				adds++
			}
		}
		require.Equal(t, 1, adds, "exactly one member call")
		require.Equal(t, []string{"invitation.created", "invitation.sent", "invitation.accepted"}, o.types(t))
	})

	t.Run("the sweeper lets an invitation wait, and looks again when it expires", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, invitation.Limits{})
		o := h.organization()
		i := link(t, o)
		_, err := h.rows.Exec(t.Context(), `UPDATE due SET next_time = now(), attempts = 7`) // as after a claim that came too early
		require.NoError(t, err)
		since := len(h.peers.calls)
		o.sweep(t)
		o.consistent(t)
		require.Empty(t, h.peers.methods(since))

		_, err = i.revoke(t)
		require.NoError(t, err)
		_, err = h.rows.Exec(t.Context(), `INSERT INTO due (aggregate_id, kind, id, next_time) VALUES ($1, 'invitation', $2, now())`, o.id, i.key(t))
		require.NoError(t, err)
		o.sweep(t)
		o.consistent(t)
	})

	t.Run("billing, identity or membership being down is UNAVAILABLE, and nothing is lost", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, invitation.Limits{})
		for _, down := range []string{"AuthorizeInvitation", "FindAccount", "ReserveSeats", "HoldUsername", "ReleaseSeats", "OccupySeat", "AddMember", "CreateAccount", "SealPassword"} {
			h.peers.reset()
			o := h.organization()
			i := mailed(t, o)
			h.peers.lose = func(method string, _ bool) error {
				if method == down {
					return errDown
				}
				return nil
			}
			_, createErr := o.client.CreateInvitation(as(t, o.admin), o.asks(address(), username()))
			_, acceptErr := i.accept(t, nobody)
			other := i.state(t)
			_, revokeErr := i.revoke(t)
			for _, err := range []error{createErr, acceptErr} {
				if err != nil {
					f := refused(t, err, errorv1.Reason_REASON_UNAVAILABLE)
					require.NotEmpty(t, f.Message)
				}
			}
			require.True(t, createErr != nil || acceptErr != nil || down == "ReleaseSeats", down)
			if other == "ACCEPTING" {
				refused(t, revokeErr, errorv1.Reason_REASON_BUSY)
			}
			h.heal()
			o.sweep(t)
			o.consistent(t)
		}
	})

	t.Run("billing, identity or membership being busy in an acceptance is UNAVAILABLE, as BUSY says that nothing was begun", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, invitation.Limits{})
		for _, busy := range []string{"CreateAccount", "OccupySeat", "AddMember"} {
			o := h.organization()
			i := mailed(t, o)
			h.peers.lose = func(method string, _ bool) error {
				if method == busy {
					return fault.New(errorv1.Reason_REASON_BUSY, "Many changes meet here at once.")
				}
				return nil
			}
			_, err := i.accept(t, nobody)
			refused(t, err, errorv1.Reason_REASON_UNAVAILABLE)
			require.Equal(t, "ACCEPTING", i.state(t), busy)
			h.heal()
			o.sweep(t)
			require.Equal(t, "ACCEPTED", i.state(t), busy)
		}
	})

	t.Run("a run of an acceptance that failed does not end the next one", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, invitation.Limits{})
		o := h.organization()
		i := mailed(t, o)
		me := h.peers.signUp(i.email)
		release := make(chan struct{})
		waits := h.peers.at("OccupySeat", release)
		slow := make(chan error, 1)
		go func() {
			_, err := i.accept(t, me)
			slow <- err
		}()
		<-waits
		h.peers.refuse(o.id, o.admin, errMissing)
		o.sweep(t) // finishes what the slow call does not: membership said no
		require.Equal(t, "FAILED", i.state(t))

		h.peers.refuse(o.id, o.admin, nil)
		_, err := i.resend(t)
		require.NoError(t, err)
		o.sweep(t)
		i.token = o.post.link(i.email)
		releaseAgain := make(chan struct{})
		waits = h.peers.at("OccupySeat", releaseAgain)
		second := make(chan error, 1)
		go func() {
			_, err := i.accept(t, me)
			second <- err
		}()
		<-waits
		require.Equal(t, "ACCEPTING", i.state(t))
		close(release)
		refused(t, <-slow, errorv1.Reason_REASON_INVITATION_FAILED)
		require.Equal(t, "ACCEPTING", i.state(t), "the second acceptance goes on")
		close(releaseAgain)
		require.NoError(t, <-second)
		o.consistent(t)
	})
}

func TestRaces(t *testing.T) {
	t.Parallel()

	t.Run("two sweepers at once finish everything once", func(t *testing.T) {
		t.Parallel()
		for _, s := range stories {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				h := newHarness(t, invitation.Limits{})
				for _, broken := range []string{"ReserveSeats", "OccupySeat", "AddMember", "ReleaseSeats"} {
					h.peers.reset()
					o := h.organization()
					i := s.arrange(t, o)
					h.peers.lose = func(method string, _ bool) error {
						if method == broken {
							return errDown
						}
						return nil
					}
					_ = s.act(t, i)
					h.heal()
					for range 3 {
						tasks := h.tasks(t)
						for _, err := range atOnce(2*len(tasks), func(n int) error {
							task := tasks[n/2]
							return h.service.Steps()[task.Kind](t.Context(), task)
						}) {
							require.NoError(t, err)
						}
					}
					o.consistent(t)
				}
			})
		}
	})

	t.Run("R27 100 accepts of one link: one member, one seat, one event", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, invitation.Limits{})
		o := h.organization()
		i := link(t, o)
		accepted := 0
		for _, err := range atOnce(100, func(int) error {
			_, err := i.accept(t, h.peers.signUp(""))
			return err
		}) {
			switch fault.ReasonOf(err) {
			case errorv1.Reason_REASON_INVITATION_USED, errorv1.Reason_REASON_BUSY:
			default:
				require.NoError(t, err)
				accepted++
			}
		}
		require.Equal(t, 1, accepted)
		o.consistent(t)
		require.Equal(t, []string{"invitation.created", "invitation.accepted"}, o.types(t))
	})

	t.Run("accept against revoke against decline against expiry: one outcome", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, invitation.Limits{})
		o := h.organization()
		for range 15 {
			i := link(t, o)
			ends := 0
			for n, err := range atOnce(4, func(n int) error {
				switch n {
				case 0:
					_, err := i.accept(t, h.peers.signUp(""))
					return err
				case 1:
					_, err := i.revoke(t)
					return err
				case 2:
					return i.decline(t)
				}
				i.age(t)
				return nil
			}) {
				if n < 3 && err == nil {
					ends++
				}
			}
			o.sweep(t)
			require.LessOrEqual(t, ends, 1)
			require.Equal(t, ends == 0, i.state(t) == "EXPIRED", i.state(t))
			o.consistent(t)
		}
	})

	t.Run("equal requests at once are one, and all get its answer", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, invitation.Limits{})
		o := h.organization()
		req := o.asks("", username())
		req.RequestId = "once"
		links := make(chan string, 20)
		for _, err := range atOnce(20, func(int) error {
			made, err := o.client.CreateInvitation(as(t, o.admin), req)
			links <- made.GetLink()
			return err
		}) {
			require.NoError(t, err)
		}
		first := <-links
		for range 19 {
			require.Equal(t, first, <-links)
		}
		require.Len(t, o.kept(t), 1)

		i := invited{organization: o, id: o.kept(t)[0].InvitationID.String()}
		for _, err := range atOnce(20, func(int) error {
			_, err := o.client.RevokeInvitation(as(t, o.admin), &invitationv1.RevokeInvitationRequest{
				OrganizationId: o.id.String(), InvitationId: i.id, RequestId: "revoke"})
			return err
		}) {
			require.NoError(t, err)
		}
		o.sweep(t)
		o.consistent(t)
	})

	t.Run("invitations for one person at once: one, the others name it", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, invitation.Limits{})
		o := h.organization()
		person := address()
		made := 0
		outcomes := atOnce(20, func(int) error {
			_, err := o.client.CreateInvitation(as(t, o.admin), o.asks(person, ""))
			return err
		})
		kept := o.kept(t)
		require.Len(t, kept, 1)
		for _, err := range outcomes {
			if err == nil {
				made++
				continue
			}
			f := refused(t, err, errorv1.Reason_REASON_INVITATION_PENDING)
			require.Equal(t, kept[0].InvitationID.String(), f.Metadata["invitationId"])
		}
		require.Equal(t, 1, made)
	})
}

func TestMailOutcome(t *testing.T) {
	t.Parallel()

	t.Run("a mail refused for good fails the invitation and frees its seat", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, invitation.Limits{})
		o := h.organization()
		i := failed(t, o)
		require.Equal(t, "FAILED", i.state(t))
		require.Equal(t, "DELIVERY_REFUSED", i.row(t, "failure_reason"))
		o.consistent(t)
		require.Equal(t, []string{"invitation.created", "invitation.failed"}, o.types(t))
	})

	t.Run("an older mail's outcome after a resend changes nothing", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, invitation.Limits{})
		o := h.organization()
		made, err := o.client.CreateInvitation(as(t, o.admin), o.asks(address(), ""))
		require.NoError(t, err)
		i := invited{organization: o, id: made.GetInvitation().GetId()}
		_, err = i.resend(t) // before the first mail is out
		require.NoError(t, err)
		mails := 0
		h.post.answer = func(mail.Message) error {
			if mails++; mails == 1 {
				return mail.ErrPermanent
			}
			return nil
		}
		var older id.Mail
		require.NoError(t, h.rows.QueryRow(t.Context(), `SELECT id FROM mails ORDER BY id LIMIT 1`).Scan(&older))
		for _, first := range []bool{true, false} {
			for _, task := range h.tasks(t) {
				if (id.Mail(task.ID) == older) == first && task.Kind == "mail" {
					require.NoError(t, h.service.Steps()[task.Kind](t.Context(), task))
				}
			}
		}
		require.Equal(t, 2, mails)
		require.Equal(t, []string{"PENDING", "SENT"}, []string{i.state(t), i.row(t, "delivery")})
		o.consistent(t)
	})

	t.Run("a mail's outcome after the invitation has expired ends it no second time", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t, invitation.Limits{})
		o := h.organization()
		made, err := o.client.CreateInvitation(as(t, o.admin), o.asks(address(), ""))
		require.NoError(t, err)
		i := invited{organization: o, id: made.GetInvitation().GetId()}
		i.age(t)
		h.post.answer = func(mail.Message) error {
			for _, task := range h.tasks(t) { // expires while the mail server thinks
				if task.Kind == "invitation" {
					require.NoError(t, h.service.Steps()[task.Kind](t.Context(), task))
				}
			}
			return mail.ErrPermanent
		}
		o.sweep(t)
		require.Equal(t, []string{"EXPIRED", "FAILED"}, []string{i.state(t), i.row(t, "delivery")})
		o.consistent(t)
	})
}
