package e2e

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
)

// TestLinksStayDead proves that no way of renewing an invitation brings an old link back.
func TestLinksStayDead(t *testing.T) {
	t.Parallel()
	accept := func(t *testing.T, over, link string) error {
		_, err := connect(over, "").AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{
			LinkToken: link, Password: password, DisplayName: "G", Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		return err
	}
	// renew tries both ways.
	renew := func(t *testing.T, org *organization, inv string) (resent, linked error) {
		_, resent = org.owner.ResendInvitation(t.Context(), &invitationv1.ResendInvitationRequest{OrganizationId: org.ID, InvitationId: inv})
		_, linked = org.owner.CreateInvitationLink(t.Context(), &invitationv1.CreateInvitationLinkRequest{OrganizationId: org.ID, InvitationId: inv})
		return resent, linked
	}

	scenario(t, "R27 a revoked invitation cannot be renewed, and its link stays dead", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		made, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, ""))
		require.NoError(t, err)
		inv := made.GetInvitation().GetId()
		_, err = org.owner.RevokeInvitation(t.Context(), &invitationv1.RevokeInvitationRequest{OrganizationId: org.ID, InvitationId: inv})
		require.NoError(t, err)
		resent, linked := renew(t, org, inv)
		refused(t, resent, errorv1.Reason_REASON_INVITATION_REVOKED)
		refused(t, linked, errorv1.Reason_REASON_INVITATION_REVOKED)
		refused(t, accept(t, over, lastSegment(made.GetLink())), errorv1.Reason_REASON_INVITATION_REVOKED)
	})

	scenario(t, "R27 a used invitation cannot be renewed, and its link stays dead", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		made, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, ""))
		require.NoError(t, err)
		member := org.accept(t, lastSegment(made.GetLink()))
		resent, linked := renew(t, org, made.GetInvitation().GetId())
		refused(t, resent, errorv1.Reason_REASON_INVITATION_USED)
		refused(t, linked, errorv1.Reason_REASON_INVITATION_USED)
		org.remove(t, member)
		refused(t, accept(t, over, lastSegment(made.GetLink())), errorv1.Reason_REASON_INVITATION_USED)
	})

	scenario(t, "R27 an expired invitation gets another link, and the old one stays dead", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		made, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, ""))
		require.NoError(t, err)
		org.age(t, made.GetInvitation(), 8*24*time.Hour)
		refused(t, accept(t, over, lastSegment(made.GetLink())), errorv1.Reason_REASON_INVITATION_EXPIRED)
		again, err := org.owner.ResendInvitation(t.Context(), &invitationv1.ResendInvitationRequest{OrganizationId: org.ID, InvitationId: made.GetInvitation().GetId()})
		require.NoError(t, err)
		refused(t, accept(t, over, lastSegment(made.GetLink())), errorv1.Reason_REASON_INVITATION_LINK_INVALID)
		org.accept(t, lastSegment(again.GetLink()))
	})

	scenario(t, "R27 accepting and the inviter's loss of rights: one comes first, and the other sees it", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		for range 6 {
			admin := org.join(t, "admin")
			req := org.invitation(t, "")
			req.Role = "admin"
			made, err := admin.CreateInvitation(t.Context(), req)
			require.NoError(t, err)
			want := int(org.seats(t).GetUsed()) // who was pending is a member, or gone
			outcomes := atOnce(2, func(i int) error {
				if i == 0 {
					return accept(t, over, lastSegment(made.GetLink()))
				}
				_, err := org.owner.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: admin.ID, Role: "viewer"})
				return err
			})
			require.NoError(t, outcomes[1])
			if outcomes[0] != nil {
				refused(t, outcomes[0], errorv1.Reason_REASON_INVITATION_FAILED)
				want--
			}
			eventually(t, func() bool { return int(org.seats(t).GetUsed()) == want }, "as many seats as people")
			eventually(t, func() bool { return len(org.people(t, org.owner)) == want }, "the list follows")
		}
	})
}

// TestCallers proves that who is calling follows from a credential and nothing else.
func TestCallers(t *testing.T) {
	t.Parallel()
	claims := func(p *person, org string) map[string]string {
		return map[string]string{
			"x-user-id": p.ID, "x-account-id": p.ID, "x-org-id": org, "x-organization-id": org, "x-forwarded-user": p.ID, "x-remote-user": p.Email,
			"grpc-metadata-x-user-id": p.ID, "grpc-metadata-authorization": "Bearer " + p.Token, "x-roster-token": p.Token,
			"roster-session-secret": p.Token, "roster-account": p.ID, "x-internal-token": p.Token, caller.AddressHeader: "203.0.113.66",
		}
	}

	t.Run("R56 headers that name somebody make nobody, over gRPC", func(t *testing.T) {
		t.Parallel()
		ada, org := signUp(t, "gRPC"), create(t, "gRPC", portal)
		pairs := []string{}
		for name, value := range claims(org.owner, org.ID) {
			pairs = append(pairs, name, value)
		}
		ctx := metadata.AppendToOutgoingContext(t.Context(), pairs...)
		_, err := connect("gRPC", "").GetMe(ctx, &identityv1.GetMeRequest{})
		refused(t, err, errorv1.Reason_REASON_UNAUTHENTICATED)
		me, err := ada.GetMe(ctx, &identityv1.GetMeRequest{})
		require.NoError(t, err)
		require.Equal(t, ada.ID, me.GetAccount().GetId())
		_, err = ada.GetOrganization(ctx, &membershipv1.GetOrganizationRequest{OrganizationId: org.ID})
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
	})

	t.Run("R56 headers that name somebody make nobody, over REST", func(t *testing.T) {
		t.Parallel()
		ada, org := signUp(t, "REST"), create(t, "REST", portal)
		get := func(path, token string) (int, string) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, suite.URL+path, nil)
			require.NoError(t, err)
			for name, value := range claims(org.owner, org.ID) {
				req.Header.Set(name, value)
			}
			if token != "" {
				req.Header.Set("Authorization", "Bearer "+token)
			}
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			return resp.StatusCode, string(body)
		}
		status, _ := get("/v1/me", "")
		require.Equal(t, 401, status)
		status, body := get("/v1/me", ada.Token)
		require.Equal(t, 200, status)
		require.Contains(t, body, ada.ID)
		status, _ = get("/v1/organizations/"+org.ID, ada.Token)
		require.Equal(t, 404, status)
	})

	scenario(t, "R45 the request names the organization, and every call is looked at there", func(t *testing.T, over string) {
		mine, other := create(t, over, rbac), create(t, over, rbac)
		ada := mine.join(t, "admin")
		other.admit(t, ada, "member")
		rename := func(org *organization) error {
			_, err := ada.UpdateOrganization(t.Context(), &membershipv1.UpdateOrganizationRequest{
				OrganizationId: org.ID, DisplayName: unique("Renamed")})
			return err
		}
		require.NoError(t, rename(mine))
		refused(t, rename(other), errorv1.Reason_REASON_PERMISSION_MISSING)

		_, err := ada.ListRoles(t.Context(), &membershipv1.ListRolesRequest{})
		require.Contains(t, []errorv1.Reason{errorv1.Reason_REASON_VALIDATION_FAILED, errorv1.Reason_REASON_ROUTE_NOT_FOUND}, fault.ReasonOf(err),
			"no organization is never any of theirs")

		other.disable(t, ada)
		_, err = ada.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: other.ID})
		refused(t, err, errorv1.Reason_REASON_MEMBER_DISABLED)
		require.NoError(t, rename(mine))
		mine.remove(t, ada)
		refused(t, rename(mine), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		_, err = ada.GetMe(t.Context(), &identityv1.GetMeRequest{})
		require.NoError(t, err, "the session goes on")
	})

	scenario(t, "R56 a token that identity did not sign is refused", func(t *testing.T, over string) {
		for _, forged := range []string{
			"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhY2NfeCJ9.", "eyJhbGciOiJFZERTQSIsImtpZCI6IngifQ.eyJzdWIiOiJhY2NfeCIsImF1ZCI6Im1lbWJlcnNoaXAifQ.AAAA", "a.b.c",
		} {
			_, err := connect(over, forged).ListOrganizations(t.Context(), &membershipv1.ListOrganizationsRequest{})
			refused(t, err, errorv1.Reason_REASON_UNAUTHENTICATED)
		}
	})
}

// TestDatabases asks the catalogs of the databases that the suite runs on.
func TestDatabases(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T, service, query string, args ...any) (found []string) {
		t.Helper()
		rows, err := suite.owners[service].Query(t.Context(), query, args...)
		require.NoError(t, err)
		found, err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return found
	}

	t.Run("R59 a service runs as a role that owns nothing and passes no wall", func(t *testing.T) {
		t.Parallel()
		for service := range suite.owners {
			roles := []string{service, "roster_app", "roster_relay"}
			require.Empty(t, ask(t, service, `SELECT rolname FROM pg_roles WHERE rolname = ANY($1)
				AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)`, roles), service)
			require.Empty(t, ask(t, service, `SELECT c.relname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname = ANY($1)
				UNION ALL SELECT n.nspname FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner WHERE r.rolname = ANY($1)
				UNION ALL SELECT d.datname FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE r.rolname = ANY($1)
				UNION ALL SELECT p.proname FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner WHERE r.rolname = ANY($1)`, roles), service)
			require.Equal(t, []string{"roster_app", "roster_relay"}, ask(t, service, `
				SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles r ON r.oid = m.member
				WHERE r.rolname = $1 AND NOT m.admin_option ORDER BY 1`, service), service)
			require.Empty(t, ask(t, service, `SELECT datname FROM pg_database
				WHERE datname = ANY($2) AND datname <> $1 AND has_database_privilege($1, oid, 'CONNECT')`, service, []string{"membership", "invitation", "identity", "billing"}),
				"%s cannot enter the others' databases", service)
			require.Empty(t, ask(t, service, `SELECT 'create' WHERE has_schema_privilege($1, 'public', 'CREATE')
				OR has_database_privilege($1, current_database(), 'CREATE') OR has_database_privilege($1, current_database(), 'TEMP')`, service), service)
		}
	})

	t.Run("R59 the log of events can be added to and read, and only what is personal be erased", func(t *testing.T) {
		t.Parallel()
		for service := range suite.owners {
			require.Equal(t, []string{"INSERT", "SELECT"}, ask(t, service, `
				SELECT privilege_type::text FROM information_schema.table_privileges WHERE table_name = 'events' AND grantee = 'roster_app' ORDER BY 1`), service)
			require.Equal(t, []string{"personal", "personal_salt"}, ask(t, service, `
				SELECT column_name::text FROM information_schema.column_privileges
				WHERE table_name = 'events' AND grantee = 'roster_app' AND privilege_type = 'UPDATE' ORDER BY 1`), service)
			require.Equal(t, []string{"SELECT"}, ask(t, service, `
				SELECT privilege_type::text FROM information_schema.table_privileges WHERE table_name = 'events' AND grantee = 'roster_relay'`), service)
			require.Empty(t, ask(t, service, `
				SELECT table_name || ' ' || privilege_type FROM information_schema.table_privileges
				WHERE table_schema = 'public' AND (grantee IN ('PUBLIC', $1) OR privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER') AND grantee LIKE 'roster\_%')`, service), service)
		}
	})

	// What has no tenant: queues, directories that answer "whose is this?", operators, keys, and the migrations' own.
	open := []string{
		"outbox", "unsigned", "relay_lease", "history", "beats", "due", "people_search", "user_emails", "usernames", "username_fences", "sign_ups", "stranger_mails", "reset_requests", "domains", "erased", "user_handles", "passkey_challenges", "providers", "federated_identities", "managed_domains", "used_flows", "avatar_ids",
		"operators", "operator_keys", "service_accounts", "registry", "operator_claims", "signing_keys", "sealing", "core_version", "service_version", "goose_lock",
	}
	const tables = `SELECT c.relname::text FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND c.relname <> ALL($1) AND `

	t.Run("R78 every table of a tenant is under forced row-level security", func(t *testing.T) {
		t.Parallel()
		for service := range suite.owners {
			require.Empty(t, ask(t, service, tables+`NOT (c.relrowsecurity AND c.relforcerowsecurity)`, open), service)
			require.Empty(t, ask(t, service, tables+`NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd = '*'
				AND pg_get_expr(p.polqual, c.oid) LIKE '%NULLIF(current_setting(''app.a%'
				AND pg_get_expr(p.polwithcheck, c.oid) LIKE '%NULLIF(current_setting(''app.a%')`, open), "%s: USING and WITH CHECK", service)
			require.Empty(t, ask(t, service, `SELECT c.relname || '.' || p.polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
				WHERE p.polroles <> ARRAY(SELECT oid FROM pg_roles WHERE rolname = 'roster_app')
				AND NOT (p.polroles = ARRAY(SELECT oid FROM pg_roles WHERE rolname = 'roster_relay') AND (p.polcmd = 'r' AND c.relname IN ('events', 'heads')
					OR p.polcmd = 'w' AND c.relname = 'heads' AND pg_get_expr(p.polwithcheck, c.oid) = 'false' -- locks heads, and changes none
					OR p.polcmd IN ('r', 'd') AND c.relname = 'idempotency' AND pg_get_expr(p.polqual, c.oid) = '(expire_time < (now() - ''01:00:00''::interval))'
					OR p.polcmd = 'r' AND pg_get_expr(p.polqual, c.oid) = '(sealed_by IS NOT NULL)'))`),
				"%s: a policy for somebody else", service)
			require.Empty(t, ask(t, service, `SELECT c.relname || '.' || p.polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
				WHERE pg_get_expr(p.polqual, c.oid) NOT LIKE '%NULLIF(current_setting(''app.a%'
				AND p.polroles = ARRAY(SELECT oid FROM pg_roles WHERE rolname = 'roster_app')`), "%s: a policy that asks nothing", service)
			require.Empty(t, ask(t, service, `SELECT relname::text FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace = 'public'::regnamespace
				AND NOT coalesce(reloptions @> '{security_invoker=true}', false)`), "%s: views pass the wall", service)
		}
	})

	t.Run("R54 what is sealed names its key, and is sealed anew or runs out", func(t *testing.T) {
		t.Parallel()
		sealed := []string{"factors.sealed_secret", "providers.sealed_secret", "signing_keys.sealed_seed", "invitations.sealed_token", "mails.payload"}
		other := map[string]string{ // and why it is not in that list, or not sealed
			"idempotency.response":             "sealed; runs out after a day",
			"invitations.sealed_password":      "sealed by identity, until the account is made; one that does not open is asked for again",
			"identity_providers.sealed_secret": "sealed by identity, on its way there",
		}
		for _, column := range []string{"secret_hash", "token_hash", "code_hash", "body_hash", "personal_hash", "prev_hash", "hash"} {
			other[column] = "a hash"
		}
		for _, column := range []string{"public_key", "credential_id", "handle", "challenge", "sealed_by", "head"} {
			other[column] = "public, or says nothing"
		}
		for _, column := range []string{"data", "personal", "personal_salt", "content"} {
			other[column] = "a history, or a picture"
		}
		for service := range suite.owners {
			columns := ask(t, service, `SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
				WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.atttypid = 'bytea'::regtype AND NOT a.attisdropped`)
			for _, column := range columns {
				table, name, _ := strings.Cut(column, ".")
				if slices.Contains(sealed, column) {
					require.Contains(t, columns, table+".sealed_by", "%s.%s", service, column)
					require.Equal(t, []string{"false"}, ask(t, service, `SELECT has_column_privilege('roster_relay', $1, $2, 'SELECT')::text`, table, name),
						"%s.%s: who looks for older keys reads no value", service, column)
					continue
				}
				require.True(t, other[column] != "" || other[name] != "", "%s.%s is sealed anew when a key is turned, or why not?", service, column)
			}
			require.Empty(t, ask(t, service, `SELECT 'old' FROM mails, sealing WHERE sealed_by <> head`), service)
		}
	})

	t.Run("R78 keys and references of a tenant's table hold the tenant", func(t *testing.T) {
		t.Parallel()
		for service := range suite.owners {
			// Foreign keys and uniqueness are checked past row-level security, so that the tenant must be in them.
			keys := ask(t, service, `
				SELECT c.relname || ' (' || string_agg(a.attname, ', ' ORDER BY k.n) || ')'
				FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
				CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k (attnum, n) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
				WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace AND c.relname <> ALL($1)
				GROUP BY c.relname, i.indexrelid`, open)
			require.NotEmpty(t, keys)
			references := ask(t, service, `
				SELECT c.relname || ' (' || string_agg(a.attname, ', ' ORDER BY k.n) || ')'
				FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid
				CROSS JOIN LATERAL unnest(f.conkey) WITH ORDINALITY k (attnum, n) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
				WHERE f.contype = 'f' AND c.relname <> ALL($1)
				GROUP BY c.relname, f.oid`, open)
			for _, key := range append(keys, references...) {
				columns := strings.Split(strings.TrimSuffix(key[strings.Index(key, "(")+1:], ")"), ", ")
				tenant := slices.ContainsFunc(columns, func(c string) bool {
					return c == "organization_id" || c == "aggregate_id" || service == "identity" && (c == "account_id" || key == "accounts (id)") ||
						key == "sent_today (subject_id)" || // an organization or an inviter
						key == "factors (credential_id)" || // an authenticator's key is one account's
						key == "account_factors (account_id)" || key == "unproven_accounts (account_id)" // what membership heard of an account is a row of its own
				})
				require.True(t, tenant, "%s: %s", service, key)
			}
		}
	})

	t.Run("R78 who says no tenant sees no row", func(t *testing.T) {
		t.Parallel()
		create(t, "gRPC", pipeline).join(t, "developer") // so that there is something to see
		for service, pool := range suite.owners {
			all := ask(t, service, tables+`true`, open)
			seen := 0
			for _, table := range all {
				var rows int
				require.NoError(t, pool.QueryRow(t.Context(), fmt.Sprintf(`SELECT count(*) FROM %s`, table)).Scan(&rows))
				seen += rows
			}
			require.Positive(t, seen, "the owner sees the rows of %s", service)
			config := pool.Config().ConnConfig.Copy()
			config.User, config.RuntimeParams["role"] = service, "roster_app"
			runtime, err := pgx.ConnectConfig(t.Context(), config)
			require.NoError(t, err)
			defer runtime.Close(t.Context())
			for _, table := range all {
				var rows int
				err := runtime.QueryRow(t.Context(), fmt.Sprintf(`SELECT count(*) FROM %s`, table)).Scan(&rows)
				require.NoError(t, err, "%s.%s", service, table)
				require.Zero(t, rows, "%s.%s", service, table)
			}
		}
	})
}

// TestScopes proves that what is remembered is remembered of whom it belongs to.
func TestScopes(t *testing.T) {
	t.Parallel()

	scenario(t, "R79 one request id means something else in every organization, of everybody, and in every method", func(t *testing.T, over string) {
		request := unique("request")
		org, other := create(t, over, pipeline), create(t, over, pipeline)
		admin := org.join(t, "admin")
		made := map[string]bool{}
		for _, by := range []struct {
			in  *organization
			who *person
		}{{org, org.owner}, {org, admin}, {other, other.owner}} {
			req := by.in.invitation(t, "")
			req.RequestId = request
			answer, err := by.who.CreateInvitation(t.Context(), req)
			require.NoError(t, err)
			require.Equal(t, by.in.ID, answer.GetInvitation().GetOrganizationId())
			made[answer.GetInvitation().GetId()] = true
			revoked, err := by.who.RevokeInvitation(t.Context(), &invitationv1.RevokeInvitationRequest{
				OrganizationId: by.in.ID, InvitationId: answer.GetInvitation().GetId(), RequestId: request})
			require.NoError(t, err)
			require.Equal(t, invitationv1.Invitation_STATE_REVOKED, revoked.GetInvitation().GetState())
		}
		require.Len(t, made, 3)
	})

	t.Run("R79 every subject ends with whom the event is about", func(t *testing.T) {
		t.Parallel()
		org := create(t, "gRPC", pipeline)
		org.join(t, "developer")
		until := map[string]int64{}
		for _, service := range []string{"membership", "invitation", "billing"} {
			until[service] = org.revision(t, service)
		}
		heard := listen(t, org.ID, until)
		require.NotEmpty(t, heard)
		for _, event := range heard {
			require.Equal(t, org.ID, event.Aggregate)
			require.True(t, strings.HasSuffix(event.Subject, "."+org.ID), event.Subject)
		}
	})
}

// TestNothingIsUsedTwice proves that what is gone leaves its name behind.
func TestNothingIsUsedTwice(t *testing.T) {
	t.Parallel()

	scenario(t, "R80 an organization that was deleted is never there again", func(t *testing.T, over string) {
		owner := signUp(t, over)
		gone := createBy(t, owner, flat)
		_, err := owner.DeleteOrganization(t.Context(), &membershipv1.DeleteOrganizationRequest{OrganizationId: gone.ID})
		require.NoError(t, err)
		made, err := owner.CreateOrganization(t.Context(), &membershipv1.CreateOrganizationRequest{DisplayName: gone.Name, Preset: flat})
		require.NoError(t, err)
		require.NotEqual(t, gone.ID, made.GetOrganization().GetId())
		_, err = owner.GetOrganization(t.Context(), &membershipv1.GetOrganizationRequest{OrganizationId: gone.ID})
		refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		var tombstones int
		require.NoError(t, suite.owners["membership"].QueryRow(t.Context(),
			`SELECT count(*) FROM organizations WHERE organization_id = $1 AND state = 'DELETED'`, uuidOf(t, gone.ID)).Scan(&tombstones))
		require.Equal(t, 1, tombstones, "its id is taken for ever")
	})

	scenario(t, "R80 who comes back gets another seat by another invitation", func(t *testing.T, over string) {
		org := create(t, over, portal)
		email := unique("grace") + "@example.com"
		first := org.invite(t, email, "member")
		link := mailLink(t, email, "/invite/")
		member := org.accept(t, link)
		org.remove(t, member)
		second := org.invite(t, email, "member")
		require.NotEqual(t, first.GetInvitation().GetId(), second.GetInvitation().GetId())
		_, err := member.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: newLink(t, email, link)})
		require.NoError(t, err)
		var seats int
		require.NoError(t, suite.owners["billing"].QueryRow(t.Context(),
			`SELECT count(DISTINCT seat_id) FROM seats WHERE organization_id = $1`, uuidOf(t, org.ID)).Scan(&seats))
		require.Equal(t, 3, seats, "the owner's and two of the member")
	})

	scenario(t, "R80 a username stays its account's when the membership has ended", func(t *testing.T, over string) {
		org, other := create(t, over, pipeline), create(t, over, pipeline)
		req := org.invitation(t, "")
		made, err := org.owner.CreateInvitation(t.Context(), req)
		require.NoError(t, err)
		org.remove(t, org.accept(t, lastSegment(made.GetLink())))
		for _, o := range []*organization{org, other} {
			again := o.invitation(t, "")
			again.Username = strings.ToUpper(req.GetUsername())
			_, err = o.owner.CreateInvitation(t.Context(), again)
			refused(t, err, errorv1.Reason_REASON_USERNAME_TAKEN)
		}
	})
}
