package identity

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// ListEmails returns the caller's addresses.
func (s *Service) ListEmails(ctx context.Context, _ *identityv1.ListEmailsRequest) (*identityv1.ListEmailsResponse, error) {
	who := caller.From(ctx).Account
	var has account.Emails
	err := s.view(ctx, postgres.In(who), func(q store.Queries) (err error) {
		has, err = q.ListEmails(ctx, who)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.ListEmailsResponse{Emails: emailsToProto(has)}, nil
}

// emailsToProto shows the primary address first, then the others that are proven, then those that wait for it.
func emailsToProto(has account.Emails) (shown []*identityv1.Email) {
	primary, proven := has.Primary()
	if me := has.Account; me.Email != "" {
		shown = append(shown, &identityv1.Email{Email: me.Email, Verified: proven && !me.Unproven(), Primary: true})
	}
	for _, one := range has.Proven {
		if one.Key != primary.Key {
			shown = append(shown, &identityv1.Email{Email: one.Address, Verified: true})
		}
	}
	for _, one := range has.Waiting {
		shown = append(shown, &identityv1.Email{Email: one.Address, ExpireTime: timestamppb.New(one.Expires)})
	}
	return shown
}
