package membership

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// structure is what a change of groups or projects is decided on. The organization's row is held alone.
type structure struct {
	store.Queries
	store.Standing
	groups  org.Groups
	actor   org.Actor
	because *eventv1.Context
}

// restructure runs a change of groups or projects that the caller needs a permission for, in a project if one is given. It
// reads some members too. What change returns is answered and published; the token comes with it.
func restructure[R proto.Message](ctx context.Context, s *Service, key id.Organization, project id.Project, permission, method string,
	req interface {
		proto.Message
		GetRequestId() string
	}, others []id.Account, change func(structure) (R, proto.Message, error),
) (answer R, token string, err error) {
	me := caller.From(ctx).Account
	once := request(ctx, req.GetRequestId(), method, req)
	once.Admit = func(ctx context.Context) error {
		_, actor, err := s.enter(ctx, key)
		if err != nil {
			return err
		}
		return actor.In(project).Need(permission)
	}
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (R, error) {
		in := structure{Queries: queries(tx)}
		at, groups, err := in.LockGroups(ctx, key, append(others, me)...)
		if err != nil {
			return answer, err
		}
		in.Standing, in.groups = at, groups
		actor, err := at.Organization.Admit(at.Members[me])
		if err != nil {
			return answer, err
		}
		in.actor = actor.In(project)
		in.because = outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, RequestID: req.GetRequestId()}.Context(ctx)
		answer, event, err := change(in)
		if err != nil {
			return answer, err
		}
		return answer, outbox.Publish(tx, key, tx.Now(), event)
	})
	return answer, outbox.Token(key, s.DB.Name, revision), err
}

func groupToProto(o org.Organization, g org.Group) *membershipv1.Group {
	shown := &membershipv1.Group{
		Id: g.ID.String(), DisplayName: g.DisplayName, Description: g.Description, ParentGroupId: g.Parent.String(),
		Opens: g.Opens, CreateTime: timestamppb.New(g.CreateTime), Etag: org.Etag(g.Version),
	}
	for _, b := range g.Bindings {
		role, _ := o.Roles.ByID(b.Role)
		shown.Bindings = append(shown.Bindings, &membershipv1.Group_Binding{
			Role: role.Key, RoleDisplayName: role.DisplayName, ProjectId: b.Project.String()})
	}
	return shown
}

func groupToEvent(o org.Organization, g org.Group) *eventv1.Group {
	shown := &eventv1.Group{
		GroupId: g.ID.String(), DisplayName: g.DisplayName, Description: g.Description, ParentGroupId: g.Parent.String(), Opens: g.Opens,
	}
	for _, b := range g.Bindings {
		role, _ := o.Roles.ByID(b.Role)
		shown.Bindings = append(shown.Bindings, &eventv1.Group_Binding{Role: role.Key, ProjectId: b.Project.String()})
	}
	return shown
}

// parseGroup reads what names a group.
func parseGroup(req interface {
	GetOrganizationId() string
	GetGroupId() string
}) (key id.Organization, group id.Group, err error) {
	if key, err = id.ParseOrganization(req.GetOrganizationId()); err != nil {
		return key, group, err
	}
	group, err = id.ParseGroup(req.GetGroupId())
	return key, group, err
}
