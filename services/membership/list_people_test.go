package membership_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/timestamppb"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/saga"
)

// join adds a member who is shown like this.
func (o organization) join(name, email, username, role string) id.Account {
	o.Helper()
	account := id.NewAccount()
	_, err := o.admission.AddMember(o.Context(), &membershipv1.AddMemberRequest{
		OrganizationId: o.id.String(), AccountId: account.String(), SeatId: id.NewSeat().String(), Role: role,
		DisplayName: name, Email: email, Username: username})
	require.NoError(o, err)
	return account
}

// invited is an invitation as events tell of it.
func invited(key id.Invitation, role string, state eventv1.Invitation_State) *eventv1.Invitation {
	return &eventv1.Invitation{InvitationId: key.String(), Role: role, State: state, ExpireTime: timestamppb.New(time.Now().Add(time.Hour))}
}

func (o organization) hearCreated(revision int64, key id.Invitation, p *eventv1.Personal) {
	o.Helper()
	o.hear("invitation", "invitation.created", o.id.String(), revision, &eventv1.InvitationCreated{
		Invitation: invited(key, "viewer", eventv1.Invitation_STATE_PENDING), Personal: p})
}

func names(answer *membershipv1.ListPeopleResponse) (names []string) {
	for _, p := range answer.GetPeople() {
		names = append(names, p.GetDisplayName())
	}
	return names
}

func TestListPeople(t *testing.T) {
	t.Parallel()

	t.Run("S0-01 S0-02 S0-05 S1-27 Members and pending invitations are one list, by name", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, other := h.create(pipeline), h.create(pipeline)
		other.join("Zed", "", "", "viewer")
		o.join("bob", "bob@example.com", "bob", "viewer")
		o.join("Émile", "emile@example.com", "", "developer")
		o.hearCreated(1, id.NewInvitation(), &eventv1.Personal{DisplayName: "Cy", Email: "cy@example.com"})

		all := o.list(o.creator, nil)
		require.Equal(t, []string{"Ada Lovelace", "bob", "Cy", "Émile"}, names(all))
		require.Equal(t, int32(4), all.GetTotalSize())
		cy := all.GetPeople()[2]
		require.Equal(t, membershipv1.Person_STATE_PENDING, cy.GetState())
		require.Equal(t, "cy@example.com", cy.GetEmail(), "S1-55")
		require.NotEmpty(t, cy.GetInvitationId())
		require.Empty(t, cy.GetAccountId())
		require.NotNil(t, cy.GetExpireTime())
		bob := all.GetPeople()[1]
		require.Equal(t, "viewer", bob.GetRole())
		require.Equal(t, "Viewer", bob.GetRoleDisplayName())
		require.Equal(t, membershipv1.Person_STATE_ACTIVE, bob.GetState())
		require.NotNil(t, bob.GetJoinTime())

		members := o.list(o.creator, func(r *membershipv1.ListPeopleRequest) { r.View = membershipv1.ListPeopleRequest_VIEW_MEMBERS })
		require.Equal(t, []string{"Ada Lovelace", "bob", "Émile"}, names(members))
		require.Equal(t, int32(3), members.GetTotalSize())
		pending := o.list(o.creator, func(r *membershipv1.ListPeopleRequest) { r.View = membershipv1.ListPeopleRequest_VIEW_INVITATIONS })
		require.Equal(t, []string{"Cy"}, names(pending))
		require.Equal(t, int32(1), pending.GetTotalSize())
	})

	t.Run("S2-10 The query finds parts of names, addresses and usernames", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		o.join("Émile Zola", "zola@example.org", "emz", "viewer")
		o.join("Straße_100%", "s@example.net", "", "viewer")
		o.hearCreated(1, id.NewInvitation(), &eventv1.Personal{DisplayName: "Cy", Email: "cyrus@example.org"})
		for query, want := range map[string][]string{
			"EMILE": {"Émile Zola"}, "ile zo": {"Émile Zola"}, "example.org": {"Cy", "Émile Zola"}, "emz": {"Émile Zola"},
			"e_100": {"Straße_100%"}, "e%10": nil, "00%": {"Straße_100%"}, "zzz": nil, `\\\`: nil, "  ": {"Ada Lovelace", "Cy", "Émile Zola", "Straße_100%"},
			"é": {"Émile Zola"}, "cy": {"Cy"}, "yr": nil, "_": nil, "rus@": {"Cy"},
		} {
			got := o.list(o.creator, func(r *membershipv1.ListPeopleRequest) { r.Query = query })
			require.Equal(t, want, names(got), query)
			require.Equal(t, int32(4), got.GetTotalSize())
		}
	})

	t.Run("S2-10 The query finds names in every script, however their letters are written", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		for _, name := range []string{"王小明", "田中 太郎", "김수지", "Łukasz Nowak", "Søren Weiß", "Σοφός", "İlknur Ilık", "Ｆｕｌｌ", "Иванёв"} {
			o.join(name, "", "", "member")
		}
		for query, want := range map[string]string{
			"王": "王小明", "小明": "王小明", "明": "王小明", "王小明": "王小明", "太郎": "田中 太郎", "田中": "田中 太郎", "지": "김수지", "수지": "김수지",
			"lukasz": "Łukasz Nowak", "SOREN": "Søren Weiß", "WEISS": "Søren Weiß", "weiß": "Søren Weiß", "ΣΟΦΟΣ": "Σοφός", "σοφός": "Σοφός",
			"ilknur": "İlknur Ilık", "ILIK": "İlknur Ilık", "full": "Ｆｕｌｌ", "ИВАНЕВ": "Иванёв",
		} {
			require.Equal(t, []string{want}, names(o.list(o.creator, func(r *membershipv1.ListPeopleRequest) { r.Query = query })), query)
		}
		require.Empty(t, names(o.list(o.creator, func(r *membershipv1.ListPeopleRequest) { r.Query = "小王" })))
		require.Empty(t, names(o.list(o.creator, func(r *membershipv1.ListPeopleRequest) { r.Query = "ow" })), "two letters of a long word are its beginning")
	})

	t.Run("RB19 Who may not see addresses does not find by them", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		viewer := o.join("Vi", "vi@secret.example", "vi", "viewer")
		list := func(query string) *membershipv1.ListPeopleResponse {
			return o.list(viewer, func(r *membershipv1.ListPeopleRequest) { r.Query = query })
		}
		require.Len(t, list("").GetPeople(), 2)
		for _, p := range list("").GetPeople() {
			require.Empty(t, p.GetEmail())
		}
		require.Empty(t, list("secret").GetPeople())
		require.Empty(t, list("vi@").GetPeople())
		require.Len(t, list("vi").GetPeople(), 1)
		member, err := o.get(viewer, o.creator)
		require.NoError(t, err)
		require.Empty(t, member.GetEmail())
	})

	t.Run("FiltersByStateAndRole", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		bob := o.join("Bob", "", "", "viewer")
		o.join("Cy", "", "", "developer")
		_, err := o.disable(o.creator, bob)
		require.NoError(t, err)
		require.Equal(t, []string{"Bob"}, names(o.list(o.creator, func(r *membershipv1.ListPeopleRequest) {
			r.States = []membershipv1.Person_State{membershipv1.Person_STATE_DISABLED}
		})))
		require.Equal(t, []string{"Ada Lovelace", "Bob"}, names(o.list(o.creator, func(r *membershipv1.ListPeopleRequest) {
			r.Roles = []string{"viewer", "owner"}
		})))
	})

	t.Run("PagesCoverEverybodyOnce", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		for i := range 7 {
			o.join(fmt.Sprintf("Same %d", i/4), "", "", "viewer")
		}
		var got []string
		ids := make(map[string]bool)
		request := func(r *membershipv1.ListPeopleRequest) { r.PageSize = 3 }
		for next := "first"; next != ""; {
			answer := o.list(o.creator, request)
			got = append(got, names(answer)...)
			for _, p := range answer.GetPeople() {
				ids[p.GetAccountId()] = true
			}
			next = answer.GetNextPageToken()
			request = func(r *membershipv1.ListPeopleRequest) { r.PageSize, r.PageToken = 3, next }
		}
		require.Len(t, got, 8)
		require.Len(t, ids, 8)
		require.True(t, slices.IsSorted(got), got)
	})

	t.Run("PageTokensFitTheirListOnly", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, other := h.create(pipeline), h.create(pipeline)
		viewer := o.join("Bob", "", "", "viewer")
		token := o.list(o.creator, func(r *membershipv1.ListPeopleRequest) { r.PageSize = 1 }).GetNextPageToken()
		require.NotEmpty(t, token)
		ask := func(o organization, who id.Account, edit func(*membershipv1.ListPeopleRequest)) {
			req := &membershipv1.ListPeopleRequest{OrganizationId: o.id.String(), PageSize: 1, PageToken: token}
			edit(req)
			_, err := o.members.ListPeople(o.as(who), req)
			refused(t, err, errorv1.Reason_REASON_PAGE_TOKEN_INVALID)
		}
		ask(o, viewer, func(*membershipv1.ListPeopleRequest) {})
		ask(other, other.creator, func(*membershipv1.ListPeopleRequest) {})
		ask(o, o.creator, func(r *membershipv1.ListPeopleRequest) { r.Query = "x" })
		ask(o, o.creator, func(r *membershipv1.ListPeopleRequest) { r.Roles = []string{"viewer"} })
		ask(o, o.creator, func(r *membershipv1.ListPeopleRequest) { r.OrderBy = membershipv1.ListPeopleRequest_ORDER_NAME_DESC })
		ask(o, o.creator, func(r *membershipv1.ListPeopleRequest) { r.InactiveSince = timestamppb.Now() })
		ask(o, o.creator, func(r *membershipv1.ListPeopleRequest) { r.View = membershipv1.ListPeopleRequest_VIEW_MEMBERS })
		ask(o, o.creator, func(r *membershipv1.ListPeopleRequest) { r.PageToken = "bm90aGluZw" })
	})

	t.Run("ACommonWordIsFoundBeyondTheCandidates", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		_, err := o.owner().Exec(t.Context(), `
			WITH person AS (
				INSERT INTO people (organization_id, person_id, kind, sort_name, display_name, email, username, role, state, join_time)
				SELECT $1, gen_random_uuid(), 'MEMBER', 'clone ' || lpad(i::text, 4, '0'), 'Clone ' || lpad(i::text, 4, '0'), '', '', 'viewer', 'ACTIVE', now()
				FROM generate_series(1, 1200) i RETURNING organization_id, person_id, sort_name
			) INSERT INTO people_search SELECT organization_id, person_id, sort_name, '', '' FROM person`, o.id)
		require.NoError(t, err)
		var got []string
		var next string
		for {
			answer := o.list(o.creator, func(r *membershipv1.ListPeopleRequest) { r.Query, r.PageSize, r.PageToken = "clone", 500, next })
			got = append(got, names(answer)...)
			require.Equal(t, int32(1201), answer.GetTotalSize())
			if next = answer.GetNextPageToken(); next == "" {
				break
			}
		}
		require.Len(t, got, 1200)
		require.True(t, slices.IsSorted(got))
		rare := o.list(o.creator, func(r *membershipv1.ListPeopleRequest) { r.Query = "1199" })
		require.Equal(t, []string{"Clone 1199"}, names(rare))
	})

	t.Run("R77 Strangers, and members who are disabled, see no list", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		bob := o.join("Bob", "", "", "viewer")
		_, err := o.disable(o.creator, bob)
		require.NoError(t, err)
		_, err = o.members.ListPeople(o.as(bob), &membershipv1.ListPeopleRequest{OrganizationId: o.id.String()})
		refused(t, err, errorv1.Reason_REASON_MEMBER_DISABLED)
		_, foreign := o.members.ListPeople(o.as(id.NewAccount()), &membershipv1.ListPeopleRequest{OrganizationId: o.id.String()})
		_, absent := o.members.ListPeople(o.as(o.creator), &membershipv1.ListPeopleRequest{OrganizationId: id.NewOrganization().String()})
		require.Equal(t, refused(t, foreign, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND), refused(t, absent, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND))
	})
}

func TestConsume(t *testing.T) {
	t.Parallel()
	const failed, pending = eventv1.Invitation_STATE_FAILED, eventv1.Invitation_STATE_PENDING

	t.Run("S1-29 S3-12 S3-13 An invitation that ended is off the list until it is sent again", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		key := id.NewInvitation()
		person := &eventv1.Personal{DisplayName: "Cy", Email: "cy@example.com"}
		o.hearCreated(1, key, person)
		o.hear("invitation", "invitation.sent", o.id.String(), 2, &eventv1.InvitationSent{Invitation: invited(key, "viewer", pending)})
		require.Equal(t, int32(2), o.list(o.creator, nil).GetTotalSize())
		o.hear("invitation", "invitation.failed", o.id.String(), 3, &eventv1.InvitationFailed{After: invited(key, "viewer", failed)})
		require.Equal(t, int32(1), o.list(o.creator, nil).GetTotalSize())
		o.hear("invitation", "invitation.resent", o.id.String(), 4, &eventv1.InvitationResent{After: invited(key, "admin", pending), Personal: person})
		people := o.list(o.creator, nil).GetPeople()
		require.Len(t, people, 2)
		require.Equal(t, "admin", people[1].GetRole())
		o.hear("invitation", "invitation.revoked", o.id.String(), 5, &eventv1.InvitationRevoked{After: invited(key, "admin", eventv1.Invitation_STATE_REVOKED)})
		require.Equal(t, int32(1), o.list(o.creator, nil).GetTotalSize())
	})

	t.Run("K3 An event is applied once", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		key := id.NewInvitation()
		o.hearCreated(1, key, &eventv1.Personal{DisplayName: "Cy"})
		o.hear("invitation", "invitation.expired", o.id.String(), 2, &eventv1.InvitationExpired{After: invited(key, "viewer", eventv1.Invitation_STATE_EXPIRED)})
		o.hearCreated(1, key, &eventv1.Personal{DisplayName: "Cy"})
		require.Equal(t, int32(1), o.list(o.creator, nil).GetTotalSize())
	})

	t.Run("K3 A history that was rewritten goes on from an earlier revision", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		created := func(epoch, revision int64, name string) {
			o.hearIn(epoch, "invitation", "invitation.created", o.id.String(), revision, &eventv1.InvitationCreated{
				Invitation: invited(id.NewInvitation(), "viewer", pending), Personal: &eventv1.Personal{DisplayName: name}})
		}
		created(1, 1, "Cy")
		created(1, 2, "Di") // vanishes when a standby is promoted
		created(2, 2, "Ed")
		created(2, 2, "Ed again")
		created(1, 3, "Flo") // was on its way when that happened
		created(2, 3, "Gus")
		listed := names(o.list(o.creator, nil))
		require.Contains(t, listed, "Ed")
		require.Contains(t, listed, "Gus")
		require.NotContains(t, listed, "Ed again")
		require.NotContains(t, listed, "Flo")
	})

	t.Run("S0-05 The invitation of somebody who has joined is not listed again", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		key := id.NewInvitation()
		add := &membershipv1.AddMemberRequest{OrganizationId: o.id.String(), AccountId: id.NewAccount().String(), SeatId: id.NewSeat().String(),
			Role: "viewer", InvitationId: key.String(), DisplayName: "Cy"}
		o.hearCreated(1, key, &eventv1.Personal{DisplayName: "Cy"})
		_, err := o.admission.AddMember(t.Context(), add)
		require.NoError(t, err)
		people := o.list(o.creator, nil)
		require.Len(t, people.GetPeople(), 2)
		require.Equal(t, int32(2), people.GetTotalSize())
		require.Equal(t, membershipv1.Person_STATE_ACTIVE, people.GetPeople()[1].GetState())

		late := organization{o.harness, o.id, o.creator}
		late.hear("invitation", "invitation.resent", o.id.String(), 2, &eventv1.InvitationResent{After: invited(key, "viewer", pending)})
		require.Equal(t, int32(2), o.list(o.creator, nil).GetTotalSize())
	})

	t.Run("A new name reaches every list of the person", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		one, other := h.create(pipeline), h.create(flat)
		bob := one.join("Bob", "bob@example.com", "", "viewer")
		require.NoError(t, other.addAs(bob, id.NewSeat(), "member"))
		h.hear("identity", "account.updated", bob.String(), 7, &eventv1.AccountUpdated{Personal: &eventv1.Personal{DisplayName: "Aaron", Username: "bobby", AvatarUrl: "/avatars/A"}})
		for _, o := range []organization{one, other} {
			people := o.list(o.creator, func(r *membershipv1.ListPeopleRequest) { r.Query = "aaro" }).GetPeople()
			require.Len(t, people, 1)
			require.Equal(t, "Aaron", people[0].GetDisplayName())
			require.Equal(t, "bobby", people[0].GetUsername())
			require.Equal(t, "/avatars/A", people[0].GetAvatarUrl())
			member, err := o.members.GetMember(o.as(o.creator), &membershipv1.GetMemberRequest{OrganizationId: o.id.String(), AccountId: bob.String()})
			require.NoError(t, err)
			require.Equal(t, "/avatars/A", member.GetMember().GetAvatarUrl())
			require.NotEmpty(t, people[0].GetEmail())
			require.Equal(t, "Aaron", o.list(o.creator, nil).GetPeople()[0].GetDisplayName(), "the order follows the name")
		}
		h.hear("identity", "account.updated", bob.String(), 6, &eventv1.AccountUpdated{Personal: &eventv1.Personal{DisplayName: "Old"}})
		require.Equal(t, "Aaron", one.list(one.creator, nil).GetPeople()[0].GetDisplayName())
		h.hear("identity", "account.updated", bob.String(), 8, &eventv1.AccountUpdated{})
		require.Equal(t, "Aaron", one.list(one.creator, nil).GetPeople()[0].GetDisplayName())
	})

	t.Run("R66 Another address reaches every list of the person but those that have their own", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		one, other := h.create(pipeline), h.create(flat)
		bob := one.join("Bob", "bob@example.com", "", "viewer")
		require.NoError(t, other.addAs(bob, id.NewSeat(), "member"))
		_, err := other.retouch(other.creator, bob, &membershipv1.UpdateMemberRequest{ContactEmail: "desk@other.example"})
		require.NoError(t, err)
		h.hear("identity", "account.email_changed", bob.String(), 7, &eventv1.AccountEmailChanged{Personal: &eventv1.Personal{DisplayName: "Bob", Email: "bob@works.example"}})
		found := func(o organization, query string) (emails []string) {
			for _, p := range o.list(o.creator, func(r *membershipv1.ListPeopleRequest) { r.Query = query }).GetPeople() {
				emails = append(emails, p.GetEmail())
			}
			return emails
		}
		require.Equal(t, []string{"bob@works.example"}, found(one, "bob@works"))
		require.Empty(t, found(one, "bob@example"))
		require.Equal(t, []string{"desk@other.example"}, found(other, "desk@other"))
		require.Empty(t, found(other, "bob@works"))
	})

	t.Run("A name that changed while its owner was being added is found", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(pipeline)
		bob := id.NewAccount()
		h.hear("identity", "account.updated", bob.String(), 7, &eventv1.AccountUpdated{Personal: &eventv1.Personal{DisplayName: "Aaron"}})
		_, err := o.admission.AddMember(t.Context(), &membershipv1.AddMemberRequest{OrganizationId: o.id.String(), AccountId: bob.String(),
			SeatId: id.NewSeat().String(), Role: "viewer", DisplayName: "Bob", Email: "bob@example.com"})
		require.NoError(t, err)
		listed := func() *membershipv1.Person {
			people := o.list(o.creator, func(r *membershipv1.ListPeopleRequest) { r.Query = "bob@example.com" }).GetPeople()
			require.Len(t, people, 1)
			return people[0]
		}
		look := func() (left bool) {
			require.NoError(t, h.service.Steps()["profile"](t.Context(), saga.For(o.id, "profile", bob)))
			require.NoError(t, h.db.Pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM due WHERE kind = 'profile' AND id = $1)`, bob).Scan(&left))
			return left
		}
		require.Equal(t, "Bob", listed().GetDisplayName())

		h.accounts.set(bob, "bob@example.com")
		h.accounts.name = func(string) string { // what identity says is old by the time that it is read
			h.hear("identity", "account.updated", bob.String(), 8, &eventv1.AccountUpdated{Personal: &eventv1.Personal{DisplayName: "Abel", Email: "bob@example.com"}})
			return "Aaron"
		}
		require.True(t, look(), "it asks again")
		require.Equal(t, "Abel", listed().GetDisplayName())

		h.accounts.name = func(string) string { return "Adam" }
		require.False(t, look())
		require.Equal(t, "Adam", listed().GetDisplayName())
	})

	t.Run("EventsThatNobodyKnowsAreSkipped", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		o.hear("invitation", "invitation.dreamt", o.id.String(), 1, &eventv1.InvitationSent{})
		o.hear("identity", "session.ended", id.NewAccount().String(), 1, &eventv1.SessionEnded{})
		require.Equal(t, map[string]int64{"membership": 2, "invitation": 1}, o.included(o.list(o.creator, nil)))
	})
}

func (o organization) included(answer *membershipv1.ListPeopleResponse) map[string]int64 {
	o.Helper()
	included, err := outbox.ParseToken(answer.GetToken(), o.id)
	require.NoError(o, err)
	return included
}

func TestListPeopleWaits(t *testing.T) {
	t.Parallel()

	t.Run("Whoever has just invited sees the row", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		listed := make(chan *membershipv1.ListPeopleResponse, 1)
		begin := time.Now()
		go func() {
			answer, err := o.members.ListPeople(o.as(o.creator), &membershipv1.ListPeopleRequest{
				OrganizationId: o.id.String(), Token: outbox.Token(o.id, "invitation", 2)})
			if err == nil {
				listed <- answer
			}
			close(listed)
		}()
		o.hearCreated(1, id.NewInvitation(), &eventv1.Personal{DisplayName: "Bo"})
		o.hearCreated(2, id.NewInvitation(), &eventv1.Personal{DisplayName: "Cy"})
		answer := <-listed
		require.Equal(t, []string{"Ada Lovelace", "Bo", "Cy"}, names(answer))
		require.Less(t, time.Since(begin), time.Second)
		require.Equal(t, int64(2), o.included(answer)["invitation"])
	})

	t.Run("The wait is bounded, and the answer says what it includes", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		begin := time.Now()
		answer := o.list(o.creator, func(r *membershipv1.ListPeopleRequest) { r.Token = outbox.Token(o.id, "invitation", 9) })
		require.GreaterOrEqual(t, time.Since(begin), time.Second)
		require.Less(t, time.Since(begin), 3*time.Second)
		require.Equal(t, map[string]int64{"membership": 2}, o.included(answer))
	})

	t.Run("TokensOfOtherOrganizationsAreRefused", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		_, err := o.members.ListPeople(o.as(o.creator), &membershipv1.ListPeopleRequest{
			OrganizationId: o.id.String(), Token: outbox.Token(id.NewOrganization(), "invitation", 1)})
		refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		_, err = o.members.ListPeople(o.as(id.NewAccount()), &membershipv1.ListPeopleRequest{
			OrganizationId: o.id.String(), Token: outbox.Token(o.id, "invitation", 99)})
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
	})
}

// used lets a product ask about a member, as it does when they use it, and writes that down.
func (o organization) used(account id.Account) {
	o.Helper()
	o.decision(account, "org.read")
	o.service.WriteActivity(o.Context(), time.Now())
}

// idle moves what is known of a member into the past.
func (o organization) idle(account id.Account, by time.Duration) {
	o.Helper()
	tag, err := o.owner().Exec(o.Context(), `UPDATE people SET join_time = join_time - $3::interval, activity_time = activity_time - $3::interval
		WHERE organization_id = $1 AND person_id = $2`, o.id, account, by)
	require.NoError(o, err)
	require.EqualValues(o, 1, tag.RowsAffected())
}

func TestActivity(t *testing.T) {
	t.Parallel()
	activity := func(o organization, account id.Account) *timestamppb.Timestamp {
		member, err := o.get(o.creator, account)
		require.NoError(o, err)
		return member.GetLastActivityTime()
	}

	t.Run("S0-04 Whoever never used the organization has no activity, whoever does has it noted once an hour", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		bob := o.add("developer")
		now := time.Now()
		use := func(later time.Duration) time.Time {
			o.decision(bob, "org.read")
			o.service.WriteActivity(t.Context(), now.Add(later))
			return activity(o, bob).AsTime()
		}
		o.service.WriteActivity(t.Context(), now)
		require.Nil(t, activity(o, bob))
		first := use(0)
		require.WithinDuration(t, now, first, time.Minute)
		o.service.WriteActivity(t.Context(), now.Add(time.Hour)) // the process begins anew; the row is of this hour
		if again := use(time.Hour); again.Hour() == first.Hour() {
			require.Equal(t, first, again)
		}
		o.idle(bob, 3*time.Hour)
		require.True(t, use(time.Hour).Before(first), "noted in this process before")
		o.service.WriteActivity(t.Context(), now.Add(2*time.Hour))
		require.False(t, use(2*time.Hour).Before(first))
	})

	t.Run("What counts is what members do, not what is asked about them", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(pipeline)
		reader, writer, asked, stopped := o.add("viewer"), o.add("admin"), o.add("viewer"), o.add("viewer")
		_, err := o.get(reader, asked)
		require.NoError(t, err)
		_, err = o.retouch(writer, asked, &membershipv1.UpdateMemberRequest{Phone: "12345"})
		require.NoError(t, err)
		_, err = h.access.CheckAccess(h.as(writer), &membershipv1.CheckAccessRequest{OrganizationId: o.id.String(), AccountId: asked.String(), Permission: "org.read"})
		require.NoError(t, err)
		_, err = o.disable(o.creator, stopped)
		require.NoError(t, err)
		_, err = o.get(stopped, asked)
		refused(t, err, errorv1.Reason_REASON_MEMBER_DISABLED)
		o.used(stopped)
		require.NotNil(t, activity(o, reader))
		require.NotNil(t, activity(o, writer))
		require.Nil(t, activity(o, asked))
		require.Nil(t, activity(o, stopped))
	})

	t.Run("What cannot be written is written at the next use", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		bob := o.add("developer")
		o.decision(bob, "org.read")
		ended, end := context.WithCancel(t.Context())
		end()
		o.service.WriteActivity(ended, time.Now())
		require.Nil(t, activity(o, bob))
		o.used(bob)
		require.NotNil(t, activity(o, bob))
	})
}

func TestListPeopleInOrder(t *testing.T) {
	t.Parallel()

	t.Run("S1-52 The list is sorted by name, joining, last activity or role, and finds who is inactive", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		bob, cy := o.join("Bob", "", "", "viewer"), o.join("Cy", "", "", "admin")
		o.join("Di", "", "", "viewer")
		o.hearCreated(1, id.NewInvitation(), &eventv1.Personal{DisplayName: "Zed"})
		o.idle(o.creator, 100*time.Hour)
		o.idle(bob, 200*time.Hour)
		o.idle(cy, 50*time.Hour)
		o.used(bob)
		for order, want := range map[membershipv1.ListPeopleRequest_Order][]string{
			membershipv1.ListPeopleRequest_ORDER_UNSPECIFIED:             {"Ada Lovelace", "Bob", "Cy", "Di", "Zed"},
			membershipv1.ListPeopleRequest_ORDER_NAME:                    {"Ada Lovelace", "Bob", "Cy", "Di", "Zed"},
			membershipv1.ListPeopleRequest_ORDER_NAME_DESC:               {"Zed", "Di", "Cy", "Bob", "Ada Lovelace"},
			membershipv1.ListPeopleRequest_ORDER_JOIN_TIME:               {"Bob", "Ada Lovelace", "Cy", "Di", "Zed"},
			membershipv1.ListPeopleRequest_ORDER_JOIN_TIME_DESC:          {"Zed", "Di", "Cy", "Ada Lovelace", "Bob"},
			membershipv1.ListPeopleRequest_ORDER_LAST_ACTIVITY_TIME:      {"Ada Lovelace", "Cy", "Di", "Bob", "Zed"},
			membershipv1.ListPeopleRequest_ORDER_LAST_ACTIVITY_TIME_DESC: {"Bob", "Di", "Cy", "Ada Lovelace", "Zed"},
			membershipv1.ListPeopleRequest_ORDER_ROLE:                    {"Ada Lovelace", "Cy", "Bob", "Di", "Zed"},
			membershipv1.ListPeopleRequest_ORDER_ROLE_DESC:               {"Bob", "Di", "Zed", "Cy", "Ada Lovelace"},
		} {
			var got []string
			for next := ""; len(got) == 0 || next != ""; {
				page := o.list(o.creator, func(r *membershipv1.ListPeopleRequest) { r.OrderBy, r.PageSize, r.PageToken = order, 2, next })
				got = append(got, names(page)...)
				next = page.GetNextPageToken()
			}
			require.Equal(t, want, got, order.String())
		}
		inactive := func(since time.Duration) []string {
			return names(o.list(o.creator, func(r *membershipv1.ListPeopleRequest) { r.InactiveSince = timestamppb.New(time.Now().Add(-since)) }))
		}
		require.Equal(t, []string{"Ada Lovelace", "Cy"}, inactive(40*time.Hour), "Bob was there, Di has just joined")
		o.service.WriteActivity(t.Context(), time.Now())
		require.Equal(t, []string{"Cy"}, inactive(40*time.Hour), "who lists people is there")
		require.Empty(t, inactive(60*time.Hour))
	})

	t.Run("RB19 Who may not see activity neither sorts nor filters by it", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		viewer := o.add("developer")
		for _, edit := range []func(*membershipv1.ListPeopleRequest){
			func(r *membershipv1.ListPeopleRequest) {
				r.OrderBy = membershipv1.ListPeopleRequest_ORDER_LAST_ACTIVITY_TIME
			},
			func(r *membershipv1.ListPeopleRequest) {
				r.OrderBy = membershipv1.ListPeopleRequest_ORDER_LAST_ACTIVITY_TIME_DESC
			},
			func(r *membershipv1.ListPeopleRequest) { r.InactiveSince = timestamppb.Now() },
		} {
			req := &membershipv1.ListPeopleRequest{OrganizationId: o.id.String()}
			edit(req)
			_, err := o.members.ListPeople(o.as(viewer), req)
			require.Equal(t, "members.activity.read", refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"])
		}
	})
}
