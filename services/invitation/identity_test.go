package invitation_test

import (
	"context"
	"fmt"
	"maps"

	"google.golang.org/grpc"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
)

func (p *peers) GetAccounts(ctx context.Context, req *identityv1.GetAccountsRequest, _ ...grpc.CallOption) (*identityv1.GetAccountsResponse, error) {
	return send(ctx, p, "GetAccounts", req, func(req *identityv1.GetAccountsRequest) (*identityv1.GetAccountsResponse, error) {
		answer := &identityv1.GetAccountsResponse{}
		for _, account := range req.GetAccountIds() {
			if found, ok := p.accounts[account]; ok {
				answer.Accounts = append(answer.Accounts, &identityv1.Account{Id: account, DisplayName: "Ada", Email: found.email, Username: found.username})
			}
		}
		return answer, nil
	})
}

func (p *peers) FindAccount(ctx context.Context, req *identityv1.FindAccountRequest, _ ...grpc.CallOption) (*identityv1.FindAccountResponse, error) {
	return send(ctx, p, "FindAccount", req, func(req *identityv1.FindAccountRequest) (*identityv1.FindAccountResponse, error) {
		for account, found := range p.accounts {
			if req.GetEmail() != "" && found.email == req.GetEmail() || req.GetUsername() != "" && found.username == req.GetUsername() {
				return &identityv1.FindAccountResponse{Account: &identityv1.Account{Id: account}}, nil
			}
		}
		return &identityv1.FindAccountResponse{}, nil
	})
}

func (p *peers) HoldUsername(ctx context.Context, req *identityv1.HoldUsernameRequest, _ ...grpc.CallOption) (*identityv1.HoldUsernameResponse, error) {
	return send(ctx, p, "HoldUsername", req, func(req *identityv1.HoldUsernameRequest) (*identityv1.HoldUsernameResponse, error) {
		holder, held := p.usernames[req.GetUsername()]
		if req.GetGeneration() <= p.fences[req.GetInvitationId()] || held && holder.owner != req.GetInvitationId() {
			return nil, errName
		}
		p.usernames[req.GetUsername()] = hold{req.GetInvitationId(), max(holder.generation, req.GetGeneration())}
		return &identityv1.HoldUsernameResponse{}, nil
	})
}

func (p *peers) ReleaseUsername(ctx context.Context, req *identityv1.ReleaseUsernameRequest, _ ...grpc.CallOption) (*identityv1.ReleaseUsernameResponse, error) {
	return send(ctx, p, "ReleaseUsername", req, func(req *identityv1.ReleaseUsernameRequest) (*identityv1.ReleaseUsernameResponse, error) {
		p.fences[req.GetInvitationId()] = max(p.fences[req.GetInvitationId()], req.GetGeneration())
		maps.DeleteFunc(p.usernames, func(_ string, holder hold) bool {
			return holder.owner == req.GetInvitationId() && holder.generation <= req.GetGeneration()
		})
		return &identityv1.ReleaseUsernameResponse{}, nil
	})
}

func (p *peers) SealPassword(ctx context.Context, req *identityv1.SealPasswordRequest, _ ...grpc.CallOption) (*identityv1.SealPasswordResponse, error) {
	return send(ctx, p, "SealPassword", req, func(req *identityv1.SealPasswordRequest) (*identityv1.SealPasswordResponse, error) {
		if len(req.GetPassword()) < 8 {
			return nil, fault.New(errorv1.Reason_REASON_PASSWORD_REFUSED, "Too short.")
		}
		return &identityv1.SealPasswordResponse{SealedPassword: p.sealed(req.GetAccountId())}, nil
	})
}

func (p *peers) sealed(account string) []byte {
	return fmt.Appendf(nil, "a password of %s under key %d", account, p.key)
}

func (p *peers) CreateAccount(ctx context.Context, req *identityv1.CreateAccountRequest, _ ...grpc.CallOption) (*identityv1.CreateAccountResponse, error) {
	return send(ctx, p, "CreateAccount", req, func(req *identityv1.CreateAccountRequest) (*identityv1.CreateAccountResponse, error) {
		if _, made := p.accounts[req.GetAccountId()]; made {
			return &identityv1.CreateAccountResponse{}, nil
		}
		if refusal := p.refusals[req.GetAccountId()]; refusal != nil {
			return nil, refusal
		}
		for _, other := range p.accounts {
			if req.GetEmail() != "" && other.email == req.GetEmail() {
				p.refusals[req.GetAccountId()] = errEmail
				return nil, errEmail
			}
		}
		if string(req.GetSealedPassword()) != string(p.sealed(req.GetAccountId())) {
			p.refusals[req.GetAccountId()] = errSealed
			return nil, errSealed
		}
		if req.GetUsername() != "" {
			if p.usernames[req.GetUsername()].owner != req.GetInvitationId() {
				p.refusals[req.GetAccountId()] = errName
				return nil, errName
			}
			p.usernames[req.GetUsername()] = hold{owner: req.GetAccountId()}
		}
		made := profile{username: req.GetUsername()}
		if req.GetEmailVerified() {
			made.email = req.GetEmail()
		}
		p.accounts[req.GetAccountId()] = made
		return &identityv1.CreateAccountResponse{}, nil
	})
}

func (p *peers) OpenSession(ctx context.Context, req *identityv1.OpenSessionRequest, _ ...grpc.CallOption) (*identityv1.OpenSessionResponse, error) {
	return send(ctx, p, "OpenSession", req, func(*identityv1.OpenSessionRequest) (*identityv1.OpenSessionResponse, error) {
		p.sessions++
		return &identityv1.OpenSessionResponse{Session: &identityv1.Session{}, Secret: "a session's secret"}, nil
	})
}
