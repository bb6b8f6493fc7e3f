package identity

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/rosterhq/roster/pkg/events"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// employer is an organization with a domain, as membership knows it, and an account that it manages.
type employer struct {
	*harness
	org    id.Organization
	key    id.Account
	domain *eventv1.Domain // nil: it has none
	member *eventv1.Member // nil: the account does not belong to it
	asked  int
	ticks  int64
	before func() error // runs before membership answers
}

// now is a time that was not before.
func (e *employer) now() *timestamppb.Timestamp {
	e.ticks++
	return timestamppb.New(time.Unix(1_800_000_000+e.ticks, 0))
}

const staff = "ada@works.example"

// employs makes an organization that manages the account of somebody with a proven address on its domain.
func employs(h *harness) *employer {
	h.Helper()
	e := &employer{harness: h, org: id.NewOrganization()}
	e.key = h.managed(e.org, staff)
	e.member = &eventv1.Member{AccountId: e.key.String(), JoinTime: e.now()}
	e.verify()
	h.domains.ground = func(req *membershipv1.HasDomainRequest) (*membershipv1.HasDomainResponse, error) {
		e.asked++
		answer := &membershipv1.HasDomainResponse{}
		if e.domain != nil && e.member != nil && req.GetDomain() == e.domain.GetName() && req.GetAccountId() == e.key.String() && req.GetOrganizationId() == e.org.String() {
			answer = &membershipv1.HasDomainResponse{
				Verified: true, DomainId: e.domain.GetDomainId(), VerifyTime: e.domain.GetVerifyTime(), JoinTime: e.member.GetJoinTime()}
		}
		if e.before != nil {
			return answer, e.before()
		}
		return answer, nil
	}
	return e
}

// verify gives the organization its domain, anew if it had it before.
func (e *employer) verify() {
	if e.domain == nil {
		e.domain = &eventv1.Domain{DomainId: id.NewDomain().String(), Name: "works.example"}
	}
	e.domain = proto.CloneOf(e.domain)
	e.domain.VerifyTime = e.now()
}

// hear has identity hear an event of an organization.
func (e *employer) hear(from id.Organization, message proto.Message) error {
	data, err := protojson.Marshal(message)
	require.NoError(e, err)
	return e.service.Consume(e.Context(), events.Event{Type: events.TypeOf(message), Service: "membership", Aggregate: from.String(), Data: data})
}

// joins has the account join another organization.
func (e *employer) joins() error {
	return e.hear(id.NewOrganization(), &eventv1.MemberAdded{Member: &eventv1.Member{AccountId: e.key.String()}})
}

// manages tells whether the organization manages the account, from everywhere where that is asked.
func (e *employer) manages() bool {
	e.Helper()
	operation := func() string { return id.NewSeat().String() }
	claims := e.claims(staff, e.org)
	sessions, err := e.membership.ListAccountSessions(e.Context(), &identityv1.ListAccountSessionsRequest{AccountId: e.key.String(), OrganizationId: e.org.String()})
	require.NoError(e, err)
	mfa, err := e.membership.ResetMfa(e.Context(), &identityv1.ResetMfaRequest{
		AccountId: e.key.String(), OrganizationId: e.org.String(), ActorAccountId: id.NewAccount().String(), OperationId: operation()})
	require.NoError(e, err)
	ends, err := e.membership.EndSessions(e.Context(), &identityv1.EndSessionsRequest{
		AccountId: e.key.String(), OrganizationId: e.org.String(), ActorAccountId: id.NewAccount().String(), OperationId: operation()})
	require.NoError(e, err)
	for _, c := range claims {
		require.Equal(e, sessions.GetManaged(), c.GetManaged())
	}
	require.Equal(e, sessions.GetManaged(), mfa.GetManaged())
	require.Equal(e, sessions.GetManaged(), ends.GetManaged())
	return sessions.GetManaged()
}

func TestManagedThroughADomain(t *testing.T) {
	t.Parallel()

	t.Run("RB20 TheSayOutlivesASecondMembershipThroughTheDomainOfAProvenAddress", func(t *testing.T) {
		t.Parallel()
		e := employs(start(t))
		shown := func() (org, domain string) {
			_, bearer := e.open(e.key)
			me, err := e.accounts.GetMe(e.as(bearer), &identityv1.GetMeRequest{})
			require.NoError(t, err)
			kept, err := e.exports.ExportAccount(e.as(bearer), &identityv1.ExportAccountRequest{})
			require.NoError(t, err)
			require.Equal(t, []string{me.GetManagedByOrganizationId(), me.GetManagedThroughDomain()},
				[]string{kept.GetManagedByOrganizationId(), kept.GetManagedThroughDomain()})
			return me.GetManagedByOrganizationId(), me.GetManagedThroughDomain()
		}
		org, domain := shown()
		require.Equal(t, []string{e.org.String(), ""}, []string{org, domain})
		for range 3 { // and a third organization, or the event again
			require.NoError(t, e.joins())
		}
		org, domain = shown()
		require.Equal(t, []string{e.org.String(), "works.example"}, []string{org, domain})
		require.True(t, e.manages())
		require.True(t, e.setSignIn(e.key, e.org, false, 7), "S2-48")
		requireReason(t, credentialsInvalid, e.trySignIn(staff))
		require.True(t, e.setSignIn(e.key, e.org, true, 8), "S2-51")
		require.NoError(t, e.trySignIn(staff))
		_, err := e.issue(e.key, e.org, id.NewSeat())
		require.NoError(t, err)
	})

	for name, without := range map[string]func(*employer){
		"ADomain":         func(e *employer) { e.domain = nil },
		"TheDomainOfThat": func(e *employer) { e.domain.Name = "other.example" },
		"BelongingThere":  func(e *employer) { e.member = nil },
		"AnAddress": func(e *employer) {
			e.exec(`UPDATE accounts SET email = NULL, email_verified = false, username = 'ada'`)
		},
		"AProvenAddress":    func(e *employer) { e.exec(`UPDATE accounts SET email_verified = false`) },
		"AProvenMailbox":    func(e *employer) { e.exec(`UPDATE accounts SET unproven_time = now()`) },
		"TheDomainByTheEnd": func(e *employer) { e.before = func() error { e.domain = nil; return nil } },
	} {
		t.Run("RB20 ItEndsForGoodWithout"+name, func(t *testing.T) {
			t.Parallel()
			e := employs(start(t))
			require.True(t, e.setSignIn(e.key, e.org, false, 7))
			without(e)
			require.NoError(t, e.joins())
			require.False(t, e.manages())
			require.Zero(t, count(e.harness, `managed_domains`))
			require.Equal(t, 1, count(e.harness, `accounts WHERE managed_by IS NULL AND sign_in_allowed`))
			require.Equal(t, "account.enabled", e.types(e.key.String())[1])

			e.exec(`UPDATE accounts SET email = $1, email_verified = true, unproven_time = NULL`, staff)
			e.before, e.member = nil, &eventv1.Member{AccountId: e.key.String(), JoinTime: e.now()}
			e.domain = nil
			e.verify()
			require.NoError(t, e.joins())
			require.False(t, e.manages())
			require.Zero(t, count(e.harness, `managed_domains`))
		})
	}

	t.Run("R87 WhileMembershipDoesNotAnswerNothingIsDecided", func(t *testing.T) {
		t.Parallel()
		e := employs(start(t))
		away := errors.New("away")
		e.before = func() error { return away }
		require.ErrorIs(t, e.joins(), away)
		require.Zero(t, count(e.harness, `managed_domains`))
		require.Equal(t, 1, count(e.harness, `accounts WHERE managed_by IS NOT NULL`))
		e.before = nil
		require.NoError(t, e.joins())
		require.True(t, e.manages())
	})
	t.Run("EventsThatAreNoneOfTheseAreAnError", func(t *testing.T) {
		t.Parallel()
		e := employs(start(t))
		require.Error(t, e.hear(e.org, &eventv1.MemberDisabled{}))
		require.Error(t, e.hear(e.org, &eventv1.MemberLeft{}))
		require.Error(t, e.hear(e.org, &eventv1.DomainLost{}))
	})
}

// endings are what takes the ground away, as membership says it.
func (e *employer) endings() map[string]func() proto.Message {
	return map[string]func() proto.Message{
		"domain.lost":    func() proto.Message { return &eventv1.DomainLost{Before: e.domain} },
		"domain.removed": func() proto.Message { return &eventv1.DomainRemoved{Before: e.domain} },
		"domain.removed of an earlier version": func() proto.Message {
			return &eventv1.DomainRemoved{Before: &eventv1.Domain{DomainId: e.domain.GetDomainId(), Name: e.domain.GetName()}}
		},
		"member.removed":       func() proto.Message { return &eventv1.MemberRemoved{Before: e.member} },
		"member.left":          func() proto.Message { return &eventv1.MemberLeft{Before: e.member} },
		"organization.deleted": func() proto.Message { return &eventv1.OrganizationDeleted{} },
	}
}

func TestManagedDomainIsLost(t *testing.T) {
	t.Parallel()

	for name := range new(employer).endings() {
		t.Run("RB20 "+name+" ends it at once and for good, and lets the person in again", func(t *testing.T) {
			t.Parallel()
			e := employs(start(t))
			require.NoError(t, e.joins())
			require.True(t, e.setSignIn(e.key, e.org, false, 7))
			require.NoError(t, e.hear(id.NewOrganization(), e.endings()[name]()))
			require.True(t, e.manages(), "that was another organization's")

			require.NoError(t, e.hear(e.org, e.endings()[name]()))
			require.False(t, e.manages(), "from the commit on")
			require.True(t, !e.setSignIn(e.key, e.org, false, 9))
			require.Equal(t, 1, e.sweep(unmanagedTask))
			require.NoError(t, e.trySignIn(staff))
			require.Equal(t, []string{"account.disabled", "account.enabled", "account.signed_in"}, e.types(e.key.String()))
			require.Equal(t, 1, count(e.harness, `accounts WHERE managed_by IS NULL`))
			require.Zero(t, count(e.harness, `managed_domains`)+count(e.harness, `due WHERE kind = 'unmanaged'`))

			require.NoError(t, e.hear(e.org, e.endings()[name]()), "again")
			require.Zero(t, e.sweep(unmanagedTask))
			e.verify()
			require.NoError(t, e.joins())
			require.False(t, e.manages(), "a domain that is verified again brings nothing back")
		})
		t.Run("RB20 "+name+" that is heard while membership is asked leaves nothing on a ground that is gone", func(t *testing.T) {
			t.Parallel()
			e := employs(start(t))
			e.before = func() error { // membership has answered yes; then the ground goes, which is heard before anything is noted
				e.before = nil
				gone := e.endings()[name]()
				e.domain, e.member = nil, nil
				return e.hear(e.org, gone)
			}
			require.NoError(t, e.joins())
			require.Equal(t, 2, e.asked)
			require.False(t, e.manages())
			require.Equal(t, 1, count(e.harness, `accounts WHERE managed_by IS NULL`))
		})
	}

	t.Run("RB20 WhatWasNotedAndNotConfirmedIsAskedAboutWhenTheEventComesAgain", func(t *testing.T) {
		t.Parallel()
		e := employs(start(t))
		crash := errors.New("the process died")
		e.before = func() error {
			if e.asked == 1 {
				return nil
			}
			return crash
		}
		require.ErrorIs(t, e.joins(), crash)
		require.Equal(t, 1, count(e.harness, `managed_domains`))
		e.before, e.domain = nil, nil
		require.NoError(t, e.joins())
		require.False(t, e.manages())
		require.Zero(t, count(e.harness, `managed_domains`))
	})
	t.Run("RB20 ADomainThatWasLostAndVerifiedMeanwhileIsAnotherGround", func(t *testing.T) {
		t.Parallel()
		e := employs(start(t))
		require.NoError(t, e.joins())
		e.verify()
		require.NoError(t, e.joins(), "which comes before the loss is heard")
		require.False(t, e.manages())
	})
	t.Run("RB20 WhatIsHeardLateEndsNothingThatBeganSince", func(t *testing.T) {
		t.Parallel()
		e := employs(start(t))
		var late []proto.Message
		for name, ending := range e.endings() {
			if name != "organization.deleted" && name != "domain.removed of an earlier version" {
				late = append(late, proto.Clone(ending()))
			}
		}
		e.member = &eventv1.Member{AccountId: e.key.String(), JoinTime: e.now()}
		e.verify()
		require.NoError(t, e.joins())
		for _, m := range late {
			require.NoError(t, e.hear(e.org, m))
		}
		require.Zero(t, e.sweep(unmanagedTask))
		require.True(t, e.manages())
	})
	t.Run("RB20 OfManyAccountsNoneIsManagedFromTheCommitOn", func(t *testing.T) {
		t.Parallel()
		e := employs(start(t))
		require.NoError(t, e.joins())
		e.exec(`WITH made AS (INSERT INTO accounts (id, display_name, username, email_verified, create_time, managed_by, sign_in_allowed)
				SELECT gen_random_uuid(), 'One of many', 'many' || n, false, now(), $1, false FROM generate_series(1, 99) n RETURNING id)
			INSERT INTO managed_domains SELECT id, $1, 'works.example', domain_id, verify_time, join_time FROM made, managed_domains`, e.org)
		require.NoError(t, e.hear(e.org, &eventv1.DomainLost{Before: e.domain}))
		require.Equal(t, 100, count(e.harness, `managed_domains WHERE lost`))
		require.NoError(t, e.hear(e.org, &eventv1.DomainLost{Before: e.domain}), "again, while the sweeper is at it")
		require.Equal(t, 100, e.sweep(unmanagedTask))
		require.Zero(t, count(e.harness, `accounts WHERE managed_by IS NOT NULL OR NOT sign_in_allowed`)+count(e.harness, `managed_domains`))
		require.Equal(t, 99, count(e.harness, `events WHERE type = 'account.enabled'`))
	})
	t.Run("AnAccountThatIsGoneNeedsNothing", func(t *testing.T) {
		t.Parallel()
		e := employs(start(t))
		require.NoError(t, e.joins())
		require.NoError(t, e.hear(e.org, &eventv1.DomainLost{Before: e.domain}))
		e.exec(`DELETE FROM credentials`)
		e.exec(`DELETE FROM accounts`)
		require.Equal(t, 1, e.sweep(unmanagedTask))
		require.Zero(t, count(e.harness, `due WHERE kind = 'unmanaged'`))
	})
}

func TestManagedDomainIsLeft(t *testing.T) {
	t.Parallel()
	changed := func(e *employer, address string) error {
		_, err := e.membership.ChangeAccountEmail(e.Context(), &identityv1.ChangeAccountEmailRequest{
			AccountId: e.key.String(), OrganizationId: e.org.String(), ActorAccountId: id.NewAccount().String(), OperationId: id.NewSeat().String(),
			Email: address, OrganizationDisplayName: "Works"})
		return err
	}

	t.Run("RB20 R66 AnotherPrimaryAddressOnTheDomainChangesNothingOneElsewhereEndsIt", func(t *testing.T) {
		t.Parallel()
		e := employs(start(t))
		require.NoError(t, e.joins())
		_, bearer := e.open(e.key)
		for _, address := range []string{"countess@works.example", "ada@elsewhere.example"} {
			e.addEmail(bearer, address)
		}
		e.setPrimary(bearer, "countess@works.example")
		require.Equal(t, 1, count(e.harness, `managed_domains`))
		_, err := e.emails.RemoveEmail(e.as(bearer), &identityv1.RemoveEmailRequest{Email: staff})
		require.NoError(t, err)
		require.Equal(t, 1, count(e.harness, `managed_domains`))
		e.setPrimary(bearer, "ada@elsewhere.example")
		require.False(t, e.manages())
		requireReason(t, errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED, changed(e, "lovelace@works.example"))
		_, err = e.emails.RevertEmailChange(e.as(""), &identityv1.RevertEmailChangeRequest{Token: e.revertLink("countess@works.example")})
		require.NoError(t, err)
		require.False(t, e.manages(), "for good")
	})
	t.Run("RB20 R66 AnAdminWhoWritesAnAddressElsewhereLosesTheAccount", func(t *testing.T) {
		t.Parallel()
		e := employs(start(t))
		require.NoError(t, e.joins())
		require.NoError(t, changed(e, "lovelace@works.example"))
		require.NoError(t, e.joins(), "its mailbox is not proven, but what the say rests on is there")
		require.True(t, e.manages())
		require.NoError(t, changed(e, "attacker@elsewhere.example"))
		require.False(t, e.manages())
		_, err := e.issue(e.key, e.org, id.NewSeat())
		requireReason(t, errorv1.Reason_REASON_ACCOUNT_NOT_MANAGED, err)
	})
	t.Run("RB20 R66 TakingAnAddressOnTheDomainBackEndsItWhereTheOldOneIsElsewhere", func(t *testing.T) {
		t.Parallel()
		e := employs(start(t))
		_, bearer := e.open(e.key)
		e.addEmail(bearer, "ada@elsewhere.example")
		e.setPrimary(bearer, "ada@elsewhere.example")
		e.setPrimary(bearer, staff)
		require.NoError(t, e.joins())
		require.True(t, e.manages())
		_, err := e.emails.RevertEmailChange(e.as(""), &identityv1.RevertEmailChangeRequest{Token: e.revertLink("ada@elsewhere.example")})
		require.NoError(t, err)
		require.False(t, e.manages())
	})
	t.Run("RB20 WhoMovesAwayWhileMembershipIsAskedIsNotNoted", func(t *testing.T) {
		t.Parallel()
		e := employs(start(t))
		_, bearer := e.open(e.key)
		e.addEmail(bearer, "ada@elsewhere.example")
		e.before = func() error {
			e.before = nil
			e.setPrimary(bearer, "ada@elsewhere.example")
			return nil
		}
		require.NoError(t, e.joins())
		require.False(t, e.manages())
		require.Zero(t, count(e.harness, `managed_domains`))
	})
}
