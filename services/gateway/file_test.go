package gateway

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

func TestFile(t *testing.T) {
	t.Parallel()
	type exporting = grpc.ServerStreamingServer[membershipv1.ExportAuditEventsResponse]
	const route = "/v1/organizations/org_1/auditEvents:export"
	// serve starts a gateway whose export is do.
	serve := func(t *testing.T, do func(*membershipv1.ExportAuditEventsRequest, exporting) error) (h *harness, as string, who person) {
		h = start(t)
		h.export = do
		token, who := h.signedIn("Ada", false)
		return h, "Bearer " + token, who
	}
	part := func(stream exporting, text string) error {
		return stream.Send(&membershipv1.ExportAuditEventsResponse{Data: []byte(text), ContentType: "text/csv"})
	}

	t.Run("AFileComesAsItIs", func(t *testing.T) {
		t.Parallel()
		h, as, who := serve(t, func(req *membershipv1.ExportAuditEventsRequest, stream exporting) error {
			if err := part(stream, "a,"+req.GetActor()); err != nil {
				return err
			}
			return part(stream, "\r\n"+req.GetRequestId())
		})
		a := h.do("POST", route, `{"format": "FORMAT_CSV", "actor": "acc_1"}`, "Authorization", as, "Idempotency-Key", "once")
		require.Equal(t, 200, a.StatusCode, a.text)
		require.Equal(t, "a,acc_1\r\nonce", a.text)
		require.Equal(t, "text/csv", a.Header.Get("Content-Type"))
		require.Equal(t, "attachment", a.Header.Get("Content-Disposition"))
		require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
		require.Equal(t, who.account.GetId(), h.caller.Account.String())
		require.NotEmpty(t, h.caller.Address)
		require.Empty(t, h.metadata.Get("cookie"))
	})

	t.Run("ARefusalHasItsStatus", func(t *testing.T) {
		t.Parallel()
		h, as, _ := serve(t, func(*membershipv1.ExportAuditEventsRequest, exporting) error {
			return fault.New(errorv1.Reason_REASON_PERMISSION_MISSING, "No.")
		})
		a := h.do("POST", route, `{"format": "FORMAT_CSV"}`, "Authorization", as)
		require.Equal(t, 403, a.StatusCode)
		require.Equal(t, "PERMISSION_MISSING", a.reason(t))
		require.Empty(t, a.Header.Get("Content-Disposition"))
		for status, headers := range map[int][]string{401: nil, 400: {"Authorization", as, "If-Match", `"1"`}} {
			require.Equal(t, status, h.do("POST", route, `{"format": "FORMAT_CSV"}`, headers...).StatusCode)
		}
		require.Equal(t, 401, h.do("POST", route, `{"format": "FORMAT_CSV"}`, "Authorization", "Bearer unknown").StatusCode)
		a = h.do("POST", route, `{"actor": "`+strings.Repeat("x", 65)+`"}`, "Authorization", as)
		require.Equal(t, "VALIDATION_FAILED", a.reason(t), "streams are validated too")
	})

	t.Run("HalfAFileIsABrokenConnection", func(t *testing.T) {
		t.Parallel()
		h, as, _ := serve(t, func(_ *membershipv1.ExportAuditEventsRequest, stream exporting) error {
			if err := part(stream, "half"); err != nil {
				return err
			}
			return fault.New(errorv1.Reason_REASON_PERMISSION_MISSING, "Not any more.")
		})
		resp, err := http.DefaultClient.Do(h.request("POST", route, `{"format": "FORMAT_CSV"}`, "Authorization", as))
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.Error(t, err)
		require.Equal(t, "half", string(text))
	})
}
