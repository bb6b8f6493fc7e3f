package callers

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	accessv1 "github.com/rosterhq/roster/pkg/gen/roster/access/v1"
	_ "github.com/rosterhq/roster/pkg/gen/roster/billing/v1" // known to the registry
	_ "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	_ "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	_ "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// TestTable holds the table to the protos: every method has its row, with the services that its rule names,
// and there are no others.
func TestTable(t *testing.T) {
	t.Parallel()
	kinds, rows, err := Table()
	require.NoError(t, err)
	listed := make(map[string]Row)
	for _, row := range rows {
		require.NotContains(t, listed, row.Method, "callers.txt has two rows of it")
		listed[row.Method] = row
	}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				method := methods.Get(j)
				rule, _ := proto.GetExtension(method.Options(), accessv1.E_Rule).(*accessv1.Rule)
				if rule == nil {
					continue // none of ours
				}
				row, ok := listed[string(method.Name())]
				if !ok {
					t.Errorf("services/e2e/callers/callers.txt says nothing about %s: add a line in its service's section, with the method's name, "+
						"a word for each of %v, the services of its rule or -, and a request that an owner may make", method.FullName(), kinds)
					continue
				}
				delete(listed, row.Method)
				require.ElementsMatch(t, rule.GetServices(), row.Services, "%s: services", method.FullName())
				for kind, answer := range never(rule) {
					require.Equal(t, answer, row.Answers[kind], "%s by %s", method.FullName(), kind)
				}
			}
		}
		return true
	})
	for method := range listed {
		t.Errorf("services/e2e/callers/callers.txt has a row of %s, and there is no such method", method)
	}
}

// never are the answers to those whom a rule lets in under no circumstances, so that no careless row says otherwise.
func never(rule *accessv1.Rule) map[string]string {
	strangers := make(map[string]string)
	switch rule.GetCaller() {
	case accessv1.Rule_CALLER_ACCOUNT:
		strangers["anonymous"], strangers["operator"] = "UNAUTHENTICATED", "CALLER_REFUSED"
	case accessv1.Rule_CALLER_OPERATOR:
		strangers["anonymous"], strangers["owner"] = "UNAUTHENTICATED", "CALLER_REFUSED"
	case accessv1.Rule_CALLER_SERVICE_ACCOUNT:
		strangers["anonymous"], strangers["owner"], strangers["operator"] = "UNAUTHENTICATED", "CALLER_REFUSED", "CALLER_REFUSED"
	case accessv1.Rule_CALLER_SERVICE:
		strangers["anonymous"], strangers["owner"], strangers["operator"] = "ROUTE_NOT_FOUND", "ROUTE_NOT_FOUND", "ROUTE_NOT_FOUND"
	}
	if rule.GetCaller() == accessv1.Rule_CALLER_SERVICE {
		strangers["platform"], strangers["program"] = "ROUTE_NOT_FOUND", "ROUTE_NOT_FOUND"
	} else { // keys are for what a rule says, and for nothing else
		switch rule.GetScope() {
		case "":
			strangers["platform"], strangers["reporter"] = "CALLER_REFUSED", "CALLER_REFUSED"
		case "availability.report":
		default:
			strangers["reporter"] = "PERMISSION_MISSING"
		}
		switch {
		case rule.GetTenant() == "", rule.GetPermission() == "" && !rule.GetKeys():
			strangers["program"], strangers["idle"], strangers["stray"] = "CALLER_REFUSED", "CALLER_REFUSED", "CALLER_REFUSED"
		case rule.GetPermission() != "" && !rule.GetKeys():
			strangers["idle"] = "PERMISSION_MISSING"
		}
	}
	if rule.GetCaller() == accessv1.Rule_CALLER_ACCOUNT && rule.GetTenant() != "" {
		strangers["foreign"], strangers["disabled"] = "ORGANIZATION_NOT_FOUND", "MEMBER_DISABLED"
	}
	return strangers
}
