package invitation_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/invitation"
)

// story is something that a verb does, and where it ends, whatever fails on the way.
type story struct {
	name    string
	arrange func(*testing.T, organization) invited // what there was before
	act     func(*testing.T, invited) error
	untold  string // state when the act left no trace; empty: there is no invitation
	told    string // state once the act had begun
	begun   func(t *testing.T, i invited) bool
}

// begun tells whether the act had committed anything: the row is not what it was.
func changed(from string, generation string) func(*testing.T, invited) bool {
	return func(t *testing.T, i invited) bool {
		return i.state(t) != from || i.row(t, "generation") != generation
	}
}

var address = func() string { return id.NewAccount().String()[4:] + "@example.com" }
var username = func() string { return id.NewAccount().String()[4:] }

func link(t *testing.T, o organization) invited   { return o.invite(t, "", username()) }
func mailed(t *testing.T, o organization) invited { return o.invite(t, address(), username()) }

func expired(t *testing.T, o organization) invited {
	i := mailed(t, o)
	i.age(t)
	i.sweep(t)
	return i
}

func failed(t *testing.T, o organization) invited {
	o.post.answer = func(mail.Message) error { return mail.ErrPermanent }
	made, err := o.client.CreateInvitation(as(t, o.admin), o.asks(address(), username()))
	require.NoError(t, err)
	o.sweep(t)
	o.post.answer = nil
	return invited{organization: o, id: made.GetInvitation().GetId()}
}

func full(arrange func(*testing.T, organization) invited) func(*testing.T, organization) invited {
	return func(t *testing.T, o organization) invited {
		i := arrange(t, o)
		o.peers.with(func() { o.peers.total[o.id.String()] = o.peers.used() })
		return i
	}
}

func acceptNew(t *testing.T, i invited) error {
	_, err := i.accept(t, nobody)
	return err
}

func resend(t *testing.T, i invited) error {
	_, err := i.resend(t)
	return err
}

func create(t *testing.T, i invited) error {
	req := i.asks(i.email, i.token) // of an invitation yet to be made: its address and its username
	req.RequestId = "once"
	_, err := i.client.CreateInvitation(as(t, i.admin), req)
	return err
}

// wanted is an invitation yet to be made.
func wanted(mail bool) func(*testing.T, organization) invited {
	return func(t *testing.T, o organization) invited {
		i := invited{organization: o, token: username()}
		if mail {
			i.email = address()
		}
		return i
	}
}

func exists(t *testing.T, i invited) bool { return len(i.kept(t)) > 0 }

var stories = []story{
	{"accept with a new account", mailed, acceptNew, "PENDING", "ACCEPTED", changed("PENDING", "1")},
	{"accept with an account", link, func(t *testing.T, i invited) error {
		_, err := i.accept(t, i.peers.signUp(""))
		return err
	}, "PENDING", "ACCEPTED", changed("PENDING", "1")},
	{"accept when the inviter may not invite any more", func(t *testing.T, o organization) invited {
		i := mailed(t, o)
		o.peers.refuse(o.id, o.admin, errMissing)
		return i
	}, acceptNew, "PENDING", "FAILED", changed("PENDING", "1")},
	{"accept while somebody proves the address", mailed, func(t *testing.T, i invited) error {
		lose := i.peers.lose
		i.peers.lose = func(method string, after bool) error {
			if method == "SealPassword" && after {
				i.peers.signUp(i.email)
			}
			return lose(method, after)
		}
		return acceptNew(t, i)
	}, "PENDING", "PENDING", changed("PENDING", "1")},
	{"accept while identity gets another key", mailed, func(t *testing.T, i invited) error {
		lose := i.peers.lose
		i.peers.lose = func(method string, after bool) error {
			if method == "SealPassword" && after {
				i.peers.with(func() { i.peers.key++ })
			}
			return lose(method, after)
		}
		return acceptNew(t, i)
	}, "PENDING", "PENDING", changed("PENDING", "1")},
	{"create by mail", wanted(true), create, "", "PENDING", exists},
	{"create by link", wanted(false), create, "", "PENDING", exists},
	{"create without a seat", full(wanted(true)), create, "", "FAILED", exists},
	{"create with a taken username", func(t *testing.T, o organization) invited {
		i := wanted(true)(t, o)
		o.peers.with(func() { o.peers.usernames[i.token] = hold{owner: "somebody"} })
		return i
	}, create, "", "FAILED", exists},
	{"resend a pending one", mailed, resend, "PENDING", "PENDING", changed("PENDING", "1")},
	{"resend an expired one", expired, resend, "EXPIRED", "PENDING", changed("EXPIRED", "1")},
	{"resend a failed one", failed, resend, "FAILED", "PENDING", changed("FAILED", "1")},
	{"resend an expired one without a seat", full(expired), resend, "EXPIRED", "EXPIRED", changed("EXPIRED", "1")},
	{"revoke", mailed, func(t *testing.T, i invited) error {
		_, err := i.revoke(t)
		return err
	}, "PENDING", "REVOKED", changed("PENDING", "1")},
	{"decline", mailed, func(t *testing.T, i invited) error { return i.decline(t) }, "PENDING", "DECLINED", changed("PENDING", "1")},
}

// mishap is what goes wrong in the n-th call.
type mishap struct {
	n    int
	kind string
}

const (
	callFails  = "call %d does not get through"
	answerLost = "answer %d is lost"
	diesBefore = "the process dies before call %d"
	diesAfter  = "the process dies after call %d"
)

// strike makes the mishap happen, and returns what tells how many calls there were. A process that is dead calls nobody.
// That covers the boundaries of transactions: no verb commits twice without a call in between, so dying before a call is
// dying after the commit before it, and dying after a call is dying before the commit that follows.
func (h *harness) strike(m mishap) (calls func() int) {
	var mu sync.Mutex // some calls go side by side
	var count int
	var dead bool
	number := map[string]int{}
	h.peers.lose = func(method string, after bool) error {
		mu.Lock()
		defer mu.Unlock()
		if dead {
			return errDown
		}
		if !after {
			count++
			number[method] = count
		}
		switch {
		case number[method] != m.n:
			return nil
		case m.kind == diesBefore && !after, m.kind == diesAfter && after:
			dead = true
		case m.kind == callFails && !after, m.kind == answerLost && after:
		default:
			return nil
		}
		return errDown
	}
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return count
	}
}

func (h *harness) heal() {
	h.peers.lose = func(string, bool) error { return nil }
}

// TestT43 lets everything fail that can, one at a time, and the sweeper finish.
func TestT43(t *testing.T) {
	t.Parallel()
	for _, s := range stories {
		t.Run("T43 "+s.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, invitation.Limits{})
			calls := s.run(t, h, mishap{})
			require.Positive(t, calls)
			for n := 1; n <= calls; n++ {
				for _, kind := range []string{callFails, answerLost, diesBefore, diesAfter} {
					t.Run(fmt.Sprintf(kind, n), func(t *testing.T) { s.run(t, h, mishap{n, kind}) })
				}
			}
		})
	}
}

func (s story) run(t *testing.T, h *harness, m mishap) (calls int) {
	h.peers.reset()
	o := h.organization()
	i := s.arrange(t, o)
	before := i.token
	counted := h.strike(m)
	_ = s.act(t, i) // whatever the caller is told
	calls = counted()
	h.heal()

	begun := s.begun(t, i)
	if found := i.kept(t); s.untold == "" && len(found) > 0 {
		i.id = found[0].InvitationID.String()
	}
	state := func() string {
		if i.id == "" {
			return ""
		}
		return i.state(t)
	}
	atRest := func() {
		t.Helper()
		want := s.untold
		if begun {
			want = s.told
		}
		require.Equal(t, want, state())
		o.consistent(t)
	}
	o.sweep(t)
	atRest()
	known := h.peers.all()
	h.peers.repeat() // late copies of every call
	require.Equal(t, known, h.peers.all(), "a delayed copy of a call changes nothing")
	o.sweep(t)
	atRest()

	i.token = before
	s.linkIsRight(t, i, begun)
	if s.untold == "" {
		s.replays(t, i)
	}
	return calls
}

// linkIsRight looks with the link that there was before the act.
func (s story) linkIsRight(t *testing.T, i invited, begun bool) {
	t.Helper()
	if s.untold == "" || i.token == "" {
		return
	}
	reasons := map[string]errorv1.Reason{"ACCEPTED": errorv1.Reason_REASON_INVITATION_USED, "REVOKED": errorv1.Reason_REASON_INVITATION_REVOKED,
		"DECLINED": errorv1.Reason_REASON_INVITATION_DECLINED, "FAILED": errorv1.Reason_REASON_INVITATION_FAILED, "EXPIRED": errorv1.Reason_REASON_INVITATION_EXPIRED}
	want := reasons[i.state(t)]
	if i.row(t, "generation") != "1" {
		want = errorv1.Reason_REASON_INVITATION_LINK_INVALID // a newer one was sent
	}
	i.peers.refuse(i.organization.id, i.admin, nil)
	require.Equal(t, want.String(), fault.ReasonOf(i.preview(t)).String())
}

// replays repeats the request, as a client does that got no answer: one invitation, and always the same link.
func (s story) replays(t *testing.T, i invited) {
	t.Helper()
	req := i.asks(i.email, i.token)
	req.RequestId = "once"
	var first *invitationv1.CreateInvitationResponse
	for range 2 {
		made, err := i.client.CreateInvitation(as(t, i.admin), req)
		require.Len(t, i.kept(t), 1)
		if s.told == "FAILED" {
			require.Contains(t, []errorv1.Reason{errorv1.Reason_REASON_SEAT_LIMIT_REACHED, errorv1.Reason_REASON_USERNAME_TAKEN}, fault.ReasonOf(err))
			continue
		}
		require.NoError(t, err)
		require.Equal(t, i.kept(t)[0].InvitationID.String(), made.GetInvitation().GetId())
		if first == nil {
			first = made
		}
		require.Equal(t, first.GetLink(), made.GetLink())
		i.organization.sweep(t)
		i.token = lastSegment(made.GetLink())
		if i.email != "" {
			i.token = i.post.link(i.email)
		}
		require.NoError(t, i.preview(t))
	}
}
