package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
)

// The history that the examples are from.
var (
	exampleTime         = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	exampleOrganization = id.Organization(uuid(1))
	exampleAccount      = id.Account(uuid(2))
	exampleTrace        = "4bf92f3577b34da6a3ce929d0e0e4736"
)

// uuid is a UUIDv7 of the time of the examples.
func uuid(last byte) [16]byte {
	ms := exampleTime.UnixMilli()
	return [16]byte{byte(ms >> 40), byte(ms >> 32), byte(ms >> 24), byte(ms >> 16), byte(ms >> 8), byte(ms), 0x70, 0, 0x80, 15: last}
}

// exampleOf is an event as the outbox publishes it.
func exampleOf(of protoreflect.MessageDescriptor, name, service string) (object, error) {
	message := dynamicpb.NewMessage(of)
	fill(message, name)
	loose, err := protojson.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("example of %s: %w", name, err)
	}
	var data bytes.Buffer
	if err := json.Compact(&data, loose); err != nil {
		return nil, fmt.Errorf("example of %s: %w", name, err)
	}
	before, hash := sha256.Sum256(nil), sha256.Sum256(data.Bytes())
	entry := outbox.Entry{
		Aggregate: id.Any(exampleOrganization), Revision: 9, Epoch: 1, ID: id.Event(uuid(3)), Type: name, Time: exampleTime,
		Data: data.Bytes(), TraceID: exampleTrace, PrevHash: before[:], Hash: hash[:],
	}
	if service == "identity" {
		entry.Aggregate = id.Any(exampleAccount)
	}
	msg, err := entry.Message(service)
	if err != nil {
		return nil, err
	}
	said := object{}
	for header := range msg.Header {
		said[header] = msg.Header.Get(header)
	}
	return object{"headers": said, "payload": json.RawMessage(msg.Data)}, nil
}

// fill gives every field a value that could be.
func fill(message protoreflect.Message, event string) {
	_, verb, _ := strings.Cut(event, ".")
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		switch {
		case field.IsList() && field.Message() == nil:
			message.Mutable(field).List().Append(protoreflect.ValueOfString(word(field, verb)))
		case field.IsList():
			fill(message.Mutable(field).List().AppendMutable().Message(), event)
		case field.Message() != nil && field.Message().FullName() == "google.protobuf.Timestamp":
			at := message.Mutable(field).Message()
			at.Set(at.Descriptor().Fields().ByName("seconds"), protoreflect.ValueOfInt64(exampleTime.Unix()))
		case field.Message() != nil && field.Name() == "before":
			fill(message.Mutable(field).Message(), "")
		case field.Message() != nil:
			fill(message.Mutable(field).Message(), event)
		case field.Enum() != nil:
			message.Set(field, protoreflect.ValueOfEnum(stateAfter(field.Enum(), verb)))
		case field.Kind() == protoreflect.BoolKind:
			message.Set(field, protoreflect.ValueOfBool(true))
		case field.Kind() == protoreflect.Int32Kind:
			message.Set(field, protoreflect.ValueOfInt32(int32(field.Number())))
		case field.Kind() == protoreflect.Int64Kind:
			n := int64(field.Number())
			if field.Name() == "invite_ttl_seconds" {
				n = 7 * 24 * 60 * 60
			}
			message.Set(field, protoreflect.ValueOfInt64(n))
		case field.Name() == "failure_reason" && verb != "failed":
		default:
			message.Set(field, protoreflect.ValueOfString(word(field, verb)))
		}
	}
	// Who has ended sits nowhere.
	if seat, state := fields.ByName("seat_id"), fields.ByName("state"); seat != nil && state != nil && message.Descriptor().Name() != "Seat" && message.Get(state).Enum() > 1 {
		message.Clear(seat)
	}
}

// stateAfter is the value that an event is named after, STATE_REMOVED for removed, or else the first.
func stateAfter(enum protoreflect.EnumDescriptor, verb string) protoreflect.EnumNumber {
	switch verb {
	case "lost":
		verb = "suspended"
	case "left":
		verb = "removed"
	}
	if value := enum.Values().ByName(protoreflect.Name("STATE_" + strings.ToUpper(verb))); value != nil {
		return value.Number()
	}
	return 1
}

// policyWords are the words of a policy, as a pipeline begins.
var policyWords = map[string]string{
	"ownership": "SINGLE", "admins_managed_by": "ADMINS", "admin_appointment": "ADMINS",
	"creator_role": "owner", "default_invite_role": "developer", "default_join_role": "viewer",
	"username": "REQUIRED", "email": "OPTIONAL", "existing_user_add": "INVITE", "password_reset": "LINK", "gated_permissions": "products.use",
	"people_layout": "COMBINED", "member_label": "member", "disabled_label": "deactivated",
}

// word is a value of a string field.
func word(field protoreflect.FieldDescriptor, verb string) string {
	if field.Parent().Name() == "Policy" {
		if said, ok := policyWords[string(field.Name())]; ok {
			return said
		}
	}
	switch field.Name() {
	case "account_id", "after_account_id":
		return exampleAccount.String()
	case "owner_account_id", "before_account_id":
		return id.Account(uuid(7)).String()
	case "service_account_id":
		return id.ServiceAccount(uuid(9)).String()
	case "invitation_id", "owner_id":
		return id.Invitation(uuid(4)).String()
	case "session_id":
		return id.Session(uuid(5)).String()
	case "api_key_id", "api_key_ids":
		return id.APIKey(uuid(13)).String()
	case "organization_id":
		return exampleOrganization.String()
	case "provider_id":
		return id.Provider(uuid(14)).String()
	case "seat_id":
		return id.Seat(uuid(6)).String()
	case "id": // of the actor, and of the cause
		if field.Parent().Name() == "Actor" {
			return exampleAccount.String()
		}
		return id.Invitation(uuid(4)).String()
	case "request_id":
		return "2f6c1f0a-7d0e-4d8b-9a3e-5b1f7c9d2e4a"
	case "trace_id":
		return exampleTrace
	case "role_id":
		return id.Role(uuid(7)).String()
	case "key":
		return "support"
	case "replacement":
		return "viewer"
	case "color":
		return "#059669"
	case "permissions", "scopes":
		return "members.read"
	case "role":
		if verb == "role_changed" {
			return "developer"
		}
		return "viewer"
	case "display_name":
		if field.Parent().Name() == "Organization" {
			return "Analytical Engines"
		}
		if field.Parent().Name() == "Group" {
			return "Engineering"
		}
		if field.Parent().Name() == "Role" {
			return "Support"
		}
		if field.Parent().Name() == "Rotation" {
			return "Pager"
		}
		if field.Parent().Name() == "Project" {
			return "Apollo"
		}
		if field.Parent().Name() == "Provider" {
			return "Analytical Engines sign-in"
		}
		return "Ada Lovelace"
	case "issuer":
		return "https://login.example.com"
	case "client_id":
		return "roster"
	case "methods":
		return "TOTP"
	case "factor_ids":
		return id.Factor(uuid(13)).String()
	case "override_id":
		return id.Override(uuid(11)).String()
	case "rotation_id":
		return id.Rotation(uuid(12)).String()
	case "participants":
		return exampleAccount.String()
	case "time_zone":
		return "Europe/Berlin"
	case "start":
		return "09:00"
	case "end":
		return "17:00"
	case "group_id":
		return id.Group(uuid(8)).String()
	case "parent_group_id":
		return id.Group(uuid(9)).String()
	case "project_id", "left_project_ids":
		return id.Project(uuid(10)).String()
	case "opens":
		return "products.use"
	case "description":
		return "What it is for."
	case "actor", "target":
		return exampleAccount.String()
	case "types":
		return "member.removed"
	case "query":
		return "Ada"
	case "client_address":
		return "192.0.2.7"
	case "email", "contact_email":
		return "ada@example.com"
	case "avatar_url":
		return "/avatars/PBZFXQMJHE3OWT2KLD4RVY6SGA"
	case "phone":
		return "+44 20 7946 0000"
	case "changed":
		return "phone"
	case "username":
		return "ada"
	case "preset":
		return "pipeline"
	case "domain_id":
		return id.Domain(uuid(8)).String()
	case "name":
		if field.Parent().Name() == "Domain" {
			return "example.com"
		}
	case "failure_reason":
		return "DELIVERY_REFUSED"
	case "reason":
		return "New contract"
	}
	panic(string(field.FullName()) + " has no example yet")
}
