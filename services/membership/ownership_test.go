package membership_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

func (o organization) offer(actor, target id.Account) error {
	_, err := o.ownership.OfferTransfer(o.as(actor), &membershipv1.OfferTransferRequest{OrganizationId: o.id.String(), AccountId: target.String()})
	return err
}

func (o organization) acceptOffer(actor id.Account) error {
	_, err := o.ownership.AcceptTransfer(o.as(actor), &membershipv1.AcceptTransferRequest{OrganizationId: o.id.String()})
	return err
}

func (o organization) decline(actor id.Account) error {
	_, err := o.ownership.DeclineTransfer(o.as(actor), &membershipv1.DeclineTransferRequest{OrganizationId: o.id.String()})
	return err
}

func (o organization) cancel(actor id.Account) error {
	_, err := o.ownership.CancelTransfer(o.as(actor), &membershipv1.CancelTransferRequest{OrganizationId: o.id.String()})
	return err
}

func (o organization) stepDown(actor id.Account) error {
	_, err := o.ownership.StepDown(o.as(actor), &membershipv1.StepDownRequest{OrganizationId: o.id.String()})
	return err
}

func (o organization) offered(actor id.Account) (*membershipv1.Transfer, error) {
	answer, err := o.ownership.GetTransfer(o.as(actor), &membershipv1.GetTransferRequest{OrganizationId: o.id.String()})
	return answer.GetTransfer(), err
}

// standingOf is what a member is, seen by themselves.
func (o organization) standingOf(account id.Account) string {
	o.Helper()
	member, err := o.get(account, account)
	require.NoError(o, err)
	return member.GetRole()
}

// several lets the organization have several owners, with two of them.
func (o organization) several() (fellow id.Account) {
	o.Helper()
	_, err := o.owner().Exec(o.Context(), `UPDATE members SET sole_owner = false WHERE organization_id = $1`, o.id)
	require.NoError(o, err)
	o.setPolicy("ownership", `"MULTIPLE"`)
	fellow = o.add("admin")
	require.NoError(o, o.offer(o.creator, fellow))
	require.NoError(o, o.acceptOffer(fellow))
	return fellow
}

func TestEquals(t *testing.T) {
	t.Parallel()

	t.Run("RB16 C4 Who decides about another owner has just proven who they are", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		fellow, member := o.several(), o.add("member")
		before := len(o.types())
		long := o.stale(o.creator)
		org, account := o.id.String(), fellow.String()
		for name, try := range map[string]func() ([]*membershipv1.MemberResult, error){
			"change role": func() ([]*membershipv1.MemberResult, error) {
				_, err := o.members.ChangeMemberRole(long, &membershipv1.ChangeMemberRoleRequest{OrganizationId: org, AccountId: account, Role: "admin"})
				return nil, err
			},
			"disable": func() ([]*membershipv1.MemberResult, error) {
				_, err := o.members.DisableMember(long, &membershipv1.DisableMemberRequest{OrganizationId: org, AccountId: account})
				return nil, err
			},
			"remove": func() ([]*membershipv1.MemberResult, error) {
				_, err := o.members.RemoveMember(long, &membershipv1.RemoveMemberRequest{OrganizationId: org, AccountId: account})
				return nil, err
			},
			"disable many": func() ([]*membershipv1.MemberResult, error) {
				answer, err := o.bulk.BulkDisableMembers(long, &membershipv1.BulkDisableMembersRequest{OrganizationId: org, AccountIds: []string{account}})
				return answer.GetResults(), err
			},
			"whether many could be removed": func() ([]*membershipv1.MemberResult, error) {
				answer, err := o.bulk.BulkRemoveMembers(long, &membershipv1.BulkRemoveMembersRequest{
					OrganizationId: org, AccountIds: []string{account}, ValidateOnly: true})
				return answer.GetResults(), err
			},
		} {
			results, err := try()
			if len(results) > 0 {
				err = status.FromProto(results[0].GetError()).Err()
			}
			require.Equal(t, errorv1.Reason_REASON_STEP_UP_REQUIRED, fault.ReasonOf(err), name)
		}
		require.Empty(t, o.since(before))

		_, err := o.members.DisableMember(long, &membershipv1.DisableMemberRequest{OrganizationId: org, AccountId: member.String()})
		require.NoError(t, err, "about others it does not matter")
		_, err = o.disable(o.creator, fellow)
		require.NoError(t, err)
		_, err = o.members.EnableMember(long, &membershipv1.EnableMemberRequest{OrganizationId: org, AccountId: account})
		refused(t, err, errorv1.Reason_REASON_STEP_UP_REQUIRED)
		_, err = o.enable(o.creator, fellow)
		require.NoError(t, err)
		require.NoError(t, o.changeRole(o.creator, fellow, "admin"))
	})
}

// since drops the events that were there before.
func (o organization) since(before int) []string { return o.types()[before:] }

// unverify says whether the account has yet to prove its address.
func (a *accounts) unverify(account id.Account, yes bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unverified == nil {
		a.unverified = make(map[string]bool)
	}
	a.unverified[account.String()] = yes
}

func TestTransfer(t *testing.T) {
	t.Parallel()

	t.Run("C5 RB5 S1-12 An accepted offer changes places in one moment", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o := h.create(pipeline)
		target, other := o.add("viewer"), o.add("admin")
		begun := len(o.types())
		req := &membershipv1.OfferTransferRequest{OrganizationId: o.id.String(), AccountId: target.String(), RequestId: "once"}
		answer, err := o.ownership.OfferTransfer(o.as(o.creator), req)
		require.NoError(t, err)
		again, err := o.ownership.OfferTransfer(o.as(o.creator), req)
		require.NoError(t, err)
		require.True(t, proto.Equal(answer, again))
		require.Equal(t, "viewer", o.standingOf(target), "an offer is nothing yet")
		for _, who := range []id.Account{o.creator, target} {
			seen, err := o.offered(who)
			require.NoError(t, err)
			require.True(t, proto.Equal(answer.GetTransfer(), seen), "%v", seen)
			require.True(t, seen.GetReplacesOwner())
		}
		refused(t, second(o.offered(other)), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
		refused(t, o.acceptOffer(other), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
		refused(t, o.decline(o.creator), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
		refused(t, o.offer(o.creator, other), errorv1.Reason_REASON_STATE_CONFLICT)

		accept := &membershipv1.AcceptTransferRequest{OrganizationId: o.id.String(), RequestId: "accept"}
		accepted, err := o.ownership.AcceptTransfer(o.as(target), accept)
		require.NoError(t, err)
		require.Equal(t, "owner", accepted.GetMember().GetRole())
		repeated, err := o.ownership.AcceptTransfer(o.as(target), accept)
		require.NoError(t, err)
		require.True(t, proto.Equal(accepted, repeated))
		require.Equal(t, []string{"admin", "owner"}, []string{o.standingOf(o.creator), o.standingOf(target)})
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_ALLOWED, o.decision(target, "org.delete"))
		require.Equal(t, membershipv1.CheckAccessResponse_DECISION_PERMISSION_MISSING, o.decision(o.creator, "org.delete"))
		require.Equal(t, []string{"organization.transfer_offered", "member.role_changed", "member.role_changed", "organization.owner_changed"}, o.since(begun))
		last := o.history()[begun+3].Data
		require.Contains(t, last, `"beforeAccountId":"`+o.creator.String()+`","afterAccountId":"`+target.String()+`"`)
		refused(t, o.acceptOffer(target), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
		refused(t, o.offer(o.creator, other), errorv1.Reason_REASON_PERMISSION_MISSING)

		h.sweep() // the mail
		require.Zero(t, h.due())
		require.Len(t, h.mails.sent, 3)
		require.Equal(t, "ada@example.com", h.mails.sent[0].To)
		require.Contains(t, h.mails.sent[0].Text, "hand Acme over to you")
		require.Contains(t, h.mails.sent[1].Text, "You accepted the role Owner in Acme")
		require.Contains(t, h.mails.sent[2].Text, "You are no longer its owner: your role is Admin now")
		require.NoError(t, o.offer(target, o.creator), "and back")
		require.NoError(t, o.acceptOffer(o.creator))
	})

	t.Run("RB5 Whom nobody could reach owns nothing", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(portal)
		target := o.add("member")
		o.accounts.unverify(target, true)
		refused(t, o.offer(o.creator, target), errorv1.Reason_REASON_EMAIL_UNVERIFIED)
		o.accounts.unverify(target, false)
		require.NoError(t, o.offer(o.creator, target))
		o.accounts.unverify(target, true)
		refused(t, o.acceptOffer(target), errorv1.Reason_REASON_EMAIL_UNVERIFIED)
		o.accounts.err = errors.New("away")
		refused(t, o.acceptOffer(target), errorv1.Reason_REASON_UNAVAILABLE)
		require.Equal(t, "member", o.standingOf(target))
	})

	t.Run("RB4 R77 Who may not, and whom it cannot be", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		o, other := h.create(pipeline), h.create(pipeline)
		admin, member, disabled, foreign := o.add("admin"), o.add("viewer"), o.add("viewer"), other.add("viewer")
		require.NoError(t, second(o.disable(o.creator, disabled)))
		before := len(o.types())
		for _, c := range []struct {
			actor, target id.Account
			want          errorv1.Reason
		}{
			{admin, member, errorv1.Reason_REASON_PERMISSION_MISSING},
			{foreign, member, errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND},
			{disabled, member, errorv1.Reason_REASON_MEMBER_DISABLED},
			{o.creator, foreign, errorv1.Reason_REASON_MEMBER_NOT_FOUND},
			{o.creator, id.NewAccount(), errorv1.Reason_REASON_MEMBER_NOT_FOUND},
			{o.creator, o.creator, errorv1.Reason_REASON_SELF_ACTION},
			{o.creator, disabled, errorv1.Reason_REASON_STATE_CONFLICT},
		} {
			refused(t, o.offer(c.actor, c.target), c.want)
		}
		refused(t, o.cancel(admin), errorv1.Reason_REASON_PERMISSION_MISSING)
		refused(t, o.cancel(o.creator), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
		refused(t, o.acceptOffer(foreign), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		refused(t, o.stepDown(o.creator), errorv1.Reason_REASON_FEATURE_OFF)
		require.Len(t, o.types(), before)
		require.Empty(t, h.mails.sent)

		nobodys := h.create(flat)
		one := nobodys.add("member")
		for _, err := range []error{nobodys.offer(nobodys.creator, one), nobodys.acceptOffer(one), nobodys.decline(one), nobodys.cancel(one), nobodys.stepDown(one)} {
			f := refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
			require.Equal(t, "ownership", f.Metadata["policy"])
		}
	})

	t.Run("C5 An offer ends when it is taken back, declined, or its time is up", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		target := o.add("member")
		begun := len(o.types())
		require.NoError(t, o.offer(o.creator, target))
		require.NoError(t, o.cancel(o.creator))
		refused(t, o.acceptOffer(target), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
		require.NoError(t, o.offer(o.creator, target))
		require.NoError(t, o.decline(target))
		refused(t, second(o.offered(o.creator)), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)

		require.NoError(t, o.offer(o.creator, target))
		o.sweep() // too early
		require.NoError(t, second(o.offered(target)))
		o.age()
		refused(t, o.acceptOffer(target), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
		refused(t, second(o.offered(target)), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
		require.NoError(t, o.offer(o.creator, target), "an expired offer that nobody has swept is in nobody's way")
		o.age()
		o.sweep()
		require.Zero(t, o.due())
		require.Equal(t, []string{
			"organization.transfer_offered", "organization.transfer_cancelled", "organization.transfer_offered", "organization.transfer_declined",
			"organization.transfer_offered", "organization.transfer_expired", "organization.transfer_offered", "organization.transfer_expired",
		}, o.since(begun))
		require.Equal(t, "member", o.standingOf(target))
	})

	t.Run("C5 An offer ends with what happens to the member", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		for name, end := range map[string]func(organization, id.Account) error{
			"member.disabled": func(o organization, target id.Account) error { return second(o.disable(o.creator, target)) },
			"member.removed":  func(o organization, target id.Account) error { return second(o.remove(o.creator, target)) },
			"member.left":     func(o organization, target id.Account) error { return second(o.leave(target)) },
		} {
			o := h.create(portal)
			target := o.add("member")
			require.NoError(t, o.offer(o.creator, target))
			begun := len(o.types())
			require.NoError(t, o.changeRole(o.creator, target, "admin"), "another role ends nothing")
			require.NoError(t, end(o, target))
			require.Equal(t, []string{"member.role_changed", name, "organization.transfer_cancelled"}, o.since(begun))
			refused(t, second(o.offered(o.creator)), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
			require.NoError(t, o.offer(o.creator, o.add("member")))
		}
		o := h.create(portal)
		target := o.add("member")
		require.NoError(t, o.offer(o.creator, target))
		_, err := o.organizations.DeleteOrganization(o.as(o.creator), &membershipv1.DeleteOrganizationRequest{OrganizationId: o.id.String()})
		require.NoError(t, err)
		refused(t, o.acceptOffer(target), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
		types := o.types()
		require.Equal(t, "organization.deleted", types[len(types)-1])
	})
}

// age lets the time of the offer run out.
func (o organization) age() {
	o.Helper()
	tag, err := o.owner().Exec(o.Context(), `UPDATE ownership_transfers SET expire_time = now() WHERE organization_id = $1`, o.id)
	require.NoError(o, err)
	require.EqualValues(o, 1, tag.RowsAffected())
}

func TestOwners(t *testing.T) {
	t.Parallel()

	t.Run("C4 RB6 Several owners are equals, and one remains", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(rbac)
		fellow := o.several()
		require.Equal(t, []string{"owner", "owner"}, []string{o.standingOf(o.creator), o.standingOf(fellow)})
		admin := o.add("admin")
		refused(t, o.changeRole(admin, fellow, "member"), errorv1.Reason_REASON_OWNER_PROTECTED)
		begun := len(o.types())
		require.NoError(t, o.offer(fellow, admin))
		require.NoError(t, o.changeRole(o.creator, fellow, "member"))
		require.Equal(t, []string{"organization.transfer_offered", "member.role_changed", "organization.transfer_cancelled", "organization.owner_changed"}, o.since(begun))
		refused(t, o.stepDown(o.creator), errorv1.Reason_REASON_LAST_OWNER)
		refused(t, second(o.leave(o.creator)), errorv1.Reason_REASON_LAST_OWNER)
		refused(t, o.stepDown(admin), errorv1.Reason_REASON_PERMISSION_MISSING)

		require.NoError(t, o.offer(o.creator, fellow))
		require.NoError(t, o.acceptOffer(fellow))
		require.NoError(t, o.stepDown(o.creator))
		require.Equal(t, "admin", o.standingOf(o.creator))
		require.NoError(t, o.offer(fellow, o.creator))
		require.NoError(t, o.acceptOffer(o.creator))
		require.NoError(t, second(o.leave(fellow)))
		types := o.types()
		require.Equal(t, []string{"member.left", "organization.owner_changed"}, types[len(types)-2:])
	})

	t.Run("RB21 When all owners step down, leave and demote each other at once, one remains", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		owners := []id.Account{o.creator, o.several()}
		for range 4 {
			next := o.add("viewer")
			require.NoError(t, o.offer(o.creator, next))
			require.NoError(t, o.acceptOffer(next))
			owners = append(owners, next)
		}
		n := len(owners)
		together(3*n, func(i int) {
			switch me := owners[i%n]; i / n {
			case 0:
				_ = o.stepDown(me)
			case 1:
				_, _ = o.leave(me)
			case 2:
				_ = o.changeRole(me, owners[(i+1)%n], "viewer")
			}
		})
		left := 0
		for _, account := range owners {
			if o.decision(account, "org.transfer_ownership") == membershipv1.CheckAccessResponse_DECISION_ALLOWED {
				left++
			}
		}
		require.Positive(t, left)
	})
}

// owning are the accounts of the active owners, as the table has them, and how many the index counts.
func (o organization) owning() (owners []id.Account, sole int) {
	o.Helper()
	rows, err := o.owner().Query(o.Context(), `
		SELECT m.account_id, m.sole_owner FROM members m JOIN roles r USING (organization_id, role_id)
		WHERE m.organization_id = $1 AND m.state = 'ACTIVE' AND (r.owner OR m.sole_owner)`, o.id)
	require.NoError(o, err)
	for rows.Next() {
		var account id.Account
		var is bool
		require.NoError(o, rows.Scan(&account, &is))
		owners = append(owners, account)
		if is {
			sole++
		}
	}
	require.NoError(o, rows.Err())
	return owners, sole
}

func TestTransferRaces(t *testing.T) {
	t.Parallel()

	t.Run("RB5 S1-12 An offer that is accepted many times at once is accepted once", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		target := o.add("viewer")
		require.NoError(t, o.offer(o.creator, target))
		var won atomic.Int32
		together(16, func(int) {
			switch err := o.acceptOffer(target); fault.ReasonOf(err) {
			case errorv1.Reason_REASON_TRANSFER_NOT_FOUND:
			default:
				require.NoError(t, err)
				won.Add(1)
			}
		})
		require.EqualValues(t, 1, won.Load())
		owners, sole := o.owning()
		require.Equal(t, []id.Account{target}, owners)
		require.Equal(t, 1, sole)
	})

	t.Run("RB5 RB21 Accepting, declining, cancelling, leaving, removing and deleting at once end in one of them", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		tally := map[string]int{}
		for range 40 {
			o := h.create(pipeline)
			target := o.add("viewer")
			require.NoError(t, o.offer(o.creator, target))
			begun := len(o.types())
			moves := []func() error{
				func() error { return o.acceptOffer(target) },
				func() error { return o.decline(target) },
				func() error { return o.cancel(o.creator) },
				func() error { return second(o.leave(target)) },
				func() error { return second(o.leave(o.creator)) },
				func() error { return second(o.remove(o.creator, target)) },
				func() error {
					_, err := o.organizations.DeleteOrganization(o.as(o.creator), &membershipv1.DeleteOrganizationRequest{OrganizationId: o.id.String()})
					return err
				},
			}
			errs := make([]error, len(moves))
			together(len(moves), func(i int) { errs[i] = moves[i]() })
			ends := map[string]int{}
			for _, kind := range o.since(begun) {
				ends[kind]++
			}
			deleted := ends["organization.deleted"] == 1
			require.Equal(t, errs[6] == nil, deleted, "%v", errs[6])
			once := ends["organization.owner_changed"] + ends["organization.transfer_declined"] + ends["organization.transfer_cancelled"]
			require.True(t, once == 1 || deleted && once == 0, "%v", ends)
			require.Equal(t, errs[0] == nil, ends["organization.owner_changed"] == 1)
			owners, sole := o.owning()
			require.Equal(t, !deleted, len(owners) == 1 && sole == 1, "%v %v", owners, ends)
			for kind, n := range ends {
				tally[kind] += n
			}
		}
		t.Log(tally)
	})
}

// TestDemotedNeverActs sets 200 role changes against the demotion of whoever makes them (RB17).
func TestDemotedNeverActs(t *testing.T) {
	t.Parallel()
	t.Run("RB17 What is committed after the demotion was not the demoted's", func(t *testing.T) {
		t.Parallel()
		o := newHarness(t).create(pipeline)
		admin := o.add("admin")
		targets := make([]id.Account, 20)
		for i := range targets {
			targets[i] = o.add("viewer")
		}
		var done, refusals atomic.Int32
		midst := make(chan struct{})
		together(201, func(i int) {
			if i >= 100 { // half of them come with the demotion: who waits for a lock already comes before it
				<-midst
			}
			if i == 200 {
				err := o.changeRole(o.creator, admin, "viewer")
				for fault.ReasonOf(err) == errorv1.Reason_REASON_BUSY {
					err = o.changeRole(o.creator, admin, "viewer")
				}
				require.NoError(t, err)
				return
			}
			switch err := o.changeRole(admin, targets[i%20], []string{"developer", "viewer"}[i/20%2]); fault.ReasonOf(err) {
			case errorv1.Reason_REASON_PERMISSION_MISSING:
				refusals.Add(1)
				return
			case errorv1.Reason_REASON_STATE_CONFLICT, errorv1.Reason_REASON_BUSY: // has the role already; too many at once
			default:
				require.NoError(t, err)
			}
			if done.Add(1) == 20 {
				close(midst)
			}
		})
		demoted := false
		for _, e := range o.history() {
			if e.Type != "member.role_changed" {
				continue
			}
			by := contains(e.Data, `"actor":{"kind":"KIND_ACCOUNT","id":"`+admin.String()+`"}`)
			require.False(t, demoted && by, "after the demotion: %s", e.Data)
			demoted = demoted || contains(e.Data, `"before":{"accountId":"`+admin.String()+`"`)
		}
		require.True(t, demoted)
		t.Log(done.Load(), "before,", refusals.Load(), "refused")
	})
}
