package server

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rosterhq/roster/pkg/fault"
	accessv1 "github.com/rosterhq/roster/pkg/gen/roster/access/v1"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/caller"
	"github.com/rosterhq/roster/services/internal/id"
)

func TestRules(t *testing.T) {
	t.Parallel()
	h := start(t, fine)
	const anyone, accounts, operators, services, both, none = "Anyone", "Account", "Operator", "Service", "AccountOrService", "NoRule"
	calls := map[string]func(context.Context, *grpc.ClientConn) error{
		anyone: func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := identityv1.NewSessionServiceClient(conn).CreateSession(ctx, validCreateSession())
			return err
		},
		accounts: func(ctx context.Context, conn *grpc.ClientConn) error { return usage(ctx, conn) },
		operators: func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := billingv1.NewSeatLimitServiceClient(conn).SetSeatLimit(ctx, &billingv1.SetSeatLimitRequest{Reason: "x"})
			return err
		},
		services: func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := billingv1.NewSeatServiceClient(conn).OccupySeat(ctx, &billingv1.OccupySeatRequest{})
			return err
		},
		both: func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := membershipv1.NewAccessServiceClient(conn).CheckAccess(ctx, &membershipv1.CheckAccessRequest{Permission: "seats.read"})
			return err
		},
		none: func(ctx context.Context, conn *grpc.ClientConn) error {
			return conn.Invoke(ctx, "/test.v1.Unruled/Do", &billingv1.OccupySeatRequest{}, &billingv1.OccupySeatResponse{})
		},
	}
	type answers map[string]errorv1.Reason
	for name, c := range map[string]struct {
		peer, authorization string
		forwarded           bool
		want                answers
	}{
		"Nobody": {want: answers{
			anyone: allowed, accounts: signIn, operators: signIn, services: refused, both: signIn, none: refused}},
		"AnAccount": {authorization: asAccount, want: answers{
			anyone: allowed, accounts: allowed, operators: refused, services: refused, both: allowed, none: refused}},
		"AnOperator": {authorization: asOperator, want: answers{
			anyone: allowed, accounts: refused, operators: allowed, services: refused, both: refused, none: refused}},
		"R53_AServiceAccount": {authorization: asPlatform, want: answers{
			anyone: refused, accounts: refused, operators: refused, services: refused, both: allowed, none: refused}},
		"R56_AServiceWithAServiceAccount": {peer: "invitation", authorization: asPlatform, want: answers{
			anyone: refused, accounts: refused, operators: refused, services: refused, both: allowed, none: refused}},
		"R55_AServiceThatIsNamed": {peer: "invitation", want: answers{
			anyone: allowed, accounts: signIn, operators: signIn, services: allowed, both: allowed, none: refused}},
		"R55_AServiceThatIsNotNamed": {peer: "identity", want: answers{
			anyone: allowed, accounts: signIn, operators: signIn, services: refused, both: signIn, none: refused}},
		"R56_AServiceWithAnAccount": {peer: "invitation", authorization: asAccount, want: answers{
			anyone: allowed, accounts: allowed, operators: refused, services: refused, both: allowed, none: refused}},
		"R56_TheGatewayForItself": {peer: "gateway", want: answers{
			anyone: allowed, accounts: signIn, operators: signIn, services: refused, both: allowed, none: refused}},
		"R56_TheGatewayForNobody": {peer: "gateway", forwarded: true, want: answers{
			anyone: allowed, accounts: signIn, operators: signIn, services: refused, both: signIn, none: refused}},
		"TheGatewayForAnAccount": {peer: "gateway", forwarded: true, authorization: asAccount, want: answers{
			anyone: allowed, accounts: allowed, operators: refused, services: refused, both: allowed, none: refused}},
		"TheGatewayForAnOperator": {peer: "gateway", forwarded: true, authorization: asOperator, want: answers{
			anyone: allowed, accounts: refused, operators: allowed, services: refused, both: refused, none: refused}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, ctx := h.dial(t, c.peer), t.Context()
			if c.authorization != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", c.authorization)
			}
			if c.forwarded {
				ctx = metadata.AppendToOutgoingContext(ctx, caller.AddressHeader, "192.0.2.7")
			}
			require.Len(t, c.want, len(calls))
			for kind, call := range calls {
				err := call(ctx, conn)
				require.Equal(t, c.want[kind], fault.ReasonOf(err), "%s: %v", kind, err)
				require.Equal(t, c.want[kind] == allowed, err == nil, "%s: %v", kind, err)
			}
		})
	}
}

func validCreateSession() *identityv1.CreateSessionRequest {
	return &identityv1.CreateSessionRequest{Email: "ada@example.com", Password: "correct horse battery staple"}
}

func TestProven(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := &Server{config: Config{Now: func() time.Time { return now }}}
	const (
		incomplete = errorv1.Reason_REASON_SIGN_IN_INCOMPLETE
		again      = errorv1.Reason_REASON_STEP_UP_REQUIRED
	)
	for name, c := range map[string]struct {
		rule *accessv1.Rule
		who  caller.Caller
		want errorv1.Reason
	}{
		"R10_ASignInThatIsNotCompleteIsRefused": {&accessv1.Rule{}, caller.Caller{Stage: caller.PasswordChange}, incomplete},
		"R36_AHalfSessionIsRefused":             {&accessv1.Rule{}, caller.Caller{Stage: caller.Challenge}, incomplete},
		"R36_ButForWhatItIsFor": {&accessv1.Rule{Stages: []accessv1.Rule_Stage{accessv1.Rule_STAGE_CHALLENGE}},
			caller.Caller{Stage: caller.Challenge}, allowed},
		"R36_AndThatIsNotAnotherStage": {&accessv1.Rule{Stages: []accessv1.Rule_Stage{accessv1.Rule_STAGE_CHALLENGE}},
			caller.Caller{Stage: caller.PasswordChange}, incomplete},
		"R36_AStageThatNobodyKnowsIsRefused": {&accessv1.Rule{Stages: []accessv1.Rule_Stage{accessv1.Rule_STAGE_UNSPECIFIED}},
			caller.Caller{Stage: "UNKNOWN"}, incomplete},
		"ACompleteSignInMayDoWhatAHalfOneMay": {&accessv1.Rule{Stages: []accessv1.Rule_Stage{accessv1.Rule_STAGE_CHALLENGE}}, caller.Caller{}, allowed},
		"RB16_ItWasTooLongAgo":                {&accessv1.Rule{StepUpMinutes: 5}, caller.Caller{AuthTime: now.Add(-6 * time.Minute), Level: 1, Reach: 1}, again},
		"RB16_ItWasJustNow":                   {&accessv1.Rule{StepUpMinutes: 5}, caller.Caller{AuthTime: now.Add(-4 * time.Minute), Level: 1, Reach: 1}, allowed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.rule.Caller = accessv1.Rule_CALLER_ACCOUNT
			c.who.Account = account
			s := &Server{config: s.config, rules: map[string]*accessv1.Rule{"/m": c.rule}}
			require.Equal(t, c.want, fault.ReasonOf(s.permit("/m", c.who, true)))
		})
	}
}

func TestForAnyone(t *testing.T) {
	t.Parallel()
	s := &Server{rules: map[string]*accessv1.Rule{
		"/anyone": {Caller: accessv1.Rule_CALLER_ANYONE}, "/account": {Caller: accessv1.Rule_CALLER_ACCOUNT},
	}}
	half := caller.Caller{Account: account, Stage: caller.Challenge, Service: "gateway", Address: "192.0.2.7", UserAgent: "Firefox"}
	t.Run("R36_AHalfSessionIsNobodyWhereThatMayCall", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, caller.Caller{Service: "gateway", Address: "192.0.2.7", UserAgent: "Firefox"}, s.forAnyone("/anyone", half))
		require.Equal(t, half, s.forAnyone("/account", half))
		require.Equal(t, caller.Caller{Account: account}, s.forAnyone("/anyone", caller.Caller{Account: account}))
	})
}

func TestRulesOfDescriptors(t *testing.T) {
	t.Parallel()
	rules := Rules(billingv1.File_roster_billing_v1_seat_service_proto.Services().ByName("SeatService"), grpc_health_v1.File_grpc_health_v1_health_proto.Services().Get(0))
	require.Equal(t, accessv1.Rule_CALLER_SERVICE, rules["/roster.billing.v1.SeatService/OccupySeat"].GetCaller())
	rule, ok := rules["/grpc.health.v1.Health/Check"]
	require.True(t, ok)
	require.Nil(t, rule)
}

func TestMethods(t *testing.T) {
	t.Parallel()
	h := start(t, fine)
	conn := h.dial(t, "membership")
	invoke := func(method string) error {
		return conn.Invoke(t.Context(), method, &billingv1.OccupySeatRequest{}, &billingv1.OccupySeatResponse{})
	}

	t.Run("R57_UnknownIsNotFound", func(t *testing.T) {
		t.Parallel()
		for _, method := range []string{"/roster.billing.v1.SeatService/Occupyseat", "/no.Such/Method", "/roster.billing.v1.SeatService/", "//OccupySeat"} {
			requireReason(t, errorv1.Reason_REASON_ROUTE_NOT_FOUND, invoke(method), method)
		}
	})

	t.Run("R57_NotBuiltIsNotFound", func(t *testing.T) {
		t.Parallel()
		requireReason(t, errorv1.Reason_REASON_ROUTE_NOT_FOUND, invoke("/roster.billing.v1.SeatService/ReserveSeats"))
	})

	t.Run("R57_PathWithoutSlashIsRefused", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, codes.Unimplemented, status.Code(invoke("roster.billing.v1.SeatService/OccupySeat")))
	})

	t.Run("R60_ReflectionIsOffUnlessAsked", func(t *testing.T) {
		t.Parallel()
		const reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
		requireReason(t, errorv1.Reason_REASON_ROUTE_NOT_FOUND, invoke(reflection))
		require.Contains(t, start(t, fine, func(c *Config) { c.Reflection = true }).server.rules, reflection)
	})

	t.Run("HealthIsForAnyone", func(t *testing.T) {
		t.Parallel()
		answer, err := grpc_health_v1.NewHealthClient(h.dial(t, "")).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		require.NoError(t, err)
		require.Equal(t, grpc_health_v1.HealthCheckResponse_SERVING, answer.GetStatus())
	})

	t.Run("R60_TooMuchIsRefused", func(t *testing.T) {
		t.Parallel()
		_, err := billingv1.NewSeatServiceClient(conn).OccupySeat(t.Context(), &billingv1.OccupySeatRequest{SeatId: strings.Repeat("x", maxMessage)})
		require.Equal(t, codes.ResourceExhausted, status.Code(err))
		require.Error(t, usage(t.Context(), conn, "Bearer "+strings.Repeat("x", maxHeaders)))
	})
}

func TestKeyed(t *testing.T) {
	t.Parallel()
	key := caller.Caller{Account: account, Key: id.NewAPIKey(), Scopes: []string{"members.read"}}
	const missing = errorv1.Reason_REASON_PERMISSION_MISSING
	for name, c := range map[string]struct {
		rule *accessv1.Rule
		want errorv1.Reason
	}{
		"R53_WhatItIsFor":          {&accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT, Permission: "members.read"}, allowed},
		"R53_WhatItIsNotFor":       {&accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT, Permission: "members.remove"}, missing},
		"R53_TheAccountItself":     {&accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT}, refused},
		"R53_WhatAnybodyMay":       {&accessv1.Rule{Caller: accessv1.Rule_CALLER_ANYONE}, refused},
		"R53_WhatIsForOperators":   {&accessv1.Rule{Caller: accessv1.Rule_CALLER_OPERATOR, Keys: true}, refused},
		"R53_WhatKeysMay":          {&accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT, Keys: true}, allowed},
		"R53_WhatAsksWhoIsThere":   {&accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT, Permission: "members.read", StepUpMinutes: 10}, errorv1.Reason_REASON_STEP_UP_REQUIRED},
		"R53_WhatNobodyHasRuledOn": {nil, refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &Server{config: Config{Now: time.Now}, rules: map[string]*accessv1.Rule{"/test/Do": c.rule}}
			err := s.permit("/test/Do", key, true)
			require.Equal(t, c.want, fault.ReasonOf(err), "%v", err)
			require.Equal(t, c.want == allowed, err == nil)
		})
	}
}

func TestKeyOfAnOrganization(t *testing.T) {
	t.Parallel()
	robot := caller.Caller{Account: id.Account(platform), ServiceAccount: platform, Key: id.NewAPIKey(), Scopes: []string{"members.read"}}
	for name, c := range map[string]struct {
		rule *accessv1.Rule
		want errorv1.Reason
	}{
		"R53_WhatItIsFor":          {&accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT, Permission: "members.read", Tenant: "organization_id"}, allowed},
		"R53_WhatItIsNotFor":       {&accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT, Permission: "org.read", Tenant: "organization_id"}, errorv1.Reason_REASON_PERMISSION_MISSING},
		"R53_WhatKeysMayThere":     {&accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT, Keys: true, Tenant: "organization_id"}, allowed},
		"R53_WhatKeysMayElsewhere": {&accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT, Keys: true}, refused},
		"R53_WhatNamesNoPlace":     {&accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT, Permission: "members.read"}, refused},
		"R53_WhatIsNobodyElses":    {&accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT, Tenant: "organization_id"}, refused},
		"R53_WhatAsksWhoIsThere":   {&accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT, Permission: "members.read", Tenant: "organization_id", StepUpMinutes: 10}, errorv1.Reason_REASON_STEP_UP_REQUIRED},
		"R53_WhatTheDeploymentsDo": {&accessv1.Rule{Caller: accessv1.Rule_CALLER_SERVICE_ACCOUNT, Scope: "members.read", Permission: "members.read", Tenant: "organization_id"}, refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &Server{config: Config{Now: time.Now}, rules: map[string]*accessv1.Rule{"/test/Do": c.rule}}
			err := s.permit("/test/Do", robot, true)
			require.Equal(t, c.want, fault.ReasonOf(err), "%v", err)
			require.Equal(t, c.want == allowed, err == nil)
		})
	}
}

func TestKeyedSaysWhatToDo(t *testing.T) {
	t.Parallel()
	key := caller.Caller{Account: account, Key: id.NewAPIKey()}
	require.ErrorContains(t, keyed(&accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT}, key), "Sign in")
}

func TestScoped(t *testing.T) {
	t.Parallel()
	robot := caller.Caller{ServiceAccount: platform, Key: id.NewAPIKey(), Scopes: []string{"access.check"}}
	const missing = errorv1.Reason_REASON_PERMISSION_MISSING
	for name, c := range map[string]struct {
		rule *accessv1.Rule
		want errorv1.Reason
	}{
		"R53_WhatItIsFor":          {&accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT, Scope: "access.check"}, allowed},
		"R53_WhatIsForThemAlone":   {&accessv1.Rule{Caller: accessv1.Rule_CALLER_SERVICE_ACCOUNT, Scope: "access.check"}, allowed},
		"R53_WhatItIsNotFor":       {&accessv1.Rule{Caller: accessv1.Rule_CALLER_SERVICE_ACCOUNT, Scope: "sessions.introspect"}, missing},
		"R53_WhatNamesNoScope":     {&accessv1.Rule{Caller: accessv1.Rule_CALLER_SERVICE_ACCOUNT}, refused},
		"R53_WhatKeysOfPeopleMay":  {&accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT, Keys: true}, refused},
		"R53_APermissionIsNoScope": {&accessv1.Rule{Caller: accessv1.Rule_CALLER_ACCOUNT, Permission: "access.check"}, refused},
		"R53_WhatAnybodyMay":       {&accessv1.Rule{Caller: accessv1.Rule_CALLER_ANYONE}, refused},
		"R53_WhatIsForOperators":   {&accessv1.Rule{Caller: accessv1.Rule_CALLER_OPERATOR}, refused},
		"R53_WhatIsForTheSuite":    {&accessv1.Rule{Caller: accessv1.Rule_CALLER_SERVICE, Services: []string{"gateway"}}, refused},
		"R53_WhatNobodyHasRuledOn": {nil, refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &Server{config: Config{Now: time.Now}, rules: map[string]*accessv1.Rule{"/test/Do": c.rule}}
			for _, forwarded := range []bool{true, false} {
				who := robot
				who.Service = "gateway"
				err := s.permit("/test/Do", who, forwarded)
				require.Equal(t, c.want, fault.ReasonOf(err), "%v", err)
				require.Equal(t, c.want == allowed, err == nil)
			}
		})
	}
	t.Run("R82_WhoWasRefusedStandsInTheLog", func(t *testing.T) {
		t.Parallel()
		h := start(t, fine)
		for i, who := range []string{asPlatform, asProgram} {
			ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", who)
			require.Error(t, usage(ctx, h.dial(t, "")))
			lines := h.logged.lines(t)
			require.Len(t, lines, i+1)
			require.Equal(t, platform.String(), lines[i]["service_account"])
		}
	})
	t.Run("R51_WhatIsForThemAloneIsForNobodyElse", func(t *testing.T) {
		t.Parallel()
		s := &Server{config: Config{Now: time.Now}, rules: map[string]*accessv1.Rule{
			"/test/Do": {Caller: accessv1.Rule_CALLER_SERVICE_ACCOUNT, Scope: "access.check"}}}
		for name, c := range map[string]struct {
			who  caller.Caller
			want errorv1.Reason
		}{
			"nobody":      {caller.Caller{}, signIn},
			"a person":    {caller.Caller{Account: account}, refused},
			"a key":       {caller.Caller{Account: account, Key: id.NewAPIKey(), Scopes: []string{"access.check"}}, refused},
			"an operator": {caller.Caller{Operator: id.NewOperator()}, refused},
			"the suite":   {caller.Caller{Service: "membership"}, signIn},
		} {
			require.Equal(t, c.want, fault.ReasonOf(s.permit("/test/Do", c.who, false)), name)
		}
	})
}
