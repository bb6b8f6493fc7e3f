package e2e

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/devmail"
)

func (o *organization) leave(t *testing.T, who *person) error {
	t.Helper()
	_, err := who.LeaveOrganization(t.Context(), &membershipv1.LeaveOrganizationRequest{OrganizationId: o.ID})
	return err
}

// TestLeave holds that leaving is everybody's own affair, but for the last who can do everything.
func TestLeave(t *testing.T) {
	t.Parallel()

	scenario(t, "C15 RB7 who leaves has no access and holds no seat, and only the last with all rights stays", func(t *testing.T, over string) {
		for _, preset := range []membershipv1.Preset{pipeline, portal, rbac, flat} {
			org := create(t, over, preset)
			member := org.join(t, org.everyday(t))
			used := org.seats(t).GetUsed()
			_, err := member.DisableMember(t.Context(), &membershipv1.DisableMemberRequest{OrganizationId: org.ID, AccountId: member.ID})
			require.Error(t, err, "nobody disables themselves")
			require.NoError(t, org.leave(t, member))
			require.False(t, org.can(t, member, "org.read"))
			require.Equal(t, used-1, org.seats(t).GetUsed(), "the seat is free before the call returns")
			require.Equal(t, 1, org.events(t, "membership", "member.left"))
			require.Zero(t, org.events(t, "membership", "member.removed"))
			refused(t, org.leave(t, member), errorv1.Reason_REASON_ORGANIZATION_NOT_FOUND)
			refused(t, org.leave(t, org.owner), errorv1.Reason_REASON_LAST_OWNER)
			require.Equal(t, 1, org.events(t, "membership", "member.left"))
		}
	})

	scenario(t, "RB21 when all leave at once, one stays", func(t *testing.T, over string) {
		org := create(t, over, flat)
		everybody := []*person{org.owner, org.join(t, ""), org.join(t, ""), org.join(t, "")}
		stayed := 0
		for _, err := range atOnce(len(everybody), func(i int) error { return org.leave(t, everybody[i]) }) {
			if err != nil {
				refused(t, err, errorv1.Reason_REASON_LAST_OWNER)
				stayed++
			}
		}
		require.Equal(t, 1, stayed)
	})
}

func (o *organization) offer(t *testing.T, by, to *person) error {
	t.Helper()
	_, err := by.OfferTransfer(t.Context(), &membershipv1.OfferTransferRequest{OrganizationId: o.ID, AccountId: to.ID})
	return err
}

func (o *organization) takeOver(t *testing.T, who *person) error {
	t.Helper()
	_, err := who.AcceptTransfer(t.Context(), &membershipv1.AcceptTransferRequest{OrganizationId: o.ID})
	return err
}

func (o *organization) offered(t *testing.T, who *person) (*membershipv1.Transfer, error) {
	t.Helper()
	answer, err := who.GetTransfer(t.Context(), &membershipv1.GetTransferRequest{OrganizationId: o.ID})
	return answer.GetTransfer(), err
}

// in runs a statement on the organization in membership's database, for what no client can do.
func (o *organization) in(t *testing.T, statement string) {
	t.Helper()
	_, err := suite.owners["membership"].Exec(t.Context(), statement, uuidOf(t, o.ID))
	require.NoError(t, err)
}

// TestOwnership holds who owns an organization, and how it is handed over.
func TestOwnership(t *testing.T) {
	t.Parallel()

	scenario(t, "C5 S1-12 RB5 the owner offers, the other accepts, and both change places", func(t *testing.T, over string) {
		for _, preset := range []membershipv1.Preset{pipeline, portal, rbac} {
			org := create(t, over, preset)
			heir := org.join(t, org.everyday(t))
			require.NoError(t, org.offer(t, org.owner, heir))
			mailTo(t, heir.Email, func(m devmail.Received) bool {
				return strings.Contains(m.Subject, "ownership") && strings.Contains(m.Subject, org.Name)
			})
			offer, err := org.offered(t, heir)
			require.NoError(t, err)
			require.Equal(t, []string{org.owner.ID, heir.ID}, []string{offer.GetOwnerAccountId(), offer.GetAccountId()})
			require.True(t, offer.GetReplacesOwner())
			require.Equal(t, 72*time.Hour, offer.GetExpireTime().AsTime().Sub(offer.GetOfferTime().AsTime()))
			require.NoError(t, org.takeOver(t, heir))
			require.Equal(t, []string{"owner", "admin"}, []string{org.row(t, heir.ID).GetRole(), org.row(t, org.owner.ID).GetRole()})
			require.True(t, org.can(t, heir, "org.delete"))
			require.False(t, org.can(t, org.owner, "org.delete"))
			require.Equal(t, 1, org.events(t, "membership", "organization.owner_changed"))
			refused(t, org.offer(t, org.owner, heir), errorv1.Reason_REASON_PERMISSION_MISSING)
		}
	})

	scenario(t, "C5 an offer is declined, taken back, and expires", func(t *testing.T, over string) {
		org := create(t, over, portal)
		heir := org.join(t, "member")
		ctx := t.Context()
		require.NoError(t, org.offer(t, org.owner, heir))
		refused(t, org.offer(t, org.owner, heir), errorv1.Reason_REASON_STATE_CONFLICT)
		_, err := heir.DeclineTransfer(ctx, &membershipv1.DeclineTransferRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		require.NoError(t, org.offer(t, org.owner, heir))
		_, err = org.owner.CancelTransfer(ctx, &membershipv1.CancelTransferRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		refused(t, org.takeOver(t, heir), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
		require.NoError(t, org.offer(t, org.owner, heir))
		org.in(t, `UPDATE ownership_transfers SET expire_time = now() WHERE organization_id = $1`)
		refused(t, org.takeOver(t, heir), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
		org.in(t, `UPDATE due SET next_time = now() WHERE aggregate_id = $1 AND kind = 'transfer'`)
		eventually(t, func() bool { return org.events(t, "membership", "organization.transfer_expired") == 1 }, "the sweeper ends it")
		require.Equal(t, "member", org.row(t, heir.ID).GetRole())
	})

	scenario(t, "C5 an offer ends with the membership that it was made to", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		for i, end := range []func(*person) error{
			func(p *person) error { return org.leave(t, p) },
			func(p *person) error { org.disable(t, p); return nil },
			func(p *person) error { org.remove(t, p); return nil },
		} {
			heir := org.join(t, "member")
			require.NoError(t, org.offer(t, org.owner, heir))
			require.NoError(t, end(heir))
			_, err := org.offered(t, org.owner)
			refused(t, err, errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
			require.Equal(t, i+1, org.events(t, "membership", "organization.transfer_cancelled"))
		}
	})

	scenario(t, "RB4 S0-09 S0-10 S2-16 S2-17 S2-18 no path but the offer makes an owner", func(t *testing.T, over string) {
		for _, preset := range []membershipv1.Preset{pipeline, portal, rbac} {
			org := create(t, over, preset)
			admin, member := org.join(t, "admin"), org.join(t, org.everyday(t))
			for _, by := range []*person{org.owner, admin} {
				_, err := by.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: member.ID, Role: "owner"})
				refused(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
				invitation := org.invitation(t, unique("x")+"@example.com")
				invitation.Role = "owner"
				_, err = by.CreateInvitation(t.Context(), invitation)
				refused(t, err, errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
			}
			refused(t, org.takeOver(t, admin), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
		}
	})

	scenario(t, "S1-13 S1-14 S1-16 S1-20 S1-21 RB6 the owner decides about everybody, and nobody about the owner", func(t *testing.T, over string) {
		org := create(t, over, portal)
		admin, other := org.join(t, "admin"), org.join(t, "admin")
		attempts := org.management(t, admin, org.owner)
		delete(attempts, "invite") // is about somebody else
		for what, attempt := range attempts {
			require.Equal(t, errorv1.Reason_REASON_OWNER_PROTECTED, fault.ReasonOf(attempt()), what)
		}
		refused(t, org.offer(t, admin, other), errorv1.Reason_REASON_PERMISSION_MISSING)
		_, err := admin.DeleteOrganization(t.Context(), &membershipv1.DeleteOrganizationRequest{OrganizationId: org.ID})
		refused(t, err, errorv1.Reason_REASON_PERMISSION_MISSING)
		refused(t, org.leave(t, org.owner), errorv1.Reason_REASON_LAST_OWNER)
		require.Equal(t, "owner", org.row(t, org.owner.ID).GetRole())
		_, err = org.owner.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: admin.ID, Role: "member"})
		require.NoError(t, err)
		org.disable(t, other)
		org.remove(t, other)
		_, err = org.owner.DeleteOrganization(t.Context(), &membershipv1.DeleteOrganizationRequest{OrganizationId: org.ID})
		require.NoError(t, err)
	})

	scenario(t, "C4 several owners are equals, and none where there is no ownership", func(t *testing.T, over string) {
		org := create(t, over, rbac)
		org.amend(t, `{"ownership": "OWNERSHIP_MULTIPLE"}`)
		fellow := org.join(t, "admin")
		_, err := org.owner.StepDown(t.Context(), &membershipv1.StepDownRequest{OrganizationId: org.ID})
		refused(t, err, errorv1.Reason_REASON_LAST_OWNER)
		require.NoError(t, org.offer(t, org.owner, fellow))
		require.NoError(t, org.takeOver(t, fellow))
		require.Equal(t, []string{"owner", "owner"}, []string{org.row(t, fellow.ID).GetRole(), org.row(t, org.owner.ID).GetRole()})
		stepped, err := org.owner.StepDown(t.Context(), &membershipv1.StepDownRequest{OrganizationId: org.ID})
		require.NoError(t, err)
		require.Equal(t, "admin", stepped.GetMember().GetRole())

		nobodys := create(t, over, flat)
		member := nobodys.join(t, "")
		refused(t, nobodys.offer(t, nobodys.owner, member), errorv1.Reason_REASON_FEATURE_OFF)
		_, err = member.StepDown(t.Context(), &membershipv1.StepDownRequest{OrganizationId: nobodys.ID})
		refused(t, err, errorv1.Reason_REASON_FEATURE_OFF)
	})

	scenario(t, "RB5 two who accept at once, a deletion and a departure: one story", func(t *testing.T, over string) {
		org := create(t, over, portal)
		heir := org.join(t, "member")
		require.NoError(t, org.offer(t, org.owner, heir))
		accepted := 0
		for i, err := range atOnce(6, func(i int) error {
			if i >= 4 {
				return org.leave(t, []*person{org.owner, heir}[i-4])
			}
			return org.takeOver(t, heir)
		}) {
			if i < 4 && err == nil {
				accepted++
			}
		}
		require.LessOrEqual(t, accepted, 1)
		require.Equal(t, accepted, org.events(t, "membership", "organization.owner_changed"))
		var owners int
		require.NoError(t, suite.owners["membership"].QueryRow(t.Context(),
			`SELECT count(*) FROM members WHERE organization_id = $1 AND state = 'ACTIVE' AND sole_owner`, uuidOf(t, org.ID)).Scan(&owners))
		require.Equal(t, 1, owners)
	})
}

// TestDemoted sets role changes against the demotion of whoever makes them.
func TestDemoted(t *testing.T) {
	t.Parallel()
	scenario(t, "RB17 200 parallel role changes, and a demotion in between: the demoted never acts", func(t *testing.T, over string) {
		org := create(t, over, pipeline)
		admin, target := org.join(t, "admin"), org.join(t, "viewer")
		change := func(by, whom *person, role string) error {
			_, err := by.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: whom.ID, Role: role})
			return err
		}
		var acted, late atomic.Int32
		midst := make(chan struct{}) // half of them come with the demotion: who waits for a lock already comes before it
		for _, err := range atOnce(201, func(i int) error {
			if i >= 100 {
				<-midst
			}
			if i == 200 {
				return patiently(func() error { return change(org.owner, admin, "viewer") })
			}
			err := patiently(func() error { return change(admin, target, []string{"developer", "viewer"}[i%2]) })
			switch fault.ReasonOf(err) {
			case errorv1.Reason_REASON_PERMISSION_MISSING: // demoted by now
				late.Add(1)
				return nil
			case errorv1.Reason_REASON_STATE_CONFLICT: // has the role already
				err = nil
			}
			if acted.Add(1) == 20 {
				close(midst)
			}
			return err
		}) {
			require.NoError(t, err)
		}
		t.Log(acted.Load(), "before the demotion,", late.Load(), "after")
		refused(t, change(admin, target, "developer"), errorv1.Reason_REASON_PERMISSION_MISSING)
		var after int
		require.NoError(t, suite.owners["membership"].QueryRow(t.Context(), `
			SELECT count(*) FROM events
			WHERE aggregate_id = $1 AND type = 'member.role_changed' AND convert_from(data, 'UTF8')::jsonb -> 'context' -> 'actor' ->> 'id' = $2
			  AND revision > (SELECT revision FROM events WHERE aggregate_id = $1 AND type = 'member.role_changed'
			                  AND convert_from(data, 'UTF8')::jsonb -> 'before' ->> 'accountId' = $2)`, uuidOf(t, org.ID), admin.ID).Scan(&after))
		require.Zero(t, after)
	})
}
