package identity

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// ListMyLoginActivity returns what was tried with the caller's account.
func (s *Service) ListMyLoginActivity(ctx context.Context, _ *identityv1.ListMyLoginActivityRequest) (*identityv1.ListMyLoginActivityResponse, error) {
	who := caller.From(ctx)
	var found []session.Attempt
	err := s.view(ctx, postgres.In(who.Account), func(q store.Queries) (err error) {
		found, err = q.ListAttempts(ctx, who.Account)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.ListMyLoginActivityResponse{Activity: activityToProto(found)}, nil
}

func activityToProto(found []session.Attempt) (shown []*identityv1.LoginActivity) {
	for _, one := range found {
		shown = append(shown, &identityv1.LoginActivity{
			Time:      timestamppb.New(one.Time),
			Action:    identityv1.LoginAction(identityv1.LoginAction_value["LOGIN_ACTION_"+string(one.Action)]),
			Method:    identityv1.LoginMethod(identityv1.LoginMethod_value["LOGIN_METHOD_"+string(one.Method)]),
			Success:   one.Reason == "",
			Failure:   identityv1.LoginFailure(identityv1.LoginFailure_value["LOGIN_FAILURE_"+string(one.Reason)]),
			Address:   one.Address,
			UserAgent: one.UserAgent,
			Device:    session.Device(one.UserAgent),
		})
	}
	return shown
}

// attempt is what somebody tries with the call.
func attempt(ctx context.Context, action session.Action, by session.Method, failed session.Reason) session.Attempt {
	who := caller.From(ctx)
	return session.Attempt{Action: action, Method: by, Reason: failed, Address: who.Address, UserAgent: who.UserAgent}
}
