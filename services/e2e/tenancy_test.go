package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// TestTenancy proves that another organization is the same as none.
func TestTenancy(t *testing.T) {
	t.Parallel()

	scenario(t, "R77 every call on a foreign organization answers as if it did not exist, and does nothing", func(t *testing.T, over string) {
		org, other := create(t, over, pipeline), create(t, over, pipeline)
		member := other.join(t, "developer")
		pending, err := other.owner.CreateInvitation(t.Context(), other.invitation(t, "")) // by link: no mail is on its way
		require.NoError(t, err)
		eventually(t, func() bool { return other.events(t, "invitation", "invitation.sent") == 1 }, "the member's mail is noted")
		before := map[string]int64{}
		for _, service := range []string{"membership", "invitation", "billing"} {
			before[service] = other.revision(t, service)
		}
		for name, call := range organizationCalls(t, org.owner) {
			foreign := refused(t, call(other.ID, member.ID, pending.GetInvitation().GetId()), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
			absent := refused(t, call(id.NewOrganization().String(), member.ID, pending.GetInvitation().GetId()), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
			require.Equal(t, absent.Message, foreign.Message, name)
			require.Equal(t, absent.Metadata, foreign.Metadata, name)
		}
		for service, revision := range before {
			require.Equal(t, revision, other.revision(t, service), service)
		}
	})

	scenario(t, "R77 a foreign member or invitation under one's own organization is absent", func(t *testing.T, over string) {
		org, other := create(t, over, pipeline), create(t, over, pipeline)
		member := other.join(t, "developer")
		pending := other.invite(t, unique("x")+"@example.com", "")
		for name, call := range organizationCalls(t, org.owner) {
			reason := errorv1.Reason_REASON_UNSPECIFIED
			switch {
			case strings.HasPrefix(name, "member "):
				reason = errorv1.Reason_REASON_MEMBER_NOT_FOUND
			case strings.HasPrefix(name, "invitation "):
				reason = errorv1.Reason_REASON_INVITATION_NOT_FOUND
			default:
				continue
			}
			refused(t, call(org.ID, member.ID, pending.GetInvitation().GetId()), reason)
		}
		require.True(t, other.can(t, member, "products.use"))
		require.Len(t, other.pending(t, pending.GetToken()), 1)
	})

	scenario(t, "R77 ids of another kind or spelling are refused", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		for _, bad := range []string{org.owner.ID, strings.ToUpper(org.ID), "org_1", "1", "org_" + strings.Repeat("z", 26)} {
			_, err := org.owner.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: bad})
			refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		}
	})

	t.Run("R78 every table of a tenant is under forced row-level security", func(t *testing.T) {
		t.Parallel()
		open := map[string]bool{ // answered for in the migrations: queues, directories, operators
			"outbox": true, "relay_lease": true, "due": true, "people_search": true, "user_emails": true, "usernames": true, "username_fences": true,
			"sign_ups": true, "sign_up_mails": true, "operators": true, "operator_keys": true, "operator_claims": true, "signing_keys": true,
			"core_version": true, "service_version": true, "goose_lock": true,
		}
		for service, pool := range suite.owners {
			rows, err := pool.Query(t.Context(), `
				SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity, EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
				FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace`)
			require.NoError(t, err)
			for rows.Next() {
				var table string
				var forced, policy bool
				require.NoError(t, rows.Scan(&table, &forced, &policy))
				if !open[table] {
					require.True(t, forced && policy, "%s.%s", service, table)
				}
			}
			require.NoError(t, rows.Err())
			var owned, bypass int
			require.NoError(t, pool.QueryRow(t.Context(), `
				SELECT (SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname = $1),
				       (SELECT count(*) FROM pg_roles WHERE rolname = $1 AND (rolbypassrls OR rolsuper))`,
				service).Scan(&owned, &bypass))
			require.Zero(t, owned+bypass, "the role that runs owns nothing")
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

// organizationCalls are the calls on an organization, each made with an organization, a member and an invitation.
func organizationCalls(t *testing.T, by *person) map[string]func(org, member, invitation string) error {
	ctx := t.Context()
	return map[string]func(org, member, invitation string) error{
		"get organization": func(org, _, _ string) error {
			_, err := by.GetOrganization(ctx, &membershipv1.GetOrganizationRequest{OrganizationId: org})
			return err
		},
		"update organization": func(org, _, _ string) error {
			_, err := by.UpdateOrganization(ctx, &membershipv1.UpdateOrganizationRequest{OrganizationId: org, DisplayName: "taken"})
			return err
		},
		"delete organization": func(org, _, _ string) error {
			_, err := by.DeleteOrganization(ctx, &membershipv1.DeleteOrganizationRequest{OrganizationId: org})
			return err
		},
		"get policy": func(org, _, _ string) error {
			_, err := by.GetPolicy(ctx, &membershipv1.GetPolicyRequest{OrganizationId: org})
			return err
		},
		"list roles": func(org, _, _ string) error {
			_, err := by.ListRoles(ctx, &membershipv1.ListRolesRequest{OrganizationId: org})
			return err
		},
		"list people": func(org, _, _ string) error {
			_, err := by.ListPeople(ctx, &membershipv1.ListPeopleRequest{OrganizationId: org})
			return err
		},
		"seat usage": func(org, _, _ string) error {
			_, err := by.GetSeatUsage(ctx, &billingv1.GetSeatUsageRequest{OrganizationId: org})
			return err
		},
		"check access of another": func(org, member, _ string) error {
			_, err := by.CheckAccess(ctx, &membershipv1.CheckAccessRequest{OrganizationId: org, AccountId: member, Permission: "org.read"})
			return err
		},
		"create invitation": func(org, _, _ string) error {
			_, err := by.CreateInvitation(ctx, &invitationv1.CreateInvitationRequest{OrganizationId: org, Email: "x@example.com", Username: "x", DisplayName: "x"})
			return err
		},
		"list invitations": func(org, _, _ string) error {
			_, err := by.ListInvitations(ctx, &invitationv1.ListInvitationsRequest{OrganizationId: org})
			return err
		},
		"member get": func(org, member, _ string) error {
			_, err := by.GetMember(ctx, &membershipv1.GetMemberRequest{OrganizationId: org, AccountId: member})
			return err
		},
		"member change role": func(org, member, _ string) error {
			_, err := by.ChangeMemberRole(ctx, &membershipv1.ChangeMemberRoleRequest{OrganizationId: org, AccountId: member, Role: "viewer"})
			return err
		},
		"member disable": func(org, member, _ string) error {
			_, err := by.DisableMember(ctx, &membershipv1.DisableMemberRequest{OrganizationId: org, AccountId: member})
			return err
		},
		"member enable": func(org, member, _ string) error {
			_, err := by.EnableMember(ctx, &membershipv1.EnableMemberRequest{OrganizationId: org, AccountId: member})
			return err
		},
		"member remove": func(org, member, _ string) error {
			_, err := by.RemoveMember(ctx, &membershipv1.RemoveMemberRequest{OrganizationId: org, AccountId: member})
			return err
		},
		"invitation get": func(org, _, invitation string) error {
			_, err := by.GetInvitation(ctx, &invitationv1.GetInvitationRequest{OrganizationId: org, InvitationId: invitation})
			return err
		},
		"invitation resend": func(org, _, invitation string) error {
			_, err := by.ResendInvitation(ctx, &invitationv1.ResendInvitationRequest{OrganizationId: org, InvitationId: invitation})
			return err
		},
		"invitation new link": func(org, _, invitation string) error {
			_, err := by.CreateInvitationLink(ctx, &invitationv1.CreateInvitationLinkRequest{OrganizationId: org, InvitationId: invitation})
			return err
		},
		"invitation revoke": func(org, _, invitation string) error {
			_, err := by.RevokeInvitation(ctx, &invitationv1.RevokeInvitationRequest{OrganizationId: org, InvitationId: invitation})
			return err
		},
	}
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
