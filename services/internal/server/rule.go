package server

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/rosterhq/roster/pkg/fault"
	accessv1 "github.com/rosterhq/roster/pkg/gen/roster/access/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/caller"
)

var (
	errNoMethod       = fault.New(errorv1.Reason_REASON_ROUTE_NOT_FOUND, "There is no such method.")
	errRefused        = fault.New(errorv1.Reason_REASON_CALLER_REFUSED, "This method is not for you.")
	errNotForKeys     = fault.New(errorv1.Reason_REASON_CALLER_REFUSED, "A key may not do this. Sign in, and send the session instead.")
	errSignIn         = fault.New(errorv1.Reason_REASON_UNAUTHENTICATED, "Sign in, and send `Authorization: Bearer <session>`.")
	errServiceAccount = fault.New(errorv1.Reason_REASON_UNAUTHENTICATED, "This method is for service accounts: send `Authorization: Bearer <key>`.")
	errOperator       = fault.New(errorv1.Reason_REASON_UNAUTHENTICATED, "This method is for operators: send `Authorization: Bearer <operator key>`.")
)

// Rules returns the access rule of every method of the services, by full method name ("/package.Service/Method").
// A method without a rule has a nil one.
func Rules(services ...protoreflect.ServiceDescriptor) map[string]*accessv1.Rule {
	rules := make(map[string]*accessv1.Rule)
	for _, service := range services {
		for i := range service.Methods().Len() {
			method := service.Methods().Get(i)
			rule, _ := proto.GetExtension(method.Options(), accessv1.E_Rule).(*accessv1.Rule)
			rules["/"+string(service.FullName())+"/"+string(method.Name())] = rule
		}
	}
	return rules
}

// rulesOf returns the rules of a service by its name; none when nobody knows its proto.
func rulesOf(service string) map[string]*accessv1.Rule {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil
	}
	desc, ok := found.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil
	}
	return Rules(desc)
}

// permit says whether the method is for the caller. What is not allowed is refused.
func (s *Server) permit(method string, who caller.Caller, forwarded bool) error {
	rule, ok := s.rules[method]
	if !ok {
		return errNoMethod
	}
	// A service speaks for itself only when it brings nobody else: an edge that passes on a client's call to a
	// method that it may call itself must not lend the client its name.
	itself := !forwarded && !who.SignedIn() && who.Service != ""
	if itself && slices.Contains(rule.GetServices(), who.Service) {
		return nil
	}
	if who.Platform() {
		return scoped(rule, who)
	}
	if err := keyed(rule, who); err != nil {
		return err
	}
	switch rule.GetCaller() {
	case accessv1.Rule_CALLER_ANYONE:
		return nil
	case accessv1.Rule_CALLER_ACCOUNT:
		if err := signedIn(!who.Account.IsZero(), who, errSignIn); err != nil {
			return err
		}
		return s.proven(rule, who)
	case accessv1.Rule_CALLER_OPERATOR:
		return signedIn(!who.Operator.IsZero(), who, errOperator)
	case accessv1.Rule_CALLER_SERVICE_ACCOUNT:
		return signedIn(false, who, errServiceAccount)
	}
	return errRefused // services were asked above; no rule, or one that we do not know
}

// scoped refuses a service account of the deployment what names no scope, or none of its key's.
func scoped(rule *accessv1.Rule, who caller.Caller) error {
	switch scope := rule.GetScope(); {
	case scope == "":
		return errRefused
	case !slices.Contains(who.Scopes, scope):
		return fault.New(errorv1.Reason_REASON_PERMISSION_MISSING, "This key is not for that. Make another, with the scope.").With("permission", scope)
	}
	return nil
}

// keyed refuses a person's program, and that of an organization, what its key is not for. What looks after the account itself names no permission.
func keyed(rule *accessv1.Rule, who caller.Caller) error {
	switch permission := rule.GetPermission(); {
	case who.Key.IsZero():
		return nil
	case !who.ServiceAccount.IsZero() && rule.GetTenant() == "":
		return errNotForKeys // it is nobody outside its organization
	case rule.GetKeys():
		return nil
	case permission == "":
		return errNotForKeys
	case !slices.Contains(who.Scopes, permission):
		return fault.New(errorv1.Reason_REASON_PERMISSION_MISSING, "This key is not for that. Make another, with the scope.").With("permission", permission)
	}
	return nil
}

// proven refuses who has not come as far in signing in as the method asks, or too long ago.
func (s *Server) proven(rule *accessv1.Rule, who caller.Caller) error {
	reached := func(stage accessv1.Rule_Stage) bool { return stage.String() == "STAGE_"+string(who.Stage) }
	if who.Stage != caller.Complete && !slices.ContainsFunc(rule.GetStages(), reached) {
		return fault.New(errorv1.Reason_REASON_SIGN_IN_INCOMPLETE, "Complete the sign-in first.").With("stage", string(who.Stage))
	}
	if minutes := rule.GetStepUpMinutes(); minutes > 0 {
		return who.StepUp(s.config.Now(), time.Duration(minutes)*time.Minute)
	}
	return nil
}

// signedIn tells those who are signed in as something else from those who have yet to sign in.
func signedIn(ok bool, who caller.Caller, how error) error {
	switch {
	case ok:
		return nil
	case who.SignedIn():
		return errRefused
	}
	return how
}
