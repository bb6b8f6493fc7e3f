package org_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/membership/internal/org"
)

var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// several makes an organization one of several owners, with two of them.
func several(preset org.Preset) company {
	c := open(preset)
	c.Policy.Ownership = org.Multiple
	c.members["fellow"] = c.another("owner")
	return c
}

func TestTransfer(t *testing.T) {
	t.Parallel()

	t.Run("RB5 The owner offers to an active member, once at a time", func(t *testing.T) {
		t.Parallel()
		for _, preset := range []org.Preset{org.Pipeline, org.Portal, org.RBAC} {
			c := open(preset)
			owner, target := c.actor(t, "owner"), c.members["admin"]
			offer, err := owner.OfferTransfer(target, org.Transfer{}, noon)
			require.NoError(t, err)
			require.Equal(t, org.Transfer{Owner: owner.Account, Account: target.Account, Ownership: org.Single, OfferTime: noon, ExpireTime: noon.Add(72 * time.Hour)}, offer)

			_, err = owner.OfferTransfer(target, offer, offer.ExpireTime.Add(-1))
			require.Equal(t, target.Account.String(), reason(t, err, errorv1.Reason_REASON_STATE_CONFLICT).Metadata["accountId"])
			_, err = owner.OfferTransfer(target, offer, offer.ExpireTime)
			require.NoError(t, err, "an offer that has expired is in nobody's way")

			disabled := target
			disabled.State = org.MemberDisabled
			for want, target := range map[errorv1.Reason]org.Member{
				errorv1.Reason_REASON_MEMBER_NOT_FOUND: {},
				errorv1.Reason_REASON_SELF_ACTION:      c.members["owner"],
				errorv1.Reason_REASON_STATE_CONFLICT:   disabled,
			} {
				_, err := owner.OfferTransfer(target, org.Transfer{}, noon)
				reason(t, err, want)
			}
		}
	})

	t.Run("S1-21 RB4 Nobody but an owner offers, and where there is no owner nobody", func(t *testing.T) {
		t.Parallel()
		for _, preset := range []org.Preset{org.Pipeline, org.Portal, org.RBAC} {
			c := open(preset)
			for _, role := range c.Roles {
				if !role.Owner {
					_, err := c.actor(t, role.Key).OfferTransfer(c.another(role.Key), org.Transfer{}, noon)
					require.Equal(t, org.TransferOwnership, reason(t, err, errorv1.Reason_REASON_PERMISSION_MISSING).Metadata["permission"])
				}
			}
		}
		c := open(org.Flat)
		_, err := c.actor(t, "member").OfferTransfer(c.another("member"), org.Transfer{}, noon)
		require.Equal(t, "ownership", reason(t, err, errorv1.Reason_REASON_FEATURE_OFF).Metadata["policy"])
		reason(t, c.actor(t, "member").Answers(org.Transfer{}, noon), errorv1.Reason_REASON_FEATURE_OFF)
	})

	t.Run("RB5 Accepting changes places, and the old owner becomes admin or what comes next", func(t *testing.T) {
		t.Parallel()
		for _, without := range []string{"", "admin"} {
			c := open(org.Pipeline)
			for i := range c.Roles {
				if c.Roles[i].Key == without {
					c.Roles[i].Key = "boss"
				}
			}
			owner, self := c.members["owner"], c.members["viewer"]
			owner.SoleOwner = true
			offer, err := c.actor(t, "owner").OfferTransfer(self, org.Transfer{}, noon)
			require.NoError(t, err)
			before := [2]org.Member{owner, self}
			require.NoError(t, c.actor(t, "viewer").AcceptTransfer(offer, &owner, &self, noon))
			next := c.members["admin"].Role
			require.Equal(t, [2]org.Member{owner, self}, [2]org.Member{
				with(before[0], func(m *org.Member) { m.Role, m.SoleOwner, m.Version = next, false, m.Version+1 }),
				with(before[1], func(m *org.Member) { m.Role, m.SoleOwner, m.Version = before[0].Role, true, m.Version+1 }),
			})
		}
	})

	t.Run("C4 Where there are several owners the other becomes one more", func(t *testing.T) {
		t.Parallel()
		c := several(org.RBAC)
		owner, self := c.members["owner"], c.members["member"]
		offer, err := c.actor(t, "owner").OfferTransfer(self, org.Transfer{}, noon)
		require.NoError(t, err)
		before := owner
		require.NoError(t, c.actor(t, "member").AcceptTransfer(offer, &owner, &self, noon))
		require.Equal(t, before, owner)
		require.Equal(t, before.Role, self.Role)
		require.False(t, self.SoleOwner)
		_, err = c.actor(t, "owner").OfferTransfer(c.members["fellow"], org.Transfer{}, noon)
		reason(t, err, errorv1.Reason_REASON_STATE_CONFLICT)
	})

	t.Run("RB5 Only whom it was made to answers, in time, and nothing has changed meanwhile", func(t *testing.T) {
		t.Parallel()
		c := open(org.RBAC)
		target := c.members["member"]
		offer, err := c.actor(t, "owner").OfferTransfer(target, org.Transfer{}, noon)
		require.NoError(t, err)
		accept := func(actor string, owner org.Member, offer org.Transfer, now time.Time) error {
			self := c.members[actor]
			return c.actor(t, actor).AcceptTransfer(offer, &owner, &self, now)
		}
		owner := c.members["owner"]
		require.NoError(t, accept("member", owner, offer, offer.ExpireTime.Add(-1)))
		reason(t, accept("member", owner, offer, offer.ExpireTime), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
		reason(t, accept("admin", owner, offer, noon), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
		reason(t, accept("member", owner, org.Transfer{}, noon), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
		reason(t, accept("member", with(owner, func(m *org.Member) { m.Role = target.Role }), offer, noon), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
		reason(t, accept("member", with(owner, func(m *org.Member) { m.State = org.MemberDisabled }), offer, noon), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
		c.Policy.Ownership = org.Multiple
		reason(t, accept("member", owner, offer, noon), errorv1.Reason_REASON_TRANSFER_NOT_FOUND)
	})
}

func with(m org.Member, change func(*org.Member)) org.Member {
	change(&m)
	return m
}

func TestOwners(t *testing.T) {
	t.Parallel()

	t.Run("RB6 Several owners are equals, and protected from everybody else", func(t *testing.T) {
		t.Parallel()
		c := several(org.Pipeline)
		owner, fellow := c.actor(t, "owner"), c.members["fellow"]
		require.NoError(t, owner.ChangeRole(&fellow, "viewer", "", true))
		require.Equal(t, c.members["viewer"].Role, fellow.Role)
		fellow = c.members["fellow"]
		_, err := owner.Remove(&fellow, true)
		require.NoError(t, err)
		fellow = c.members["fellow"]
		reason(t, owner.ChangeRole(&fellow, "owner", "", true), errorv1.Reason_REASON_ROLE_NOT_ASSIGNABLE)
		reason(t, c.actor(t, "admin").ChangeRole(&fellow, "viewer", "", true), errorv1.Reason_REASON_OWNER_PROTECTED)
		_, err = c.actor(t, "admin").Disable(&fellow, true, noon)
		reason(t, err, errorv1.Reason_REASON_OWNER_PROTECTED)
		self := c.members["owner"]
		reason(t, owner.ChangeRole(&self, "viewer", "", true), errorv1.Reason_REASON_SELF_ACTION)
	})

	t.Run("RB7 An owner steps down while another remains", func(t *testing.T) {
		t.Parallel()
		c := several(org.Pipeline)
		self := c.members["owner"]
		reason(t, c.actor(t, "owner").StepDown(&self, false), errorv1.Reason_REASON_LAST_OWNER)
		require.NoError(t, c.actor(t, "owner").StepDown(&self, true))
		require.Equal(t, c.members["admin"].Role, self.Role)
		admin := c.members["admin"]
		reason(t, c.actor(t, "admin").StepDown(&admin, true), errorv1.Reason_REASON_PERMISSION_MISSING)
		for _, preset := range []org.Preset{org.Pipeline, org.Flat} {
			c := open(preset)
			self := c.members[c.Policy.CreatorRole]
			reason(t, c.actor(t, c.Policy.CreatorRole).StepDown(&self, true), errorv1.Reason_REASON_FEATURE_OFF)
		}
	})

	t.Run("C15 RB6 The owner leaves only where another one stays", func(t *testing.T) {
		t.Parallel()
		for _, c := range []struct {
			company
			role       string
			others     bool
			want       errorv1.Reason
			allowLeave bool
		}{
			{open(org.Pipeline), "owner", true, errorv1.Reason_REASON_LAST_OWNER, true},
			{open(org.Pipeline), "admin", false, errorv1.Reason_REASON_UNSPECIFIED, true},
			{open(org.Pipeline), "admin", false, errorv1.Reason_REASON_FEATURE_OFF, false},
			{several(org.Pipeline), "owner", true, errorv1.Reason_REASON_UNSPECIFIED, true},
			{several(org.Pipeline), "owner", false, errorv1.Reason_REASON_LAST_OWNER, true},
			{open(org.Flat), "member", true, errorv1.Reason_REASON_UNSPECIFIED, true},
			{open(org.Flat), "member", false, errorv1.Reason_REASON_LAST_OWNER, true},
		} {
			c.Policy.AllowLeave = c.allowLeave
			self := c.members[c.role]
			seat, err := c.actor(t, c.role).Leave(&self, c.others)
			if c.want != errorv1.Reason_REASON_UNSPECIFIED {
				reason(t, err, c.want)
				require.Equal(t, c.members[c.role], self)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, c.members[c.role].Seat, seat)
			require.Equal(t, org.MemberRemoved, self.State)
			require.Equal(t, id.Seat{}, self.Seat)
		}
	})
}
