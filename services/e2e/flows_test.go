package e2e

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// flows are one of every flow that takes several steps, begun and waiting for its next.
type flows struct {
	newcomer             string // who has signed up and not verified the address
	forgetful            *person
	invited              string
	enrolled             *person // with an app; half signed in
	app                  app
	appointed            *person // with a temporary password, and signed in with it
	temporary            string
	bystander, confirmer *person // in no flow; and about to confirm an app
	pending              app     // the confirmer's, not confirmed

	tokens map[string]string // what each flow goes on with, and other secrets
}

func beginFlows(t *testing.T, over string) *flows {
	t.Helper()
	ctx, anybody := t.Context(), connect(over, "")
	org := create(t, over, rbac)
	f := &flows{
		newcomer: unique("newcomer") + "@example.com", invited: unique("invited") + "@example.com",
		forgetful: signUp(t, over), enrolled: signUp(t, over), appointed: org.join(t, "member"), bystander: signUp(t, over), confirmer: signUp(t, over),
	}
	_, err := anybody.SignUp(ctx, &identityv1.SignUpRequest{Email: f.newcomer, Password: password, DisplayName: "New"})
	require.NoError(t, err)
	_, err = anybody.RequestPasswordReset(ctx, &identityv1.RequestPasswordResetRequest{Email: f.forgetful.Email})
	require.NoError(t, err)
	org.amend(t, `{"link_invites": true}`)
	linked, err := org.owner.CreateInvitationLink(ctx, &invitationv1.CreateInvitationLinkRequest{
		OrganizationId: org.ID, InvitationId: org.invite(t, f.invited, "member").GetInvitation().GetId()})
	require.NoError(t, err)
	f.app, _, _ = enrol(t, over, f.enrolled.client)
	begun, err := f.confirmer.BeginTotp(ctx, &identityv1.BeginTotpRequest{})
	require.NoError(t, err)
	f.pending = app{begun.GetFactorId(), begun.GetSecret()}
	issued, err := org.resetPassword(t, org.owner.client, f.appointed, membershipv1.OrganizationPolicy_RESET_TEMP_PASSWORD)
	require.NoError(t, err)
	f.temporary = issued.GetTemporaryPassword()
	changing, err := open(t, over, f.appointed.Email, f.temporary)
	require.NoError(t, err)
	challenged, err := open(t, over, f.enrolled.Email, password)
	require.NoError(t, err)
	key, err := f.bystander.CreateApiKey(ctx, &identityv1.CreateApiKeyRequest{DisplayName: "Deploy", Scopes: []string{"org.read"}})
	require.NoError(t, err)
	f.tokens = map[string]string{
		"sign-up": mailLink(t, f.newcomer, "/verify/"), "reset": mailLink(t, f.forgetful.Email, "/reset/"), "invitation": lastSegment(linked.GetLink()),
		"challenge": challenged.GetToken(), "password-change": changing.GetToken(), "session": f.bystander.Token, "cookie": browser(t, f.bystander.Email).Value,
		"key": key.GetSecret(), "operator": suite.operator, "claim": suite.claim, "factor": f.pending.id, "app": f.pending.secret,
		"temporary": f.temporary, "none": "", "nonsense": "nonsense",
	}
	return f
}

// rows is all that identity knows of the people in flows, but for when they were seen and what they tried in vain.
func (f *flows) rows(t *testing.T) (all []string) {
	t.Helper()
	var people []id.Account
	for _, p := range []*person{f.forgetful, f.enrolled, f.appointed, f.bystander, f.confirmer} {
		people = append(people, key(t, p))
	}
	for _, query := range []string{
		`SELECT a::text FROM accounts a WHERE id = ANY($1)`,
		`SELECT c::text FROM credentials c WHERE account_id = ANY($1)`,
		`SELECT r::text FROM resets r WHERE account_id = ANY($1)`,
		`SELECT r::text FROM recovery_codes r WHERE account_id = ANY($1)`,
		`SELECT k.id::text FROM api_keys k WHERE account_id = ANY($1)`,
		`SELECT concat(f.id, active, last_step) FROM factors f WHERE account_id = ANY($1)`,
		`SELECT concat(s.id, stage, auth_time, secret_hash) FROM sessions s WHERE account_id = ANY($1)`,
		`SELECT e::text FROM user_emails e WHERE account_id = ANY($1) OR email = ANY($2)`,
		`SELECT s::text FROM sign_ups s WHERE email = ANY($2) AND $1::uuid[] IS NOT NULL`,
	} {
		args := []any{people, []string{f.newcomer, f.invited}}
		found, err := suite.owners["identity"].Query(t.Context(), `WITH q AS (`+query+`), p AS (SELECT $1::uuid[], $2::text[]) SELECT * FROM q ORDER BY 1`, args...)
		require.NoError(t, err)
		for found.Next() {
			var row string
			require.NoError(t, found.Scan(&row))
			all = append(all, row)
		}
		require.NoError(t, found.Err(), query)
	}
	return all
}

// finish takes every flow to its end, which nothing before has kept from it.
func (f *flows) finish(t *testing.T, over string) {
	t.Helper()
	ctx, anybody := t.Context(), connect(over, "")
	_, err := anybody.VerifyEmail(ctx, &identityv1.VerifyEmailRequest{Token: f.tokens["sign-up"]})
	require.NoError(t, err)
	_, err = anybody.ResetPassword(ctx, &identityv1.ResetPasswordRequest{Token: f.tokens["reset"], Password: newPassword})
	require.NoError(t, err)
	_, err = anybody.AcceptInvitation(ctx, &invitationv1.AcceptInvitationRequest{
		LinkToken: f.tokens["invitation"], Password: password, DisplayName: "G", Delivery: identityv1.Delivery_DELIVERY_TOKEN})
	require.NoError(t, err)
	_, err = answerChallenge(t, connect(over, f.tokens["challenge"]), f.app.code(t))
	require.NoError(t, err)
	_, err = connect(over, f.tokens["password-change"]).ChangePassword(ctx, &identityv1.ChangePasswordRequest{CurrentPassword: f.temporary, Password: newPassword})
	require.NoError(t, err)
	_, err = f.confirmer.ConfirmTotp(ctx, &identityv1.ConfirmTotpRequest{FactorId: f.pending.id, Code: testkit.TOTP(t, f.pending.secret)})
	require.NoError(t, err)
}

// TestFlows calls the steps of every flow out of their order, and with what belongs to another flow.
func TestFlows(t *testing.T) {
	t.Parallel()
	const (
		linkInvalid     = errorv1.Reason_REASON_LINK_INVALID
		unauthenticated = errorv1.Reason_REASON_UNAUTHENTICATED
		incomplete      = errorv1.Reason_REASON_SIGN_IN_INCOMPLETE
		refusedCaller   = errorv1.Reason_REASON_CALLER_REFUSED
		invalid         = errorv1.Reason_REASON_VALIDATION_FAILED
		invitationLink  = errorv1.Reason_REASON_INVITATION_LINK_INVALID
		wrongPassword   = errorv1.Reason_REASON_CREDENTIALS_INVALID
		wrongCode       = errorv1.Reason_REASON_CODE_INVALID
		noFactor        = errorv1.Reason_REASON_FACTOR_NOT_FOUND
		conflict        = errorv1.Reason_REASON_STATE_CONFLICT
	)

	scenario(t, "R18 a link is good for the step of its own flow, and for nothing else", func(t *testing.T, over string) {
		f := beginFlows(t, over)
		before, anybody := f.rows(t), connect(over, "")
		for step, s := range map[string]struct {
			own  string
			call func(token string) error
		}{
			"VerifyEmail": {"sign-up", func(token string) error {
				_, err := anybody.VerifyEmail(t.Context(), &identityv1.VerifyEmailRequest{Token: token})
				return err
			}},
			"ResetPassword": {"reset", func(token string) error {
				_, err := anybody.ResetPassword(t.Context(), &identityv1.ResetPasswordRequest{Token: token, Password: newPassword})
				return err
			}},
			"ClaimOperator": {"", func(token string) error {
				_, err := identityv1.NewOperatorServiceClient(wire(over, "")).ClaimOperator(t.Context(), &identityv1.ClaimOperatorRequest{Token: token, DisplayName: "Eve"})
				return err
			}},
			"PreviewInvitation": {"invitation", func(token string) error {
				_, err := anybody.PreviewInvitation(t.Context(), &invitationv1.PreviewInvitationRequest{LinkToken: token})
				return err
			}},
			"AcceptInvitation": {"invitation", func(token string) error {
				_, err := anybody.AcceptInvitation(t.Context(), &invitationv1.AcceptInvitationRequest{
					LinkToken: token, Password: password, DisplayName: "Eve", Delivery: identityv1.Delivery_DELIVERY_TOKEN})
				return err
			}},
			"DeclineInvitation": {"invitation", func(token string) error {
				_, err := anybody.DeclineInvitation(t.Context(), &invitationv1.DeclineInvitationRequest{LinkToken: token})
				return err
			}},
		} {
			for _, of := range slices.Sorted(maps.Keys(f.tokens)) {
				if of == s.own {
					continue
				}
				err := s.call(f.tokens[of])
				require.Contains(t, []errorv1.Reason{linkInvalid, invitationLink, invalid}, fault.ReasonOf(err), "%s with that of %s: %v", step, of, err)
			}
		}
		require.Equal(t, before, f.rows(t))
		f.finish(t, over)
	})

	scenario(t, "R18 a session that is not complete, and what is no session, takes no step but its own", func(t *testing.T, over string) {
		f := beginFlows(t, over)
		before := f.rows(t)
		steps := map[string]func(client) error{
			"AnswerChallenge": func(c client) error { _, err := answerChallenge(t, c, "000000"); return err },
			"ChangePassword": func(c client) error {
				_, err := c.ChangePassword(t.Context(), &identityv1.ChangePasswordRequest{CurrentPassword: password, Password: newPassword})
				return err
			},
			"Reauthenticate": func(c client) error {
				_, err := c.Reauthenticate(t.Context(), &identityv1.ReauthenticateRequest{Password: password})
				return err
			},
			"BeginTotp": func(c client) error { _, err := c.BeginTotp(t.Context(), &identityv1.BeginTotpRequest{}); return err },
			"ConfirmTotp": func(c client) error {
				_, err := c.ConfirmTotp(t.Context(), &identityv1.ConfirmTotpRequest{FactorId: f.pending.id, Code: testkit.TOTP(t, f.pending.secret)})
				return err
			},
			"RemoveFactor": func(c client) error {
				_, err := c.RemoveFactor(t.Context(), &identityv1.RemoveFactorRequest{FactorId: f.app.id})
				return err
			},
			"RegenerateRecoveryCodes": func(c client) error {
				_, err := c.RegenerateRecoveryCodes(t.Context(), &identityv1.RegenerateRecoveryCodesRequest{})
				return err
			},
			"UnlinkProvider": func(c client) error {
				_, err := c.UnlinkProvider(t.Context(), &identityv1.UnlinkProviderRequest{ProviderId: id.NewProvider().String()})
				return err
			},
			"CreateApiKey": func(c client) error {
				_, err := c.CreateApiKey(t.Context(), &identityv1.CreateApiKeyRequest{DisplayName: "x", Scopes: []string{"org.read"}})
				return err
			},
			"CreateOrganization": func(c client) error {
				_, err := c.CreateOrganization(t.Context(), &membershipv1.CreateOrganizationRequest{DisplayName: "x", Preset: flat})
				return err
			},
		}
		if over == "gRPC" { // they have no route: the pages call them
			steps["BeginLinkProvider"] = func(c client) error {
				_, err := c.BeginLinkProvider(t.Context(), &identityv1.BeginLinkProviderRequest{ProviderId: id.NewProvider().String()})
				return err
			}
			steps["CompleteLinkProvider"] = func(c client) error {
				_, err := c.CompleteLinkProvider(t.Context(), &identityv1.CompleteLinkProviderRequest{
					ProviderId: id.NewProvider().String(), Flow: "x", State: "x", Code: "x"})
				return err
			}
		}
		own := map[string]string{"challenge": "AnswerChallenge", "password-change": "ChangePassword"}
		for _, of := range slices.Sorted(maps.Keys(f.tokens)) {
			want := unauthenticated
			switch of {
			case "session":
				continue // it is complete
			case "challenge", "password-change":
				want = incomplete
			case "key", "operator":
				want = refusedCaller
			}
			for step, call := range steps {
				if own[of] == step {
					continue
				}
				err := call(connect(over, f.tokens[of]))
				got := fault.ReasonOf(err)
				if of == "password-change" && step == "AnswerChallenge" && got == conflict {
					continue // it has none
				}
				require.Equal(t, want, got, "%s with that of %s: %v", step, of, err)
			}
		}
		require.Equal(t, before, f.rows(t))
		f.finish(t, over)
	})

	scenario(t, "R18 no step comes before the one that leads to it, and none comes twice", func(t *testing.T, over string) {
		f := beginFlows(t, over)
		before, ctx, anybody, bystander := f.rows(t), t.Context(), connect(over, ""), f.bystander
		confirm := func(who client, factor, code string) error {
			_, err := who.ConfirmTotp(ctx, &identityv1.ConfirmTotpRequest{FactorId: factor, Code: code})
			return err
		}
		refused(t, confirm(bystander.client, id.NewFactor().String(), "000000"), noFactor)
		refused(t, confirm(bystander.client, f.pending.id, testkit.TOTP(t, f.pending.secret)), noFactor)
		refused(t, confirm(f.confirmer.client, f.app.id, testkit.TOTP(t, f.app.secret)), noFactor)
		_, err := answerChallenge(t, bystander.client, testkit.TOTP(t, f.pending.secret))
		refused(t, err, conflict)
		_, err = answerChallenge(t, connect(over, f.tokens["challenge"]), testkit.TOTP(t, f.pending.secret))
		refused(t, err, wrongCode)
		_, err = bystander.Reauthenticate(ctx, &identityv1.ReauthenticateRequest{Password: f.temporary})
		refused(t, err, wrongPassword)
		_, err = connect(over, f.tokens["password-change"]).ChangePassword(ctx, &identityv1.ChangePasswordRequest{CurrentPassword: password, Password: newPassword})
		refused(t, err, wrongPassword)
		for _, wrong := range []string{f.tokens["reset"] + "A", f.tokens["reset"][1:], fmt.Sprint(f.tokens["sign-up"][:22], f.tokens["reset"][22:])} {
			_, err = anybody.ResetPassword(ctx, &identityv1.ResetPasswordRequest{Token: wrong, Password: newPassword})
			refused(t, err, linkInvalid)
		}
		require.Equal(t, before, f.rows(t))

		f.finish(t, over)
		after := f.rows(t)
		_, err = anybody.VerifyEmail(ctx, &identityv1.VerifyEmailRequest{Token: f.tokens["sign-up"]})
		refused(t, err, linkInvalid)
		_, err = anybody.ResetPassword(ctx, &identityv1.ResetPasswordRequest{Token: f.tokens["reset"], Password: password})
		refused(t, err, linkInvalid)
		for _, of := range []string{"challenge", "password-change"} {
			_, err = answerChallenge(t, connect("REST", f.tokens[of]), "000000") // where the end is known at once
			refused(t, err, unauthenticated)
		}
		refused(t, confirm(connect("REST", f.confirmer.Token), f.pending.id, testkit.TOTP(t, f.pending.secret)), unauthenticated)
		_, err = open(t, over, f.appointed.Email, f.temporary)
		refused(t, err, wrongPassword)
		require.Equal(t, after, f.rows(t))
	})
}
