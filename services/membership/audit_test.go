package membership_test

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/events"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
)

// hearOwn delivers the service's own history, as NATS does.
func (o organization) hearOwn() {
	o.Helper()
	rows, err := o.owner().Query(o.Context(), `
		SELECT aggregate_id, revision, epoch, id, type, time, data, personal, personal_salt, personal_hash, trace_id, prev_hash, hash
		FROM events WHERE aggregate_id = $1 ORDER BY revision`, o.id)
	require.NoError(o, err)
	log, err := pgx.CollectRows(rows, pgx.RowToStructByName[outbox.Entry])
	require.NoError(o, err)
	for _, entry := range log {
		body, err := entry.Envelope("membership")
		require.NoError(o, err)
		event, err := events.Parse(body)
		require.NoError(o, err)
		require.NoError(o, o.service.Consume(o.Context(), event))
	}
}

func (o organization) auditEvents(actor id.Account, edit func(*membershipv1.ListAuditEventsRequest)) (*membershipv1.ListAuditEventsResponse, error) {
	req := &membershipv1.ListAuditEventsRequest{OrganizationId: o.id.String()}
	if edit != nil {
		edit(req)
	}
	return o.audit.ListAuditEvents(o.as(actor), req)
}

// audited returns the types of what is found, over all pages.
func (o organization) audited(actor id.Account, edit func(*membershipv1.ListAuditEventsRequest)) (types []string) {
	o.Helper()
	token := ""
	for {
		page, err := o.auditEvents(actor, func(r *membershipv1.ListAuditEventsRequest) {
			if edit != nil {
				edit(r)
			}
			r.PageToken = token
		})
		require.NoError(o, err)
		for _, e := range page.GetAuditEvents() {
			types = append(types, e.GetType())
		}
		if token = page.GetNextPageToken(); token == "" {
			return types
		}
	}
}

func TestListAuditEvents(t *testing.T) {
	t.Parallel()

	t.Run("R82 What happened to a role is told by its name", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(membershipv1.Preset_PRESET_RBAC)
		role := o.role(o.creator, "Helper", "org.read")
		o.hearOwn()
		page, err := o.auditEvents(o.creator, func(r *membershipv1.ListAuditEventsRequest) { r.Target = role.GetId() })
		require.NoError(t, err)
		require.Len(t, page.GetAuditEvents(), 1)
		require.Equal(t, []string{role.GetId(), "Helper"},
			[]string{page.GetAuditEvents()[0].GetTargets()[0].GetId(), page.GetAuditEvents()[0].GetTargets()[0].GetDisplayName()})
	})

	t.Run("R82 Who did what to whom is told, with what was before and after", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, other := h.create(portal), h.create(portal)
		bob := o.join("Bob", "bob@example.com", "", "member")
		require.NoError(t, o.changeRole(o.creator, bob, "admin"))
		_, err := o.disable(o.creator, bob)
		require.NoError(t, err)
		o.hearOwn()
		other.hearOwn()
		o.hear("billing", "seat.limit_changed", o.id.String(), 1, &eventv1.SeatLimitChanged{
			Context: &eventv1.Context{Actor: &eventv1.Actor{Kind: eventv1.Actor_KIND_OPERATOR, Id: "opr_x"}, RequestId: "r1"}, After: new(int32(7)), Reason: "Paid."})

		page, err := o.auditEvents(o.creator, nil)
		require.NoError(t, err)
		require.Empty(t, page.GetNextPageToken())
		all := page.GetAuditEvents()
		require.Equal(t, []string{"seat.limit_changed", "member.disabled", "member.role_changed", "member.added", "member.added", "organization.created"},
			o.audited(o.creator, nil))

		limit, changed, added := all[0], all[2], all[3]
		require.Equal(t, "Paid.", limit.GetReason())
		require.Equal(t, "r1", limit.GetRequestId())
		require.Equal(t, "billing", limit.GetService())
		require.InEpsilon(t, 7, limit.GetAfter().GetNumberValue(), 0.1)
		require.Equal(t, membershipv1.AuditEvent_Actor_KIND_OPERATOR, limit.GetActor().GetKind())

		require.Equal(t, o.creator.String(), changed.GetActor().GetId())
		require.Equal(t, "Ada Lovelace", changed.GetActor().GetDisplayName())
		require.Equal(t, "ADMIN", changed.GetCause())
		require.Equal(t, bob.String(), changed.GetTargets()[0].GetId())
		require.Equal(t, "Bob", changed.GetTargets()[0].GetDisplayName())
		require.Equal(t, "member", changed.GetBefore().GetStructValue().AsMap()["role"])
		require.Equal(t, "admin", changed.GetAfter().GetStructValue().AsMap()["role"])
		require.Equal(t, int64(4), changed.GetRevision())

		require.Equal(t, "Bob", added.GetDisplayName())
		require.Equal(t, "bob@example.com", added.GetEmail())
		require.Nil(t, added.GetBefore())
		require.Contains(t, added.GetAfter().GetStructValue().AsMap(), "member")
	})

	t.Run("R82 Where the client called from is told, and of a call that a service makes for itself nothing", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		bob := o.add("member")
		from := metadata.AppendToOutgoingContext(o.as(o.creator), caller.AddressHeader, "2001:db8::7")
		_, err := o.members.DisableMember(from, &membershipv1.DisableMemberRequest{OrganizationId: o.id.String(), AccountId: bob.String()})
		require.NoError(t, err)
		o.hearOwn()
		page, err := o.auditEvents(o.creator, func(r *membershipv1.ListAuditEventsRequest) { r.Target = bob.String() })
		require.NoError(t, err)
		require.Equal(t, "member.disabled", page.GetAuditEvents()[0].GetType())
		require.Equal(t, "2001:db8::7", page.GetAuditEvents()[0].GetClientAddress())
		require.Empty(t, page.GetAuditEvents()[0].GetDisplayName())
		require.Equal(t, "member.added", page.GetAuditEvents()[1].GetType())
		require.Empty(t, page.GetAuditEvents()[1].GetClientAddress())
	})

	t.Run("S1-19 S1-26 Admins read it, members and strangers do not", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, other := h.create(portal), h.create(portal)
		admin, member := o.add("admin"), o.add("member")
		o.hearOwn()
		require.Len(t, o.audited(admin, nil), 4)
		_, err := o.auditEvents(member, nil)
		require.Equal(t, "audit.read", refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"])
		_, err = o.auditEvents(other.creator, nil)
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
	})

	t.Run("EveryFilterNarrowsAndPagesJoin", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		bob, cy := o.join("Bob Émile", "bob@secret.example", "", "admin"), o.join("Cy", "", "", "member")
		_, err := o.disable(bob, cy)
		require.NoError(t, err)
		_, err = o.remove(o.creator, cy)
		require.NoError(t, err)
		o.hearOwn()
		page, err := o.auditEvents(o.creator, nil)
		require.NoError(t, err)
		all := page.GetAuditEvents()
		require.Len(t, all, 6)
		type request = membershipv1.ListAuditEventsRequest
		for name, c := range map[string]struct {
			edit func(*request)
			want []string
		}{
			"actor":            {func(r *request) { r.Actor = bob.String() }, []string{"member.disabled"}},
			"target":           {func(r *request) { r.Target = cy.String() }, []string{"member.removed", "member.disabled", "member.added"}},
			"types":            {func(r *request) { r.Types = []string{"member.added", "member.removed"} }, []string{"member.removed", "member.added", "member.added", "member.added"}},
			"actor and target": {func(r *request) { r.Target, r.Actor = cy.String(), o.creator.String() }, []string{"member.removed"}},
			"target and type":  {func(r *request) { r.Target, r.Types = cy.String(), []string{"member.added"} }, []string{"member.added"}},
			"actor and type":   {func(r *request) { r.Actor, r.Types = o.creator.String(), []string{"member.removed"} }, []string{"member.removed"}},
			"from":             {func(r *request) { r.StartTime = all[1].GetTime() }, []string{"member.removed", "member.disabled"}},
			"until":            {func(r *request) { r.EndTime = all[4].GetTime() }, []string{"organization.created"}},
			"types until": {func(r *request) {
				r.EndTime, r.Types = all[1].GetTime(), []string{"member.disabled", "organization.created"}
			}, []string{"organization.created"}},
			"word of a type":  {func(r *request) { r.Query = "Disab" }, []string{"member.disabled"}},
			"word of a name":  {func(r *request) { r.Query = "EMILE" }, []string{"member.added"}},
			"word and type":   {func(r *request) { r.Query, r.Types = "emile", []string{"member.removed"} }, nil},
			"part of an id":   {func(r *request) { r.Query = cy.String()[8:] }, []string{"member.removed", "member.disabled", "member.added"}},
			"word of address": {func(r *request) { r.Query = "SECRET.example" }, []string{"member.added"}},
			"no word":         {func(r *request) { r.Query = "%" }, nil},
			"nothing":         {func(r *request) { r.StartTime = timestamppb.New(time.Now().Add(time.Hour)) }, nil},
			"everything":      {nil, []string{"member.removed", "member.disabled", "member.added", "member.added", "member.added", "organization.created"}},
		} {
			got := o.audited(o.creator, c.edit)
			if name == "until" { // the creator's own event has the same time as the organization's
				require.Subset(t, []string{"organization.created", "member.added"}, got, name)
				continue
			}
			require.Equal(t, c.want, got, name)
			require.Equal(t, c.want, o.audited(o.creator, func(r *request) {
				if c.edit != nil {
					c.edit(r)
				}
				r.PageSize = 1
			}), name+", page by page")
		}
		first, err := o.auditEvents(o.creator, func(r *request) { r.PageSize = 1 })
		require.NoError(t, err)
		for _, foreign := range []func(*request){
			func(r *request) { r.Actor = bob.String() },
			func(r *request) { r.Types = []string{"member.added"} },
		} {
			_, err = o.auditEvents(o.creator, func(r *request) { r.PageToken = first.GetNextPageToken(); foreign(r) })
			refused(t, err, errorv1.Reason_REASON_PAGE_TOKEN_INVALID)
		}
		_, err = o.auditEvents(bob, func(r *request) { r.PageToken = first.GetNextPageToken() })
		refused(t, err, errorv1.Reason_REASON_PAGE_TOKEN_INVALID)
	})

	t.Run("AnEventIsShownOnceAndALostHistoryNotAtAll", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		o.hearOwn()
		o.hearOwn()
		require.Len(t, o.audited(o.creator, nil), 2)
		for revision := range int64(3) {
			o.hear("billing", "seat.at_limit", o.id.String(), revision+1, &eventv1.SeatAtLimit{})
		}
		o.hearIn(2, "billing", "seat.released", o.id.String(), 2, &eventv1.SeatReleased{})
		require.Equal(t, []string{"seat.at_limit", "seat.released"}, slices.Sorted(slices.Values(
			o.audited(o.creator, func(r *membershipv1.ListAuditEventsRequest) { r.Types = []string{"seat.at_limit", "seat.released"} }))))
	})

	t.Run("AnEventOfATypeToComeIsShown", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		o.hear("billing", "seat.painted", o.id.String(), 1, &eventv1.SeatLimitChanged{Reason: "Blue."})
		require.Equal(t, []string{"seat.painted"}, o.audited(o.creator, nil))
	})
}
