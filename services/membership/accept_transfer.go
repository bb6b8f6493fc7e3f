package membership

import (
	"context"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

// AcceptTransfer makes the caller an owner, and a single owner step back, in one transaction. Whoever decides about the same
// organization waits for it.
func (s *Service) AcceptTransfer(ctx context.Context, req *membershipv1.AcceptTransferRequest) (*membershipv1.AcceptTransferResponse, error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	me := caller.From(ctx).Account
	_, unproven := s.reachable(ctx, me) // it may have changed since the offer
	once := request(ctx, req.GetRequestId(), "AcceptTransfer", req)
	answer, revision, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*membershipv1.AcceptTransferResponse, error) {
		q := queries(tx)
		at, err := q.LockTransfer(ctx, key, me)
		if err != nil {
			return nil, err
		}
		o, offer := at.Organization, at.Transfer
		before := map[id.Account]org.Member{offer.Owner: at.Members[offer.Owner], me: at.Members[me]}
		actor, err := o.Admit(before[me])
		if err != nil {
			return nil, err
		}
		owner, self := before[offer.Owner], before[me]
		if err := actor.AcceptTransfer(offer, &owner, &self, tx.Now()); err != nil {
			return nil, err
		}
		if unproven != nil {
			return nil, unproven
		}
		endTransfer(q, key)
		because := outbox.Origin{Account: me, Cause: eventv1.Cause_KIND_TRANSFER, CauseID: key.String(), RequestID: req.GetRequestId()}.Context(ctx)
		changed := &eventv1.OrganizationOwnerChanged{Context: because, AfterAccountId: me.String()}
		for _, member := range []org.Member{owner, self} { // the old owner first: there is never more than one
			was := before[member.Account]
			if member.Version == was.Version {
				continue
			}
			if err := s.changedRole(q, at, was, member, me, because); err != nil {
				return nil, err
			}
			if member.Account == offer.Owner {
				changed.BeforeAccountId = member.Account.String()
			}
		}
		if address := at.People[offer.Owner].Email; address != "" {
			role, _ := o.Roles.ByID(owner.Role)
			note := mail.OwnershipTaken{
				Organization: o.DisplayName, By: at.People[me].Shown().DisplayName, Role: role.DisplayName, Replaced: changed.GetBeforeAccountId() != "",
				Time: tx.Now(), ResetLink: s.PublicURL + "/forgot",
			}
			if err := mail.Add(s.Mail, tx, key, offer.Owner, address, note); err != nil {
				return nil, err
			}
		}
		actor, err = o.Admit(self)
		if err != nil {
			return nil, err
		}
		return &membershipv1.AcceptTransferResponse{Member: memberToProto(o, actor, self, at.People[me])}, outbox.Publish(tx, key, tx.Now(), changed)
	})
	if err != nil {
		return nil, err
	}
	answer.Token = outbox.Token(key, s.DB.Name, revision)
	return answer, nil
}
