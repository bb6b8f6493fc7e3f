package verify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/events"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/testkit"
	"github.com/rosterhq/roster/services/internal/verify"
)

// member is an active member of an organization who is not its owner.
type member struct {
	organization id.Any
	account      id.Account
	seat         id.Seat
	shown        *eventv1.Member // as the latest event tells it
}

func (w *world) member() (m member) {
	w.t.Helper()
	organization, account := w.exec("membership", `SELECT organization_id, account_id FROM members WHERE (organization_id, account_id) = `+joined)
	_, seat := w.exec("membership", `SELECT organization_id, seat_id FROM members WHERE (organization_id, account_id) = `+joined)
	m = member{organization, id.Account(account), id.Seat(seat), nil}
	switch told := w.latest("membership", m.account.String()).(type) {
	case interface{ GetMember() *eventv1.Member }:
		m.shown = told.GetMember()
	case interface{ GetAfter() *eventv1.Member }:
		m.shown = told.GetAfter()
	}
	require.NotNil(w.t, m.shown)
	return m
}

func admin(request string) *eventv1.Context {
	return &eventv1.Context{
		Actor: &eventv1.Actor{Kind: eventv1.Actor_KIND_ACCOUNT, Id: id.NewAccount().String()}, Cause: &eventv1.Cause{Kind: eventv1.Cause_KIND_ADMIN}, RequestId: request}
}

// freed is what billing writes when a seat is released, its event aside. $1 is the organization.
func freed(state, counter string, seat id.Seat) []string {
	return []string{
		`UPDATE seats SET state = 'RELEASED' WHERE organization_id = $1 AND seat_id = '` + hex(seat) + `'`,
		`DELETE FROM due WHERE aggregate_id = $1 AND id = '` + hex(seat) + `'`,
		`UPDATE heads SET used = used - 1, ` + counter + ` = ` + counter + ` - 1 WHERE aggregate_id = $1`,
		`INSERT INTO seat_ledger (organization_id, event_id, revision, op, occupied_delta, reserved_delta, used_after, at)
		 SELECT e.aggregate_id, e.id, e.revision, 'RELEASE', -('` + state + `' = 'OCCUPIED')::int, -('` + state + `' = 'RESERVED')::int, h.used, now()
		 FROM heads h JOIN events e USING (aggregate_id, revision) WHERE aggregate_id = $1`,
	}
}

func released(seat id.Seat) *eventv1.SeatReleased {
	return &eventv1.SeatReleased{Seats: []*eventv1.Seat{{SeatId: seat.String(), State: eventv1.Seat_STATE_RELEASED}}}
}

// hex is an id as SQL reads it.
func hex[K ~[16]byte](i K) string { return fmt.Sprintf("%x", [16]byte(i)) }

// TestWhatIsTold breaks what several rows, events or services say together.
func TestWhatIsTold(t *testing.T) {
	t.Parallel()
	key := func(organization id.Any) string { return id.Organization(organization).String() }

	t.Run("A2_MoreSeatsThanTheCap", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "billing")
		organization, _ := w.exec("billing", `SELECT aggregate_id, NULL::uuid FROM heads WHERE used > 1 LIMIT 1`)
		seat := id.NewSeat()
		w.tell("billing", organization, &eventv1.SeatLimitChanged{After: new(int32(1))}, `UPDATE heads SET cap = 1, ceiling = used + 1 WHERE aggregate_id = $1`)
		w.tell("billing", organization, &eventv1.SeatReserved{Seats: []*eventv1.Seat{{SeatId: seat.String()}}},
			`INSERT INTO seats (organization_id, seat_id, state, owner_kind, owner_id) VALUES ($1, '`+hex(seat)+`', 'RESERVED', 'MEMBER', gen_random_uuid())`,
			`INSERT INTO due (aggregate_id, kind, id, next_time) VALUES ($1, 'review', '`+hex(seat)+`', now())`,
			`UPDATE heads SET reserved = reserved + 1, used = used + 1 WHERE aggregate_id = $1`,
			`INSERT INTO seat_ledger (organization_id, event_id, revision, op, occupied_delta, reserved_delta, used_after, at)
			 SELECT e.aggregate_id, e.id, e.revision, 'RESERVE', 0, 1, h.used, now() FROM heads h JOIN events e USING (aggregate_id, revision) WHERE aggregate_id = $1`)
		w.finds(verify.Options{}, key(organization), "", "A2", "E3")
	})

	t.Run("A8_AnEventThatDoesNotFollow", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "membership")
		m := w.member()
		other := proto.CloneOf(m.shown)
		other.Role = "other"
		w.tell("membership", m.organization, &eventv1.MemberRoleChanged{Before: other, After: m.shown})
		w.finds(verify.Options{}, key(m.organization), "", "A8")
	})

	t.Run("A8_AnEventOfAMemberWithoutRow", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "membership")
		m := w.member()
		seat, stranger := id.NewSeat(), id.NewAccount()
		w.tell("membership", m.organization, &eventv1.MemberAdded{Member: &eventv1.Member{
			AccountId: stranger.String(), Role: "member", State: eventv1.Member_STATE_ACTIVE, SeatId: seat.String()}})
		w.finds(verify.Options{}, key(m.organization), stranger.String(), "A8", "A11")
	})

	t.Run("A8_AnEventOfAnInvitationWithoutRow", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "invitation")
		organization, _ := w.exec("invitation", `SELECT aggregate_id, NULL::uuid FROM heads LIMIT 1`)
		stranger := id.NewInvitation()
		w.tell("invitation", organization, &eventv1.InvitationCreated{Invitation: &eventv1.Invitation{InvitationId: stranger.String()}})
		w.finds(verify.Options{}, key(organization), stranger.String(), "A8")
	})

	t.Run("A8_AnEventOfASeatWithoutRow", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "billing")
		organization, _ := w.exec("billing", `SELECT aggregate_id, NULL::uuid FROM heads LIMIT 1`)
		seat := id.NewSeat()
		w.tell("billing", organization, &eventv1.SeatOccupied{Seats: []*eventv1.Seat{{SeatId: seat.String()}}},
			`INSERT INTO seat_ledger (organization_id, event_id, revision, op, occupied_delta, reserved_delta, used_after, at)
			 SELECT e.aggregate_id, e.id, e.revision, 'OCCUPY', 1, -1, h.used, now() FROM heads h JOIN events e USING (aggregate_id, revision) WHERE aggregate_id = $1`)
		w.finds(verify.Options{}, key(organization), seat.String(), "A8")
	})

	t.Run("A10_OneRequestTwice", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "membership")
		m := w.member()
		by := admin("again")
		same := &eventv1.Organization{DisplayName: "Twice", Preset: "portal"}
		for range 2 {
			w.tell("membership", m.organization, &eventv1.OrganizationUpdated{Context: by, After: same},
				`UPDATE organizations SET display_name = 'Twice', preset = 'portal' WHERE organization_id = $1`)
		}
		w.finds(verify.Options{}, key(m.organization), "", "A10")
	})

	t.Run("A10_OneRequestAboutMany", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "membership")
		m := w.member()
		by := admin("many")
		former := &eventv1.OrganizationOwnerChanged{Context: by, BeforeAccountId: id.NewAccount().String()}
		w.tell("membership", m.organization, former)
		w.tell("membership", m.organization, &eventv1.OrganizationOwnerChanged{Context: by, BeforeAccountId: id.NewAccount().String()})
		for range 2 {
			w.tell("membership", m.organization, &eventv1.RoleUpdated{Context: by, After: &eventv1.Role{RoleId: id.NewRole().String()}})
		}
		require.Empty(t, w.check(verify.Options{}).Findings, "two stop being owners, and two roles change, by one request")
		w.tell("membership", m.organization, former)
		w.finds(verify.Options{}, key(m.organization), "", "A10")
	})

	t.Run("A11_OneSeatBringsInTwo", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "membership")
		m := w.member()
		other := id.NewAccount()
		w.tell("membership", m.organization, &eventv1.MemberAdded{Member: &eventv1.Member{
			AccountId: other.String(), Role: "member", State: eventv1.Member_STATE_ACTIVE, SeatId: m.seat.String()}})
		w.finds(verify.Options{}, key(m.organization), m.seat.String(), "A11", "A8")
	})

	t.Run("A12_AcceptedTwice", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "invitation")
		organization, invited := w.exec("invitation", `SELECT organization_id, invitation_id FROM invitations WHERE invitation_id = `+accepted)
		same := w.invitation(organization, id.Invitation(invited))
		w.tell("invitation", organization, &eventv1.InvitationAccepted{Before: same, After: same})
		w.finds(verify.Options{}, key(organization), id.Invitation(invited).String(), "A12")
	})

	t.Run("E2_AMemberWhoseSeatWasFreed", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "billing")
		m := w.member()
		w.tell("billing", m.organization, released(m.seat), freed("OCCUPIED", "occupied", m.seat)...)
		w.finds(verify.Options{}, key(m.organization), m.seat.String(), "E2")
	})

	t.Run("E2_AnInvitationWhoseSeatWasFreed", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "billing")
		organization, of := w.exec("invitation", `SELECT organization_id, seat_id FROM invitations WHERE invitation_id = `+pending)
		w.tell("billing", organization, released(id.Seat(of)), freed("RESERVED", "reserved", id.Seat(of))...)
		w.finds(verify.Options{}, key(organization), seat(of), "E2")
	})

	t.Run("E3_ASeatThatNobodySitsOn", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "membership")
		m := w.remove()
		w.finds(verify.Options{}, key(m.organization), m.seat.String(), "E3")
	})

	t.Run("E3_ASeatThatNoInvitationHolds", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "invitation")
		organization, of := w.revoke()
		w.finds(verify.Options{}, key(organization), seat(of), "E3")
	})

	t.Run("E4_MoreSeatsThanPeople", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "membership")
		m := w.remove()
		w.finds(verify.Options{Settled: true}, key(m.organization), "", "E4", "E3")
	})

	t.Run("E7_AnInvitationIntoAnOrganizationThatIsGone", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "membership", "billing")
		organization, invited := w.exec("invitation", `SELECT organization_id, invitation_id FROM invitations WHERE invitation_id = `+pending)
		w.tell("membership", organization, &eventv1.OrganizationDeleted{},
			`UPDATE organizations SET state = 'DELETED' WHERE organization_id = $1`,
			`UPDATE members SET state = 'REMOVED', seat_id = NULL, disable_time = NULL, sole_owner = false WHERE organization_id = $1`,
			`DELETE FROM people WHERE organization_id = $1`)
		require.Empty(t, w.check(verify.Options{}).Findings, "billing and invitation will hear of it")
		w.finds(verify.Options{Settled: true}, key(organization), id.Invitation(invited).String(), "E7", "E3", "E4")
	})

	t.Run("E8_ThereIsNoBulkOperationYet", func(t *testing.T) { // when there is, its invariant is to be checked
		t.Parallel()
		w := theWorld(t)
		_, found := w.exec("invitation", `SELECT NULL::uuid, CASE WHEN count(*) > 0 THEN gen_random_uuid() END FROM information_schema.tables WHERE table_name LIKE '%bulk%'`)
		require.True(t, found.IsZero())
	})
}

// remove removes a member as membership does, but forgets the seat.
func (w *world) remove() member {
	m := w.member()
	after := proto.CloneOf(m.shown)
	after.State, after.SeatId = eventv1.Member_STATE_REMOVED, ""
	w.tell("membership", m.organization, &eventv1.MemberRemoved{Before: m.shown, After: after},
		`UPDATE members SET state = 'REMOVED', seat_id = NULL WHERE organization_id = $1 AND account_id = '`+hex(m.account)+`'`,
		`DELETE FROM people WHERE organization_id = $1 AND person_id = '`+hex(m.account)+`'`)
	return m
}

// revoke revokes an invitation as invitation does, but forgets the seat.
func (w *world) revoke() (organization, seat id.Any) {
	organization, seat = w.exec("invitation", `SELECT organization_id, seat_id FROM invitations WHERE invitation_id = `+pending)
	_, invited := w.exec("invitation", `SELECT organization_id, invitation_id FROM invitations WHERE invitation_id = `+pending)
	before := w.invitation(organization, id.Invitation(invited))
	after := proto.CloneOf(before)
	after.State, after.SeatId = eventv1.Invitation_STATE_REVOKED, ""
	w.tell("invitation", organization, &eventv1.InvitationRevoked{Before: before, After: after},
		`UPDATE invitations SET state = 'REVOKED' WHERE organization_id = $1 AND seat_id = '`+hex(seat)+`'`,
		`DELETE FROM due WHERE aggregate_id = $1 AND id = '`+hex(invited)+`'`)
	return organization, seat
}

// latest returns the latest message about something, by its id.
func (w *world) latest(service, about string) (latest proto.Message) {
	w.t.Helper()
	for _, e := range w.log(service) {
		if strings.Contains(string(e.Data), about) {
			var err error
			latest, err = events.Event{Type: e.Type, Data: e.Data}.Message()
			require.NoError(w.t, err)
		}
	}
	return latest
}

// invitation is an invitation as the latest event tells it.
func (w *world) invitation(organization id.Any, invited id.Invitation) *eventv1.Invitation {
	switch m := w.latest("invitation", invited.String()).(type) {
	case interface{ GetInvitation() *eventv1.Invitation }:
		return m.GetInvitation()
	case interface{ GetAfter() *eventv1.Invitation }:
		return m.GetAfter()
	}
	w.t.Fatal("no event tells of ", invited)
	return nil
}

// TestStream checks the streams, here filled from the rows.
func TestStream(t *testing.T) {
	t.Parallel()
	type sent = []outbox.Entry
	of := func(entries sent, i int) string { return id.Organization(entries[i].Aggregate).String() }

	for _, c := range []struct {
		name   string
		change func(sent) sent
		detail string // of what is found about the first entry; empty: nothing
	}{
		{"E6_EverythingIsThere", func(all sent) sent { return all }, ""},
		{"E6_PublishedAgainIsNothingNew", func(all sent) sent { return append(all, all...) }, ""},
		{"E6_AnEventIsMissing", func(all sent) sent { return all[1:] }, "revision 1 of"},
		{"E6_TheEndIsMissing", func(all sent) sent { return all[:1] }, "is missing"},
		{"E6_AnEventComesTooEarly", func(all sent) sent { all[0], all[1] = all[1], all[0]; return all }, "revision 2 of"},
		{"E6_ComesTooEarlyAndAgain", func(all sent) sent { return append(sent{all[1]}, all...) }, ""},
		{"E6_AnEventThatIsNot", func(all sent) sent {
			phantom := all[len(all)-1]
			phantom.Revision += 100
			return append(all, phantom)
		}, "there is no such event"},
		{"E6_OtherBytes", func(all sent) sent {
			other := all[0]
			other.Time = other.Time.Add(time.Second)
			return append(all, other)
		}, "other bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := theWorld(t)
			all := w.log("membership")
			first := all[0].Aggregate
			var one, rest sent // one organization's, and the others'
			for _, e := range all {
				if e.Aggregate == first {
					one = append(one, e)
				} else {
					rest = append(rest, e)
				}
			}
			js := w.streams(map[string][]outbox.Entry{"membership": append(c.change(one), rest...)})
			report := w.check(verify.Options{Stream: js})
			if c.detail == "" {
				require.Empty(t, report.Findings)
				return
			}
			require.Len(t, report.Findings, 1, "%+v", report.Findings)
			require.Equal(t, "E6", report.Findings[0].ID)
			require.Equal(t, of(all, 0), report.Findings[0].Organization)
			require.Contains(t, report.Findings[0].Detail, c.detail)
		})
	}

	t.Run("E6_AnotherHeader", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t)
		js := w.streams(nil)
		msg, err := w.log("billing")[0].Message("billing")
		require.NoError(t, err)
		msg.Header.Del(nats.MsgIdHdr)
		_, err = js.PublishMsg(t.Context(), msg)
		require.NoError(t, err)
		report := w.check(verify.Options{Stream: js})
		require.Len(t, report.Findings, 1)
		require.Contains(t, report.Findings[0].Detail, nats.MsgIdHdr)
	})

	t.Run("E6_NoEventAtAll", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t)
		js := w.streams(nil)
		_, err := js.Publish(t.Context(), "roster.v1.seat.reserved.00.x", []byte("hello"))
		require.NoError(t, err)
		w.finds(verify.Options{Stream: js}, "", "", "E6")
	})

	t.Run("E6_TheStreamIsGone", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t)
		js := w.streams(nil)
		require.NoError(t, js.DeleteStream(t.Context(), "ROSTER_BILLING"))
		report := w.check(verify.Options{Stream: js})
		require.NotEmpty(t, report.Findings)
		for _, f := range report.Findings {
			require.Equal(t, "E6 billing", f.ID+" "+f.Service)
		}
	})

	t.Run("E6_WhatWaitsIsNotExpected", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "billing")
		all := w.log("billing")
		last := all[len(all)-1]
		w.exec("billing", `INSERT INTO outbox (part, aggregate_id, revision) SELECT part, aggregate_id, revision FROM heads WHERE aggregate_id = '`+hex(last.Aggregate)+`' RETURNING aggregate_id, NULL::uuid`)
		js := w.streams(map[string][]outbox.Entry{"billing": all[:len(all)-1]})
		require.Empty(t, w.check(verify.Options{Stream: js}).Findings)
	})

	t.Run("E6_WhatWasErasedSinceMayStandInTheStream", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "membership")
		js := w.streams(nil)
		w.exec("membership", `UPDATE events SET personal = NULL, personal_salt = NULL`, `SELECT NULL::uuid, NULL::uuid`)
		require.Empty(t, w.check(verify.Options{Stream: js}).Findings)
	})

	t.Run("E6_WhatIsTooOldMayBeGone", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "billing")
		all := w.log("billing")
		w.exec("billing", `UPDATE events SET time = time - interval '20 days' WHERE revision = 1`, `SELECT NULL::uuid, NULL::uuid`)
		var young []outbox.Entry
		for _, e := range all {
			if e.Revision > 1 {
				young = append(young, e)
			}
		}
		js := w.streams(map[string][]outbox.Entry{"billing": young})
		for _, f := range w.check(verify.Options{Stream: js}).Findings {
			require.Equal(t, "A7", f.ID, "%+v", f) // the time was changed, after all
		}
	})
}

// log is the history that a service keeps of all its aggregates.
func (w *world) log(service string) []outbox.Entry {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), w.dsns[service])
	require.NoError(w.t, err)
	defer conn.Close(w.t.Context())
	rows, _ := conn.Query(w.t.Context(), `
		SELECT aggregate_id, revision, epoch, id, type, time, data, personal, personal_salt, personal_hash, trace_id, prev_hash, hash
		FROM events ORDER BY aggregate_id, revision`) // collecting reports the error
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByName[outbox.Entry])
	require.NoError(w.t, err)
	return entries
}

// streams fills the streams of all services from their histories, or with something else.
func (w *world) streams(instead map[string][]outbox.Entry) jetstream.JetStream {
	w.t.Helper()
	conn, err := testkit.NATS(w.t).Connect()
	require.NoError(w.t, err)
	w.t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(w.t, err)
	for _, service := range verify.Services {
		require.NoError(w.t, outbox.EnsureStream(w.t.Context(), js, service, 1))
		entries, ok := instead[service]
		if !ok {
			entries = w.log(service)
		}
		stream, err := js.Stream(w.t.Context(), events.Stream(service))
		require.NoError(w.t, err)
		config := stream.CachedInfo().Config
		config.Duplicates = 100 * time.Millisecond
		_, err = js.UpdateStream(w.t.Context(), config)
		require.NoError(w.t, err)
		for _, e := range entries {
			msg, err := e.Message(service)
			require.NoError(w.t, err)
			for ack := (&jetstream.PubAck{Duplicate: true}); ack.Duplicate; { // until the stream has forgotten the first
				ack, err = js.PublishMsg(w.t.Context(), msg)
				require.NoError(w.t, err)
			}
		}
	}
	return js
}
