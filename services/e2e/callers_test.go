package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rosterhq/roster/pkg/fault"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/e2e/callers"
)

// kinds are who calls: the preset of the organization, and the role there. Whoever has no role is no member.
var kinds = map[string]struct {
	preset membershipv1.Preset
	role   string
}{
	"owner": {pipeline, "owner"}, "admin": {pipeline, "admin"}, "developer": {pipeline, "developer"}, "viewer": {pipeline, "viewer"},
	"portal-admin": {portal, "admin"}, "portal-member": {portal, "member"},
	"rbac-member": {rbac, "member"}, "custom": {rbac, "recruiter"},
	"flat":     {flat, "member"},
	"disabled": {pipeline, "developer"}, "foreign": {preset: pipeline}, "anonymous": {preset: pipeline}, "operator": {preset: pipeline},
	"platform": {preset: pipeline}, "reporter": {preset: pipeline},
	"program": {preset: pipeline}, "idle": {preset: pipeline}, "stray": {preset: pipeline},
}

// TestMatrix calls every method as every kind of caller, and holds what is answered to the table in callers/callers.txt. What
// is refused leaves no trace in the organization's history.
func TestMatrix(t *testing.T) {
	t.Parallel()
	listed, rows, err := callers.Table()
	require.NoError(t, err)
	named := make(map[string]method)
	for _, m := range methods() {
		named[string(m.Name())] = m
	}
	each(t, func(t *testing.T, over string) {
		host, other := signUp(t, over), signUp(t, over)
		for _, kind := range listed {
			require.Contains(t, kinds, kind)
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				org, token, values := scene(t, kind, host, signUp(t, over), other) // another caller each, who signs out everywhere else
				conn := wire(over, token)
				for _, row := range rows {
					m, known := named[row.Method]
					require.True(t, known, row.Method)
					if !m.over(over) {
						continue
					}
					before := org.revision(t, "membership")
					answer, err := "ok", m.ask(t, conn, row.Request, values)
					if err != nil {
						answer = strings.TrimPrefix(fault.ReasonOf(err).String(), "REASON_")
						require.Equal(t, before, org.revision(t, "membership"), row.Method)
					}
					if answer != row.Answers[kind] {
						t.Errorf("%s by %s is %s, and callers/callers.txt says %s: %v", row.Method, kind, answer, row.Answers[kind], err)
					}
				}
			})
		}
	})
}

// ask calls the method with a row's request, and returns how it was refused.
func (m method) ask(t *testing.T, conn grpc.ClientConnInterface, text string, values map[string]string) error {
	t.Helper()
	values["new"] = unique("new")
	for name, value := range values {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	request, answer := messageOf(t, m.Input()), messageOf(t, m.Output())
	require.NoError(t, protojson.Unmarshal([]byte(text), request), "%s: %s", m.Name(), text)
	for name, value := range values {
		field := m.Input().Fields().ByName(protoreflect.Name(name))
		if field != nil && !field.IsList() && !strings.Contains(text, `"`+field.JSONName()+`"`) {
			request.ProtoReflect().Set(field, protoreflect.ValueOfString(value))
		}
	}
	return conn.Invoke(t.Context(), m.path(), request, answer)
}

// scene makes an organization in which the caller is of that kind, with one of everything that requests name.
func scene(t *testing.T, kind string, host, caller, other *person) (org *organization, token string, values map[string]string) {
	t.Helper()
	ctx, is := t.Context(), kinds[kind]
	by := host
	if is.role == "owner" {
		by = caller
	}
	org = createBy(t, by, is.preset)
	spare := createBy(t, by, is.preset)
	for _, o := range []*organization{org, spare} {
		o.amend(t, `{"groups": true, "projects": true, "availability": true, "custom_roles": true}`)
		if kind == "custom" {
			// The matrix takes long, and a dangerous permission asks for a proof of late.
			again := &organization{ID: o.ID, owner: signIn(t, by.transport, by.Email)}
			again.shape(t, "Recruiter", "members.read", "invitations.create", "invitations.read", "audit.read", "domains.manage", "org.read")
		}
		if is.role != "owner" && is.role != "" {
			o.admit(t, caller, is.role)
		}
		if kind == "disabled" {
			o.disable(t, caller)
		}
	}
	role := org.everyday(t)
	if kind == "program" {
		role = "viewer" // who may no more than a program
	}
	org.admit(t, other, role)
	domain := org.addDomain(t)
	suite.DNS.Set(domain.GetRecordName(), domain.GetRecordValue())
	rotation, err := by.CreateRotation(ctx, &membershipv1.CreateRotationRequest{OrganizationId: org.ID, DisplayName: "Pager", TimeZone: "UTC",
		StartTime: in(time.Hour), Turn: &membershipv1.Every{Count: 1}, Participants: []string{other.ID}})
	require.NoError(t, err)
	invited := org.invite(t, unique("invited")+"@example.com", org.everyday(t))

	program := org.program(t, "org.read")
	proven := &organization{ID: org.ID, owner: signIn(t, by.transport, by.Email)} // the matrix takes longer than a proof of who is there lasts
	key := proven.programKey(t, program)

	session := signIn(t, caller.transport, caller.Email)
	values = map[string]string{
		"organization_id": org.ID, "spare": spare.ID,
		"account_id": other.ID, "email_of_other": other.Email, "password_of_all": password, "username_here": org.username(t),
		"role_of_none": org.shape(t, "Doomed").GetId(), "role_id": org.shape(t, "Helper", "org.read").GetId(),
		"group_id": org.group(t, "Group").GetId(), "project_id": org.project(t, "Project").GetId(), "domain": domain.GetName(),
		"invitation_id": invited.GetInvitation().GetId(), "rotation_id": rotation.GetRotation().GetId(),
		"provider_id":        proven.identityProvider(t, false).GetId(),
		"override_id":        org.override(t, other, available, time.Hour, 2*time.Hour).GetId(),
		"session_id":         sessionOf(t, signIn(t, caller.transport, caller.Email)),
		"service_account_id": program, "api_key_id": key.GetApiKey().GetId(),
		"now": time.Now().UTC().Format(time.RFC3339), "soon": time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "later": time.Now().Add(2 * time.Hour).UTC().Format(time.RFC3339),
	}
	switch kind {
	case "anonymous":
		return org, "", values
	case "operator":
		return org, suite.operator, values
	case "platform":
		_, made := platform(t, caller.transport, "access.check", "availability.report", "sessions.introspect")
		return org, made.GetSecret(), values
	case "reporter":
		_, made := platform(t, caller.transport, "availability.report")
		return org, made.GetSecret(), values
	case "program":
		return org, proven.programKey(t, proven.program(t, serviceable...)).GetSecret(), values
	case "idle":
		return org, proven.programKey(t, proven.program(t, "resources.read")).GetSecret(), values
	case "stray":
		elsewhere := &organization{ID: spare.ID, owner: proven.owner}
		return org, elsewhere.programKey(t, elsewhere.program(t, serviceable...)).GetSecret(), values
	}
	return org, session.Token, values
}

// serviceable is all that a service account of an organization may be for.
var serviceable = []string{"audit.read", "domains.read", "groups.read", "members.activity.read", "members.contact.read", "members.read", "members.sessions.read",
	"org.read", "org.update", "policy.read", "products.use", "projects.manage", "projects.read", "resources.read", "resources.write", "roles.read", "service_accounts.read"}

// sessionOf is the id of the session that somebody calls with.
func sessionOf(t *testing.T, who *person) string {
	t.Helper()
	live, err := who.ListSessions(t.Context(), &identityv1.ListSessionsRequest{})
	require.NoError(t, err)
	for _, session := range live.GetSessions() {
		if session.GetCurrent() {
			return session.GetId()
		}
	}
	require.Fail(t, "no session is the current one")
	return ""
}

// admit makes somebody with an account a member, by a link that is handed over.
func (o *organization) admit(t *testing.T, who *person, role string) {
	t.Helper()
	o.amend(t, `{"link_invites": true}`)
	invited := o.invite(t, who.Email, role)
	linked, err := o.owner.CreateInvitationLink(t.Context(), &invitationv1.CreateInvitationLinkRequest{
		OrganizationId: o.ID, InvitationId: invited.GetInvitation().GetId()})
	require.NoError(t, err)
	_, err = who.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{LinkToken: lastSegment(linked.GetLink())})
	require.NoError(t, err)
	o.settled(t, invited.GetInvitation().GetId())
}
