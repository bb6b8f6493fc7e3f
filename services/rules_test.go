package services_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/rosterhq/roster/pkg/events"
	accessv1 "github.com/rosterhq/roster/pkg/gen/roster/access/v1"
	_ "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	_ "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	_ "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"

	"github.com/rosterhq/roster/services/membership"
)

// TestRules walks every method of every service: each says who may call, whose rows it touches, and what it records.
func TestRules(t *testing.T) {
	t.Parallel()

	t.Run("R57 every method has a rule, a tenant and an audit line", func(t *testing.T) {
		t.Parallel()
		known := append(events.Types(), "read")
		var permissions []string
		for _, permission := range membership.Catalogue() {
			permissions = append(permissions, permission.Name)
		}
		eachMethod(func(method protoreflect.MethodDescriptor) {
			name := string(method.FullName())
			rule, ok := proto.GetExtension(method.Options(), accessv1.E_Rule).(*accessv1.Rule)
			require.True(t, ok && rule != nil, "%s has no rule", name)
			require.NotEqual(t, accessv1.Rule_CALLER_UNSPECIFIED, rule.GetCaller(), name)

			hasTenant := method.Input().Fields().ByName("organization_id") != nil
			if hasTenant && !strings.HasPrefix(name, "roster.identity.") {
				require.Equal(t, "organization_id", rule.GetTenant(), "%s names an organization", name)
			}
			if rule.GetTenant() != "" {
				require.NotNil(t, method.Input().Fields().ByName(protoreflect.Name(rule.GetTenant())), name)
			}
			if rule.GetPermission() != "" {
				require.Contains(t, permissions, rule.GetPermission(), name)
				require.NotEmpty(t, rule.GetTenant(), "%s needs a permission, but in which organization?", name)
			}
			require.NotEmpty(t, rule.GetAudit(), "%s does not say what it records", name)
			for _, recorded := range rule.GetAudit() {
				require.True(t, slices.Contains(known, recorded), "%s records %s, which is no event", name, recorded)
			}
		})
	})

	t.Run("R57 a mutation takes a request id and returns a token", func(t *testing.T) {
		t.Parallel()
		eachMethod(func(method protoreflect.MethodDescriptor) {
			rule := proto.GetExtension(method.Options(), accessv1.E_Rule).(*accessv1.Rule)
			if rule.GetCaller() == accessv1.Rule_CALLER_SERVICE {
				return // an id committed before makes these idempotent
			}
			switch audit := rule.GetAudit(); {
			case slices.Equal(audit, []string{"read"}):
				return
			case slices.Contains(audit, "account.signed_in"), slices.Contains(audit, "session.ended"):
				return // signing in twice makes two sessions, ending one twice ends it once
			case slices.Contains(audit, "account.api_key_created"), slices.Contains(audit, "account.api_key_deleted"):
				return // nothing that shows a key is kept, not for a repeated request either
			case slices.Contains(audit, "account.provider_linked"):
				return // what a browser comes back with is good once
			}
			require.NotNil(t, method.Input().Fields().ByName("request_id"), method.FullName())
			if rule.GetTenant() != "" {
				require.NotNil(t, method.Output().Fields().ByName("token"), method.FullName())
			}
		})
	})
}

func eachMethod(visit func(protoreflect.MethodDescriptor)) {
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "roster.") {
			return true
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				visit(methods.Get(j))
			}
		}
		return true
	})
}
