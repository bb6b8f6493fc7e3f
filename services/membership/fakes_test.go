package membership_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
)

// seats is billing: it remembers every seat, and can be told to fail.
type seats struct {
	mu     sync.Mutex
	states map[string]billingv1.SeatState
	limit  int // 0: none

	// before runs before a call, after runs once it had its effect; an error of either is what the caller gets.
	before, after func(method string) error
}

func newSeats() *seats {
	none := func(string) error { return nil }
	return &seats{states: make(map[string]billingv1.SeatState), before: none, after: none}
}

func (s *seats) call(method string, do func()) error {
	if err := s.before(method); err != nil {
		return err
	}
	s.mu.Lock()
	do()
	s.mu.Unlock()
	return s.after(method)
}

func (s *seats) used() (n int) {
	for _, state := range s.states {
		if state == billingv1.SeatState_SEAT_STATE_RESERVED || state == billingv1.SeatState_SEAT_STATE_OCCUPIED {
			n++
		}
	}
	return n
}

func (s *seats) usage() *billingv1.SeatUsage {
	u := &billingv1.SeatUsage{Used: int32(s.used())}
	if s.limit > 0 {
		u.Total, u.Available = proto.Int32(int32(s.limit)), proto.Int32(int32(s.limit-s.used()))
	}
	return u
}

// occupied returns the seats that somebody sits on.
func (s *seats) occupied() (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for seat, state := range s.states {
		if state == billingv1.SeatState_SEAT_STATE_OCCUPIED {
			ids = append(ids, seat)
		}
	}
	slices.Sort(ids)
	return ids
}

func (s *seats) snapshot() map[string]billingv1.SeatState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.states)
}

func (s *seats) ReserveSeats(_ context.Context, req *billingv1.ReserveSeatsRequest, _ ...grpc.CallOption) (*billingv1.ReserveSeatsResponse, error) {
	answer := &billingv1.ReserveSeatsResponse{}
	err := s.call("ReserveSeats", func() {
		for _, ask := range req.GetSeats() {
			if s.states[ask.GetSeatId()] == billingv1.SeatState_SEAT_STATE_UNSPECIFIED {
				s.states[ask.GetSeatId()] = billingv1.SeatState_SEAT_STATE_RESERVED
				if s.limit > 0 && s.used() > s.limit {
					s.states[ask.GetSeatId()] = billingv1.SeatState_SEAT_STATE_DENIED
				}
			}
			answer.State = s.states[ask.GetSeatId()]
		}
		answer.Usage = s.usage()
	})
	return answer, err
}

func (s *seats) OccupySeat(_ context.Context, req *billingv1.OccupySeatRequest, _ ...grpc.CallOption) (*billingv1.OccupySeatResponse, error) {
	answer := &billingv1.OccupySeatResponse{}
	err := s.call("OccupySeat", func() {
		if s.states[req.GetSeatId()] == billingv1.SeatState_SEAT_STATE_RESERVED {
			s.states[req.GetSeatId()] = billingv1.SeatState_SEAT_STATE_OCCUPIED
		}
		answer.State = s.states[req.GetSeatId()]
	})
	return answer, err
}

func (s *seats) ReleaseSeats(_ context.Context, req *billingv1.ReleaseSeatsRequest, _ ...grpc.CallOption) (*billingv1.ReleaseSeatsResponse, error) {
	answer := &billingv1.ReleaseSeatsResponse{}
	err := s.call("ReleaseSeats", func() {
		for _, seat := range req.GetSeatIds() {
			s.states[seat] = billingv1.SeatState_SEAT_STATE_RELEASED
		}
		answer.Usage = s.usage()
	})
	return answer, err
}

func (s *seats) GetSeatUsage(context.Context, *billingv1.GetSeatUsageRequest, ...grpc.CallOption) (*billingv1.GetSeatUsageResponse, error) {
	answer := &billingv1.GetSeatUsageResponse{}
	err := s.call("GetSeatUsage", func() { answer.Usage = s.usage() })
	return answer, err
}

// accounts is identity's directory: every account is called Ada, unless its name says otherwise.
type accounts struct {
	identityv1.AccountDirectoryServiceClient
	err     error
	name    func(account string) string
	created time.Time

	emails     map[string]string // ada@example.com for all others
	unverified map[string]bool
	gone       map[string]bool // deleted

	mu       sync.Mutex
	blocked  map[string]bool // from signing in
	resets   []*identityv1.ResetMfaRequest
	reset    *identityv1.ResetMfaResponse // nil: identity is away
	answered map[string]string            // about passwords, by operation
	refuse   error                        // to reset a password
	managed  bool                         // whether the organization manages accounts
	ended    []*identityv1.EndSessionsRequest
	claims   []*identityv1.ListClaimsResponse_Claim
	taken    bool // the address, when an account is to be made
	asked    int  // who has an address
}

// EndSessions answers like identity, which is away while there is an error.
func (a *accounts) EndSessions(_ context.Context, req *identityv1.EndSessionsRequest, _ ...grpc.CallOption) (*identityv1.EndSessionsResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = append(a.ended, req)
	return &identityv1.EndSessionsResponse{Managed: a.managed}, a.err
}

func (a *accounts) ListAccountSessions(_ context.Context, req *identityv1.ListAccountSessionsRequest, _ ...grpc.CallOption) (*identityv1.ListAccountSessionsResponse, error) {
	if !a.managed {
		return &identityv1.ListAccountSessionsResponse{}, a.err
	}
	return &identityv1.ListAccountSessionsResponse{Managed: true, Sessions: []*identityv1.Session{{AccountId: req.GetAccountId()}}}, a.err
}

func (a *accounts) ListAccountLoginActivity(_ context.Context, req *identityv1.ListAccountLoginActivityRequest, _ ...grpc.CallOption) (*identityv1.ListAccountLoginActivityResponse, error) {
	if !a.managed {
		return &identityv1.ListAccountLoginActivityResponse{}, a.err
	}
	return &identityv1.ListAccountLoginActivityResponse{Managed: true, Activity: []*identityv1.LoginActivity{{UserAgent: req.GetAccountId()}}}, a.err
}

func (a *accounts) ListClaims(context.Context, *identityv1.ListClaimsRequest, ...grpc.CallOption) (*identityv1.ListClaimsResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	return &identityv1.ListClaimsResponse{Claims: a.claims}, a.err
}

func (a *accounts) CreateManagedAccount(_ context.Context, req *identityv1.CreateManagedAccountRequest, _ ...grpc.CallOption) (*identityv1.CreateManagedAccountResponse, error) {
	if a.taken {
		return &identityv1.CreateManagedAccountResponse{EmailTaken: true}, nil
	}
	password, err := a.answer(req.GetOperationId(), "password-")
	return &identityv1.CreateManagedAccountResponse{Password: password}, err
}

// answer answers an operation as identity does: the same for ever.
func (a *accounts) answer(operation, answer string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return "", a.err
	}
	if a.refuse != nil {
		return "", a.refuse
	}
	if a.answered == nil {
		a.answered = make(map[string]string)
	}
	if a.answered[operation] == "" {
		a.answered[operation] = fmt.Sprint(answer, len(a.answered))
	}
	return a.answered[operation], nil
}

func (a *accounts) IssueTemporaryPassword(_ context.Context, req *identityv1.IssueTemporaryPasswordRequest, _ ...grpc.CallOption) (*identityv1.IssueTemporaryPasswordResponse, error) {
	password, err := a.answer(req.GetOperationId(), "password-")
	return &identityv1.IssueTemporaryPasswordResponse{Password: password}, err
}

func (a *accounts) SendPasswordReset(_ context.Context, req *identityv1.SendPasswordResetRequest, _ ...grpc.CallOption) (*identityv1.SendPasswordResetResponse, error) {
	_, err := a.answer(req.GetOperationId(), "link-")
	return &identityv1.SendPasswordResetResponse{}, err
}

// set says which address an account has.
func (a *accounts) set(account id.Account, email string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.emails == nil {
		a.emails, a.unverified = make(map[string]string), make(map[string]bool)
	}
	a.emails[account.String()] = email
}

func (a *accounts) SetSignIn(_ context.Context, req *identityv1.SetSignInRequest, _ ...grpc.CallOption) (*identityv1.SetSignInResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.blocked == nil {
		a.blocked = make(map[string]bool)
	}
	a.blocked[req.GetAccountId()] = !req.GetAllowed()
	return &identityv1.SetSignInResponse{Managed: true}, a.err
}

// ResetMfa answers like identity: for accounts that are managed here, once with a second factor.
func (a *accounts) ResetMfa(_ context.Context, req *identityv1.ResetMfaRequest, _ ...grpc.CallOption) (*identityv1.ResetMfaResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.resets = append(a.resets, req)
	if a.reset == nil {
		return nil, status.Error(codes.Unavailable, "identity is away")
	}
	return a.reset, nil
}

func (a *accounts) GetAccounts(_ context.Context, req *identityv1.GetAccountsRequest, _ ...grpc.CallOption) (*identityv1.GetAccountsResponse, error) {
	answer := &identityv1.GetAccountsResponse{}
	for _, key := range req.GetAccountIds() {
		name := "Ada Lovelace"
		if a.name != nil {
			name = a.name(key)
		}
		a.mu.Lock()
		if !a.gone[key] {
			answer.Accounts = append(answer.Accounts, &identityv1.Account{
				Id: key, DisplayName: name, Email: cmp.Or(a.emails[key], "ada@example.com"), EmailVerified: !a.unverified[key], CreateTime: timestamppb.New(a.created)})
		}
		a.mu.Unlock()
	}
	return answer, a.err
}

// postbox is a mail server.
type postbox struct {
	mu   sync.Mutex
	sent []mail.Message
}

func (o *postbox) Send(_ context.Context, m mail.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent = append(o.sent, m)
	return nil
}
