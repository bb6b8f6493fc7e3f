package membership

import (
	"context"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// ExplainAccess says what decides. What would allow it is read right after that, so it may be newer.
func (s *Service) ExplainAccess(ctx context.Context, req *membershipv1.ExplainAccessRequest) (*membershipv1.ExplainAccessResponse, error) {
	key, asked, err := parseQuestion(ctx, req)
	if err != nil {
		return nil, err
	}
	verdicts, a, err := s.decide(ctx, key, asked)
	if err != nil {
		return nil, err
	}
	verdict, line := verdicts[0], verdicts[0].By
	me := caller.From(ctx).Account
	if asked.account != me {
		actor, err := a.Organization.Admit(a.Members[me])
		if err != nil {
			return nil, err
		}
		line = actor.Sees(line)
	}
	answer := &membershipv1.ExplainAccessResponse{
		Allowed:  verdict.Decision == org.Allowed,
		Decision: decisionToProto(verdict),
		Line:     lineToProto(line),
		Revision: a.Revision,
		Token:    outbox.Token(key, s.DB.Name, a.Revision),
	}
	if verdict.Decision != org.NotPermitted && verdict.Decision != org.GateClosed {
		return answer, nil
	}
	var at store.Standing
	var groups org.Groups
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		at, groups, err = q.Groups(ctx, key, me)
		return err
	})
	if err != nil {
		return nil, err
	}
	actor, err := at.Organization.Admit(at.Members[me])
	if err != nil {
		return nil, err
	}
	roles, joined := at.Organization.Remedies(a.Members[asked.account], groups, asked.permission, asked.project)
	if actor.May(org.ReadRoles) {
		for _, role := range roles {
			answer.Roles = append(answer.Roles, role.Key)
		}
	}
	if actor.May(org.ReadGroups) {
		for _, g := range joined {
			answer.Groups = append(answer.Groups, &membershipv1.ExplainAccessResponse_Group{GroupId: g.ID.String(), DisplayName: g.DisplayName})
		}
	}
	return answer, nil
}

func lineToProto(g org.Grant) *membershipv1.ExplainAccessResponse_Line {
	if g.Source == "" {
		return nil
	}
	line := &membershipv1.ExplainAccessResponse_Line{
		Source: membershipv1.ExplainAccessResponse_Line_Source(membershipv1.ExplainAccessResponse_Line_Source_value["SOURCE_"+string(g.Source)]),
		Role:   g.Role, DisplayName: g.Name,
	}
	if g.Group != (id.Group{}) {
		line.GroupId = g.Group.String()
	}
	return line
}
