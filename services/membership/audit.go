package membership

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/events"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// auditEventOf reads from an event what the audit view shows. It goes by the JSON alone, so that an event of a type that
// this version does not know is shown as well.
func auditEventOf(e events.Event) (store.AuditEvent, error) {
	key, err := id.ParseEvent(e.ID)
	if err != nil {
		return store.AuditEvent{}, fmt.Errorf("id of %s %q: %w", e.Type, e.ID, err)
	}
	var told map[string]json.RawMessage
	if err := json.Unmarshal(e.Data, &told); err != nil {
		return store.AuditEvent{}, fmt.Errorf("data of %s %s: %w", e.Type, e.ID, err)
	}
	var context eventv1.Context
	var personal eventv1.Personal
	var reason string
	var query eventv1.AuditQuery // of an export
	lenient := protojson.UnmarshalOptions{DiscardUnknown: true}
	if text := told["context"]; text != nil {
		err = lenient.Unmarshal(text, &context)
	}
	if text := told["personal"]; text != nil && err == nil {
		if err = lenient.Unmarshal(text, &personal); err == nil && e.Type == "organization.audit_exported" {
			err = lenient.Unmarshal(text, &query)
		}
	}
	if text := told["reason"]; text != nil && err == nil {
		err = json.Unmarshal(text, &reason)
	}
	if err != nil {
		return store.AuditEvent{}, fmt.Errorf("data of %s %s: %w", e.Type, e.ID, err)
	}
	for _, column := range []string{"context", "personal", "reason"} {
		delete(told, column)
	}
	data, err := json.Marshal(told)
	if err != nil {
		return store.AuditEvent{}, err
	}
	a := store.AuditEvent{
		ID: key, Time: e.Time, Service: e.Service, Revision: e.Revision, Type: e.Type, Targets: idsIn(data),
		ActorKind: strings.TrimPrefix(context.GetActor().GetKind().String(), "KIND_"), ActorID: context.GetActor().GetId(),
		Cause: strings.TrimPrefix(context.GetCause().GetKind().String(), "KIND_"), CauseID: context.GetCause().GetId(),
		Reason: clean(reason), RequestID: context.GetRequestId(), TraceID: e.TraceID, Data: data,
	}
	p := personFromEvent(&personal)
	about := store.AuditPersonal{DisplayName: p.DisplayName, Email: p.Email, Username: p.Username, ClientAddress: personal.GetClientAddress(),
		Query: clean(query.GetQuery())}
	if about != (store.AuditPersonal{}) {
		a.Personal = &about
	}
	return a, nil
}

// anID is an id within JSON.
var anID = regexp.MustCompile(`"([a-z]{2,5}_[0-9a-hjkmnp-tv-z]{26})"`)

// idsIn returns all ids that stand in JSON, each once.
func idsIn(data []byte) []string {
	found := []string{}
	for _, match := range anID.FindAllSubmatch(data, -1) {
		found = append(found, string(match[1]))
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// thing returns what an id names that has a name: an account, an invitation, a role, a group, a project or a service
// account.
func thing(text string) (id.Any, bool) {
	if account, err := id.ParseAccount(text); err == nil {
		return id.Any(account), true
	}
	if invitation, err := id.ParseInvitation(text); err == nil {
		return id.Any(invitation), true
	}
	if role, err := id.ParseRole(text); err == nil {
		return id.Any(role), true
	}
	if group, err := id.ParseGroup(text); err == nil {
		return id.Any(group), true
	}
	if project, err := id.ParseProject(text); err == nil {
		return id.Any(project), true
	}
	if program, err := id.ParseServiceAccount(text); err == nil {
		return id.Any(program), true
	}
	return id.Any{}, false
}

// thingsIn returns what the events name that has a name.
func thingsIn(found []store.AuditEvent) (things []id.Any) {
	for _, e := range found {
		for _, text := range append([]string{e.ActorID}, e.Targets...) {
			if one, ok := thing(text); ok && !slices.Contains(things, one) {
				things = append(things, one)
			}
		}
	}
	return things
}

// unnamed returns the accounts that the events name and that have no name yet.
func unnamed(found []store.AuditEvent, names map[id.Any]string) (accounts []id.Account) {
	for _, e := range found {
		for _, text := range append([]string{e.ActorID}, e.Targets...) {
			account, err := id.ParseAccount(text)
			if _, named := names[id.Any(account)]; err == nil && !named && !slices.Contains(accounts, account) {
				accounts = append(accounts, account)
			}
		}
	}
	return accounts
}

// auditEventToProto shows an event to somebody who may see addresses, or not.
func auditEventToProto(e store.AuditEvent, names map[id.Any]string, contacts bool) (*membershipv1.AuditEvent, error) {
	nameOf := func(text string) string {
		one, _ := thing(text)
		return names[one]
	}
	p := &membershipv1.AuditEvent{
		Id: e.ID.String(), Type: e.Type, Time: timestamppb.New(e.Time), Service: e.Service, Revision: e.Revision,
		Actor: &membershipv1.AuditEvent_Actor{
			Kind: membershipv1.AuditEvent_Actor_Kind(membershipv1.AuditEvent_Actor_Kind_value["KIND_"+e.ActorKind]),
			Id:   e.ActorID, DisplayName: nameOf(e.ActorID),
		},
		Reason: e.Reason, CauseId: e.CauseID, RequestId: e.RequestID, TraceId: e.TraceID,
	}
	if e.Cause != "UNSPECIFIED" {
		p.Cause = e.Cause
	}
	for _, target := range e.Targets {
		p.Targets = append(p.Targets, &membershipv1.AuditEvent_Target{Id: target, DisplayName: nameOf(target)})
	}
	if e.Personal != nil {
		p.DisplayName, p.Username, p.ClientAddress = e.Personal.DisplayName, e.Personal.Username, e.Personal.ClientAddress
		if contacts {
			p.Email = e.Personal.Email
		}
	}
	told := &structpb.Struct{}
	if err := protojson.Unmarshal(e.Data, told); err != nil {
		return nil, fmt.Errorf("audit event %s: %w", e.ID, err)
	}
	if p.Result = membershipv1.AuditEvent_RESULT_SUCCEEDED; e.Type == denied {
		p.Result, p.Method = membershipv1.AuditEvent_RESULT_DENIED, told.GetFields()["method"].GetStringValue()
		delete(told.GetFields(), "method")
	}
	p.Before, p.After = told.GetFields()["before"], told.GetFields()["after"]
	if contacts && e.Personal != nil && e.Personal.Query != "" {
		told.Fields["query"] = structpb.NewStringValue(e.Personal.Query)
	}
	delete(told.GetFields(), "before")
	delete(told.GetFields(), "after")
	switch {
	case len(told.GetFields()) == 0:
	case p.Before == nil && p.After == nil && e.Type != denied:
		p.After = structpb.NewStructValue(told)
	default:
		p.Details = told
	}
	return p, nil
}
