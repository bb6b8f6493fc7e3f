package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

var people = &membershipv1.ListPeopleResponse{TotalSize: 3, Token: "revision", People: []*membershipv1.Person{
	{AccountId: "acc_1", DisplayName: "Ada", Email: "ada@example.com", Role: "owner", RoleDisplayName: "Owner",
		State: membershipv1.Person_STATE_ACTIVE, JoinTime: away(-400 * day)},
	{AccountId: "acc_2", DisplayName: "Bo\tb\n", Email: "bob@example.com", Role: "developer", RoleDisplayName: "Developer",
		State: membershipv1.Person_STATE_DISABLED, JoinTime: away(-9 * day)},
	{InvitationId: "inv_1", Email: "eve@example.com", Role: "viewer", RoleDisplayName: "Viewer",
		State: membershipv1.Person_STATE_PENDING, JoinTime: away(-3 * 3600e9), ExpireTime: away(7*day - 3*3600e9)},
}}

func TestPeople(t *testing.T) {
	t.Parallel()

	t.Run("AreATable", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		gives(w, &membershipv1.ListPeopleRequest{}, people)
		r := w.run("people")
		require.Equal(t, `NAME   EMAIL            ROLE       STATUS    SINCE               ID
Ada    ada@example.com  owner      active    2025-02-03          acc_1
Bo b   bob@example.com  developer  disabled  9d ago              acc_2
-      eve@example.com  viewer     pending   3h ago, ends in 7d  inv_1
`, r.out)
		require.Empty(t, r.err)
	})

	t.Run("AreOneJSONDocumentWithEveryField", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		gives(w, &membershipv1.ListPeopleRequest{}, &membershipv1.ListPeopleResponse{TotalSize: 3, Token: "revision", People: people.GetPeople()[2:]})
		want := `{
  "people": [
    {
      "accountId": "",
      "invitationId": "inv_1",
      "displayName": "",
      "email": "eve@example.com",
      "username": "",
      "role": "viewer",
      "roleDisplayName": "Viewer",
      "state": "STATE_PENDING",
      "joinTime": "2026-03-10T09:00:00Z",
      "expireTime": "2026-03-17T09:00:00Z",
      "roleColor": "",
      "phone": "",
      "lastActivityTime": null,
      "availability": "STATE_UNSPECIFIED",
      "availabilityChangeTime": null,
      "avatarUrl": ""
    }
  ],
  "nextPageToken": "",
  "totalSize": 3,
  "token": "revision"
}
`
		require.Equal(t, want, w.ok("people", "--json"))
	})

	t.Run("FiltersAreSent", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		gives(w, &membershipv1.ListPeopleRequest{}, &membershipv1.ListPeopleResponse{})
		out := w.ok("people", "--query", "ad", "--status", "active,Pending", "--role", "owner", "--role", "admin", "--view", "members", "--limit", "7",
			"--sort", "last_activity_time_desc", "--inactive-since", "48h", "--group", "grp_1", "--project", "prj_1", "--availability", "unavailable")
		require.Equal(t, "Nobody matches. With --view and --sort alone everybody is listed.\n", out)
		sent := w.last().request.(*membershipv1.ListPeopleRequest)
		require.Equal(t, "org_1", sent.GetOrganizationId())
		require.Equal(t, "ad", sent.GetQuery())
		require.Equal(t, []membershipv1.Person_State{membershipv1.Person_STATE_ACTIVE, membershipv1.Person_STATE_PENDING}, sent.GetStates())
		require.Equal(t, []string{"owner", "admin"}, sent.GetRoles())
		require.Equal(t, membershipv1.ListPeopleRequest_VIEW_MEMBERS, sent.GetView())
		require.Equal(t, "grp_1", sent.GetGroupId())
		require.Equal(t, "prj_1", sent.GetProjectId())
		require.Equal(t, membershipv1.ListPeopleRequest_SHOW_UNAVAILABLE, sent.GetAvailability())
		require.EqualValues(t, 7, sent.GetPageSize())
		require.Equal(t, membershipv1.ListPeopleRequest_ORDER_LAST_ACTIVITY_TIME_DESC, sent.GetOrderBy())
		require.Equal(t, away(-2*day).AsTime(), sent.GetInactiveSince().AsTime())
	})

	t.Run("NobodyIsToldHowToInvite", func(t *testing.T) {
		t.Parallel()
		w := signedIn(t)
		gives(w, &membershipv1.ListPeopleRequest{}, &membershipv1.ListPeopleResponse{})
		require.Equal(t, "No pending invitations. Invite somebody: roster invite create EMAIL --role ROLE\n", w.ok("people", "--view", "invitations"))
		require.Contains(t, w.ok("people"), "roster invite create")
	})

	t.Run("PagesAreOneList", func(t *testing.T) {
		t.Parallel()
		const total = 1200
		w := signedIn(t)
		on(w, func(_ context.Context, q *membershipv1.ListPeopleRequest) (*membershipv1.ListPeopleResponse, error) {
			from, _ := strconv.Atoi(q.GetPageToken())
			page := &membershipv1.ListPeopleResponse{TotalSize: total}
			for i := from; i < min(from+int(q.GetPageSize()), total); i++ {
				page.People = append(page.People, &membershipv1.Person{AccountId: fmt.Sprintf("acc_%d", i)})
			}
			if next := from + len(page.People); next < total {
				page.NextPageToken = strconv.Itoa(next)
			}
			return page, nil
		})
		for limit, want := range map[string]struct{ people, calls int }{"--limit=10": {10, 1}, "--limit=600": {600, 2}, "--limit=1200": {1200, 3}, "--all": {1200, 3}, "--limit=5000": {1200, 3}} {
			before := len(w.requests())
			r := w.run("people", "--json", limit)
			var document struct {
				People        []struct{ AccountID string }
				NextPageToken string
			}
			require.NoError(t, json.Unmarshal([]byte(r.out), &document), limit)
			require.Len(t, document.People, want.people, limit)
			require.Equal(t, fmt.Sprintf("acc_%d", want.people-1), document.People[want.people-1].AccountID)
			require.Equal(t, want.calls, len(w.requests())-before, limit)
			require.Equal(t, want.people < total, r.err == "There are more: --limit N or --all\n", limit)
			require.Equal(t, want.people < total, document.NextPageToken != "", limit)
		}
	})
}
