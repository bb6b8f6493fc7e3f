package membership_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/rosterhq/roster/pkg/fault"
	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// many is a call about many members.
type many struct {
	targets      []id.Account
	request      string
	validateOnly bool
}

type results = []*membershipv1.MemberResult

// bulkVerbs are the calls about many, and what they do to one.
var bulkVerbs = map[string]struct {
	many func(context.Context, organization, many) (results, error)
	one  func(o organization, actor, target id.Account) error
}{
	"disable": {bulkDisable, func(o organization, actor, target id.Account) error { return second(o.disable(actor, target)) }},
	"enable":  {bulkEnable, func(o organization, actor, target id.Account) error { return second(o.enable(actor, target)) }},
	"remove": {func(ctx context.Context, o organization, m many) (results, error) {
		answer, err := o.bulk.BulkRemoveMembers(ctx, &membershipv1.BulkRemoveMembersRequest{
			OrganizationId: o.id.String(), AccountIds: texts(m.targets), RequestId: m.request, ValidateOnly: m.validateOnly})
		return answer.GetResults(), err
	}, func(o organization, actor, target id.Account) error { return second(o.remove(actor, target)) }},
	"change role": {func(ctx context.Context, o organization, m many) (results, error) {
		answer, err := o.bulk.BulkChangeMemberRole(ctx, &membershipv1.BulkChangeMemberRoleRequest{
			OrganizationId: o.id.String(), AccountIds: texts(m.targets), RequestId: m.request, ValidateOnly: m.validateOnly, Role: "developer"})
		return answer.GetResults(), err
	}, func(o organization, actor, target id.Account) error { return o.changeRole(actor, target, "developer") }},
}

func bulkDisable(ctx context.Context, o organization, m many) (results, error) {
	answer, err := o.bulk.BulkDisableMembers(ctx, &membershipv1.BulkDisableMembersRequest{
		OrganizationId: o.id.String(), AccountIds: texts(m.targets), RequestId: m.request, ValidateOnly: m.validateOnly})
	return answer.GetResults(), err
}

func bulkEnable(ctx context.Context, o organization, m many) (results, error) {
	answer, err := o.bulk.BulkEnableMembers(ctx, &membershipv1.BulkEnableMembersRequest{
		OrganizationId: o.id.String(), AccountIds: texts(m.targets), RequestId: m.request, ValidateOnly: m.validateOnly})
	return answer.GetResults(), err
}

func texts(accounts []id.Account) (all []string) {
	for _, account := range accounts {
		all = append(all, account.String())
	}
	return all
}

// why are the reasons of the results, OK for who was changed.
func why(all results) (reasons []string) {
	for _, r := range all {
		reason := "OK"
		if f := refusalOf(r); f != nil {
			reason = f.Name()
		}
		reasons = append(reasons, reason)
	}
	return reasons
}

func refusalOf(r *membershipv1.MemberResult) *fault.Fault {
	return fault.From(status.FromProto(r.GetError()).Err())
}

func TestBulk(t *testing.T) {
	t.Parallel()

	for name, verb := range bulkVerbs {
		t.Run("Every member is answered as alone: "+name, func(t *testing.T) {
			t.Parallel()
			preset, role, peerIs := portal, "member", "PERMISSION_MISSING"
			if name == "change role" { // where an admin may, another's too
				preset, role, peerIs = pipeline, "viewer", "OK"
			}
			o := newHarness(t).create(preset)
			admin, peer, first, last := o.add("admin"), o.add("admin"), o.add(role), o.add(role)
			if name == "enable" {
				for _, account := range []id.Account{peer, first, last} {
					require.NoError(t, second(o.disable(o.creator, account)))
				}
			}
			asked := []id.Account{first, o.creator, admin, id.NewAccount(), last, peer}
			before, seats := o.types(), o.seats.snapshot()

			said, err := verb.many(o.as(admin), o, many{targets: asked, request: "once", validateOnly: true})
			require.NoError(t, err)
			require.Equal(t, before, o.types(), "nothing has happened")
			require.Equal(t, seats, o.seats.snapshot())
			done, err := verb.many(o.as(admin), o, many{targets: asked, request: "once"})
			require.NoError(t, err)
			require.Equal(t, why(said), why(done), "what was said has come to pass")
			for i, r := range done {
				require.Equal(t, asked[i].String(), r.GetAccountId())
				require.Equal(t, said[i].GetMember().GetState(), r.GetMember().GetState())
				require.Equal(t, said[i].GetMember().GetRole(), r.GetMember().GetRole())
			}
			after := o.types()
			again, err := verb.many(o.as(admin), o, many{targets: asked, request: "once"})
			require.NoError(t, err)
			require.Equal(t, why(done), why(again))
			require.Equal(t, after, o.types(), "a repeated request changes nothing")
			_, err = verb.many(o.as(admin), o, many{targets: asked[:2], request: "once"})
			refused(t, err, errorv1.Reason_REASON_REQUEST_ID_REUSED)
			require.Zero(t, o.due())

			require.Equal(t, []string{"OK", "OWNER_PROTECTED", "SELF_ACTION", "MEMBER_NOT_FOUND", "OK", peerIs}, why(done))
			changed := 0
			for i, r := range done {
				if refusal := refusalOf(r); refusal == nil {
					changed++
				} else {
					require.Equal(t, refused(t, verb.one(o, admin, asked[i]), refusal.Reason), refusal)
				}
			}
			require.Len(t, after, len(before)+changed)
		})

		t.Run("Who may do it to nobody is refused as a whole: "+name, func(t *testing.T) {
			t.Parallel()
			o := newHarness(t).create(portal)
			member, target := o.add("member"), o.add("member")
			for _, validateOnly := range []bool{false, true} {
				asked := many{targets: []id.Account{target}, validateOnly: validateOnly}
				_, err := verb.many(o.as(member), o, asked)
				refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
				_, err = verb.many(o.as(id.NewAccount()), o, asked)
				refused(t, err, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
				asked.targets = []id.Account{target, target}
				_, err = verb.many(o.as(o.creator), o, asked)
				refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
				asked.targets = nil
				_, err = verb.many(o.as(o.creator), o, asked)
				refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
				asked.targets = make([]id.Account, 101)
				for i := range asked.targets {
					asked.targets[i] = id.NewAccount()
				}
				_, err = verb.many(o.as(o.creator), o, asked)
				refused(t, err, errorv1.Reason_REASON_VALIDATION_FAILED)
			}
		})
	}

	t.Run("Seats go to whoever is named first", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		accounts := []id.Account{o.add("member"), o.add("member"), o.add("member")}
		for _, account := range accounts {
			require.NoError(t, second(o.disable(o.creator, account)))
		}
		o.seats.limit = 2
		for _, validateOnly := range []bool{true, false, false} {
			got, err := bulkEnable(o.as(o.creator), o, many{targets: accounts, request: "once", validateOnly: validateOnly})
			require.NoError(t, err)
			require.Equal(t, []string{"OK", "SEAT_LIMIT_REACHED", "SEAT_LIMIT_REACHED"}, why(got))
			require.Equal(t, "2", refusalOf(got[1]).Metadata["used"])
			require.Equal(t, "0", refusalOf(got[1]).Metadata["available"])
		}
		require.Len(t, o.seats.occupied(), 2)
		o.seats.limit = 0
		got, err := bulkEnable(o.as(o.creator), o, many{targets: accounts, validateOnly: true})
		require.NoError(t, err)
		require.Equal(t, []string{"STATE_CONFLICT", "OK", "OK"}, why(got), "there is no limit")
		o.seats.before = func(string) error { return errDown }
		_, err = bulkEnable(o.as(o.creator), o, many{targets: accounts, validateOnly: true})
		refused(t, err, errorv1.Reason_REASON_UNAVAILABLE)
	})

	t.Run("LAST_OWNER counts who was named before", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(flat)
		other, helper := o.add("member"), o.helper()
		for _, validateOnly := range []bool{true, false} {
			got, err := bulkDisable(o.as(helper), o, many{targets: []id.Account{other, o.creator}, validateOnly: validateOnly})
			require.NoError(t, err)
			require.Equal(t, []string{"OK", "LAST_OWNER"}, why(got))
		}
	})

	t.Run("RULING 7 The access ends also when billing is away, and the sweeper frees the seats", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		accounts := []id.Account{o.add("member"), o.add("member")}
		o.seats.before = func(string) error { return errDown }
		got, err := bulkDisable(o.as(o.creator), o, many{targets: accounts, request: "once"})
		require.NoError(t, err)
		for i, r := range got {
			require.False(t, r.GetSeatReleased())
			require.Equal(t, membershipv1.CheckAccessResponse_DECISION_MEMBER_DISABLED, o.decision(accounts[i], "org.read"))
		}
		o.seats.before = func(string) error { return nil }
		o.sweep()
		require.Zero(t, o.due())
		got, err = bulkDisable(o.as(o.creator), o, many{targets: accounts, request: "once"})
		require.NoError(t, err)
		for _, r := range got {
			require.True(t, r.GetSeatReleased())
		}
	})

	t.Run("When time runs out the others are left, and a repeated call goes on there", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(rbac)
		accounts := []id.Account{o.add("member"), o.add("member"), o.add("member")}
		for _, account := range accounts {
			require.NoError(t, second(o.disable(o.creator, account)))
		}
		before := len(o.types())
		slow := &slowBilling{seats: h.seats, from: 2}
		h.service.Seats = slow
		ctx, stop := context.WithTimeout(o.as(o.creator), 8*time.Second)
		defer stop()
		got, err := bulkEnable(ctx, o, many{targets: accounts, request: "once"})
		require.NoError(t, err, "there is an answer in time")
		require.Equal(t, "OK", why(got)[0])
		require.Contains(t, []string{"UNAVAILABLE", "DEADLINE_EXCEEDED"}, why(got)[1], "billing was asked")
		require.Equal(t, "DEADLINE_EXCEEDED", why(got)[2])
		require.Contains(t, refusalOf(got[2]).Message, "Not tried")
		require.Len(t, o.types(), before+1)

		h.service.Seats = h.seats
		got, err = bulkEnable(o.as(o.creator), o, many{targets: accounts, request: "once"})
		require.NoError(t, err)
		require.Equal(t, []string{"OK", "OK", "OK"}, why(got))
		require.Len(t, o.types(), before+3)
		require.Len(t, o.seats.occupied(), 4)
	})

	t.Run("RB17 Two who disable everybody else at once leave somebody with full rights", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(flat)
		everybody := []id.Account{o.creator, o.add("member"), o.add("member"), o.add("member")}
		together(2, func(i int) {
			targets := append(append([]id.Account(nil), everybody[:i]...), everybody[i+1:]...)
			got, err := bulkDisable(o.as(everybody[i]), o, many{targets: targets})
			if err != nil {
				require.Equal(t, errorv1.Reason_REASON_MEMBER_DISABLED, fault.ReasonOf(err), "%v", err)
				return
			}
			require.Subset(t, []string{"OK", "STATE_CONFLICT", "MEMBER_DISABLED"}, why(got))
		})
		left := 0
		for _, account := range everybody {
			if o.decision(account, "org.delete") == membershipv1.CheckAccessResponse_DECISION_ALLOWED {
				left++
			}
		}
		require.Equal(t, 1, left)
		count := map[string]int{}
		for _, kind := range o.types() {
			count[kind]++
		}
		require.Equal(t, 3, count["member.disabled"], fmt.Sprint(count))
	})
}

// slowBilling is billing that answers no more from some reservation on, for as long as the call has time.
type slowBilling struct {
	*seats
	from, asked int
}

func (s *slowBilling) ReserveSeats(ctx context.Context, req *billingv1.ReserveSeatsRequest, o ...grpc.CallOption) (*billingv1.ReserveSeatsResponse, error) {
	if s.asked++; s.asked >= s.from {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.seats.ReserveSeats(ctx, req, o...)
}

// helper is somebody who may do everything through a group alone.
func (o organization) helper() id.Account {
	o.Helper()
	_, err := o.owner().Exec(o.Context(), `UPDATE organizations SET policy = policy || '{"groups": true, "custom_roles": true}' WHERE organization_id = $1`, o.id)
	require.NoError(o, err)
	made, err := o.roles.CreateRole(o.as(o.creator), &membershipv1.CreateRoleRequest{
		OrganizationId: o.id.String(), DisplayName: "Helper", Key: "helper", Permissions: []string{"org.read"}})
	require.NoError(o, err)
	account := o.add(made.GetRole().GetKey())
	group, err := o.groups.CreateGroup(o.as(o.creator), &membershipv1.CreateGroupRequest{OrganizationId: o.id.String(), DisplayName: "Helpers"})
	require.NoError(o, err)
	key := group.GetGroup().GetId()
	_, err = o.groups.BindGroupRole(o.as(o.creator), &membershipv1.BindGroupRoleRequest{OrganizationId: o.id.String(), GroupId: key, Role: "member"})
	require.NoError(o, err)
	_, err = o.groups.AddGroupMember(o.as(o.creator), &membershipv1.AddGroupMemberRequest{OrganizationId: o.id.String(), GroupId: key, AccountId: account.String()})
	require.NoError(o, err)
	return account
}
