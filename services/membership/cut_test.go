package membership_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/testkit"
)

// Every mutation, with the connection to the database lost around each of its commits in turn: the caller gets the answer of a
// call that nothing befell, and it happened once.
func TestCommitOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	verbs := map[string]struct {
		do   func(o organization, target id.Account) error
		want []string // the events that it adds
	}{
		"CreateOrganization": {func(o organization, target id.Account) error {
			_, err := o.organizations.CreateOrganization(o.as(target), &membershipv1.CreateOrganizationRequest{DisplayName: "Acme", Preset: pipeline})
			return err
		}, nil},
		"UpdateOrganization": {func(o organization, target id.Account) error {
			_, err := o.organizations.UpdateOrganization(o.as(o.creator), &membershipv1.UpdateOrganizationRequest{
				OrganizationId: o.id.String(), DisplayName: target.String()}) // another each time
			return err
		}, []string{"organization.updated"}},
		"DeleteOrganization": {func(o organization, _ id.Account) error {
			_, err := o.organizations.DeleteOrganization(o.as(o.creator), &membershipv1.DeleteOrganizationRequest{OrganizationId: o.id.String()})
			return err
		}, []string{"organization.deleted"}},
		"AddMember": {func(o organization, _ id.Account) error {
			return o.addAs(id.NewAccount(), id.NewSeat(), "viewer")
		}, []string{"member.added"}},
		"ChangeMemberRole": {func(o organization, target id.Account) error {
			return o.changeRole(o.creator, target, "developer")
		}, []string{"member.role_changed"}},
		"DisableMember": {func(o organization, target id.Account) error {
			_, err := o.disable(o.creator, target)
			return err
		}, []string{"member.disabled"}},
		"EnableMember": {func(o organization, target id.Account) error {
			if _, err := o.disable(o.creator, target); err != nil {
				return err
			}
			_, err := o.enable(o.creator, target)
			return err
		}, []string{"member.disabled", "member.enabled"}},
		"BulkDisableMembers, BulkEnableMembers": {func(o organization, target id.Account) error {
			asked := many{targets: []id.Account{target, o.add("viewer")}}
			for _, verb := range []string{"disable", "enable"} {
				got, err := bulkVerbs[verb].many(o.as(o.creator), o, asked)
				if err != nil {
					return err
				}
				if said := why(got); !slices.Equal(said, []string{"OK", "OK"}) {
					return fmt.Errorf("%s: %v", verb, said)
				}
			}
			return nil
		}, []string{"member.added", "member.disabled", "member.disabled", "member.enabled", "member.enabled"}},
		"OfferTransfer": {func(o organization, target id.Account) error {
			if err := o.offer(o.creator, target); err != nil {
				return err
			}
			return o.cancel(o.creator)
		}, []string{"organization.transfer_offered", "organization.transfer_cancelled"}},
		"DeclineTransfer": {func(o organization, target id.Account) error {
			if err := o.offer(o.creator, target); err != nil {
				return err
			}
			return o.decline(target)
		}, []string{"organization.transfer_offered", "organization.transfer_declined"}},
		"LeaveOrganization": {func(o organization, target id.Account) error {
			_, err := o.leave(target)
			return err
		}, []string{"member.left"}},
		"RemoveMember": {func(o organization, target id.Account) error {
			_, err := o.remove(o.creator, target)
			return err
		}, []string{"member.removed"}},
	}
	for verb, c := range verbs {
		for name, cut := range map[string]testkit.Cut{"BeforeItIsSent": testkit.Unsent, "BeforeItIsAnswered": testkit.Unheard} {
			t.Run(verb+name, func(t *testing.T) {
				t.Parallel()
				h := newHarness(t)
				o := h.create(pipeline)
				var cutAt, commits atomic.Int64
				testkit.Cuts(t, h.db, func(int) testkit.Cut {
					if commits.Add(1) == cutAt.Load() {
						return cut
					}
					return testkit.Whole
				})
				for reached := true; reached; { // with the first, the second and every further flight that may commit
					at := cutAt.Swap(0) // nowhere, while this prepares
					target := o.add("viewer")
					before := len(o.types())
					commits.Store(0)
					at++
					cutAt.Store(at)
					require.NoError(t, c.do(o, target), "cut at %d", at)
					reached = commits.Load() > at
					require.Equal(t, c.want, append([]string(nil), o.types()[before:]...), "cut at %d", at)
					if verb == "DeleteOrganization" {
						o = h.create(pipeline)
					}
				}
				h.sweep()
				require.Zero(t, h.due(), "nothing is left to do")
			})
		}
	}
}
