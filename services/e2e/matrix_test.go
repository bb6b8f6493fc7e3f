package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/rosterhq/roster/pkg/fault"
	accessv1 "github.com/rosterhq/roster/pkg/gen/roster/access/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/rest"
)

// method is an RPC as its proto tells it.
type method struct {
	protoreflect.MethodDescriptor
	rule *accessv1.Rule
}

func (m method) path() string { return fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()) }

// methods are all that the suite has.
func methods() (all []method) {
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			of := file.Services().Get(i).Methods()
			for j := range of.Len() {
				if rule, ok := proto.GetExtension(of.Get(j).Options(), accessv1.E_Rule).(*accessv1.Rule); ok && rule != nil {
					all = append(all, method{of.Get(j), rule})
				}
			}
		}
		return true
	})
	return all
}

// over tells whether a transport carries the method at all.
func (m method) over(transport string) bool {
	return transport != "REST" || proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule).GetPattern() != nil
}

// call calls the method with a request of the given fields, and returns what was answered.
func (m method) call(t *testing.T, conn grpc.ClientConnInterface, fields map[string]string) (proto.Message, error) {
	t.Helper()
	request, answer := messageOf(t, m.Input()), messageOf(t, m.Output())
	fill(request.ProtoReflect(), fields)
	return answer, conn.Invoke(t.Context(), m.path(), request, answer)
}

// fill sets the fields of a message by their names, and those of one message in each of its lists.
func fill(m protoreflect.Message, fields map[string]string) {
	for i := range m.Descriptor().Fields().Len() {
		field := m.Descriptor().Fields().Get(i)
		value, given := fields[string(field.Name())]
		switch {
		case field.IsList() && field.Kind() == protoreflect.MessageKind:
			fill(m.Mutable(field).List().AppendMutable().Message(), fields)
		case !given:
		case field.IsList():
			m.Mutable(field).List().Append(protoreflect.ValueOfString(value))
		case field.Kind() == protoreflect.StringKind:
			m.Set(field, protoreflect.ValueOfString(value))
		}
	}
}

func messageOf(t *testing.T, descriptor protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.FullName())
	require.NoError(t, err)
	return kind.New().Interface()
}

// idFields are the fields of a request, and of what it lists, that name something.
func (m method) idFields() []string { return idsIn(m.Input()) }

func idsIn(message protoreflect.MessageDescriptor) (names []string) {
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		name := string(field.Name())
		switch {
		case field.IsList() && field.Kind() == protoreflect.MessageKind:
			names = append(names, idsIn(field.Message())...)
		case (strings.HasSuffix(name, "_id") || strings.HasSuffix(name, "_ids")) && name != "request_id" && name != "client_id": // that is a provider's word for us
			names = append(names, name)
		}
	}
	return names
}

// TestForeignIDs calls every method with every id that it takes, once of another organization and once of nothing. It
// is made from the protos: a new method is part of it, and a new kind of id fails until it is told what that is.
func TestForeignIDs(t *testing.T) {
	t.Parallel()

	scenario(t, "R77 whatever is foreign looks like what does not exist, in every method and every id, and stays as it is", func(t *testing.T, over string) {
		org, other := create(t, over, pipeline), create(t, over, pipeline)
		mine, theirs := org.join(t, "developer"), other.join(t, "developer")
		own, err := org.owner.CreateInvitation(t.Context(), org.invitation(t, "")) // by link: no mail is on its way
		require.NoError(t, err)
		pending, err := other.owner.CreateInvitation(t.Context(), other.invitation(t, ""))
		require.NoError(t, err)
		for _, o := range []*organization{org, other} {
			eventually(t, func() bool { return o.events(t, "invitation", "invitation.sent") == 1 }, "the member's mail is noted")
			o.shown(t)
		}
		sessions, err := theirs.ListSessions(t.Context(), &identityv1.ListSessionsRequest{})
		require.NoError(t, err)
		session := signIn(t, over, org.owner.Email)
		live, err := session.ListSessions(t.Context(), &identityv1.ListSessionsRequest{})
		require.NoError(t, err)

		group, foreign := org.group(t, "Group"), other.group(t, "Group")
		for _, o := range []*organization{org, other} {
			o.amend(t, `{"projects": true}`)
		}
		project, foreignProject := org.project(t, "Project"), other.project(t, "Project")

		type values struct{ own, foreign, absent string }
		ownFactor, err := org.owner.BeginTotp(t.Context(), &identityv1.BeginTotpRequest{})
		require.NoError(t, err)
		foreignFactor, err := theirs.BeginTotp(t.Context(), &identityv1.BeginTotpRequest{})
		require.NoError(t, err)
		ids := map[string]values{
			"organization_id":    {org.ID, other.ID, id.NewOrganization().String()},
			"account_id":         {mine.ID, theirs.ID, id.NewAccount().String()},
			"owner_account_id":   {mine.ID, theirs.ID, id.NewAccount().String()},
			"account_ids":        {mine.ID, theirs.ID, id.NewAccount().String()},
			"invitation_id":      {own.GetInvitation().GetId(), pending.GetInvitation().GetId(), id.NewInvitation().String()},
			"group_id":           {group.GetId(), foreign.GetId(), id.NewGroup().String()},
			"parent_group_id":    {"", foreign.GetId(), id.NewGroup().String()},
			"project_id":         {project.GetId(), foreignProject.GetId(), id.NewProject().String()},
			"role_id":            {org.role(t, "viewer").GetId(), other.role(t, "viewer").GetId(), id.NewRole().String()},
			"override_id":        {id.NewOverride().String(), id.NewOverride().String(), id.NewOverride().String()},
			"provider_id":        {org.identityProvider(t, false).GetId(), other.identityProvider(t, false).GetId(), id.NewProvider().String()},
			"service_account_id": {org.program(t, "org.read"), other.program(t, "org.read"), id.NewServiceAccount().String()},
			"rotation_id":        {id.NewRotation().String(), id.NewRotation().String(), id.NewRotation().String()},
			"session_id":         {live.GetSessions()[0].GetId(), sessions.GetSessions()[0].GetId(), id.NewSession().String()},
			"factor_id":          {ownFactor.GetFactorId(), foreignFactor.GetFactorId(), id.NewFactor().String()},
			"api_key_id":         {apiKey(t, session.client, "org.read").GetApiKey().GetId(), apiKey(t, theirs.client, "org.read").GetApiKey().GetId(), id.NewAPIKey().String()},
		}
		fields := map[string]string{
			"email": "x@example.com", "username": "x", "display_name": "x", "role": "viewer", "permission": "org.read", "permissions": "org.read", "reason": "x", "domain": "x.example",
			"code": "000000", "flow": "x", "state": "x", "issuer": "https://login.example", "client_id": "x",
		}
		for name, value := range ids {
			fields[name] = value.own
		}
		before := other.everything(t)
		conn := wire(over, org.owner.Token)
		for _, m := range methods() {
			if !m.over(over) {
				continue
			}
			if m.rule.GetCaller() == accessv1.Rule_CALLER_SERVICE {
				_, err := m.call(t, conn, fields)
				refused(t, err, errorv1.Reason_REASON_ROUTE_NOT_FOUND)
				continue
			}
			for _, name := range m.idFields() {
				value, known := ids[name]
				require.True(t, known, "%s takes a %s: what is a foreign one?", m.FullName(), name)
				with := func(value string) (proto.Message, error) {
					changed := make(map[string]string)
					for name, value := range fields {
						changed[name] = value
					}
					changed[name] = value
					return m.call(t, conn, changed)
				}
				foreign, refusal := with(value.foreign)
				absent, other := with(value.absent)
				if name == "account_ids" { // each is answered by itself
					refusal, other = onlyResult(t, foreign, value.foreign, refusal), onlyResult(t, absent, value.absent, other)
				}
				what := fmt.Sprintf("%s with a foreign %s", m.FullName(), name)
				require.True(t, proto.Equal(foreign, absent), "%s: %v and %v", what, foreign, absent)
				require.Equal(t, said(refusal), said(other), what)
				switch {
				case m.rule.GetCaller() == accessv1.Rule_CALLER_OPERATOR:
					refused(t, refusal, errorv1.Reason_REASON_CALLER_REFUSED)
				case strings.HasSuffix(string(m.FullName()), "Access") && name == "account_id":
					require.NoError(t, refusal) // who is no member may nothing: that is its answer
				case m.FullName().Name() == "ListSignInProviders":
					require.NoError(t, refusal) // strangers ask it: what there is not has none
				default:
					require.True(t, strings.HasSuffix(fault.ReasonOf(refusal).String(), "_NOT_FOUND"), "%s: %v", what, refusal)
				}
			}
		}
		require.Equal(t, before, other.everything(t))
		_, err = theirs.GetMe(t.Context(), &identityv1.GetMeRequest{})
		require.NoError(t, err, "their session lives")
	})
}

// onlyResult takes the refusal of the one member of a bulk call out of its answer.
func onlyResult(t *testing.T, answer proto.Message, account string, err error) error {
	t.Helper()
	require.NoError(t, err)
	bulk, ok := answer.(interface {
		GetResults() []*membershipv1.MemberResult
	})
	require.True(t, ok, "%T answers for each account", answer)
	require.Len(t, bulk.GetResults(), 1)
	result := bulk.GetResults()[0]
	require.Equal(t, account, result.GetAccountId())
	refusal := status.FromProto(result.GetError()).Err()
	proto.Reset(result) // the rest is compared
	return refusal
}

// said is all that a refusal tells.
func said(err error) string {
	var overHTTP *rest.Error
	f := fault.From(err)
	if f == nil {
		return fmt.Sprint(err)
	}
	errors.As(err, &overHTTP)
	return fmt.Sprint(f.Reason, f.Message, f.Metadata, overHTTP != nil && overHTTP.HTTPStatus == http.StatusNotFound)
}

// everything is all that the databases hold of an organization, by table, but for what services note by themselves a while
// after a call, such as copies of events; the events themselves are there.
func (o *organization) everything(t *testing.T) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	for service, pool := range suite.owners {
		rows, err := pool.Query(t.Context(), `
			SELECT table_name, min(column_name) FROM information_schema.columns
			WHERE table_schema = 'public' AND column_name IN ('organization_id', 'aggregate_id') AND table_name <> ALL ($1)
			GROUP BY table_name`, []string{"outbox", "unsigned", "due", "positions", "audit_events", "audit_targets"})
		require.NoError(t, err)
		columns := make(map[string]string)
		for rows.Next() {
			var table, column string
			require.NoError(t, rows.Scan(&table, &column))
			columns[table] = column
		}
		require.NoError(t, rows.Err())
		for table, column := range columns {
			rows, err := pool.Query(t.Context(), fmt.Sprintf(`SELECT (to_jsonb(r) - 'activity_time' - 'account_create_time')::text FROM %s r WHERE %s = $1 ORDER BY 1`, table, column), uuidOf(t, o.ID))
			require.NoError(t, err)
			for rows.Next() {
				var row string
				require.NoError(t, rows.Scan(&row))
				found[service+"."+table] = append(found[service+"."+table], row)
			}
			require.NoError(t, rows.Err())
		}
	}
	require.Contains(t, found, "membership.members")
	require.True(t, slices.ContainsFunc(found["invitation.invitations"], func(row string) bool { return strings.Contains(row, "PENDING") }))
	return found
}
