package membership

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/naming"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// UpdateGroup changes what a group is called, where it is and what it opens.
func (s *Service) UpdateGroup(ctx context.Context, req *membershipv1.UpdateGroupRequest) (*membershipv1.UpdateGroupResponse, error) {
	key, group, err := parseGroup(req)
	if err != nil {
		return nil, err
	}
	fields := req.GetUpdateMask().GetPaths()
	if len(fields) == 0 {
		fields = given(req, "display_name", "description", "parent_group_id", "opens")
	}
	if err := readGroup(new(org.GroupWords), req, fields...); err != nil { // before anything is read
		return nil, err
	}
	answer, token, err := restructure(ctx, s, key, id.Project{}, org.ManageGroups, "UpdateGroup", req, nil,
		func(in structure) (*membershipv1.UpdateGroupResponse, proto.Message, error) {
			before, err := in.groups.ByID(group)
			if err != nil {
				return nil, nil, err
			}
			changed := before
			if err := readGroup(&changed.GroupWords, req, fields...); err != nil {
				return nil, nil, err
			}
			groups, err := in.actor.ChangeGroup(in.groups, changed, req.GetEtag())
			if err != nil {
				return nil, nil, err
			}
			for _, g := range groups { // those inside of it go with it
				if was, _ := in.groups.ByID(g.ID); !g.Same(was) {
					in.SaveGroup(key, g)
				}
			}
			after, _ := groups.ByID(group)
			return &membershipv1.UpdateGroupResponse{Group: groupToProto(in.Organization, after)},
				&eventv1.GroupUpdated{Context: in.because, Before: groupToEvent(in.Organization, before), After: groupToEvent(in.Organization, after)}, nil
		})
	if err != nil {
		return nil, err
	}
	answer.Token = token
	return answer, nil
}

// readGroup reads the named fields of a request.
func readGroup(words *org.GroupWords, req interface {
	GetDisplayName() string
	GetDescription() string
	GetParentGroupId() string
	GetOpens() []string
}, fields ...string) (err error) {
	for _, field := range fields {
		switch field {
		case "display_name":
			words.DisplayName, err = naming.ParseDisplayName(field, req.GetDisplayName())
		case "description":
			words.Description, err = naming.ParseLine(field, req.GetDescription(), 0, 200)
		case "parent_group_id":
			words.Parent = id.Group{}
			if req.GetParentGroupId() != "" {
				if words.Parent, err = id.ParseGroup(req.GetParentGroupId()); err != nil {
					err = fault.Invalid(field, "must be the id of a group")
				}
			}
		case "opens":
			words.Opens, err = org.Opening(req.GetOpens())
		default:
			err = fault.Invalid("update_mask", "names "+field+", which cannot be changed")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// given returns those of the fields that a request has.
func given(req proto.Message, fields ...string) (has []string) {
	message := req.ProtoReflect()
	for _, name := range fields {
		if field := message.Descriptor().Fields().ByTextName(name); message.Has(field) {
			has = append(has, name)
		}
	}
	return has
}
