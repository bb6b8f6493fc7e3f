package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/identity/internal/factor"
	"github.com/rosterhq/roster/services/identity/internal/session"
	"github.com/rosterhq/roster/services/identity/internal/store"
	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/postgres"
)

// errLast says that it would be the last factor, of which nobody has been asked yet.
var errLast = errors.New("the last factor")

// RemoveFactor takes a factor away. With the last one signing in takes the password alone again, and the recovery codes go; so it stays
// while an organization asks for one. Only membership knows whether one does: it is asked outside of the transaction, if it matters.
func (s *Service) RemoveFactor(ctx context.Context, req *identityv1.RemoveFactorRequest) (*identityv1.RemoveFactorResponse, error) {
	answer, err := s.removeFactor(ctx, req, false)
	if !errors.Is(err, errLast) {
		return answer, err
	}
	asked, err := s.Required.ListMfaRequirements(ctx, &membershipv1.ListMfaRequirementsRequest{AccountId: caller.From(ctx).Account.String()})
	if err != nil {
		return nil, fmt.Errorf("ask who requires a second factor: %w", err)
	}
	if names := asked.GetOrganizationDisplayNames(); len(names) > 0 {
		return nil, factor.Required(names[0])
	}
	return s.removeFactor(ctx, req, true)
}

// removeFactor takes the last factor away only if it may.
func (s *Service) removeFactor(ctx context.Context, req *identityv1.RemoveFactorRequest, mayLast bool) (*identityv1.RemoveFactorResponse, error) {
	return changeFactor(ctx, s, req, "RemoveFactor", func(q store.Queries, has store.Factors, i int) (*identityv1.RemoveFactorResponse, error) {
		before := has.Active()
		after := slices.Delete(slices.Clone(before), i, i+1)
		if len(after) == 0 && !mayLast {
			return nil, errLast
		}
		q.DeleteFactor(has.Account.ID, before[i].ID)
		if len(after) == 0 {
			q.SaveReach(has.Account.ID, 1)
			q.ReplaceRecoveryCodes(has.Account.ID, nil)
		}
		return &identityv1.RemoveFactorResponse{}, s.publishMfa(ctx, q, has.Account, before, after, origin(ctx, has.Account.ID, req.GetRequestId()))
	})
}

// provenFor is what the rules of these methods say, with the factors as they are now: whoever is called with may be known from before
// the first was set up.
func provenFor(ctx context.Context, q store.Queries, has store.Factors) error {
	who := caller.From(ctx)
	if len(has.Active()) > 0 {
		who.Reach = 2
	}
	if err := who.StepUp(q.Now(), 5*time.Minute); err != nil {
		return err
	}
	return stillSignedIn(ctx, q)
}

// stillSignedIn refuses whoever was signed out since the request came in. What opens the account from now on is made by nobody whose session ended before: with
// the account's row locked, it is known which of the two was first.
func stillSignedIn(ctx context.Context, q store.Queries) error {
	who := caller.From(ctx)
	live, err := q.IsLive(ctx, who.Account, who.Session)
	if err == nil && !live {
		err = session.ErrUnauthenticated
	}
	return err
}

// changeFactor changes one of the caller's factors: the i-th of those that signing in asks for.
func changeFactor[R proto.Message](
	ctx context.Context, s *Service, req interface {
		proto.Message
		GetFactorId() string
		GetRequestId() string
	}, method string, change func(q store.Queries, has store.Factors, i int) (R, error),
) (answer R, err error) {
	who := caller.From(ctx)
	key, err := id.ParseFactor(req.GetFactorId())
	if err != nil {
		return answer, factor.ErrNotFound
	}
	once := s.ownRequest(ctx, req.GetRequestId(), method, req)
	answer, _, err = postgres.Once(ctx, s.DB, postgres.In(who.Account), once, func(tx *postgres.Tx) (answer R, err error) {
		q := store.Queries{Tx: tx}
		has, err := q.LockFactors(ctx, who.Account)
		if err != nil {
			return answer, err
		}
		if err := provenFor(ctx, q, has); err != nil {
			return answer, err
		}
		i := slices.IndexFunc(has.Active(), func(f factor.Factor) bool { return f.ID == key })
		if i < 0 {
			return answer, factor.ErrNotFound
		}
		return change(q, has, i)
	})
	return answer, err
}
