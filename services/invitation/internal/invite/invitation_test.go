package invite

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// in returns an invitation in a state, as the verbs leave it there. OVERDUE is a pending one whose time is up; UNHEARD a
// first attempt that was refused.
func in(t *testing.T, state State) *Invitation {
	t.Helper()
	org := id.NewOrganization()
	i := &Invitation{OrganizationID: org, InvitationID: id.NewInvitation(), SeatID: id.NewSeat(), Email: "ada@example.com", EmailKey: "ada@example.com",
		Role: "member", State: Reserving, Generation: 1, InviterID: id.NewAccount(), TTL: time.Hour, ExpireTime: now.Add(time.Hour)}
	i.Link(NewToken(org), []byte("sealed"), false)
	if state == Reserving {
		return i
	}
	if state == unheard {
		i.Refuse(errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
		return i
	}
	i.SealedToken = nil // the mail is queued
	i.Grant(now)
	switch state {
	case overdue:
		i.ExpireTime = now
	case Accepting, Accepted:
		require.NoError(t, i.BeginAccept(Acceptance{Account: id.NewAccount(), New: true, SealedPassword: []byte("hash"), DisplayName: "Ada"}, now))
		if state == Accepted {
			i.Complete()
		}
	case Declined:
		require.NoError(t, i.Decline(now))
	case Revoked:
		require.NoError(t, i.Revoke(now))
	case Expired:
		i.Expire()
		i.Released()
	case Failed:
		i.Fail(errorv1.Reason_REASON_DELIVERY_REFUSED)
		i.Released()
	}
	return i
}

const overdue, unheard State = "OVERDUE", "UNHEARD"

func TestInvitation(t *testing.T) {
	t.Parallel()
	const (
		ok       = errorv1.Reason_REASON_UNSPECIFIED
		busy     = errorv1.Reason_REASON_BUSY
		expired  = errorv1.Reason_REASON_INVITATION_EXPIRED
		used     = errorv1.Reason_REASON_INVITATION_USED
		revoked  = errorv1.Reason_REASON_INVITATION_REVOKED
		declined = errorv1.Reason_REASON_INVITATION_DECLINED
		failed   = errorv1.Reason_REASON_INVITATION_FAILED
		unknown  = errorv1.Reason_REASON_INVITATION_NOT_FOUND
	)
	verbs := []struct {
		name string
		do   func(*Invitation) error
		to   map[State]State // where it is allowed
	}{
		{"BeginAccept", func(i *Invitation) error {
			return i.BeginAccept(Acceptance{Account: id.NewAccount()}, now)
		}, map[State]State{Pending: Accepting}},
		{"Decline", func(i *Invitation) error { return i.Decline(now) }, map[State]State{Pending: Declined}},
		{"Revoke", func(i *Invitation) error { return i.Revoke(now) }, map[State]State{Pending: Revoked}},
		{"Resend", func(i *Invitation) error { return i.Resend(id.NewAccount(), now) },
			map[State]State{Pending: Pending, overdue: Pending, Expired: Reserving, Failed: Reserving}},
	}
	refusals := map[State]errorv1.Reason{Reserving: busy, Pending: ok, overdue: expired, Accepting: busy, Accepted: used,
		Declined: declined, Revoked: revoked, Expired: expired, Failed: failed, unheard: unknown}
	for state, refusal := range refusals {
		for _, verb := range verbs {
			t.Run(verb.name+" in "+string(state), func(t *testing.T) {
				t.Parallel()
				i := in(t, state)
				before := *i
				err := verb.do(i)
				to, allowed := verb.to[state]
				if !allowed {
					require.Equal(t, refusal.String(), fault.ReasonOf(err).String())
					require.Equal(t, before, *i, "a refusal changes nothing")
					return
				}
				require.NoError(t, err)
				require.Equal(t, to, i.State)
				require.Equal(t, !i.Live(), i.Releasing, "what ends without a member gives back its seat")
			})
		}
	}

	t.Run("NoSecretOutlivesItsStep", func(t *testing.T) {
		t.Parallel()
		for _, state := range []State{Pending, overdue, Accepted, Declined, Revoked, Expired, Failed, unheard} {
			i := in(t, state)
			require.Nil(t, i.SealedPassword, state)
			require.Nil(t, i.SealedToken, state)
			require.Empty(t, i.AcceptName, state)
		}
		for name, end := range map[string]func(*Invitation){
			"Complete": (*Invitation).Complete,
			"GiveBack": (*Invitation).GiveBack,
			"Fail":     func(i *Invitation) { i.Fail(errorv1.Reason_REASON_ALREADY_MEMBER) },
		} {
			i := in(t, Accepting)
			require.NotNil(t, i.SealedPassword)
			end(i)
			require.Nil(t, i.SealedPassword, name)
			require.Empty(t, i.AcceptName, name)
		}
	})

	t.Run("GivingBackOpensItAgain", func(t *testing.T) {
		t.Parallel()
		i := in(t, Accepting)
		i.GiveBack()
		require.NoError(t, i.Answerable(now))
		require.True(t, i.AccountID.IsZero())
		require.False(t, i.NewAccount)
	})

	t.Run("SendingAgainKeepsTheSeatOfAPendingOneOnly", func(t *testing.T) {
		t.Parallel()
		for state, keeps := range map[State]bool{Pending: true, overdue: true, Expired: false, Failed: false} {
			i := in(t, state)
			before, later, by := *i, now.Add(time.Minute), id.NewAccount()
			require.NoError(t, i.Resend(by, later))
			require.Equal(t, keeps, i.SeatID == before.SeatID, state)
			require.EqualValues(t, 2, i.Generation)
			require.Equal(t, by, i.InviterID)
			if keeps {
				require.Equal(t, later.Add(i.TTL), i.ExpireTime)
			}
		}
	})

	t.Run("WhatNothingIsLeftOfIsNotSentAgain", func(t *testing.T) {
		t.Parallel()
		i := in(t, Failed)
		i.AccountID, i.Email, i.Username, i.DisplayName = id.NewAccount(), "", "", ""
		require.ErrorIs(t, i.Resend(id.NewAccount(), now), ErrErased)
		require.Equal(t, Failed, i.State)
		i.AccountID = id.Account{}
		require.NoError(t, i.Resend(id.NewAccount(), now), "a link was never to anybody by name")
	})

	t.Run("OneAttemptAfterTheOther", func(t *testing.T) {
		t.Parallel()
		for _, state := range []State{Expired, Failed} {
			i := in(t, state)
			i.Releasing = true
			require.ErrorIs(t, i.Resend(id.NewAccount(), now), ErrBusy)
		}
	})

	t.Run("ARefusedSecondAttemptGoesBackToWhereItWas", func(t *testing.T) {
		t.Parallel()
		for _, state := range []State{Expired, Failed} {
			i := in(t, state)
			before := *i
			require.NoError(t, i.Resend(id.NewAccount(), now))
			i.Link(NewToken(i.OrganizationID), []byte("sealed"), false)
			i.Refuse(errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
			require.Equal(t, before.State, i.State)
			require.Equal(t, before.FailureReason, i.FailureReason)
			require.Equal(t, "SEAT_LIMIT_REACHED", i.RefusedReason)
			require.Nil(t, i.TokenHash, "the link that nobody has got is dead")
			require.Nil(t, i.SealedToken)
			require.True(t, i.Releasing)
		}
	})

	t.Run("ARefusedFirstAttemptFails", func(t *testing.T) {
		t.Parallel()
		i := in(t, unheard)
		require.Equal(t, Failed, i.State)
		require.Equal(t, "SEAT_LIMIT_REACHED", i.FailureReason)
		require.False(t, i.Announced)
		require.True(t, i.Releasing)
	})

	t.Run("AGrantClearsWhatWentBefore", func(t *testing.T) {
		t.Parallel()
		i := in(t, Failed)
		require.NoError(t, i.Resend(id.NewAccount(), now))
		i.Grant(now.Add(time.Second))
		require.Equal(t, Pending, i.State)
		require.Empty(t, i.FailureReason+i.RefusedReason+i.PriorFailure+string(i.PriorState))
		require.Equal(t, now.Add(time.Second+time.Hour), i.ExpireTime)
	})

	t.Run("ItExpiresAtTheSecond", func(t *testing.T) {
		t.Parallel()
		i := in(t, Pending)
		require.NoError(t, i.Answerable(i.ExpireTime.Add(-time.Nanosecond)))
		require.ErrorIs(t, i.Answerable(i.ExpireTime), ErrExpired)
		require.Equal(t, Expired, i.Visible(i.ExpireTime))
		require.Equal(t, Pending, i.State)
	})

	t.Run("OnlyTheLatestMailCounts", func(t *testing.T) {
		t.Parallel()
		i := in(t, Pending)
		older := i.SendID
		require.NoError(t, i.Resend(i.InviterID, now))
		i.Link(NewToken(i.OrganizationID), nil, false)
		require.False(t, i.Delivered(older, false))
		require.Equal(t, Pending, i.State)
		require.True(t, i.Delivered(i.SendID, true))
		require.Equal(t, MailSent, i.Delivery)
		require.False(t, i.Delivered(i.SendID, false), "the first answer counts")
		require.Equal(t, Pending, i.State)
	})

	t.Run("ARefusedMailEndsOnlyWhatWaits", func(t *testing.T) {
		t.Parallel()
		for state, to := range map[State]State{Pending: Failed, overdue: Failed, Accepting: Accepting, Accepted: Accepted, Revoked: Revoked, Expired: Expired} {
			i := in(t, state)
			require.True(t, i.Delivered(i.SendID, false), state)
			require.Equal(t, to, i.State)
			require.Equal(t, MailRefused, i.Delivery)
		}
		i := in(t, Pending)
		i.Link(NewToken(i.OrganizationID), nil, true)
		require.False(t, i.Delivered(i.SendID, false), "a link by hand has no mail")
	})

	t.Run("OnlyAMailedLinkIsUnseen", func(t *testing.T) {
		t.Parallel()
		i := in(t, Pending)
		require.False(t, i.LinkShown)
		i.Link(NewToken(i.OrganizationID), []byte("sealed"), true)
		require.True(t, i.LinkShown)
		require.Equal(t, ByHand, i.Delivery)
		require.Nil(t, i.SealedToken)
		i.Link(NewToken(i.OrganizationID), []byte("sealed"), false)
		require.False(t, i.LinkShown, "the shown link is void by now")
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	org, inviter := id.NewOrganization(), id.NewAccount()
	at := time.Date(2026, 3, 1, 23, 59, 30, 0, time.FixedZone("", 3600)) // 22:59:30 UTC
	for _, c := range []struct {
		name   string
		limits Limits
		sent   Sent
		limit  string
	}{
		{"NoneIsNoLimit", Limits{}, Sent{1 << 30, 1 << 30}, ""},
		{"BelowBoth", Limits{10, 5}, Sent{9, 4}, ""},
		{"OrganizationReached", Limits{10, 5}, Sent{10, 0}, "perOrganization"},
		{"InviterReached", Limits{10, 5}, Sent{5, 5}, "perInviter"},
		{"BothReached", Limits{10, 5}, Sent{10, 5}, "perOrganization"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := c.limits.Check(c.sent, org, inviter, at)
			if c.limit == "" {
				require.NoError(t, err)
				return
			}
			f := fault.From(err)
			require.Equal(t, errorv1.Reason_REASON_RATE_LIMITED, f.Reason)
			require.Equal(t, c.limit, f.Metadata["limit"])
			require.NotEmpty(t, f.Metadata["most"])
			require.Equal(t, time.Hour+30*time.Second, f.Retry, "until midnight UTC")
		})
	}
}
