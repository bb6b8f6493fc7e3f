package identity

import (
	"context"
	"time"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/identity/internal/account"
	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/email"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/secret"
)

// RevertEmailChange makes the address that the mail went to the primary one again. What whoever has changed it can read, knows or has set up since,
// nobody knows: the account keeps no other address, no password, and no second factor of that time, and nothing that was opened with them. The mailbox, and the
// factors from before, are what its person has left; a link sent there sets another password.
func (s *Service) RevertEmailChange(ctx context.Context, req *identityv1.RevertEmailChangeRequest) (*identityv1.RevertEmailChangeResponse, error) {
	link, ok := secret.Parse(secret.Link, req.GetToken())
	if !ok {
		return nil, account.ErrLinkInvalid
	}
	key := id.Account(link.Owner)
	once := linkRequest(link, req.GetRequestId(), "RevertEmailChange", req)
	answer, _, err := postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*identityv1.RevertEmailChangeResponse, error) {
		q := store.Queries{Tx: tx}
		has, revert, err := q.LockRevert(ctx, key, link.Hash)
		if err != nil {
			return nil, err
		}
		address, err := email.ParseField("email", revert.Address)
		if err != nil {
			return nil, err
		}
		live, err := q.ListSessions(ctx, key)
		if err != nil {
			return nil, err
		}
		identities, err := q.ListIdentities(ctx, key)
		if err != nil {
			return nil, err
		}
		from := origin(ctx, key, req.GetRequestId())
		if _, err := has.SetPrimary(address.Key); err != nil { // it was taken away since
			q.ClaimEmail(address, key, true)
			has.Account.Email, has.Account.EmailVerified = address.Display, true
		}
		q.KeepEmail(key, address.Key)
		if err := s.savePrimaryEmail(ctx, q, has.Account, from); err != nil {
			return nil, err
		}
		q.DeletePassword(key)
		if err := unlink(q, key, identities, from); err != nil {
			return nil, err
		}
		if err := s.dropFactors(ctx, q, has.Account, revert.Expires.Add(-account.RevertLifetime), from); err != nil {
			return nil, err
		}
		if err := endSessions(q, live, id.Session{}, from); err != nil {
			return nil, err
		}
		if err := endAPIKeys(ctx, q, key, from); err != nil {
			return nil, err
		}
		return &identityv1.RevertEmailChangeResponse{}, outbox.Publish(tx, key, q.Now(),
			&eventv1.AccountEmailChanged{Context: from, Reverted: true, Personal: personal(has.Account)})
	})
	return answer, err
}

// dropFactors takes the factors and the recovery codes away that were made since: somebody else may hold them.
func (s *Service) dropFactors(ctx context.Context, q store.Queries, of account.Account, since time.Time, from *eventv1.Context) error {
	has, err := q.LockFactors(ctx, of.ID)
	if err != nil {
		return err
	}
	var left []factor.Factor
	for _, one := range has.All {
		if one.CreateTime.Before(since) {
			left = append(left, one)
			continue
		}
		q.DeleteFactor(of.ID, one.ID)
	}
	q.DeleteRecoveryCodes(of.ID, since)
	before, after := has.Active(), store.Factors{All: left}.Active()
	if len(after) == len(before) {
		return nil
	}
	if len(after) == 0 {
		q.SaveReach(of.ID, 1)
		q.ReplaceRecoveryCodes(of.ID, nil)
	}
	return s.publishMfa(ctx, q, of, before, after, from)
}
