package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/verify"
)

// patiently makes a call until the organization is not too busy for it.
func patiently(call func() error) error {
	for {
		if err := call(); fault.ReasonOf(err) != errorv1.Reason_REASON_BUSY {
			return err
		}
	}
}

// sound waits until nothing is wrong with what the databases hold of the organization: the rows, and the events that tell of them.
func (o *organization) sound(t *testing.T) {
	t.Helper()
	dsns := make(map[string]string)
	for service, pool := range suite.owners {
		dsns[service] = pool.Config().ConnString()
	}
	checker, err := verify.Open(t.Context(), dsns)
	require.NoError(t, err)
	defer checker.Close()
	key, err := id.ParseOrganization(o.ID)
	require.NoError(t, err)
	report, err := checker.Check(t.Context(), verify.Options{Only: key, Wait: 20 * time.Second})
	require.NoError(t, err)
	require.Empty(t, report.Findings)
	require.Equal(t, 1, report.Organizations)
}

// inCharge are the active members whose role is that of an owner, or allows everything where nobody owns the organization.
func (o *organization) inCharge(t *testing.T) (accounts int) {
	t.Helper()
	require.NoError(t, suite.owners["membership"].QueryRow(t.Context(), `
		SELECT count(*) FROM members m JOIN roles r USING (organization_id, role_id) JOIN organizations o USING (organization_id)
		WHERE m.organization_id = $1 AND m.state = 'ACTIVE' AND (r.owner OR o.policy ->> 'ownership' = 'NONE' AND r.key = 'member')`,
		uuidOf(t, o.ID)).Scan(&accounts))
	return accounts
}

// TestTheLast sets those who are in charge of an organization against each other: somebody remains, and what the calls were told
// is what rows and events say.
func TestTheLast(t *testing.T) {
	t.Parallel()
	const rounds = 4

	scenario(t, "RB21 C4 of members with full rights who remove, disable, demote and leave at once, one remains", func(t *testing.T, over string) {
		everybody := []*person{signUp(t, over), signUp(t, over), signUp(t, over), signUp(t, over)}
		for range rounds {
			org := createBy(t, everybody[0], flat)
			org.amend(t, `{"custom_roles": true}`)
			org.shape(t, "Helper", "org.read")
			for _, p := range everybody[1:] {
				org.admit(t, p, "member")
			}
			n := len(everybody)
			moves := []func(me, other *person) error{
				func(me, other *person) error {
					_, err := me.RemoveMember(t.Context(), &membershipv1.RemoveMemberRequest{OrganizationId: org.ID, AccountId: other.ID})
					return err
				},
				func(me, other *person) error {
					_, err := me.DisableMember(t.Context(), &membershipv1.DisableMemberRequest{OrganizationId: org.ID, AccountId: other.ID})
					return err
				},
				func(me, other *person) error {
					_, err := me.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: other.ID, Role: "helper"})
					return err
				},
				func(me, _ *person) error {
					_, err := me.LeaveOrganization(t.Context(), &membershipv1.LeaveOrganizationRequest{OrganizationId: org.ID})
					return err
				},
			}
			done := make([]int, len(moves))
			for i, err := range atOnce(len(moves)*n, func(i int) error {
				return patiently(func() error { return moves[i/n](everybody[i%n], everybody[(i+1+i/n)%n]) })
			}) {
				if err == nil {
					done[i/n]++
				}
			}
			require.Equal(t, 1, org.inCharge(t), "%v", done) // who could leave has left
			for i, kind := range []string{"member.removed", "member.disabled", "member.role_changed", "member.left"} {
				require.Equal(t, done[i], org.events(t, "membership", kind), kind)
			}
			org.sound(t)
		}
	})

	scenario(t, "RB21 C4 of several owners who step down, demote each other and leave at once, one remains", func(t *testing.T, over string) {
		owners := []*person{signUp(t, over), signUp(t, over), signUp(t, over)}
		for range rounds {
			org := createBy(t, owners[0], rbac)
			org.amend(t, `{"ownership": "OWNERSHIP_MULTIPLE"}`)
			for _, p := range owners[1:] {
				org.admit(t, p, "member")
				require.NoError(t, org.offer(t, org.owner, p))
				require.NoError(t, org.takeOver(t, p))
			}
			n := len(owners)
			changed, left := org.events(t, "membership", "member.role_changed"), 0
			for i, err := range atOnce(3*n, func(i int) error {
				return patiently(func() (err error) {
					switch me := owners[i%n]; i / n {
					case 0:
						_, err = me.StepDown(t.Context(), &membershipv1.StepDownRequest{OrganizationId: org.ID})
					case 1:
						_, err = me.ChangeMemberRole(t.Context(), &membershipv1.ChangeMemberRoleRequest{OrganizationId: org.ID, AccountId: owners[(i+1)%n].ID, Role: "member"})
					default:
						err = org.leave(t, me)
					}
					return err
				})
			}) {
				switch {
				case err != nil:
				case i/n == 2:
					left++
				default:
					changed++
				}
			}
			require.Equal(t, 1, org.inCharge(t))
			require.Equal(t, []int{changed, left}, []int{org.events(t, "membership", "member.role_changed"), org.events(t, "membership", "member.left")})
			org.sound(t)
		}
	})

	scenario(t, "RB5 S1-12 S1-16 an acceptance, a withdrawal, a deletion and departures at once: one story", func(t *testing.T, over string) {
		owner, heir := signUp(t, over), signUp(t, over)
		for range rounds {
			org := createBy(t, owner, portal)
			org.admit(t, heir, "member")
			require.NoError(t, org.offer(t, owner, heir))
			outcomes := atOnce(8, func(i int) error {
				return patiently(func() (err error) {
					switch i {
					case 0, 1, 2:
						err = org.takeOver(t, heir)
					case 3:
						_, err = owner.CancelTransfer(t.Context(), &membershipv1.CancelTransferRequest{OrganizationId: org.ID})
					case 4:
						_, err = owner.DeleteOrganization(t.Context(), &membershipv1.DeleteOrganizationRequest{OrganizationId: org.ID})
					case 5:
						_, err = heir.DeleteOrganization(t.Context(), &membershipv1.DeleteOrganizationRequest{OrganizationId: org.ID})
					case 6:
						err = org.leave(t, owner)
					default:
						err = org.leave(t, heir)
					}
					return err
				})
			})
			done := func(calls ...int) (n int) {
				for _, i := range calls {
					if outcomes[i] == nil {
						n++
					}
				}
				return n
			}
			accepted, deleted := done(0, 1, 2), done(4, 5)
			require.LessOrEqual(t, accepted, 1, "%v", outcomes)
			require.LessOrEqual(t, deleted, 1, "%v", outcomes)
			require.Equal(t, 1-deleted, org.inCharge(t), "%v", outcomes)
			for kind, n := range map[string]int{"organization.owner_changed": accepted, "organization.deleted": deleted, "member.left": done(6, 7)} {
				require.Equal(t, n, org.events(t, "membership", kind), "%s: %v", kind, outcomes)
			}
			org.sound(t)
		}
	})
}
