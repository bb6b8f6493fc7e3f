package invitation_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// peers are billing, identity and membership in a nutshell. As the real ones do, they store every answer that decides
// and give it again.
type peers struct {
	identityv1.AccountDirectoryServiceClient // for what nobody calls here

	// lose is asked before and after each call. Its error is what the caller gets: before, nothing has happened;
	// after, only the answer is lost.
	lose func(method string, after bool) error

	mu    sync.Mutex
	calls []call

	seats map[string]billingv1.SeatState // billing
	total map[string]int                 // by organization; absent: no limit

	accounts  map[string]profile // identity
	gone      map[string]bool    // accounts that were deleted, as membership has heard
	refusals  map[string]*fault.Fault
	key       int // that passwords are sealed with
	usernames map[string]hold
	fences    map[string]int32 // by invitation: the generation that ended
	sessions  int

	organizations map[string]*members // membership
	additions     map[string]addition // by seat, for ever
}

type profile struct{ email, username string } // email: a proven one

type hold struct {
	owner      string // account, or invitation
	generation int32
}

type members struct {
	deleted  bool
	policy   membershipv1.AuthorizeInvitationResponse
	roles    []string
	replaced map[string]string // roles that were deleted
	seat     map[string]string // by account
	refusals map[string]*fault.Fault
}

type addition struct {
	account string
	refusal *fault.Fault
}

// call is one that had its effect, and can have it again.
type call struct {
	method string
	again  func()
}

func newPeers() *peers {
	return &peers{
		lose:  func(string, bool) error { return nil },
		seats: make(map[string]billingv1.SeatState), total: make(map[string]int),
		accounts: make(map[string]profile), gone: make(map[string]bool), refusals: make(map[string]*fault.Fault), usernames: make(map[string]hold), fences: make(map[string]int32),
		organizations: make(map[string]*members), additions: make(map[string]addition),
	}
}

var errDown = fault.New(errorv1.Reason_REASON_UNAVAILABLE, "The service does not answer.")

// send is the way of every call to a peer.
func send[Q, A proto.Message](ctx context.Context, p *peers, method string, req Q, handle func(Q) (A, error)) (answer A, err error) {
	if err := ctx.Err(); err != nil {
		return answer, err
	}
	if err := p.lose(method, false); err != nil {
		return answer, err
	}
	asked := proto.CloneOf(req)
	p.mu.Lock()
	p.calls = append(p.calls, call{method, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		_, _ = handle(asked)
	}})
	answer, err = handle(asked)
	p.mu.Unlock()
	if lost := p.lose(method, true); lost != nil {
		return *new(A), lost
	}
	return answer, err
}

// methods returns the calls that had their effect since the n-th.
func (p *peers) methods(since int) (methods []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.calls[since:] {
		methods = append(methods, c.method)
	}
	return methods
}

// repeat delivers every call that ever was once more.
func (p *peers) repeat() {
	p.mu.Lock()
	calls := slices.Clone(p.calls)
	p.mu.Unlock()
	for _, c := range calls {
		if c.method != "OpenSession" { // the one that is not idempotent: whoever gets no answer gets no session
			c.again()
		}
	}
}

// all is everything that the peers know, as text.
func (p *peers) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var seated strings.Builder
	for _, key := range slices.Sorted(maps.Keys(p.organizations)) {
		fmt.Fprintln(&seated, key, p.organizations[key].seat)
	}
	return fmt.Sprint(p.seats, "\n", p.accounts, "\n", p.usernames, "\n", p.fences, "\n", p.additions, "\n", seated.String())
}

// with runs do on the peers' state.
func (p *peers) with(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
}

func (p *peers) signUp(address string) id.Account {
	account := id.NewAccount()
	p.with(func() { p.accounts[account.String()] = profile{email: address} })
	return account
}

func (p *peers) found(org id.Organization, admin id.Account) {
	p.with(func() {
		p.organizations[org.String()] = &members{
			policy: membershipv1.AuthorizeInvitationResponse{
				OrganizationDisplayName: "Acme", InviteTtl: durationpb.New(7 * 24 * time.Hour), LinkInvites: true,
				Username: membershipv1.Requirement_REQUIREMENT_OPTIONAL, Email: membershipv1.Requirement_REQUIREMENT_OPTIONAL,
			},
			roles: []string{"member", "admin"}, seat: map[string]string{admin.String(): "the creator's"}, refusals: make(map[string]*fault.Fault),
		}
	})
}

// refuse makes membership refuse a person everything; nil lets them again.
func (p *peers) refuse(org id.Organization, account id.Account, why *fault.Fault) {
	p.with(func() {
		p.organizations[org.String()].refusals[account.String()] = why
		if why == nil {
			delete(p.organizations[org.String()].refusals, account.String())
		}
	})
}

var (
	errGone    = fault.New(errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND, "No such organization.")
	errRole    = fault.New(errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE, "No such role.")
	errMissing = fault.New(errorv1.Reason_REASON_PERMISSION_MISSING, "You may not.")
	errDeleted = fault.New(errorv1.Reason_REASON_ACCOUNT_NOT_FOUND, "There is no such account any more.")
	errMember  = fault.New(errorv1.Reason_REASON_ALREADY_MEMBER, "A member already.")
	errEmail   = fault.New(errorv1.Reason_REASON_EMAIL_TAKEN, "Taken.")
	errSealed  = fault.New(errorv1.Reason_REASON_PASSWORD_REFUSED, "Enter it again.")
	errSeat    = fault.New(errorv1.Reason_REASON_SEAT_LIMIT_REACHED, "The seat is lost.")
	errName    = fault.New(errorv1.Reason_REASON_USERNAME_TAKEN, "Taken.")
)

func (p *peers) AuthorizeInvitation(ctx context.Context, req *membershipv1.AuthorizeInvitationRequest, _ ...grpc.CallOption) (*membershipv1.AuthorizeInvitationResponse, error) {
	return send(ctx, p, "AuthorizeInvitation", req, func(req *membershipv1.AuthorizeInvitationRequest) (*membershipv1.AuthorizeInvitationResponse, error) {
		org := p.organizations[req.GetOrganizationId()]
		if org == nil || org.deleted || req.GetActorAccountId() != "" && org.seat[req.GetActorAccountId()] == "" {
			return nil, errGone
		}
		if why := org.refusals[req.GetActorAccountId()]; why != nil {
			return nil, why
		}
		answer := proto.CloneOf(&org.policy)
		if answer.Role = req.GetRole(); answer.Role == "" {
			answer.Role = org.roles[0]
		}
		if replacement := org.replaced[answer.Role]; replacement != "" {
			answer.Role = replacement
		}
		if req.GetGrantsRole() && !slices.Contains(org.roles, answer.Role) {
			return nil, errRole
		}
		for _, account := range req.GetAccountIds() {
			if org.seat[account] != "" {
				answer.MemberAccountIds = append(answer.MemberAccountIds, account)
			}
		}
		return answer, nil
	})
}

func (p *peers) AddMember(ctx context.Context, req *membershipv1.AddMemberRequest, _ ...grpc.CallOption) (*membershipv1.AddMemberResponse, error) {
	return send(ctx, p, "AddMember", req, func(req *membershipv1.AddMemberRequest) (*membershipv1.AddMemberResponse, error) {
		org := p.organizations[req.GetOrganizationId()]
		if org.deleted {
			return nil, errGone
		}
		first, known := p.additions[req.GetSeatId()]
		if !known {
			first = addition{account: req.GetAccountId(), refusal: org.refusals[req.GetInviterAccountId()]}
			if org.seat[req.GetAccountId()] != "" {
				first.refusal = errMember
			}
			if p.gone[req.GetAccountId()] {
				first.refusal = errDeleted
			}
			if req.GetSeatLost() {
				first.refusal = errSeat
			}
			if p.additions[req.GetSeatId()] = first; first.refusal == nil {
				org.seat[req.GetAccountId()] = req.GetSeatId()
			}
		}
		if first.account != req.GetAccountId() {
			return nil, fmt.Errorf("the seat is another's")
		}
		if first.refusal != nil {
			return nil, first.refusal
		}
		return &membershipv1.AddMemberResponse{}, nil
	})
}

const (
	reserved = billingv1.SeatState_SEAT_STATE_RESERVED
	occupied = billingv1.SeatState_SEAT_STATE_OCCUPIED
	released = billingv1.SeatState_SEAT_STATE_RELEASED
	denied   = billingv1.SeatState_SEAT_STATE_DENIED
)

// used counts seats of all organizations: a test has one.
func (p *peers) used() (used int) {
	for _, state := range p.seats {
		if state == reserved || state == occupied {
			used++
		}
	}
	return used
}

func (p *peers) ReserveSeats(ctx context.Context, req *billingv1.ReserveSeatsRequest, _ ...grpc.CallOption) (*billingv1.ReserveSeatsResponse, error) {
	return send(ctx, p, "ReserveSeats", req, func(req *billingv1.ReserveSeatsRequest) (*billingv1.ReserveSeatsResponse, error) {
		p.release(req.GetReleaseSeatIds())
		seat := req.GetSeats()[0].GetSeatId()
		total, limited := p.total[req.GetOrganizationId()]
		if p.seats[seat] == 0 {
			p.seats[seat] = reserved
			if limited && p.used() > total {
				p.seats[seat] = denied
			}
		}
		return &billingv1.ReserveSeatsResponse{State: p.seats[seat], Usage: &billingv1.SeatUsage{Used: int32(p.used()), Total: proto.Int32(int32(total))}}, nil
	})
}

func (p *peers) OccupySeat(ctx context.Context, req *billingv1.OccupySeatRequest, _ ...grpc.CallOption) (*billingv1.OccupySeatResponse, error) {
	return send(ctx, p, "OccupySeat", req, func(req *billingv1.OccupySeatRequest) (*billingv1.OccupySeatResponse, error) {
		switch p.seats[req.GetSeatId()] {
		case 0:
			p.seats[req.GetSeatId()] = released
		case reserved:
			p.seats[req.GetSeatId()] = occupied
		}
		return &billingv1.OccupySeatResponse{State: p.seats[req.GetSeatId()]}, nil
	})
}

func (p *peers) ReleaseSeats(ctx context.Context, req *billingv1.ReleaseSeatsRequest, _ ...grpc.CallOption) (*billingv1.ReleaseSeatsResponse, error) {
	return send(ctx, p, "ReleaseSeats", req, func(req *billingv1.ReleaseSeatsRequest) (*billingv1.ReleaseSeatsResponse, error) {
		p.release(req.GetSeatIds())
		return &billingv1.ReleaseSeatsResponse{}, nil
	})
}

func (p *peers) release(seats []string) {
	for _, seat := range seats {
		if p.seats[seat] != denied {
			p.seats[seat] = released
		}
	}
}

// reset forgets everything: another test begins.
func (p *peers) reset() {
	fresh := newPeers()
	p.with(func() {
		p.calls, p.seats, p.total = nil, fresh.seats, fresh.total
		p.accounts, p.refusals, p.usernames, p.fences = fresh.accounts, fresh.refusals, fresh.usernames, fresh.fences
		p.organizations, p.additions = fresh.organizations, fresh.additions
	})
}
