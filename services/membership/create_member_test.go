package membership_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/services/internal/id"
)

func (o organization) createMember(by id.Account, edit ...func(*membershipv1.CreateMemberRequest)) (*membershipv1.CreateMemberResponse, error) {
	req := &membershipv1.CreateMemberRequest{OrganizationId: o.id.String(), Email: "grace@works.example", DisplayName: "Grace Hopper", Role: "member"}
	for _, e := range edit {
		e(req)
	}
	return o.members.CreateMember(o.as(by), req)
}

func createdOnce(r *membershipv1.CreateMemberRequest) { r.RequestId = "r-1" }

func createdAs(role string) func(*membershipv1.CreateMemberRequest) {
	return func(r *membershipv1.CreateMemberRequest) { r.Role = role }
}

// claimed is an account that claims grace@works.example.
func claimed(account id.Account, edit ...func(*identityv1.ListClaimsResponse_Claim)) []*identityv1.ListClaimsResponse_Claim {
	claim := &identityv1.ListClaimsResponse_Claim{Verified: true, Account: &identityv1.Account{
		Id: account.String(), DisplayName: "Amazing Grace", Email: "grace@works.example"}}
	for _, e := range edit {
		e(claim)
	}
	return []*identityv1.ListClaimsResponse_Claim{claim}
}

func TestCreateMember(t *testing.T) {
	t.Parallel()

	t.Run("S2-22 S2-23 A new address becomes an account and a member, with a password shown once", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		answer, err := o.createMember(o.creator, createdOnce)
		require.NoError(t, err)
		require.NotEmpty(t, answer.GetTemporaryPassword())
		m := answer.GetMember()
		require.Equal(t, []string{"Grace Hopper", "grace@works.example", "member"}, []string{m.GetDisplayName(), m.GetEmail(), m.GetRole()})
		require.Equal(t, membershipv1.Member_STATE_ACTIVE, m.GetState())
		require.Len(t, o.seats.occupied(), 2)
		require.Zero(t, o.due())
		last := o.history()[len(o.history())-1]
		require.Equal(t, "member.added", last.Type)
		require.Contains(t, last.Data, o.creator.String())
		require.NotContains(t, last.Data, "password-")

		again, err := o.createMember(o.creator, createdOnce)
		require.NoError(t, err)
		require.Equal(t, answer.String(), again.String())
		require.Equal(t, 1, o.accounts.asked)
		require.Len(t, o.list(o.creator, nil).GetPeople(), 2)
		require.Empty(t, o.mails.sent)
	})

	t.Run("S2-23 Whoever has lost the right since is not shown it again", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		admin := o.add("admin")
		_, err := o.createMember(admin, createdOnce)
		require.NoError(t, err)
		require.NoError(t, o.changeRole(o.creator, admin, "member"))
		_, err = o.createMember(admin, createdOnce)
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
	})

	t.Run("S2-25 R13 C20 Who has an account becomes a member with it, and is told", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		grace := id.NewAccount()
		o.accounts.claims = claimed(grace)
		answer, err := o.createMember(o.creator)
		require.NoError(t, err)
		require.Empty(t, answer.GetTemporaryPassword())
		require.Equal(t, grace.String(), answer.GetMember().GetAccountId())
		require.Equal(t, "Amazing Grace", answer.GetMember().GetDisplayName(), "their own name")
		require.Empty(t, o.accounts.answered, "nothing of the account changes")
		o.sweep()
		require.Len(t, o.mails.sent, 1)
		require.Equal(t, "grace@works.example", o.mails.sent[0].To)
		require.Contains(t, o.mails.sent[0].Text, "https://roster.example/leave/")
		_, err = o.createMember(o.creator)
		require.Equal(t, grace.String(), refused(t, err, errorv1.Reason_REASON_ALREADY_MEMBER).Metadata["accountId"], "S2-26")
	})

	t.Run("RB23 Who was removed begins anew, and who is disabled is a member still", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		grace := o.add("admin")
		o.accounts.claims = claimed(grace)
		_, err := o.disable(o.creator, grace)
		require.NoError(t, err)
		_, err = o.createMember(o.creator)
		refused(t, err, errorv1.Reason_REASON_ALREADY_MEMBER)
		_, err = o.remove(o.creator, grace)
		require.NoError(t, err)
		_, err = o.createMember(o.creator)
		require.NoError(t, err)
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_PERMISSION_MISSING, o.decision(grace, "members.create"))
	})

	t.Run("Refusals take no seat, and change nothing", func(t *testing.T) {
		t.Parallel()
		account := id.NewAccount()
		unproven := func(c *identityv1.ListClaimsResponse_Claim) { c.Verified = false }
		for name, test := range map[string]struct {
			preset  membershipv1.Preset
			by      string // role; empty: the creator
			role    string
			arrange func(organization)
			reason  errorv1.Reason
			policy  string
		}{
			"S2-13 the policy has it off":  {preset: portal, role: "member", reason: errorv1.Reason_REASON_FEATURE_OFF, policy: "create_user"},
			"S2-04 members do not":         {preset: rbac, by: "member", role: "member", reason: errorv1.Reason_REASON_PERMISSION_MISSING},
			"S2-17 RB4 nobody gives owner": {preset: rbac, role: "owner", reason: errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE},
			"there is no role by default":  {preset: rbac, role: "", reason: errorv1.Reason_REASON_VALIDATION_FAILED},
			"RB2 nobody gives what they lack": {preset: rbac, by: "admin", role: "buyer", arrange: func(o organization) {
				_, err := o.roles.CreateRole(o.as(o.creator), &membershipv1.CreateRoleRequest{
					OrganizationId: o.id.String(), DisplayName: "Buyer", Permissions: []string{"billing.manage"}})
				require.NoError(o, err)
			}, reason: errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE},
			"RB8 where the owner appoints admins, nobody else does": {preset: rbac, by: "admin", role: "admin", arrange: func(o organization) {
				o.setPolicy("admin_appointment", `"OWNER_ONLY"`)
			}, reason: errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE},
			"C20 who has an account is invited": {preset: rbac, role: "member", arrange: func(o organization) {
				o.setPolicy("existing_user_add", `"INVITE"`)
				o.accounts.claims = claimed(account)
			}, reason: errorv1.Reason_REASON_FEATURE_OFF, policy: "existing_user_add"},
			"S2-25 a disabled account": {preset: rbac, role: "member", arrange: func(o organization) {
				o.accounts.claims = claimed(account, func(c *identityv1.ListClaimsResponse_Claim) { c.Disabled = true })
			}, reason: errorv1.Reason_REASON_ACCOUNT_DISABLED},
			"an address that others claim without proof": {preset: rbac, role: "member", arrange: func(o organization) {
				o.accounts.claims = claimed(account, unproven)
			}, reason: errorv1.Reason_REASON_EMAIL_TAKEN},
			"S2-26 a member whose address is not proven": {preset: rbac, role: "member", arrange: func(o organization) {
				o.accounts.claims = claimed(o.add("member"), unproven)
			}, reason: errorv1.Reason_REASON_ALREADY_MEMBER},
			"an invitation is pending": {preset: rbac, role: "member", arrange: func(o organization) {
				o.hear("invitation", "invitation.created", o.id.String(), 1, &eventv1.InvitationCreated{
					Invitation: &eventv1.Invitation{InvitationId: id.NewInvitation().String(), Role: "member", ExpireTime: timestamppb.New(time.Now().Add(time.Hour))},
					Personal:   &eventv1.Personal{Email: "Grace@works.example"}})
			}, reason: errorv1.Reason_REASON_INVITATION_PENDING},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				o := newHarness(t).create(test.preset)
				by := o.creator
				if test.by != "" {
					by = o.add(test.by)
				}
				if test.arrange != nil {
					test.arrange(o)
				}
				before, seats := len(o.history()), o.seats.snapshot()
				_, err := o.createMember(by, createdAs(test.role))
				f := refused(t, err, test.reason)
				require.Equal(t, test.policy, f.Metadata["policy"])
				require.Len(t, o.history(), before)
				require.Equal(t, seats, o.seats.snapshot())
				require.Empty(t, o.accounts.answered)
			})
		}
	})

	t.Run("An account that the organization made before is used again", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		made, err := o.createMember(o.creator)
		require.NoError(t, err)
		grace, err := id.ParseAccount(made.GetMember().GetAccountId())
		require.NoError(t, err)
		_, err = o.remove(o.creator, grace)
		require.NoError(t, err)
		o.accounts.claims = claimed(grace, func(c *identityv1.ListClaimsResponse_Claim) { c.Verified, c.Managed = false, true })
		again, err := o.createMember(o.creator)
		require.NoError(t, err)
		require.Equal(t, grace.String(), again.GetMember().GetAccountId())
		require.Empty(t, again.GetTemporaryPassword())
	})

	t.Run("Without a seat there is no account and no member", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		o.seats.limit = 1
		_, err := o.createMember(o.creator, createdOnce)
		f := refused(t, err, errorv1.Reason_REASON_SEAT_LIMIT_REACHED)
		require.Empty(t, o.accounts.answered)
		require.Zero(t, o.due())
		require.Len(t, o.list(o.creator, nil).GetPeople(), 1)
		o.seats.limit = 2
		_, err = o.createMember(o.creator, createdOnce)
		require.Equal(t, f, refused(t, err, errorv1.Reason_REASON_SEAT_LIMIT_REACHED), "the answer to a request stays")
		_, err = o.createMember(o.creator)
		require.NoError(t, err)
	})

	t.Run("An address that was taken meanwhile gives the seat back", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		o.accounts.taken = true
		_, err := o.createMember(o.creator, createdOnce)
		refused(t, err, errorv1.Reason_REASON_EMAIL_TAKEN)
		o.sweep()
		require.Len(t, o.seats.occupied(), 1)
		require.Zero(t, o.due())
		require.Equal(t, []string{"organization.created", "member.added"}, o.types())
	})

	t.Run("Whoever became a member meanwhile is one once, and the seat goes back", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		grace := id.NewAccount()
		o.accounts.claims = claimed(grace)
		o.seats.after = func(method string) error {
			if method == "OccupySeat" {
				o.seats.after = func(string) error { return nil }
				return o.addAs(grace, id.NewSeat(), "admin")
			}
			return nil
		}
		_, err := o.createMember(o.creator)
		refused(t, err, errorv1.Reason_REASON_ALREADY_MEMBER)
		o.sweep()
		require.Equal(t, "admin", o.roleOf(grace))
		require.Zero(t, o.due())
		require.Empty(t, o.mails.sent)
	})

	t.Run("Whoever does not answer loses nobody", func(t *testing.T) {
		t.Parallel()
		for _, point := range append(crashPoints("ReserveSeats", "OccupySeat"), crashPoint{"identity", false}) {
			t.Run(point.String(), func(t *testing.T) {
				t.Parallel()
				o := newHarness(t).create(rbac)
				point.arm(o.seats)
				if point.method == "identity" {
					o.accounts.refuse = errors.New("identity is away")
				}
				_, err := o.createMember(o.creator, createdOnce)
				refused(t, err, errorv1.Reason_REASON_UNAVAILABLE)
				var seat id.Seat
				require.NoError(t, o.owner().QueryRow(t.Context(), `SELECT seat_id FROM member_operations WHERE kind = 'DIRECT'`).Scan(&seat))
				require.Equal(t, []bool{true}, o.alive(seat), "billing leaves the seat alone")
				point.disarm(o.seats)
				o.accounts.refuse = nil
				o.sweep()
				answer, err := o.createMember(o.creator, createdOnce)
				require.NoError(t, err)
				require.NotEmpty(t, answer.GetTemporaryPassword())
				require.Len(t, o.seats.occupied(), 2)
				require.Zero(t, o.due())
			})
		}
	})

	t.Run("R13 An organization asks so often a day who has an address", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		admin := o.add("admin")
		_, err := o.createMember(admin)
		require.NoError(t, err)
		_, err = o.owner().Exec(t.Context(), `UPDATE asked_today SET asked = 199`)
		require.NoError(t, err)
		other := func(i int) func(*membershipv1.CreateMemberRequest) {
			return func(r *membershipv1.CreateMemberRequest) { r.Email = fmt.Sprintf("other-%d@works.example", i) }
		}
		_, err = o.createMember(admin, other(1), createdOnce)
		require.NoError(t, err)
		_, err = o.createMember(o.creator, other(2))
		f := refused(t, err, errorv1.Reason_REASON_RATE_LIMITED)
		require.Equal(t, "200", f.Metadata["most"])
		require.Equal(t, 2, o.accounts.asked)
		_, err = o.createMember(admin, other(1), createdOnce)
		require.NoError(t, err, "what was answered is not asked again")
		_, err = o.owner().Exec(t.Context(), `UPDATE asked_today SET day = day - 1`)
		require.NoError(t, err)
		_, err = o.createMember(o.creator, other(2))
		require.NoError(t, err, "tomorrow")
	})

	t.Run("RefusesWhatIsNotValid", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		for _, spoil := range []func(*membershipv1.CreateMemberRequest){
			func(r *membershipv1.CreateMemberRequest) { r.OrganizationId = "x" },
			func(r *membershipv1.CreateMemberRequest) { r.Email = "x" },
			func(r *membershipv1.CreateMemberRequest) { r.DisplayName = "" },
			func(r *membershipv1.CreateMemberRequest) { r.DisplayName = "\n" },
		} {
			_, err := o.createMember(o.creator, spoil)
			refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
		}
		require.Zero(t, o.accounts.asked)
	})
}
