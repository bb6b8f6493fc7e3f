package linear_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/services/chaos/linear"
	"github.com/rosterhq/roster/services/chaos/load"
	"github.com/rosterhq/roster/services/internal/verify"
)

const (
	ada   = "acc_ada" // the owner
	grace = "acc_grace"
	lin   = "acc_lin"
)

// at makes an operation that lasts from one second to another.
func at(call, back int, o load.Operation) load.Operation {
	o.OrganizationID = "org_one"
	o.Call, o.Back = time.Duration(call)*time.Second, time.Duration(back)*time.Second
	if o.Outcome == "" {
		o.Outcome = verify.OK
	}
	if o.ActorID == "" && o.Verb != verify.SetSeatLimit && o.Verb != verify.Decline {
		o.ActorID = ada
	}
	o.RequestID = string(o.Verb) + time.Duration(call).String()
	return o
}

func does(verb verify.Verb, account string) load.Operation {
	return load.Operation{Operation: verify.Operation{Verb: verb, AccountID: account}}
}

func invite(id string) load.Operation {
	o := does(verify.Invite, "")
	o.InvitationID, o.Role, o.Link = id, "developer", "first link of "+id
	return o
}

func accept(account, invitation string) load.Operation {
	o := does(verify.Accept, account)
	o.ActorID, o.InvitationID, o.Role, o.Link = account, invitation, "developer", "first link of "+invitation
	return o
}

func check(account, decision string) load.Operation {
	o := does(load.CheckAccess, account)
	o.Permission, o.Decision = "resources.write", decision
	return o
}

func sees(account, role, state string) load.Operation {
	o := does(load.GetMember, account)
	o.Role, o.State = role, state
	return o
}

func limit(n int32) load.Operation {
	o := does(verify.SetSeatLimit, "")
	o.Limit = &n
	return o
}

func usage(used int32, total ...int32) load.Operation {
	o := does(load.GetSeatUsage, "")
	if o.Used = used; len(total) > 0 {
		o.Total = &total[0]
	}
	return o
}

func lost(o load.Operation) load.Operation {
	o.Outcome = verify.Unknown
	return o
}

func refused(o load.Operation, reason string) load.Operation {
	o.Outcome, o.Reason = verify.Refused, reason
	return o
}

func freed(o load.Operation) load.Operation {
	o.SeatReleased = true
	return o
}

func by(o load.Operation, actor string) load.Operation {
	o.ActorID = actor
	return o
}

func to(o load.Operation, role string) load.Operation {
	o.Role = role
	return o
}

func with(o load.Operation, link string) load.Operation {
	o.Link = link
	return o
}

func of(o load.Operation, invitation string) load.Operation {
	o.InvitationID = invitation
	return o
}

// begun is an organization of Ada's with a history.
func begun(operations ...load.Operation) []load.Operation {
	created := does(verify.CreateOrganization, "")
	created.Preset = "pipeline"
	return append([]load.Operation{at(0, 1, created)}, operations...)
}

func TestJudge(t *testing.T) {
	t.Parallel()
	joined := func(more ...load.Operation) []load.Operation { // Grace is a developer
		return begun(append([]load.Operation{at(1, 2, invite("inv_1")), at(2, 3, accept(grace, "inv_1"))}, more...)...)
	}
	for _, c := range []struct {
		rule    string
		history []load.Operation
		wrong   []string // parts
	}{
		{"AQuietHistoryIsRight", joined(
			at(4, 5, check(grace, "ALLOWED")), at(5, 6, usage(2)), at(6, 7, to(does(verify.ChangeRole, grace), "viewer")),
			at(7, 8, check(grace, "PERMISSION_MISSING")), at(8, 9, freed(does(verify.Disable, grace))), at(9, 10, check(grace, "MEMBER_DISABLED")),
			at(10, 11, usage(1)), at(11, 12, does(verify.Enable, grace)), at(12, 13, sees(grace, "viewer", "ACTIVE")),
			at(13, 14, freed(does(verify.Remove, grace))), at(14, 15, check(grace, "NOT_A_MEMBER")), at(15, 16, usage(1)),
			at(16, 17, refused(does(load.GetMember, grace), "MEMBER_NOT_FOUND")),
		), nil},
		{"WhatHappensAtTheSameTimeHasNoOrder", joined(
			at(4, 9, does(verify.Remove, grace)), at(5, 6, check(grace, "ALLOWED")), at(7, 8, check(grace, "NOT_A_MEMBER")),
		), nil},
		{"AnOperationWithoutAnAnswerMayHappenLate", joined(
			at(4, 5, lost(does(verify.Remove, grace))), at(6, 7, check(grace, "ALLOWED")), at(8, 9, check(grace, "NOT_A_MEMBER")),
		), nil},
		{"OrNever", joined(at(4, 5, lost(does(verify.Remove, grace))), at(6, 7, check(grace, "ALLOWED"))), nil},
		{"ButOnlyOnce", joined(
			at(4, 5, lost(does(verify.Remove, grace))), at(6, 7, check(grace, "NOT_A_MEMBER")),
			at(8, 9, invite("inv_2")), at(10, 11, accept(grace, "inv_2")), at(12, 13, check(grace, "NOT_A_MEMBER")),
		), []string{grace}},
		{"AStaleAllowIsWrong", joined(at(4, 5, freed(does(verify.Remove, grace))), at(6, 7, check(grace, "ALLOWED"))), []string{grace}},
		{"AStaleAllowAfterDisablingIsWrong", joined(at(4, 5, freed(does(verify.Disable, grace))), at(6, 7, check(grace, "ALLOWED"))), []string{grace}},
		{"AStaleAllowAfterAnotherRoleIsWrong", joined(
			at(4, 5, to(does(verify.ChangeRole, grace), "viewer")), at(6, 7, check(grace, "ALLOWED"))), []string{grace}},
		{"AnAdminWhoWasRemovedDoesNothing", joined(
			at(4, 5, to(does(verify.ChangeRole, grace), "admin")), at(5, 6, by(invite("inv_2"), grace)), at(6, 7, freed(does(verify.Remove, grace))),
			at(8, 9, by(invite("inv_3"), grace))), []string{grace}},
		{"ALostRemovalIsWrong", joined(at(4, 5, freed(does(verify.Remove, grace))), at(6, 7, sees(grace, "developer", "ACTIVE"))), []string{grace}},
		{"ALostMemberIsWrong", joined(at(4, 5, refused(does(load.GetMember, grace), "MEMBER_NOT_FOUND"))), []string{grace}},
		{"ADoubledMemberIsWrong", joined(at(4, 5, invite("inv_2")), at(6, 7, accept(grace, "inv_2"))), []string{grace}},
		{"AMemberWhoIsListedTwiceIsWrong", joined(at(4, 5, sees(grace, "developer", "DOUBLED"))), []string{grace}},
		{"ARoleThatNobodyGaveIsWrong", joined(at(4, 5, sees(grace, "admin", "ACTIVE"))), []string{grace}},
		{"TwoShareOneEnabling", joined(
			at(4, 5, freed(does(verify.Disable, grace))), at(6, 9, does(verify.Enable, grace)), at(7, 10, does(verify.Enable, grace)),
			at(11, 12, usage(2))), nil},

		{"OneLinkAdmitsOne", begun(at(1, 2, invite("inv_1")), at(3, 9, accept(grace, "inv_1")), at(4, 8, accept(lin, "inv_1"))), []string{"inv_1"}},
		{"TheOtherIsToldSo", begun(at(1, 2, invite("inv_1")), at(3, 9, accept(grace, "inv_1")), at(4, 8, refused(accept(lin, "inv_1"), "INVITATION_USED"))), nil},
		{"NobodyIsToldSoWhenNobodyAccepted", begun(at(1, 2, invite("inv_1")), at(4, 8, refused(accept(lin, "inv_1"), "INVITATION_USED"))), []string{"inv_1"}},
		{"UnlessSomebodyMayHave", begun(
			at(1, 2, invite("inv_1")), at(2, 3, lost(accept(grace, "inv_1"))), at(4, 8, refused(accept(lin, "inv_1"), "INVITATION_USED"))), nil},
		{"ARevokedLinkAdmitsNobody", begun(
			at(1, 2, invite("inv_1")), at(2, 3, freed(of(does(verify.Revoke, ""), "inv_1"))), at(4, 5, accept(grace, "inv_1"))), []string{"inv_1"}},
		{"AnOldLinkAdmitsNobody", begun(
			at(1, 2, invite("inv_1")), at(2, 3, with(of(does(verify.Resend, ""), "inv_1"), "second")), at(4, 5, accept(grace, "inv_1"))), []string{"inv_1"}},
		{"TheNewLinkDoes", begun(
			at(1, 2, invite("inv_1")), at(2, 3, with(of(does(verify.Resend, ""), "inv_1"), "second")),
			at(4, 5, refused(accept(grace, "inv_1"), "INVITATION_LINK_INVALID")), at(4, 5, with(accept(grace, "inv_1"), "second"))), nil},
		{"AFailedInvitationIsSentAgainOnAnotherSeat", begun(
			at(1, 2, limit(2)), at(2, 3, invite("inv_1")), at(4, 5, refused(accept(grace, "inv_1"), "INVITATION_FAILED")),
			at(6, 7, with(of(does(verify.Resend, ""), "inv_1"), "second")), at(8, 9, usage(2, 2)), at(10, 11, with(accept(lin, "inv_1"), "second"))), nil},
		{"OrNotForWantOfOne", begun(
			at(1, 2, limit(2)), at(2, 3, invite("inv_1")), at(4, 5, refused(accept(grace, "inv_1"), "INVITATION_FAILED")), at(6, 7, invite("inv_2")),
			at(8, 9, refused(of(does(verify.Resend, ""), "inv_1"), "SEAT_LIMIT_REACHED"))), nil},
		{"ARevokedOneIsNot", begun(
			at(1, 2, invite("inv_1")), at(2, 3, freed(of(does(verify.Revoke, ""), "inv_1"))),
			at(4, 5, with(of(does(verify.Resend, ""), "inv_1"), "second"))), []string{"inv_1"}},
		{"AGoodLinkIsNotRefused", begun(at(1, 2, invite("inv_1")), at(4, 5, refused(accept(grace, "inv_1"), "INVITATION_LINK_INVALID"))), []string{"inv_1"}},
		{"WhatNothingExplainsIsWrong", begun(at(1, 2, invite("inv_1")), at(4, 5, refused(accept(grace, "inv_1"), "UNAUTHENTICATED"))), []string{grace, "inv_1"}},

		{"SeatsUpToTheLimit", begun(
			at(1, 2, limit(2)), at(2, 9, invite("inv_1")), at(3, 8, refused(invite(""), "SEAT_LIMIT_REACHED")), at(10, 11, usage(2, 2))), nil},
		{"OversoldIsWrong", begun(at(1, 2, limit(2)), at(2, 9, invite("inv_1")), at(3, 8, invite("inv_2"))), []string{"seats"}},
		{"RefusedWithASeatFreeIsWrong", begun(at(1, 2, limit(3)), at(2, 9, invite("inv_1")), at(3, 8, refused(invite(""), "SEAT_LIMIT_REACHED"))), []string{"seats"}},
		{"ALostInvitationMayHoldASeat", begun(at(1, 2, limit(2)), at(2, 3, lost(invite(""))), at(3, 8, refused(invite(""), "SEAT_LIMIT_REACHED"))), nil},
		{"ASeatThatFollowsIsFreeLater", joined(
			at(4, 5, limit(2)), at(6, 7, does(verify.Remove, grace)), at(7, 8, refused(invite(""), "SEAT_LIMIT_REACHED")), at(8, 9, invite("inv_2"))), nil},
		{"ASeatThatIsFreeNowIsFree", joined(
			at(4, 5, limit(2)), at(6, 7, freed(does(verify.Remove, grace))), at(8, 9, refused(invite(""), "SEAT_LIMIT_REACHED"))), []string{"seats"}},
		{"ALeakedSeatIsWrong", joined(at(4, 5, freed(does(verify.Remove, grace))), at(7, 8, usage(2))), []string{"seats"}},
		{"ASeatFreedTwiceIsWrong", joined(at(4, 5, freed(does(verify.Remove, grace))), at(7, 8, usage(0))), []string{"seats"}},
		{"AnEnabledMemberTakesASeat", joined(
			at(4, 5, limit(2)), at(6, 7, freed(does(verify.Disable, grace))), at(7, 8, invite("inv_2")), at(8, 9, does(verify.Enable, grace))), []string{"seats"}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			var wrong []string
			for _, v := range linear.Judge(c.history, time.Minute) {
				if !v.Right() {
					wrong = append(wrong, v.Part)
					require.NotEmpty(t, v.Excerpt())
					var page bytes.Buffer
					require.NoError(t, v.Draw(&page))
					require.NotZero(t, page.Len())
				}
			}
			require.ElementsMatch(t, c.wrong, wrong)
		})
	}
}
