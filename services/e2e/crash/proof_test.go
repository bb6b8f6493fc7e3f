package crash

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/testkit"
)

const newPassword = "marble lantern orchard 3"

// The operations on what somebody proves who they are with, on a policy, and on the log.
func init() {
	operations = append(operations,
		operation{
			name:    "change the password",
			arrange: newcomer,
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.as(s.token).ChangePassword(ctx, &identityv1.ChangePasswordRequest{CurrentPassword: password, Password: newPassword})
			},
			done: errorv1.Reason_REASON_CREDENTIALS_INVALID,
		},
		operation{
			name: "reset the password",
			arrange: func(t *testing.T, s *scene) {
				newcomer(t, s)
				_, err := s.as("").RequestPasswordReset(t.Context(), &identityv1.RequestPasswordResetRequest{Email: s.email})
				require.NoError(t, err)
				s.settle(t)
				s.token = s.link(t, s.email)
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.as("").ResetPassword(ctx, &identityv1.ResetPasswordRequest{Token: s.token, Password: newPassword, RequestId: s.request()})
			},
			brief: []string{"identity postgres.after_commit"},
		},
		operation{
			name:    "prove again who is there",
			arrange: newcomer,
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.as(s.token).Reauthenticate(ctx, &identityv1.ReauthenticateRequest{Password: password})
			},
			done: errorv1.Reason_REASON_UNAUTHENTICATED,
		},
		operation{
			name:    "confirm an app",
			arrange: newApp,
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.as(s.token).ConfirmTotp(ctx, &identityv1.ConfirmTotpRequest{FactorId: s.factor, Code: s.code})
			},
			done: errorv1.Reason_REASON_UNAUTHENTICATED,
		},
		operation{
			name:    "rename a factor",
			arrange: app,
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.as(s.token).RenameFactor(ctx, &identityv1.RenameFactorRequest{FactorId: s.factor, DisplayName: "Tablet", RequestId: s.request()})
			},
		},
		operation{
			name:    "remove a factor",
			arrange: app,
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.as(s.token).RemoveFactor(ctx, &identityv1.RemoveFactorRequest{FactorId: s.factor, RequestId: s.request()})
			},
		},
		operation{
			name:    "make recovery codes again",
			arrange: app,
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.as(s.token).RegenerateRecoveryCodes(ctx, &identityv1.RegenerateRecoveryCodesRequest{RequestId: s.request()})
			},
			brief: []string{"identity postgres.after_commit"},
		},
		operation{
			name: "answer a challenge",
			arrange: func(t *testing.T, s *scene) {
				app(t, s)
				half, err := s.as("").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
					Email: s.email, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
				require.NoError(t, err)
				s.token = half.GetToken()
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.as(s.token).AnswerChallenge(ctx, &identityv1.AnswerChallengeRequest{Code: s.code})
			},
			done: errorv1.Reason_REASON_UNAUTHENTICATED,
		},
		operation{
			name: "end all other sessions",
			arrange: func(t *testing.T, s *scene) {
				newcomer(t, s)
				s.signIn(t, s.email)
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.as(s.token).SignOutOthers(ctx, &identityv1.SignOutOthersRequest{})
			},
		},
		operation{
			name:    "make a key",
			arrange: newcomer,
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.as(s.token).CreateApiKey(ctx, &identityv1.CreateApiKeyRequest{DisplayName: "Nightly", Scopes: []string{"members.read"}})
			},
			repeats: []string{"identity: api", "identity: event account.api_key_created"}, // whose secret got lost can be deleted
		},
		operation{
			name: "delete a key",
			arrange: func(t *testing.T, s *scene) {
				newcomer(t, s)
				made, err := s.as(s.token).CreateApiKey(t.Context(), &identityv1.CreateApiKeyRequest{DisplayName: "Nightly", Scopes: []string{"members.read"}})
				require.NoError(t, err)
				s.factor = made.GetApiKey().GetId()
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.as(s.token).DeleteApiKey(ctx, &identityv1.DeleteApiKeyRequest{ApiKeyId: s.factor})
			},
			done: errorv1.Reason_REASON_API_KEY_NOT_FOUND,
		},
		operation{
			name: "reset a member's factors",
			arrange: func(t *testing.T, s *scene) {
				member(t, s)
				theirs := s.signIn(t, s.email)
				begun, err := theirs.BeginTotp(t.Context(), &identityv1.BeginTotpRequest{DisplayName: "Phone"})
				require.NoError(t, err)
				_, err = theirs.ConfirmTotp(t.Context(), &identityv1.ConfirmTotpRequest{FactorId: begun.GetFactorId(), Code: testkit.TOTP(t, begun.GetSecret())})
				require.NoError(t, err)
				s.tag += "r" // another request
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.owner.ResetMemberMfa(ctx, &membershipv1.ResetMemberMfaRequest{OrganizationId: s.org, AccountId: s.account, RequestId: s.request()})
			},
			brief: []string{"membership call.after ResetMfa"},
		},
		operation{
			name: "change a member's address",
			arrange: func(t *testing.T, s *scene) {
				member(t, s)
				s.tag += "r" // another request
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.owner.ChangeMemberEmail(ctx, &membershipv1.ChangeMemberEmailRequest{
					OrganizationId: s.org, AccountId: s.account, Email: s.tag + "@new.example", RequestId: s.request()})
			},
			brief: []string{"membership call.after ChangeAccountEmail", "identity postgres.after_commit"},
		},
		operation{
			name: "sign a member out everywhere",
			arrange: func(t *testing.T, s *scene) {
				member(t, s)
				s.signIn(t, s.email)
				s.tag += "r" // another request
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.owner.RevokeMemberSessions(ctx, &membershipv1.RevokeMemberSessionsRequest{OrganizationId: s.org, AccountId: s.account, RequestId: s.request()})
			},
			brief: []string{"membership call.after EndSessions"},
		},
		operation{
			name:    "change a policy",
			arrange: organization(membershipv1.Preset_PRESET_PIPELINE),
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.owner.UpdatePolicy(ctx, &membershipv1.UpdatePolicyRequest{
					OrganizationId: s.org, Policy: &membershipv1.OrganizationPolicy{Projects: true},
					UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"projects"}}, RequestId: s.request()})
			},
			brief: []string{"membership postgres.after_commit"},
		},
		operation{
			name:    "change a preset",
			arrange: member,
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				s.preset = membershipv1.Preset_PRESET_PIPELINE // from now on
				return s.owner.UpdatePolicy(ctx, &membershipv1.UpdatePolicyRequest{
					OrganizationId: s.org, Preset: s.preset, RoleRemap: map[string]string{"member": "developer"}, RequestId: s.request()})
			},
			brief: []string{"membership postgres.before_commit"},
		},
		operation{
			name:    "export the log",
			arrange: organization(membershipv1.Preset_PRESET_PORTAL),
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+s.owner.session)
				rows, err := s.as("").ExportAuditEvents(ctx, &membershipv1.ExportAuditEventsRequest{OrganizationId: s.org, RequestId: s.request()})
				for err == nil {
					_, err = rows.Recv()
				}
				if err == io.EOF {
					err = nil
				}
				return &membershipv1.ExportAuditEventsResponse{}, err
			},
		})
}

// newApp is an authenticator app that the newcomer's account is about to get.
func newApp(t *testing.T, s *scene) {
	t.Helper()
	newcomer(t, s)
	begun, err := s.as(s.token).BeginTotp(t.Context(), &identityv1.BeginTotpRequest{DisplayName: "Phone"})
	require.NoError(t, err)
	s.factor, s.code = begun.GetFactorId(), testkit.TOTP(t, begun.GetSecret())
}

// app is an authenticator app of the newcomer's account, with a recovery code.
func app(t *testing.T, s *scene) {
	t.Helper()
	newApp(t, s)
	confirmed, err := s.as(s.token).ConfirmTotp(t.Context(), &identityv1.ConfirmTotpRequest{FactorId: s.factor, Code: s.code})
	require.NoError(t, err)
	s.token, s.code = confirmed.GetToken(), confirmed.GetRecoveryCodes()[0]
}
