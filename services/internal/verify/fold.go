package verify

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
)

// This file adds up what the events of one organization tell. What the rows say is compared with it where they are read.

// problem is an event that does not follow from those before it.
type problem struct{ id, detail string }

func problemf(id, format string, args ...any) problem {
	return problem{id, fmt.Sprintf(format, args...)}
}

// organizationFold is membership's part.
type organizationFold struct {
	display, preset string
	state           string // empty: nothing happened
	members         map[string]*eventv1.Member
	joined          map[string]joining // by seat
	wrong           []problem
}

// joining is an event by which a member took a seat.
type joining struct {
	revision int64
	kind     string // of the operation that it belongs to
	account  string
}

func (o *organizationFold) apply(e entry) {
	switch m := e.message.(type) {
	case *eventv1.OrganizationCreated:
		if o.state != "" {
			o.wrong = append(o.wrong, problemf("A8", "revision %d creates the organization again", e.Revision))
		}
		o.display, o.preset, o.state = m.GetOrganization().GetDisplayName(), m.GetOrganization().GetPreset(), "ACTIVE"
	case *eventv1.OrganizationUpdated:
		o.display, o.preset = m.GetAfter().GetDisplayName(), m.GetAfter().GetPreset()
	case *eventv1.OrganizationPolicyChanged:
		o.preset = m.GetAfter().GetPreset()
	case *eventv1.OrganizationDeleted:
		o.state = "DELETED"
		for _, member := range o.members {
			member.State, member.SeatId = eventv1.Member_STATE_REMOVED, ""
		}
	case *eventv1.MemberAdded:
		before := o.members[m.GetMember().GetAccountId()]
		if before != nil && before.GetState() != eventv1.Member_STATE_REMOVED {
			o.wrong = append(o.wrong, problemf("A8", "revision %d adds %s, who is %s", e.Revision, before.GetAccountId(), memberState(before)))
		}
		kind := "ADD"
		switch m.GetContext().GetCause().GetKind() {
		case eventv1.Cause_KIND_ORGANIZATION:
			kind = "CREATE"
		case eventv1.Cause_KIND_DOMAIN, eventv1.Cause_KIND_PROVIDER:
			kind = "JOIN"
		case eventv1.Cause_KIND_ADMIN:
			kind = "DIRECT"
		}
		o.join(e, kind, m.GetMember())
	case *eventv1.MemberEnabled:
		o.follow(e, m.GetBefore())
		o.join(e, "ENABLE", m.GetAfter())
	case *eventv1.RoleDeleted:
		o.move(e, m.GetBefore().GetKey(), m.GetReplacement(), m.GetMembers())
	case interface{ GetAfter() *eventv1.Member }:
		o.follow(e, m.(interface{ GetBefore() *eventv1.Member }).GetBefore())
		o.set(m.GetAfter())
	}
	if o.state == "DELETED" && e.Type != "organization.deleted" {
		o.wrong = append(o.wrong, problemf("A8", "revision %d, %s, follows the organization's deletion", e.Revision, e.Type))
	}
}

// move gives everybody who has a role another, and checks that they are as many as the event says.
func (o *organizationFold) move(e entry, from, to string, members int64) {
	var moved int64
	for _, member := range o.members {
		if member.GetRole() == from && member.GetState() != eventv1.Member_STATE_REMOVED {
			member.Role = to
			moved++
		}
	}
	if moved != members {
		o.wrong = append(o.wrong, problemf("A8", "revision %d, %s, moves %d members, and %d had the role", e.Revision, e.Type, members, moved))
	}
}

func (o *organizationFold) set(m *eventv1.Member) {
	if o.members == nil {
		o.members = make(map[string]*eventv1.Member)
	}
	o.members[m.GetAccountId()] = m
}

func (o *organizationFold) join(e entry, kind string, m *eventv1.Member) {
	o.set(m)
	if o.joined == nil {
		o.joined = make(map[string]joining)
	}
	if before, twice := o.joined[m.GetSeatId()]; twice {
		o.wrong = append(o.wrong, problemf("A11", "%s brings in %s at revision %d, and %s at revision %d",
			m.GetSeatId(), before.account, before.revision, m.GetAccountId(), e.Revision))
	}
	o.joined[m.GetSeatId()] = joining{e.Revision, kind, m.GetAccountId()}
}

// follow checks that an event begins where the last one ended.
func (o *organizationFold) follow(e entry, before *eventv1.Member) {
	if was := o.members[before.GetAccountId()]; was == nil || describe(was) != describe(before) {
		o.wrong = append(o.wrong, problemf("A8", "revision %d, %s, begins with %s, and the events before end with %s", e.Revision, e.Type, describe(before), describe(was)))
	}
}

func describe(m *eventv1.Member) string {
	if m == nil {
		return "nobody"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s since %s %s", m.GetAccountId(), memberState(m), m.GetRole(), at(m.GetJoinTime()), m.GetSeatId()))
}

func memberState(m *eventv1.Member) string {
	return strings.TrimPrefix(m.GetState().String(), "STATE_")
}

func at(t *timestamppb.Timestamp) string { return t.AsTime().Format(time.RFC3339Nano) }

// invitationFold is what the events say of one invitation.
type invitationFold struct {
	latest   *eventv1.Invitation
	accepted int
}

func (i *invitationFold) apply(e entry) {
	switch m := e.message.(type) {
	case interface{ GetInvitation() *eventv1.Invitation }:
		i.latest = m.GetInvitation()
	case interface{ GetAfter() *eventv1.Invitation }:
		i.latest = m.GetAfter()
	}
	if e.Type == "invitation.accepted" {
		i.accepted++
	}
}

// invitationOf is the invitation that an event is about; empty for another.
func invitationOf(e entry) string {
	switch m := e.message.(type) {
	case interface{ GetInvitation() *eventv1.Invitation }:
		return m.GetInvitation().GetInvitationId()
	case interface{ GetAfter() *eventv1.Invitation }:
		return m.GetAfter().GetInvitationId()
	}
	return ""
}

// seatFold is billing's part.
type seatFold struct {
	seats map[string]string // state
	sits  map[string]string // who sits, or sat last
	used  int32
	limit *int32
	wrong []problem
}

func (s *seatFold) apply(e entry) {
	switch m := e.message.(type) {
	case *eventv1.SeatReserved:
		for _, one := range m.GetSeats() {
			s.move(e, one, "", "RESERVED")
			s.used++
		}
		if s.limit != nil && s.used > *s.limit {
			s.wrong = append(s.wrong, problemf("A2", "revision %d reserved seats up to %d, above the cap of %d", e.Revision, s.used, *s.limit))
		}
	case *eventv1.SeatOccupied:
		for _, one := range m.GetSeats() {
			s.move(e, one, "RESERVED", "OCCUPIED")
			s.sits[one.GetSeatId()] = one.GetAccountId()
		}
	case *eventv1.SeatReleased:
		for _, one := range m.GetSeats() {
			s.move(e, one, "RESERVED OCCUPIED", "RELEASED")
			s.used--
		}
	case *eventv1.SeatLimitChanged:
		s.limit = m.After
	}
}

func (s *seatFold) move(e entry, seat *eventv1.Seat, from, to string) {
	if s.seats == nil {
		s.seats, s.sits = make(map[string]string), make(map[string]string)
	}
	was := s.seats[seat.GetSeatId()]
	if !strings.Contains(from, was) || (was == "") != (from == "") {
		s.wrong = append(s.wrong, problemf("A8", "revision %d, %s, is about %s, which was %s", e.Revision, e.Type, seat.GetSeatId(), orNothing(was)))
	}
	s.seats[seat.GetSeatId()] = to
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}

// limitText is a limit for people.
func limitText(limit *int32) string {
	if limit == nil {
		return "none"
	}
	return fmt.Sprint(*limit)
}
