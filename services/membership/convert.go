package membership

import (
	"context"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// organizationToProto shows an organization to a member with this role. A disabled member may do nothing there.
func organizationToProto(o org.Organization, role string, may org.Set) *membershipv1.Organization {
	return &membershipv1.Organization{
		Id:            o.ID.String(),
		DisplayName:   o.DisplayName,
		Preset:        presetToProto(o.Preset),
		CreateTime:    timestamppb.New(o.CreateTime),
		UpdateTime:    timestamppb.New(o.UpdateTime),
		Etag:          org.Etag(o.Version),
		MyRole:        role,
		MyPermissions: may,
	}
}

// memberToProto shows a member to the actor.
func memberToProto(o org.Organization, actor org.Actor, m org.Member, p org.Profile) *membershipv1.Member {
	role, _ := o.Roles.ByID(m.Role)
	shown := &membershipv1.Member{
		OrganizationId:    o.ID.String(),
		AccountId:         m.Account.String(),
		DisplayName:       p.Shown().DisplayName,
		Username:          p.Username,
		AvatarUrl:         p.AvatarURL,
		Role:              role.Key,
		RoleDisplayName:   role.DisplayName,
		RoleColor:         role.Color,
		State:             membershipv1.Member_State(membershipv1.Member_State_value["STATE_"+string(m.State)]),
		JoinTime:          timestamppb.New(m.JoinTime),
		DisableTime:       stamp(m.DisableTime),
		DisablerAccountId: m.Disabler.String(),
		Etag:              org.Etag(m.Version),
		AccountCreateTime: stamp(p.AccountCreateTime),
	}
	overlay := org.Overlay{Name: p.Name}
	if actor.May(org.ReadContacts) {
		shown.Email, shown.Phone, overlay = p.Shown().Email, p.Phone, p.Overlay
	}
	shown.OverlaidFields = overlay.Without(org.Overlay{})
	if actor.May(org.ReadActivity) {
		shown.LastActivityTime = stamp(p.ActivityTime)
		shown.Mfa = &membershipv1.Member_Mfa{Enabled: len(m.Factors) > 0, Methods: m.Factors}
	}
	return shown
}

func memberToEvent(o org.Organization, m org.Member) *eventv1.Member {
	role, _ := o.Roles.ByID(m.Role)
	return &eventv1.Member{
		AccountId: m.Account.String(),
		Role:      role.Key,
		State:     eventv1.Member_State(eventv1.Member_State_value["STATE_"+string(m.State)]),
		SeatId:    m.Seat.String(),
		JoinTime:  timestamppb.New(m.JoinTime),
	}
}

// roleToProto shows a role to the actor.
func roleToProto(actor org.Actor, r org.Role) *membershipv1.Role {
	return &membershipv1.Role{
		Id:          r.ID.String(),
		Key:         r.Key,
		DisplayName: r.DisplayName,
		Description: r.Description,
		Color:       r.Color,
		Permissions: r.Permissions,
		Assignable:  actor.MayGive(r),
		Etag:        org.Etag(r.Version),
		BuiltIn:     r.BuiltIn,
		Reserved:    r.Owner,
	}
}

func roleToEvent(r org.Role) *eventv1.Role {
	return &eventv1.Role{
		RoleId: r.ID.String(), Key: r.Key, DisplayName: r.DisplayName, Description: r.Description, Color: r.Color, Permissions: r.Permissions,
	}
}

// parseRole reads what names a role.
func parseRole(req interface {
	GetOrganizationId() string
	GetRoleId() string
}) (key id.Organization, role id.Role, err error) {
	if key, err = id.ParseOrganization(req.GetOrganizationId()); err != nil {
		return key, role, err
	}
	role, err = id.ParseRole(req.GetRoleId())
	return key, role, err
}

func organizationToEvent(o org.Organization) *eventv1.Organization {
	return &eventv1.Organization{DisplayName: o.DisplayName, Preset: string(o.Preset)}
}

func personToEvent(p org.Person) *eventv1.Personal {
	return &eventv1.Personal{DisplayName: p.DisplayName, Email: p.Email, Username: p.Username}
}

func personFromEvent(p *eventv1.Personal) org.Person {
	return org.Person{DisplayName: clean(p.GetDisplayName()), Email: clean(p.GetEmail()), Username: clean(p.GetUsername()), AvatarURL: clean(p.GetAvatarUrl())}
}

// Causes of operations, in billing's words.
const (
	causeAdmin        = "admin"
	causeOrganization = "organization"
	causeInvite       = "invite"
	causeSelf         = "self"
	causeDomain       = "domain"
	causeProvider     = "provider"
)

// origin tells billing why an operation needs it.
func origin(op org.Operation) *billingv1.Origin {
	return &billingv1.Origin{ActorAccountId: op.Actor.String(), Cause: op.Cause, CauseId: op.Seat.String()}
}

// request names a mutation of a person, for its replay.
func request(ctx context.Context, requestID, method string, body proto.Message) postgres.Request {
	return postgres.Request{ID: requestID, Principal: caller.From(ctx).Account.String(), Method: method, Body: body}
}

// managed is request for a mutation of an organization: only who may still do it hears the answer again.
func (s *Service) managed(ctx context.Context, key id.Organization, permission, requestID, method string, body proto.Message) postgres.Request {
	once := request(ctx, requestID, method, body)
	s.activity.note(key, caller.From(ctx).Account)
	once.Admit = func(ctx context.Context) error {
		_, _, err := s.admit(ctx, key, permission)
		return err
	}
	return once
}

func queries(tx *postgres.Tx) store.Queries { return store.Queries{Tx: tx} }

// parseMember reads what names a member.
func parseMember(req interface {
	GetOrganizationId() string
	GetAccountId() string
}) (key id.Organization, account id.Account, err error) {
	if key, err = id.ParseOrganization(req.GetOrganizationId()); err != nil {
		return key, account, err
	}
	account, err = id.ParseAccount(req.GetAccountId())
	return key, account, err
}

// clean drops from what another service says of a person what a database or a page could stumble over.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
}

func stamp(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}
