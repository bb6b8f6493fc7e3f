package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// TestTenancy proves that another organization is the same as none.
func TestTenancy(t *testing.T) {
	t.Parallel()

	scenario(t, "R77 ids of another kind or spelling are refused", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		for _, bad := range []string{org.owner.ID, strings.ToUpper(org.ID), "org_1", "1", "org_" + strings.Repeat("z", 26)} {
			_, err := org.owner.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: bad})
			refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		}
	})

	scenario(t, "page tokens of others are refused", func(t *testing.T, over string) {
		org, other := create(t, over, portal), create(t, over, portal)
		for range 3 {
			org.invite(t, unique("x")+"@example.com", "member")
			other.invite(t, unique("x")+"@example.com", "member")
		}
		page, err := org.owner.ListInvitations(t.Context(), &invitationv1.ListInvitationsRequest{OrganizationId: org.ID, PageSize: 2})
		require.NoError(t, err)
		require.Len(t, page.GetInvitations(), 2)
		for _, token := range []string{page.GetNextPageToken(), "forged", page.GetNextPageToken() + "AA"} {
			_, err = other.owner.ListInvitations(t.Context(), &invitationv1.ListInvitationsRequest{OrganizationId: other.ID, PageToken: token})
			refused(t, err, errorv1.Reason_REASON_PAGE_TOKEN_INVALID)
			_, err = other.owner.ListPeople(t.Context(), &membershipv1.ListPeopleRequest{OrganizationId: other.ID, PageToken: token})
			refused(t, err, errorv1.Reason_REASON_PAGE_TOKEN_INVALID)
		}
		rest, err := org.owner.ListInvitations(t.Context(), &invitationv1.ListInvitationsRequest{OrganizationId: org.ID, PageSize: 2, PageToken: page.GetNextPageToken()})
		require.NoError(t, err)
		require.Len(t, rest.GetInvitations(), 1)
		require.Empty(t, rest.GetNextPageToken())
	})
}

// TestEdge proves what REST refuses before anybody is asked.
func TestEdge(t *testing.T) {
	t.Parallel()
	org := create(t, "REST", portal)
	path := suite.URL + "/v1/organizations/" + org.ID + "/invitations"
	for name, c := range map[string]struct {
		body, contentType string
		status            int
		reason            string
	}{
		"an unknown field is refused and named": {`{"email": "x@example.com", "role": "member", "rolle": "admin"}`, "application/json", 400, "VALIDATION_FAILED"},
		"a malformed body is refused":           {`{"email": `, "application/json", 400, "VALIDATION_FAILED"},
		"a body of another type is refused":     {`email=x`, "application/x-www-form-urlencoded", 415, "MEDIA_TYPE_UNSUPPORTED"},
		"an oversized body is refused":          {`{"email": "` + strings.Repeat("x", 2<<20) + `"}`, "application/json", 413, "BODY_TOO_LARGE"},
		"an oversized field is refused":         {`{"email": "` + strings.Repeat("x", 300) + `", "role": "member"}`, "application/json", 400, "VALIDATION_FAILED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(c.body))
			require.NoError(t, err)
			req.Header.Set("Content-Type", c.contentType)
			req.Header.Set("Authorization", "Bearer "+org.owner.Token)
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, c.status, resp.StatusCode, string(text))
			var body struct {
				Details []struct{ Reason string }
			}
			require.NoError(t, json.Unmarshal(text, &body), string(text))
			require.NotEmpty(t, body.Details)
			require.Equal(t, c.reason, body.Details[0].Reason)
			require.NotEmpty(t, resp.Header.Get("X-Request-Id"))
			require.EqualValues(t, 1, org.seats(t).GetUsed())
		})
	}
}

// TestReplays proves that a request id gives an answer again, and only to whom it belongs.
func TestReplays(t *testing.T) {
	t.Parallel()

	scenario(t, "a repeated request gets the first answer while its sender may still do it, and not a moment longer", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		admin := org.join(t, "admin")
		req := org.invitation(t, "")
		req.RequestId = unique("request")
		made, err := admin.CreateInvitation(t.Context(), req)
		require.NoError(t, err)
		again, err := admin.CreateInvitation(t.Context(), req)
		require.NoError(t, err)
		require.Equal(t, made.GetLink(), again.GetLink())
		require.Equal(t, made.GetInvitation().GetId(), again.GetInvitation().GetId())
		require.Len(t, org.pending(t, again.GetToken()), 1)

		other := org.invitation(t, "")
		other.RequestId = req.GetRequestId()
		_, err = admin.CreateInvitation(t.Context(), other)
		refused(t, err, errorv1.Reason_REASON_REQUEST_ID_REUSED)

		_, err = org.owner.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: admin.ID, Role: "viewer"})
		require.NoError(t, err)
		_, err = admin.CreateInvitation(t.Context(), req)
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		org.remove(t, admin)
		_, err = admin.CreateInvitation(t.Context(), req)
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
	})

	scenario(t, "a repeated change of a member is not answered to who may no longer make it", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		admin, member := org.join(t, "admin"), org.join(t, "developer")
		change := &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: member.ID, Role: "viewer", RequestId: unique("request")}
		disable := &membershipv1.DisableMemberRequest{OrganizationId: org.ID, AccountId: member.ID, RequestId: unique("request")}
		for range 2 {
			_, err := admin.ChangeMemberRole(t.Context(), change)
			require.NoError(t, err)
		}
		for range 2 {
			_, err := admin.DisableMember(t.Context(), disable)
			require.NoError(t, err)
		}
		_, err := org.owner.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: admin.ID, Role: "viewer"})
		require.NoError(t, err)
		_, err = admin.ChangeMemberRole(t.Context(), change)
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err = admin.DisableMember(t.Context(), disable)
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
	})

	scenario(t, "removing twice with one request id removes once", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		member := org.join(t, "developer")
		req := &membershipv1.RemoveMemberRequest{OrganizationId: org.ID, AccountId: member.ID, RequestId: unique("request")}
		for range 2 {
			done, err := org.owner.RemoveMember(t.Context(), req)
			require.NoError(t, err)
			require.Equal(t, membershipv1.Member_STATE_REMOVED, done.GetMember().GetState())
		}
		require.Equal(t, 1, org.events(t, "membership", "member.removed"))
	})
}
