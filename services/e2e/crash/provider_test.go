package crash

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/testkit"
)

func init() {
	operations = append(operations, operation{
		name:    "sign in with an identity provider",
		arrange: sentBack,
		act:     comeBack,
		done:    errorv1.Reason_REASON_FEDERATED_SIGN_IN_FAILED,
		repeats: sessions,
	})
}

// sentBack is a browser that an identity provider, which vouches for the person, has sent back: token is what it has kept, code where it is
// sent to.
func sentBack(t *testing.T, s *scene) {
	t.Helper()
	there := testkit.NewIDP(t).Says("sub", s.email).Says("email", s.email)
	made, err := s.operator.CreateOperatorProvider(t.Context(), &identityv1.CreateOperatorProviderRequest{
		DisplayName: "Example", Issuer: there.URL, ClientId: testkit.ClientID, ClientSecret: testkit.ClientSecret})
	require.NoError(t, err)
	s.sendBack(t, there, made.GetProvider().GetId())
}

// comeBack follows the way back until there is an answer.
func comeBack(ctx context.Context, s *scene) (proto.Message, error) {
	for {
		status, _, err := browse(ctx, s.code, s.token)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil || status >= http.StatusInternalServerError:
			<-time.After(100 * time.Millisecond) // as a person would look again
		case status == http.StatusSeeOther:
			return &identityv1.CompleteFederatedSignInResponse{}, nil
		default:
			return nil, fault.New(errorv1.Reason_REASON_FEDERATED_SIGN_IN_FAILED, "The page said no.")
		}
	}
}

// browse opens a page and follows nothing.
func browse(ctx context.Context, at, cookie string) (status int, header http.Header, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return 0, nil, err
	}
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	answer, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	return answer.StatusCode, answer.Header, answer.Body.Close()
}
