package crash

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/internal/testkit"
)

// The operations on what an account has beside a password.
func init() {
	operations = append(operations,
		operation{
			name:    "set a picture",
			arrange: newcomer,
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return setAvatar(ctx, s)
			},
		},
		operation{
			name: "take a picture away",
			arrange: func(t *testing.T, s *scene) {
				newcomer(t, s)
				_, err := setAvatar(t.Context(), s)
				require.NoError(t, err)
				s.tag += "o" // another request
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.as(s.token).DeleteAvatar(ctx, &identityv1.DeleteAvatarRequest{RequestId: s.request()})
			},
		},
		operation{
			name:    "remove an address",
			arrange: twoAddresses,
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.as(s.token).RemoveEmail(ctx, &identityv1.RemoveEmailRequest{Email: s.second(), RequestId: s.request()})
			},
		},
		operation{
			name:    "make an address the primary one",
			arrange: twoAddresses,
			act:     setPrimary,
		},
		operation{
			name: "take the primary address back",
			arrange: func(t *testing.T, s *scene) {
				twoAddresses(t, s)
				_, err := setPrimary(t.Context(), s)
				require.NoError(t, err)
				s.settle(t)
				links := s.links(s.email) // the oldest first
				s.token = links[len(links)-1]
				s.tag += "o" // another request
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.as("").RevertEmailChange(ctx, &identityv1.RevertEmailChangeRequest{Token: s.token, RequestId: s.request()})
			},
		},
		operation{
			name: "delete an account",
			arrange: func(t *testing.T, s *scene) {
				invitedByMail(t, s)
				joined, err := acceptAsNew(t.Context(), s)
				require.NoError(t, err)
				s.token = joined.(*invitationv1.AcceptInvitationResponse).GetSessionToken()
				s.tag += "o" // another request
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				_, err := s.as(s.token).DeleteMe(ctx, &identityv1.DeleteMeRequest{})
				return &identityv1.DeleteMeResponse{}, err // whether it has come to its end by then varies
			},
			see: func(t *testing.T, s *scene) string {
				_, err := s.as("").CreateSession(t.Context(), &identityv1.CreateSessionRequest{
					Email: s.email, Password: password, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
				return fault.ReasonOf(err).String()
			},
			done:  errorv1.Reason_REASON_UNAUTHENTICATED,
			brief: []string{"identity call.after EndMemberships", "membership postgres.after_commit", "membership saga.before_step erase"},
		},
		operation{
			name: "delete somebody's account",
			arrange: func(t *testing.T, s *scene) {
				invitedByMail(t, s)
				joined, err := acceptAsNew(t.Context(), s)
				require.NoError(t, err)
				s.account = joined.(*invitationv1.AcceptInvitationResponse).GetAccountId()
				s.tag += "o" // another request
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				_, err := s.operator.DeleteAccount(ctx, &identityv1.DeleteAccountRequest{AccountId: s.account, Reason: "by law", RequestId: s.request()})
				return &identityv1.DeleteAccountResponse{}, err // whether it has come to its end by then varies
			},
			brief: []string{"identity call.after EndMemberships"},
		},
		operation{
			name: "confirm a passkey",
			arrange: func(t *testing.T, s *scene) {
				newcomer(t, s)
				s.code = s.newPasskey(t).made
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.as(s.token).ConfirmPasskey(ctx, &identityv1.ConfirmPasskeyRequest{Passkey: s.code, DisplayName: "Key"})
			},
			done: errorv1.Reason_REASON_UNAUTHENTICATED,
		},
		operation{
			name: "sign in with a passkey",
			arrange: func(t *testing.T, s *scene) {
				newcomer(t, s)
				key := s.newPasskey(t)
				_, err := s.as(s.token).ConfirmPasskey(t.Context(), &identityv1.ConfirmPasskeyRequest{Passkey: key.made, DisplayName: "Key"})
				require.NoError(t, err)
				begun, err := s.as("").BeginPasskeySignIn(t.Context(), &identityv1.BeginPasskeySignInRequest{})
				require.NoError(t, err)
				s.code = key.Sign(t, begun.GetOptions())
			},
			act: func(ctx context.Context, s *scene) (proto.Message, error) {
				return s.as("").FinishPasskeySignIn(ctx, &identityv1.FinishPasskeySignInRequest{Passkey: s.code, Delivery: identityv1.Delivery_DELIVERY_TOKEN})
			},
			done:    errorv1.Reason_REASON_PASSKEY_INVALID,
			repeats: sessions,
		},
	)
}

// second is another address of the newcomer's.
func (s *scene) second() string { return "second-" + s.email }

// twoAddresses is a newcomer who has proven another address.
func twoAddresses(t *testing.T, s *scene) {
	t.Helper()
	newcomer(t, s)
	_, err := s.as(s.token).AddEmail(t.Context(), &identityv1.AddEmailRequest{Email: s.second()})
	require.NoError(t, err)
	_, err = s.as("").VerifyEmail(t.Context(), &identityv1.VerifyEmailRequest{Token: s.link(t, s.second())})
	require.NoError(t, err)
}

func setPrimary(ctx context.Context, s *scene) (proto.Message, error) {
	return s.as(s.token).SetPrimaryEmail(ctx, &identityv1.SetPrimaryEmailRequest{Email: s.second(), RequestId: s.request()})
}

func setAvatar(ctx context.Context, s *scene) (proto.Message, error) {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		return nil, err
	}
	return s.as(s.token).SetAvatar(ctx, &identityv1.SetAvatarRequest{Content: picture.Bytes(), RequestId: s.request()})
}

// passkey is one that the newcomer's account is about to get.
type passkey struct {
	*testkit.Passkey
	made string // what the browser answers
}

func (s *scene) newPasskey(t *testing.T) passkey {
	t.Helper()
	key := testkit.NewPasskey(t, s.URL)
	begun, err := s.as(s.token).BeginPasskey(t.Context(), &identityv1.BeginPasskeyRequest{})
	require.NoError(t, err)
	return passkey{key, key.Create(t, begun.GetOptions())}
}
