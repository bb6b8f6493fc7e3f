package identity

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// ExportAccount returns what is kept of the caller's account.
func (s *Service) ExportAccount(ctx context.Context, _ *identityv1.ExportAccountRequest) (*identityv1.ExportAccountResponse, error) {
	who := caller.From(ctx)
	answer := &identityv1.ExportAccountResponse{}
	err := s.inTx(ctx, postgres.In(who.Account), func(q store.Queries) error {
		e, err := q.Export(ctx, who.Account)
		if err != nil {
			return err
		}
		answer = &identityv1.ExportAccountResponse{
			ExportTime:        timestamppb.New(q.Now()),
			Account:           meToProto(e.Emails.Account),
			Emails:            emailsToProto(e.Emails),
			FormerUsernames:   e.FormerUsernames,
			RecoveryCodesLeft: int32(e.Factors.Recovery),
			LoginActivity:     activityToProto(e.Attempts),
		}
		answer.ManagedByOrganizationId, answer.ManagedThroughDomain = managerToProto(e.Management)
		if !e.PasswordSet.IsZero() {
			answer.PasswordSetTime = timestamppb.New(e.PasswordSet)
		}
		for _, one := range e.Factors.Active() {
			answer.Factors = append(answer.Factors, factorToProto(one))
		}
		for _, one := range e.Sessions {
			if one.Stage != session.Challenge {
				answer.Sessions = append(answer.Sessions, sessionToProto(one, who.Session))
			}
		}
		for _, one := range e.Keys {
			answer.ApiKeys = append(answer.ApiKeys, apiKeyToProto(one))
		}
		for _, one := range e.Networks {
			answer.KnownNetworks = append(answer.KnownNetworks, &identityv1.KnownNetwork{Network: one.Network, ExpireTime: timestamppb.New(one.ExpireTime)})
		}
		for _, one := range e.Devices {
			answer.KnownDevices = append(answer.KnownDevices, &identityv1.KnownDevice{Device: one.Device, Network: one.Network, LastTime: timestamppb.New(one.LastTime)})
		}
		for _, one := range e.Identities {
			answer.FederatedIdentities = append(answer.FederatedIdentities, identityToProto(one))
		}
		return s.notify(q, e.Emails.Account, mail.AccountExported{Notice: s.notice(ctx, q)})
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}
