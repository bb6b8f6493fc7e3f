package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	accessv1 "github.com/rosterhq/roster/pkg/gen/roster/access/v1"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/server"
)

// services is whom the edge passes requests on to, and the proto services of each that have routes. A test holds
// it against the protos.
var services = []struct {
	role     string
	files    []protoreflect.FileDescriptor
	register []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error
}{
	{
		"identity",
		[]protoreflect.FileDescriptor{
			identityv1.File_roster_identity_v1_account_service_proto,
			identityv1.File_roster_identity_v1_api_key_service_proto,
			identityv1.File_roster_identity_v1_factor_service_proto,
			identityv1.File_roster_identity_v1_email_service_proto,
			identityv1.File_roster_identity_v1_export_service_proto,
			identityv1.File_roster_identity_v1_avatar_service_proto,
			identityv1.File_roster_identity_v1_provider_service_proto,
			identityv1.File_roster_identity_v1_federated_identity_service_proto,
			identityv1.File_roster_identity_v1_service_account_service_proto,
		},
		[]func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
			identityv1.RegisterAccountServiceHandler, identityv1.RegisterSessionServiceHandler, identityv1.RegisterPasswordServiceHandler, identityv1.RegisterOperatorServiceHandler,
			identityv1.RegisterFactorServiceHandler,
			identityv1.RegisterApiKeyServiceHandler,
			identityv1.RegisterEmailServiceHandler,
			identityv1.RegisterExportServiceHandler,
			identityv1.RegisterAvatarServiceHandler,
			identityv1.RegisterFederatedSignInServiceHandler, identityv1.RegisterFederatedIdentityServiceHandler, identityv1.RegisterOperatorProviderServiceHandler,
			identityv1.RegisterServiceAccountServiceHandler,
		},
	},
	{
		"membership",
		[]protoreflect.FileDescriptor{
			membershipv1.File_roster_membership_v1_organization_service_proto,
			membershipv1.File_roster_membership_v1_member_service_proto,
			membershipv1.File_roster_membership_v1_member_session_service_proto,
			membershipv1.File_roster_membership_v1_bulk_member_service_proto,
			membershipv1.File_roster_membership_v1_group_service_proto,
			membershipv1.File_roster_membership_v1_ownership_service_proto,
			membershipv1.File_roster_membership_v1_availability_service_proto,
			membershipv1.File_roster_membership_v1_project_service_proto,
			membershipv1.File_roster_membership_v1_access_service_proto,
			membershipv1.File_roster_membership_v1_permission_service_proto,
			membershipv1.File_roster_membership_v1_domain_service_proto,
			membershipv1.File_roster_membership_v1_identity_provider_service_proto,
			membershipv1.File_roster_membership_v1_audit_service_proto,
			membershipv1.File_roster_membership_v1_service_account_service_proto,
		},
		[]func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
			membershipv1.RegisterOrganizationServiceHandler, membershipv1.RegisterRoleServiceHandler,
			membershipv1.RegisterMemberServiceHandler, membershipv1.RegisterBulkMemberServiceHandler, membershipv1.RegisterGroupServiceHandler,
			membershipv1.RegisterOwnershipServiceHandler,
			membershipv1.RegisterMemberSessionServiceHandler,
			membershipv1.RegisterAvailabilityServiceHandler, membershipv1.RegisterAvailabilityProviderServiceHandler,
			membershipv1.RegisterProjectServiceHandler,
			membershipv1.RegisterAccessServiceHandler,
			membershipv1.RegisterPermissionServiceHandler,
			membershipv1.RegisterDomainServiceHandler,
			membershipv1.RegisterIdentityProviderServiceHandler,
			membershipv1.RegisterAuditServiceHandler,
			membershipv1.RegisterOrganizationServiceAccountServiceHandler,
		},
	},
	{
		"invitation",
		[]protoreflect.FileDescriptor{invitationv1.File_roster_invitation_v1_invitation_service_proto},
		[]func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{invitationv1.RegisterInvitationServiceHandler},
	},
	{
		"billing",
		[]protoreflect.FileDescriptor{billingv1.File_roster_billing_v1_seat_service_proto},
		[]func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
			billingv1.RegisterSeatUsageServiceHandler, billingv1.RegisterSeatLimitServiceHandler,
		},
	},
}

// rules says who may call what, by full method name.
var rules = func() map[string]*accessv1.Rule {
	var all []protoreflect.ServiceDescriptor
	for _, service := range services {
		for _, file := range service.files {
			for i := range file.Services().Len() {
				all = append(all, file.Services().Get(i))
			}
		}
	}
	return server.Rules(all...)
}()

// route is the HTTP side of one RPC.
type route struct {
	rpc      protoreflect.FullName
	method   string
	template string // /v1/organizations/{organization_id}:verb
}

// routesOf reads the routes that the protos declare.
func routesOf() (routes []route, err error) {
	for _, service := range services {
		for _, file := range service.files {
			for i := range file.Services().Len() {
				methods := file.Services().Get(i).Methods()
				for j := range methods.Len() {
					method := methods.Get(j)
					rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
					if rule == nil {
						continue
					}
					r := route{rpc: method.FullName()}
					switch pattern := rule.GetPattern().(type) {
					case *annotations.HttpRule_Get:
						r.method, r.template = http.MethodGet, pattern.Get
					case *annotations.HttpRule_Post:
						r.method, r.template = http.MethodPost, pattern.Post
					case *annotations.HttpRule_Put:
						r.method, r.template = http.MethodPut, pattern.Put
					case *annotations.HttpRule_Patch:
						r.method, r.template = http.MethodPatch, pattern.Patch
					case *annotations.HttpRule_Delete:
						r.method, r.template = http.MethodDelete, pattern.Delete
					default:
						return nil, fmt.Errorf("%s has a route that the edge does not know", r.rpc)
					}
					routes = append(routes, r)
				}
			}
		}
	}
	return routes, nil
}

// matches tells whether a path, as it came, is of the route.
func (r route) matches(path string) bool {
	template, verb := splitVerb(r.template)
	if verb != "" {
		var ok bool
		if path, ok = strings.CutSuffix(path, ":"+verb); !ok {
			return false
		}
	}
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && (!strings.HasPrefix(want[i], "{") || got[i] == "") {
			return false
		}
	}
	return true
}

// splitVerb takes the verb off a template.
func splitVerb(template string) (path, verb string) {
	if i := strings.LastIndexByte(template, ':'); i > strings.LastIndexAny(template, "/}") {
		return template[:i], template[i+1:]
	}
	return template, ""
}

// literals returns the segments of a template that are the same in every path of it.
func (r route) literals() (words []string) {
	for word := range strings.SplitSeq(strings.TrimPrefix(r.template, "/"), "/") {
		if !strings.HasPrefix(word, "{") {
			words = append(words, word)
		}
	}
	return words
}
