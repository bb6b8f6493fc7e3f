// Package id is how things are named: a prefix that tells the kind, and a UUIDv7 (RFC 9562) in
// lower-case Crockford base32, as in org_01jd3q0s7hfyxv3z0k2m8r4c5e. PostgreSQL stores the uuid, the
// type keeps an account from being passed for an organization.
package id

import (
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rosterhq/roster/pkg/fault"
)

// The kinds of ids.
type (
	Organization = ID[organization]
	Account      = ID[account]
	Invitation   = ID[invitation]
	Role         = ID[role]
	Session      = ID[session]
	Operator     = ID[operator]
	Seat         = ID[seat]
	Event        = ID[event]
	Mail         = ID[mail]
	SignUp       = ID[signUp]
	Group        = ID[group]
	Project      = ID[project]
	Domain       = ID[domain]
	Override     = ID[override]
	Rotation     = ID[rotation]
	Reset        = ID[reset]
	Factor       = ID[factor]
	APIKey       = ID[apiKey]
	Provider     = ID[provider]
	Flow         = ID[flow]

	ServiceAccount = ID[serviceAccount]
)

// Any is an id whose kind is known from elsewhere, such as the aggregate of an event log.
type Any = ID[any]

type (
	organization struct{}
	account      struct{}
	invitation   struct{}
	role         struct{}
	session      struct{}
	operator     struct{}
	seat         struct{}
	event        struct{}
	mail         struct{}
	signUp       struct{}
	group        struct{}
	project      struct{}
	domain       struct{}
	override     struct{}
	rotation     struct{}
	reset        struct{}
	factor       struct{}
	apiKey       struct{}
	provider     struct{}
	flow         struct{}

	serviceAccount struct{}
)

// prefixOf tells the prefix of a kind.
func prefixOf[K any]() string {
	var kind K
	switch any(kind).(type) {
	case organization:
		return "org"
	case account:
		return "acc"
	case invitation:
		return "inv"
	case role:
		return "rol"
	case session:
		return "ses"
	case operator:
		return "opr"
	case seat:
		return "seat"
	case event:
		return "evt"
	case mail:
		return "mail"
	case signUp:
		return "sup"
	case group:
		return "grp"
	case project:
		return "prj"
	case domain:
		return "dom"
	case override:
		return "ovr"
	case rotation:
		return "rot"
	case reset:
		return "rst"
	case factor:
		return "fac"
	case apiKey:
		return "key"
	case provider:
		return "idp"
	case flow:
		return "flow"
	case serviceAccount:
		return "sva"
	}
	return "id"
}

// ID is the id of a thing of kind K. The zero ID names nothing.
type ID[K any] [16]byte

// New returns a fresh id. Ids rise with time, to the millisecond.
func New[K any]() ID[K] { return ID[K](uuid.Must(uuid.NewV7())) }

// NewOrganization, NewAccount and so on return a fresh id of their kind.
func NewOrganization() Organization     { return New[organization]() }
func NewAccount() Account               { return New[account]() }
func NewInvitation() Invitation         { return New[invitation]() }
func NewRole() Role                     { return New[role]() }
func NewSession() Session               { return New[session]() }
func NewOperator() Operator             { return New[operator]() }
func NewSeat() Seat                     { return New[seat]() }
func NewEvent() Event                   { return New[event]() }
func NewMail() Mail                     { return New[mail]() }
func NewSignUp() SignUp                 { return New[signUp]() }
func NewGroup() Group                   { return New[group]() }
func NewProject() Project               { return New[project]() }
func NewDomain() Domain                 { return New[domain]() }
func NewOverride() Override             { return New[override]() }
func NewRotation() Rotation             { return New[rotation]() }
func NewReset() Reset                   { return New[reset]() }
func NewFactor() Factor                 { return New[factor]() }
func NewAPIKey() APIKey                 { return New[apiKey]() }
func NewProvider() Provider             { return New[provider]() }
func NewFlow() Flow                     { return New[flow]() }
func NewServiceAccount() ServiceAccount { return New[serviceAccount]() }

// IsZero tells whether the id names nothing.
func (i ID[K]) IsZero() bool { return i == ID[K]{} }

// String returns the id as it travels; empty for the zero id.
func (i ID[K]) String() string {
	if i.IsZero() {
		return ""
	}
	return prefixOf[K]() + "_" + encode(i)
}

// Parse reads an id of kind K. The fault is VALIDATION_FAILED on the named field. There is one spelling of
// an id: upper case, look-alike letters and other prefixes are refused.
func Parse[K any](field, text string) (ID[K], error) {
	prefix := prefixOf[K]() + "_"
	if len(text) == len(prefix)+encodedLen && text[:len(prefix)] == prefix {
		if raw, ok := decode(text[len(prefix):]); ok && raw != [16]byte{} {
			return ID[K](raw), nil
		}
	}
	return ID[K]{}, fault.Invalid(field, fmt.Sprintf("must be an id: %s and 26 lower-case letters and digits", prefix))
}

// ParseOrganization reads an organization id from the field organization_id.
func ParseOrganization(text string) (Organization, error) {
	return Parse[organization]("organization_id", text)
}

// ParseAccount reads an account id from the field account_id.
func ParseAccount(text string) (Account, error) { return Parse[account]("account_id", text) }

// ParseInvitation reads an invitation id from the field invitation_id.
func ParseInvitation(text string) (Invitation, error) {
	return Parse[invitation]("invitation_id", text)
}

// ParseRole reads a role id from the field role_id.
func ParseRole(text string) (Role, error) { return Parse[role]("role_id", text) }

// ParseEvent reads an event id from the field id.
func ParseEvent(text string) (Event, error) { return Parse[event]("id", text) }

// ParseSeat reads a seat id from the field seat_id.
func ParseSeat(text string) (Seat, error) { return Parse[seat]("seat_id", text) }

// ParseSession reads a session id from the field session_id.
func ParseSession(text string) (Session, error) { return Parse[session]("session_id", text) }

// ParseAPIKey reads the id of a key from the field api_key_id.
func ParseAPIKey(text string) (APIKey, error) { return Parse[apiKey]("api_key_id", text) }

// ParseDomain reads the id of a domain from the field domain_id.
func ParseDomain(text string) (Domain, error) { return Parse[domain]("domain_id", text) }

// ParseProvider reads the id of an identity provider from the field provider_id.
func ParseProvider(text string) (Provider, error) { return Parse[provider]("provider_id", text) }

// ParseServiceAccount reads the id of a service account from the field service_account_id.
func ParseServiceAccount(text string) (ServiceAccount, error) {
	return Parse[serviceAccount]("service_account_id", text)
}

// ParseOperator reads an operator id from the field operator_id.
func ParseOperator(text string) (Operator, error) { return Parse[operator]("operator_id", text) }

// ParseGroup reads a group id from the field group_id.
func ParseGroup(text string) (Group, error) { return Parse[group]("group_id", text) }

// ParseOverride reads an override id from the field override_id.
func ParseOverride(text string) (Override, error) { return Parse[override]("override_id", text) }

// ParseRotation reads a rotation id from the field rotation_id.
func ParseRotation(text string) (Rotation, error) { return Parse[rotation]("rotation_id", text) }

// ParseFactor reads a factor id from the field factor_id.
func ParseFactor(text string) (Factor, error) { return Parse[factor]("factor_id", text) }

// ParseProject reads a project id from the field project_id.
func ParseProject(text string) (Project, error) { return Parse[project]("project_id", text) }

// UUIDValue makes pgx store the id as uuid; the zero id is NULL.
func (i ID[K]) UUIDValue() (pgtype.UUID, error) {
	return pgtype.UUID{Bytes: i, Valid: !i.IsZero()}, nil
}

// ScanUUID makes pgx read the id from uuid; NULL is the zero id.
func (i *ID[K]) ScanUUID(v pgtype.UUID) error {
	*i = ID[K](v.Bytes)
	return nil
}
