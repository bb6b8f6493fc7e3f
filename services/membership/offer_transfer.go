package membership

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// OfferTransfer offers the ownership to a member, who is told by mail.
func (s *Service) OfferTransfer(ctx context.Context, req *membershipv1.OfferTransferRequest) (*membershipv1.OfferTransferResponse, error) {
	key, target, err := parseMember(req)
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	address, unproven := s.reachable(ctx, target) // what it says counts only if nothing else is in the way
	once := request(ctx, req.GetRequestId(), "OfferTransfer", req)
	once.Admit = func(ctx context.Context) error {
		_, _, err := s.admit(ctx, key, org.TransferOwnership)
		return err
	}
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.OfferTransferResponse, error) {
		q := queries(tx)
		at, err := q.LockTransfer(ctx, key, me, target)
		if err != nil {
			return nil, err
		}
		actor, err := at.Organization.Admit(at.Members[me])
		if err != nil {
			return nil, err
		}
		offer, err := actor.OfferTransfer(at.Members[target], at.Transfer, tx.Now())
		if err != nil {
			return nil, err
		}
		if unproven != nil {
			return nil, unproven
		}
		if err := expired(ctx, q, key, at.Transfer); err != nil {
			return nil, err
		}
		q.SaveTransfer(key, offer)
		saga.For(key, transferTask, key).At(tx, offer.ExpireTime)
		note := mail.TransferOffered{
			Organization: at.Organization.DisplayName, By: at.People[me].Shown().DisplayName, Replaces: offer.Ownership == org.Single,
			SignInLink: s.PublicURL + "/sign-in", Expires: offer.ExpireTime,
		}
		if err := mail.Add(s.Mail, tx, key, target, address, note); err != nil {
			return nil, err
		}
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_ADMIN, RequestID: req.GetRequestId()}
		return &membershipv1.OfferTransferResponse{Transfer: transferToProto(offer)},
			outbox.Publish(tx, key, tx.Now(), &eventv1.OrganizationTransferOffered{Context: because.Context(ctx), Transfer: transferToEvent(offer)})
	})
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(key, s.DB.Name, revision)
	return answer, nil
}
