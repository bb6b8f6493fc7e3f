package membership

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/seats"
	"github.com/rosterhq/roster/services/membership/internal/org"
	"github.com/rosterhq/roster/services/membership/internal/store"
)

// bulk is a verb for many members: what the call about one does, for each of them.
type bulk struct {
	method     string
	permission string

	do     func(context.Context, id.Organization, id.Account, postgres.Request) (memberChange, error)
	decide func(a org.Actor, target *org.Member, others bool, now time.Time) error // what do decides, for validate_only
	after  func(context.Context, id.Organization, id.Account, memberChange) (seatReleased bool)

	takesSeats bool
}

// bulkRequest is what all of them ask for.
type bulkRequest interface {
	proto.Message
	GetOrganizationId() string
	GetAccountIds() []string
	GetRequestId() string
	GetValidateOnly() bool
}

// Of a call whose time has run out. Each says what a repeated call does.
var (
	errNotTried = fault.New(errorv1.Reason_REASON_DEADLINE_EXCEEDED,
		"Not tried: the time of the call was up. Repeat the request with the same request id, and it goes on here.")
	errCutShort = fault.New(errorv1.Reason_REASON_DEADLINE_EXCEEDED,
		"The time of the call was up. This may have been done all the same; repeat the request with the same request id to hear.")
)

// inBulk runs a verb for one member after the other: they would wait for each other anyway, each holds the row of whoever
// acts. Every member has a transaction, and under the request id an answer, of their own. So a call that has died, or run
// out of time, goes on where it was when it is repeated, and says of the others what it said before.
func (s *Service) inBulk(ctx context.Context, req bulkRequest, verb bulk) (results []*membershipv1.MemberResult, token string, err error) {
	key, err := id.ParseOrganization(req.GetOrganizationId())
	if err != nil {
		return nil, "", err
	}
	targets := make([]id.Account, len(req.GetAccountIds()))
	for i, text := range req.GetAccountIds() {
		if targets[i], err = id.ParseAccount(text); err != nil {
			return nil, "", err
		}
	}
	if req.GetValidateOnly() {
		return s.rehearse(ctx, key, targets, verb)
	}
	revision, err := s.beginBulk(ctx, key, req, verb)
	if err != nil {
		return nil, "", err
	}

	working, stop := part(ctx, 3, 4)
	defer stop()
	changes := make(map[id.Account]memberChange)
	for _, target := range targets {
		result := &membershipv1.MemberResult{AccountId: target.String()}
		results = append(results, result)
		if working.Err() != nil {
			refuseRow(result, errNotTried)
			continue
		}
		done, err := verb.do(working, key, target, request(ctx, req.GetRequestId(), verb.method+"/"+target.String(), req))
		switch f := fault.From(err); {
		case err == nil:
			result.Result = &membershipv1.MemberResult_Member{Member: done.member}
			changes[target] = done
			revision = max(revision, done.revision)
		case f != nil:
			refuseRow(result, f)
		case working.Err() != nil:
			refuseRow(result, errCutShort)
		default: // our own trouble, which the others would have too
			return nil, "", fmt.Errorf("%s of %s: %w", verb.method, target, err)
		}
	}
	if verb.after != nil {
		settling, stop := part(ctx, 1, 2)
		defer stop()
		settling, stop = context.WithTimeout(settling, soon)
		defer stop()
		var telling errgroup.Group
		telling.SetLimit(8)
		for i, target := range targets {
			if done, ok := changes[target]; ok {
				telling.Go(func() error {
					results[i].SeatReleased = verb.after(settling, key, target, done)
					return nil
				})
			}
		}
		_ = telling.Wait() // what fails is the sweeper's
	}
	return results, outbox.Token(key, s.DB.Name, revision), nil
}

// beginBulk refuses who may not do this to anybody, and a request id that stood for another request. It returns the
// revision that the decision was made at.
func (s *Service) beginBulk(ctx context.Context, key id.Organization, req bulkRequest, verb bulk) (revision int64, err error) {
	me := caller.From(ctx).Account
	once := s.managed(ctx, key, verb.permission, req.GetRequestId(), verb.method, req)
	_, revision, err = postgres.Once(ctx, s.DB, postgres.In(key), once, func(tx *postgres.Tx) (*emptypb.Empty, error) {
		at, err := queries(tx).Get(ctx, key, me)
		if err != nil {
			return nil, err
		}
		actor, err := at.Organization.Admit(at.Members[me])
		if err != nil {
			return nil, err
		}
		return &emptypb.Empty{}, actor.Need(verb.permission)
	})
	return revision, err
}

// rehearse decides about one member after the other as things are now, each as if those before had been changed, and writes
// nothing.
func (s *Service) rehearse(ctx context.Context, key id.Organization, targets []id.Account, verb bulk) (results []*membershipv1.MemberResult, token string, err error) {
	me := caller.From(ctx).Account
	var at store.Standing
	var now time.Time
	err = s.view(ctx, key, func(q store.Queries) (err error) {
		at, err = q.GetMany(ctx, key, me, targets)
		now = q.Now()
		return err
	})
	if err != nil {
		return nil, "", err
	}
	o := at.Organization
	actor, err := o.Admit(at.Members[me])
	if err != nil {
		return nil, "", err
	}
	if err := actor.Need(verb.permission); err != nil {
		return nil, "", err
	}
	s.activity.note(key, me)
	var usage *billingv1.SeatUsage
	if verb.takesSeats {
		answer, err := s.Usage.GetSeatUsage(ctx, &billingv1.GetSeatUsageRequest{OrganizationId: key.String()})
		if err != nil {
			return nil, "", fmt.Errorf("get seat usage: %w", err)
		}
		usage = answer.GetUsage()
	}

	full := 0 // of the targets, who can do everything, as it would be by now
	for _, target := range targets {
		if o.CanDoEverything(at.Members[target]) {
			full++
		}
	}
	for _, target := range targets {
		result := &membershipv1.MemberResult{AccountId: target.String()}
		results = append(results, result)
		member := at.Members[target]
		if o.CanDoEverything(member) {
			full--
		}
		changed := member
		err := verb.decide(actor, &changed, at.OthersFull || full > 0, now)
		if err == nil {
			err = equals(ctx, now, o, member)
		}
		if err == nil && verb.takesSeats {
			err = s.takeOne(key, usage)
		}
		switch f := fault.From(err); {
		case err == nil:
			member = changed
			result.Result = &membershipv1.MemberResult_Member{Member: memberToProto(o, actor, member, at.People[target])}
		case f != nil:
			refuseRow(result, f)
		default:
			return nil, "", err
		}
		if o.CanDoEverything(member) {
			full++
		}
	}
	return results, outbox.Token(key, s.DB.Name, at.Revision), nil
}

// takeOne takes a seat from what is said to be free.
func (s *Service) takeOne(key id.Organization, usage *billingv1.SeatUsage) error {
	if usage.Available == nil { // there is no limit
		return nil
	}
	if usage.GetAvailable() <= 0 {
		return seats.LimitReached(s.PublicURL, key, usage)
	}
	usage.Used++
	*usage.Available--
	return nil
}

// part bounds what is done to a part of the time that a call has left. Without a deadline it does not.
func part(ctx context.Context, parts, of time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)*parts/of)
}

func refuseRow(result *membershipv1.MemberResult, why *fault.Fault) {
	result.Result = &membershipv1.MemberResult_Error{Error: why.GRPCStatus().Proto()}
}
