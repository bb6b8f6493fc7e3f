package gateway

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

// TestEveryRouteIsServed holds the list of services, and the specification, against the protos.
func TestEveryRouteIsServed(t *testing.T) {
	t.Parallel()
	var declared, served, specified []string
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "roster.") {
			return true
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				if rule, _ := proto.GetExtension(methods.Get(j).Options(), annotations.E_Http).(*annotations.HttpRule); rule != nil {
					declared = append(declared, string(methods.Get(j).FullName()))
				}
			}
		}
		return true
	})
	routes, err := routesOf()
	require.NoError(t, err)
	for _, r := range routes {
		served = append(served, string(r.rpc))
	}
	require.ElementsMatch(t, declared, served)

	var spec openAPI
	require.NoError(t, json.Unmarshal(specification, &spec))
	for path, methods := range spec.Paths {
		for method := range methods {
			specified = append(specified, strings.ToUpper(method)+" "+path)
		}
	}
	var templates []string
	for _, r := range routes {
		templates = append(templates, r.method+" "+r.template)
	}
	require.ElementsMatch(t, templates, specified, "run make generate")
}

func TestReasonsAreThoseOfTheProto(t *testing.T) {
	t.Parallel()
	original, err := os.ReadFile("../../proto/roster/error/v1/error.proto")
	require.NoError(t, err)
	require.Equal(t, string(original), reasonsProto, "copy the proto again")
	require.Len(t, allReasons, len(errorv1.Reason_name)-1)
	for _, reason := range allReasons {
		require.NotEmpty(t, reason.Text, reason.Name)
		require.NotRegexp(t, `\d{3}`, reason.Text, "codes stand in their columns")
	}
}

func TestReferencePages(t *testing.T) {
	t.Parallel()
	h := start(t)
	ids := regexp.MustCompile(` id="([^"]+)"`)
	for _, path := range []string{"/docs", "/docs/errors"} {
		a := h.open(path)
		requirePage(t, a, 200)
		var seen []string
		for _, found := range ids.FindAllStringSubmatch(a.text, -1) {
			require.NotContains(t, seen, found[1], "ids are unique")
			seen = append(seen, found[1])
		}
		for _, found := range regexp.MustCompile(` href="#([^"]+)"`).FindAllStringSubmatch(a.text, -1) {
			require.Contains(t, seen, found[1], "links lead somewhere")
		}
	}
	docs := h.open("/docs")
	for _, words := range []string{"ChangeMemberRole", "POST /v1/organizations/{organization_id}/members/{account_id}:changeRole", "requestId", "LAST_OWNER", "Idempotency key."} {
		require.Contains(t, docs.words(), words)
	}
	require.NotContains(t, docs.words(), "ReserveSeats gives", "what is for services only is not for readers")
	errors := h.open("/docs/errors")
	require.Contains(t, errors.words(), "SEAT_LIMIT_REACHED 402 ResourceExhausted No seat is free; metadata used")
	require.Contains(t, errors.text, `id="CROSS_ORIGIN"`)

	a := h.do("GET", "/openapi.json", "")
	require.Equal(t, "application/json", a.Header.Get("Content-Type"))
	require.Equal(t, "3.1.0", a.json(t, "openapi"))
	require.Equal(t, "Roster", a.json(t, "info", "title"))
	servers, _ := a.json(t, "servers").([]any)
	require.Equal(t, []any{map[string]any{"url": publicURL}}, servers)

	require.Contains(t, docs.text, `href="/asyncapi.json"`)
	a = h.do("GET", "/asyncapi.json", "")
	require.Equal(t, "application/json", a.Header.Get("Content-Type"))
	require.Equal(t, "3.1.0", a.json(t, "asyncapi"))
	require.Equal(t, "roster.v1.member.removed.{partition}.{organization_id}", a.json(t, "channels", "member.removed", "address"))
}
