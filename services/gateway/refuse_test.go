package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
)

// TestOneRefusalTwoProtocols asks for each reason over gRPC and over REST.
func TestOneRefusalTwoProtocols(t *testing.T) {
	t.Parallel()
	h := start(t)
	var refusal error
	h.preview = func(context.Context, *invitationv1.PreviewInvitationRequest) (*invitationv1.PreviewInvitationResponse, error) {
		return nil, refusal
	}
	direct := invitationv1.NewInvitationServiceClient(h.dial("", "invitation"))
	for number, name := range errorv1.Reason_name {
		reason := errorv1.Reason(number)
		if reason == errorv1.Reason_REASON_UNSPECIFIED {
			continue
		}
		want := fault.New(reason, "Words for people.").With("subject", "ada").WithHelp("https://roster.example/help").WithRetry(1500 * time.Millisecond)
		if want.Code() == codes.InvalidArgument {
			want.Fields = []fault.Field{{Name: "email", Reason: "is no address"}}
		}
		refusal = want

		_, err := direct.PreviewInvitation(t.Context(), &invitationv1.PreviewInvitationRequest{LinkToken: "x"})
		require.Equal(t, want.Code(), status.Code(err), name)
		require.Equal(t, want, fault.From(err), name)

		a := h.do("POST", previewURL, `{"linkToken":"x"}`)
		require.Equal(t, want.HTTPStatus(), a.StatusCode, name)
		require.EqualValues(t, want.Code(), a.json(t, "code"), name)
		require.Equal(t, want.Name(), a.reason(t))
		require.Equal(t, "Words for people.", a.json(t, "message"))
		require.Equal(t, "2", a.Header.Get("Retry-After"), "whole seconds")
		require.Equal(t, a.StatusCode == 401, strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer"), name)
		if want.Fields != nil {
			require.Equal(t, map[string]string{"email": "is no address"}, a.violations(t))
		}
		require.Equal(t, want.Name(), h.log.last(t)["reason"])
		require.NotContains(t, h.log.last(t), "stack")
	}
}

func TestStepUpChallenge(t *testing.T) {
	t.Parallel()
	f := fault.New(errorv1.Reason_REASON_STEP_UP_REQUIRED, "Again.").With("minutes", "10")
	require.Equal(t, `Bearer error="insufficient_user_authentication", max_age=600`, challenge(f))
}

func TestProblem(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.preview = func(context.Context, *invitationv1.PreviewInvitationRequest) (*invitationv1.PreviewInvitationResponse, error) {
		f := fault.Invalid("link_token", "is not a link").With("hint", "look").WithHelp("https://roster.example/help")
		return nil, f
	}
	for _, accept := range []string{problemType, "application/json, application/problem+json;q=0.5", "text/html;q=0.1," + problemType} {
		a := h.do("POST", previewURL, `{"linkToken":"x"}`, "Accept", accept)
		require.Equal(t, 400, a.StatusCode)
		require.Equal(t, problemType, a.Header.Get("Content-Type"))
		require.JSONEq(t, `{"type":"https://roster.example/docs/errors#VALIDATION_FAILED","title":"Validation failed","status":400,
			"detail":"The request is not valid: link_token is not a link.","instance":"`+a.Header.Get("X-Request-Id")+`","reason":"VALIDATION_FAILED",
			"metadata":{"hint":"look"},"violations":[{"field":"link_token","description":"is not a link"}],"help":"https://roster.example/help"}`, a.text)
	}
	for _, accept := range []string{"", "*/*", "application/json", problemType + ";q=0"} {
		require.Equal(t, "VALIDATION_FAILED", h.do("POST", previewURL, `{"linkToken":"x"}`, "Accept", accept).reason(t), accept)
	}
	a := h.do("POST", "/v1/sessions", "", "Accept", problemType, "Sec-Fetch-Site", "cross-site")
	require.Equal(t, problemType, a.Header.Get("Content-Type"), "also what never got so far")
	require.Equal(t, problemType, h.do("PUT", "/v1/me", "", "Accept", problemType).Header.Get("Content-Type"))
}

// TestNoFault is about failures without a reason: of a service that is down, or of one that is not ours.
func TestNoFault(t *testing.T) {
	t.Parallel()
	t.Run("R73 ItsWordsStayHere", itsWordsStayHere)
	t.Run("R73 AServiceThatIsAwayIsNotNamed", awayIsNotNamed)
}

func itsWordsStayHere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		reason string
	}{
		{status.Error(codes.Unavailable, "dial tcp 10.0.0.7: refused"), 503, "UNAVAILABLE"},
		{status.Error(codes.DeadlineExceeded, "10.0.0.7"), 504, "DEADLINE_EXCEEDED"},
		{status.Error(codes.Canceled, "10.0.0.7"), 499, "CANCELLED"},
		{status.Error(codes.Internal, "pq: 10.0.0.7"), 500, "INTERNAL"},
		{status.Error(codes.InvalidArgument, "10.0.0.7"), 500, "INTERNAL"},
		{status.Error(codes.ResourceExhausted, "10.0.0.7"), 500, "INTERNAL"},
		{errors.New("10.0.0.7"), 500, "INTERNAL"},
	} {
		h := start(t, func(d *Dependencies) {
			broken := func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ grpc.UnaryInvoker, _ ...grpc.CallOption) error {
				callFrom(ctx).sent = true
				return c.err
			}
			conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUnaryInterceptor(broken))
			require.NoError(t, err)
			t.Cleanup(func() { _ = conn.Close() })
			d.Conns["invitation"] = conn
		})
		a := h.do("POST", previewURL, `{"linkToken":"x"}`)
		require.Equal(t, c.status, a.StatusCode, c.err)
		require.Equal(t, c.reason, a.reason(t))
		require.NotContains(t, a.text, "10.0.0.7")
		if c.status == http.StatusInternalServerError {
			require.Contains(t, a.text, a.Header.Get("X-Request-Id"))
			require.Equal(t, "ERROR", h.log.last(t)["level"])
			require.Contains(t, h.log.last(t)["error"], "10.0.0.7")
		}
	}

}

func awayIsNotNamed(t *testing.T) {
	t.Parallel()
	h := start(t, func(d *Dependencies) {
		conn, err := grpc.NewClient("passthrough:///127.0.0.1:1", grpc.WithTransportCredentials(insecure.NewCredentials()))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		d.Conns["invitation"] = conn
	})
	a := h.do("POST", previewURL, `{"linkToken":"x"}`)
	require.Equal(t, 503, a.StatusCode)
	require.Equal(t, "1", a.Header.Get("Retry-After"))
	require.NotContains(t, a.text, "127.0.0.1")
}
