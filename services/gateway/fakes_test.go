package gateway

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/credential"
	"github.com/rosterhq/roster/services/internal/id"
)

// fakes is the four services. A test sets the verbs that it needs; the others answer with nothing.
type fakes struct {
	identityv1.UnimplementedAccountServiceServer
	identityv1.UnimplementedSessionServiceServer
	identityv1.UnimplementedPasswordServiceServer
	identityv1.UnimplementedEmailServiceServer
	factors
	identityv1.UnimplementedFederatedSignInServiceServer
	identityv1.UnimplementedFederatedIdentityServiceServer
	identityv1.UnimplementedCredentialServiceServer
	identityv1.UnimplementedAccountDirectoryServiceServer
	membershipv1.UnimplementedMemberServiceServer
	membershipv1.UnimplementedAuditServiceServer
	membershipv1.UnimplementedOrganizationServiceServer
	invitationv1.UnimplementedInvitationServiceServer
	billingv1.UnimplementedSeatUsageServiceServer

	verify     func(context.Context, *identityv1.VerifyEmailRequest) (*identityv1.VerifyEmailResponse, error)
	leave      func(context.Context, *membershipv1.LeaveByLinkRequest) (*membershipv1.LeaveByLinkResponse, error)
	revert     func(context.Context, *identityv1.RevertEmailChangeRequest) (*identityv1.RevertEmailChangeResponse, error)
	reset      func(context.Context, *identityv1.ResetPasswordRequest) (*identityv1.ResetPasswordResponse, error)
	change     func(context.Context, *identityv1.ChangePasswordRequest) (*identityv1.ChangePasswordResponse, error)
	answer     func(context.Context, *identityv1.AnswerChallengeRequest) (*identityv1.AnswerChallengeResponse, error)
	signIn     func(context.Context, *identityv1.CreateSessionRequest) (*identityv1.CreateSessionResponse, error)
	passkey    func(context.Context, *identityv1.FinishPasskeySignInRequest) (*identityv1.FinishPasskeySignInResponse, error)
	begin      func(context.Context, *identityv1.BeginFederatedSignInRequest) (*identityv1.BeginFederatedSignInResponse, error)
	complete   func(context.Context, *identityv1.CompleteFederatedSignInRequest) (*identityv1.CompleteFederatedSignInResponse, error)
	link       func(context.Context, *identityv1.CompleteLinkProviderRequest) (*identityv1.CompleteLinkProviderResponse, error)
	linked     []*identityv1.FederatedIdentity
	avatar     func(context.Context, *identityv1.GetAvatarRequest) (*identityv1.GetAvatarResponse, error)
	ways       []*identityv1.SignInProvider
	waysOf     map[string][]*identityv1.SignInProvider // of organizations
	resolve    func(context.Context, *identityv1.ResolveCredentialRequest) (*identityv1.ResolveCredentialResponse, error)
	changeRole func(context.Context, *membershipv1.ChangeMemberRoleRequest) (*membershipv1.ChangeMemberRoleResponse, error)
	people     func(context.Context, *membershipv1.ListPeopleRequest) (*membershipv1.ListPeopleResponse, error)
	remove     func(context.Context, *membershipv1.RemoveMemberRequest) (*membershipv1.RemoveMemberResponse, error)
	getOrg     func(context.Context, *membershipv1.GetOrganizationRequest) (*membershipv1.GetOrganizationResponse, error)
	deleteOrg  func(context.Context, *membershipv1.DeleteOrganizationRequest) (*membershipv1.DeleteOrganizationResponse, error)
	export     func(*membershipv1.ExportAuditEventsRequest, grpc.ServerStreamingServer[membershipv1.ExportAuditEventsResponse]) error
	preview    func(context.Context, *invitationv1.PreviewInvitationRequest) (*invitationv1.PreviewInvitationResponse, error)
	accept     func(context.Context, *invitationv1.AcceptInvitationRequest) (*invitationv1.AcceptInvitationResponse, error)
	decline    func(context.Context, *invitationv1.DeclineInvitationRequest) (*invitationv1.DeclineInvitationResponse, error)

	key jose.JSONWebKey

	lock     sync.Mutex
	sessions map[string]person // by secret
	metadata metadata.MD       // of the latest call to a verb
	caller   caller.Caller
	called   []string
}

func (f *fakes) ExportAuditEvents(req *membershipv1.ExportAuditEventsRequest, stream grpc.ServerStreamingServer[membershipv1.ExportAuditEventsResponse]) error {
	f.lock.Lock()
	f.metadata, _ = metadata.FromIncomingContext(stream.Context())
	f.caller = caller.From(stream.Context())
	f.lock.Unlock()
	return f.export(req, stream)
}

func (f *fakes) GetAvatar(ctx context.Context, req *identityv1.GetAvatarRequest) (*identityv1.GetAvatarResponse, error) {
	return answerTo(f, ctx, "GetAvatar", f.avatar, req)
}

func newFakes() *fakes {
	return &fakes{key: newKey(), sessions: make(map[string]person)}
}

// signedIn makes a person with a session and returns its secret.
func (f *fakes) signedIn(name string, cookie bool) (secret string, who person) {
	who = person{
		account: &identityv1.Account{Id: id.NewAccount().String(), DisplayName: name, Email: "ada@example.com"},
		session: id.NewSession(), cookie: cookie,
	}
	secret = "secret-of-" + who.session.String()
	f.lock.Lock()
	defer f.lock.Unlock()
	f.sessions[secret] = who
	return secret, who
}

func (f *fakes) saw(ctx context.Context, verb string) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.metadata, _ = metadata.FromIncomingContext(ctx)
	f.caller = caller.From(ctx)
	f.called = append(f.called, verb)
}

func (f *fakes) calls() []string {
	f.lock.Lock()
	defer f.lock.Unlock()
	return f.called
}

func (f *fakes) latest() (metadata.MD, caller.Caller) {
	f.lock.Lock()
	defer f.lock.Unlock()
	return f.metadata, f.caller
}

// answerTo calls the test's verb; without one the answer is empty.
func answerTo[Req, Resp any](f *fakes, ctx context.Context, verb string, fn func(context.Context, *Req) (*Resp, error), req *Req) (*Resp, error) {
	f.saw(ctx, verb)
	if fn == nil {
		return new(Resp), nil
	}
	return fn(ctx, req)
}

var errBadSecret = fault.New(errorv1.Reason_REASON_UNAUTHENTICATED, "The credential is unknown.")

func (f *fakes) ResolveCredential(ctx context.Context, req *identityv1.ResolveCredentialRequest) (*identityv1.ResolveCredentialResponse, error) {
	if f.resolve != nil {
		return f.resolve(ctx, req)
	}
	f.lock.Lock()
	defer f.lock.Unlock()
	who, ok := f.sessions[req.GetSecret()]
	if !ok || who.cookie != req.GetCookie() {
		return nil, errBadSecret
	}
	account, err := id.ParseAccount(who.account.GetId())
	if err != nil {
		return nil, err
	}
	now := time.Now()
	token, err := credential.Sign(f.key, credential.Claims{
		Account: account, Session: who.session, Stage: who.stage, AuthTime: now, Level: 1, Reach: 1, Audience: req.GetAudience(), IssuedAt: now, Expires: now.Add(credential.Lifetime)})
	return &identityv1.ResolveCredentialResponse{Token: token, ExpireTime: timestamppb.New(now.Add(credential.Lifetime))}, err
}

func (f *fakes) ListSigningKeys(context.Context, *identityv1.ListSigningKeysRequest) (*identityv1.ListSigningKeysResponse, error) {
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{f.key.Public()}})
	return &identityv1.ListSigningKeysResponse{Jwks: string(text)}, err
}

// openSession signs a person in, the way identity and invitation do it.
func (f *fakes) openSession(ctx context.Context, name string) (*identityv1.Session, error) {
	return f.openSessionAt(ctx, name, "")
}

// openSessionAt begins a session that is at a stage of its sign-in.
func (f *fakes) openSessionAt(ctx context.Context, name string, stage caller.Stage) (*identityv1.Session, error) {
	secret, who := f.signedIn(name, true)
	who.stage = stage
	f.lock.Lock()
	f.sessions[secret] = who
	f.lock.Unlock()
	session := &identityv1.Session{Id: who.session.String(), AccountId: who.account.GetId(), ExpireTime: inAnHour()}
	return session, grpc.SetHeader(ctx, metadata.Pairs(credential.SecretHeader, secret, "x-internal", "not for clients"))
}

func (f *fakes) CreateSession(ctx context.Context, req *identityv1.CreateSessionRequest) (*identityv1.CreateSessionResponse, error) {
	return answerTo(f, ctx, "CreateSession", f.signIn, req)
}

func (f *fakes) FinishPasskeySignIn(ctx context.Context, req *identityv1.FinishPasskeySignInRequest) (*identityv1.FinishPasskeySignInResponse, error) {
	return answerTo(f, ctx, "FinishPasskeySignIn", f.passkey, req)
}

func (f *fakes) AnswerChallenge(ctx context.Context, req *identityv1.AnswerChallengeRequest) (*identityv1.AnswerChallengeResponse, error) {
	return answerTo(f, ctx, "AnswerChallenge", f.answer, req)
}

func (f *fakes) SignOut(ctx context.Context, _ *identityv1.SignOutRequest) (*identityv1.SignOutResponse, error) {
	f.saw(ctx, "SignOut")
	return &identityv1.SignOutResponse{}, f.end(caller.From(ctx).Session.String())
}

func (f *fakes) DeleteSession(ctx context.Context, req *identityv1.DeleteSessionRequest) (*identityv1.DeleteSessionResponse, error) {
	f.saw(ctx, "DeleteSession")
	return &identityv1.DeleteSessionResponse{}, f.end(req.GetSessionId())
}

func (f *fakes) end(session string) error {
	f.lock.Lock()
	defer f.lock.Unlock()
	for secret, who := range f.sessions {
		if who.session.String() == session {
			delete(f.sessions, secret)
			return nil
		}
	}
	return fault.New(errorv1.Reason_REASON_SESSION_NOT_FOUND, "There is no such session.")
}

func (f *fakes) GetMe(ctx context.Context, _ *identityv1.GetMeRequest) (*identityv1.GetMeResponse, error) {
	f.saw(ctx, "GetMe")
	f.lock.Lock()
	defer f.lock.Unlock()
	for _, who := range f.sessions {
		if who.session == caller.From(ctx).Session {
			return &identityv1.GetMeResponse{Account: who.account}, nil
		}
	}
	return nil, fault.New(errorv1.Reason_REASON_ACCOUNT_NOT_FOUND, "There is no such account.")
}

func (f *fakes) LeaveByLink(ctx context.Context, req *membershipv1.LeaveByLinkRequest) (*membershipv1.LeaveByLinkResponse, error) {
	return answerTo(f, ctx, "LeaveByLink", f.leave, req)
}

func (f *fakes) RevertEmailChange(ctx context.Context, req *identityv1.RevertEmailChangeRequest) (*identityv1.RevertEmailChangeResponse, error) {
	return answerTo(f, ctx, "RevertEmailChange", f.revert, req)
}

func (f *fakes) VerifyEmail(ctx context.Context, req *identityv1.VerifyEmailRequest) (*identityv1.VerifyEmailResponse, error) {
	return answerTo(f, ctx, "VerifyEmail", f.verify, req)
}

func (f *fakes) RequestPasswordReset(ctx context.Context, req *identityv1.RequestPasswordResetRequest) (*identityv1.RequestPasswordResetResponse, error) {
	f.saw(ctx, "RequestPasswordReset "+req.GetEmail()+req.GetUsername())
	return &identityv1.RequestPasswordResetResponse{}, nil
}

func (f *fakes) ChangePassword(ctx context.Context, req *identityv1.ChangePasswordRequest) (*identityv1.ChangePasswordResponse, error) {
	return answerTo(f, ctx, "ChangePassword", f.change, req)
}

func (f *fakes) ResetPassword(ctx context.Context, req *identityv1.ResetPasswordRequest) (*identityv1.ResetPasswordResponse, error) {
	return answerTo(f, ctx, "ResetPassword", f.reset, req)
}

func (f *fakes) ChangeMemberRole(ctx context.Context, req *membershipv1.ChangeMemberRoleRequest) (*membershipv1.ChangeMemberRoleResponse, error) {
	return answerTo(f, ctx, "ChangeMemberRole", f.changeRole, req)
}

func (f *fakes) ListPeople(ctx context.Context, req *membershipv1.ListPeopleRequest) (*membershipv1.ListPeopleResponse, error) {
	return answerTo(f, ctx, "ListPeople", f.people, req)
}

func (f *fakes) RemoveMember(ctx context.Context, req *membershipv1.RemoveMemberRequest) (*membershipv1.RemoveMemberResponse, error) {
	return answerTo(f, ctx, "RemoveMember", f.remove, req)
}

func (f *fakes) GetOrganization(ctx context.Context, req *membershipv1.GetOrganizationRequest) (*membershipv1.GetOrganizationResponse, error) {
	return answerTo(f, ctx, "GetOrganization", f.getOrg, req)
}

func (f *fakes) DeleteOrganization(ctx context.Context, req *membershipv1.DeleteOrganizationRequest) (*membershipv1.DeleteOrganizationResponse, error) {
	return answerTo(f, ctx, "DeleteOrganization", f.deleteOrg, req)
}

func (f *fakes) PreviewInvitation(ctx context.Context, req *invitationv1.PreviewInvitationRequest) (*invitationv1.PreviewInvitationResponse, error) {
	return answerTo(f, ctx, "PreviewInvitation", f.preview, req)
}

func (f *fakes) AcceptInvitation(ctx context.Context, req *invitationv1.AcceptInvitationRequest) (*invitationv1.AcceptInvitationResponse, error) {
	return answerTo(f, ctx, "AcceptInvitation", f.accept, req)
}

func (f *fakes) DeclineInvitation(ctx context.Context, req *invitationv1.DeclineInvitationRequest) (*invitationv1.DeclineInvitationResponse, error) {
	return answerTo(f, ctx, "DeclineInvitation", f.decline, req)
}

func (f *fakes) ListSignInProviders(_ context.Context, req *identityv1.ListSignInProvidersRequest) (*identityv1.ListSignInProvidersResponse, error) {
	if req.GetOrganizationId() != "" {
		return &identityv1.ListSignInProvidersResponse{Providers: f.waysOf[req.GetOrganizationId()]}, nil
	}
	return &identityv1.ListSignInProvidersResponse{Providers: f.ways}, nil
}

func (f *fakes) BeginFederatedSignIn(ctx context.Context, req *identityv1.BeginFederatedSignInRequest) (*identityv1.BeginFederatedSignInResponse, error) {
	return f.begin(ctx, req)
}

func (f *fakes) CompleteFederatedSignIn(ctx context.Context, req *identityv1.CompleteFederatedSignInRequest) (*identityv1.CompleteFederatedSignInResponse, error) {
	return f.complete(ctx, req)
}

func (f *fakes) ListFederatedIdentities(ctx context.Context, _ *identityv1.ListFederatedIdentitiesRequest) (*identityv1.ListFederatedIdentitiesResponse, error) {
	f.saw(ctx, "ListFederatedIdentities")
	return &identityv1.ListFederatedIdentitiesResponse{FederatedIdentities: f.linked}, nil
}

func (f *fakes) BeginLinkProvider(ctx context.Context, req *identityv1.BeginLinkProviderRequest) (*identityv1.BeginLinkProviderResponse, error) {
	return &identityv1.BeginLinkProviderResponse{
		AuthorizationUrl: "https://accounts.example.com/auth?client_id=" + req.GetProviderId() + "&state=s", Flow: "the-flow",
		ExpireTime: timestamppb.New(time.Now().Add(10 * time.Minute))}, f.guard(ctx, "BeginLinkProvider")
}

func (f *fakes) CompleteLinkProvider(ctx context.Context, req *identityv1.CompleteLinkProviderRequest) (*identityv1.CompleteLinkProviderResponse, error) {
	return answerTo(f, ctx, "CompleteLinkProvider", f.link, req)
}

func (f *fakes) UnlinkProvider(ctx context.Context, _ *identityv1.UnlinkProviderRequest) (*identityv1.UnlinkProviderResponse, error) {
	return &identityv1.UnlinkProviderResponse{}, f.guard(ctx, "UnlinkProvider")
}
