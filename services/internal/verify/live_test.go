package verify_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/dev"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/testkit"
	"github.com/rosterhq/roster/services/internal/verify"
)

// TestHealthySuite checks a suite that nothing is wrong with, over and over while everything happens to it that can.
func TestHealthySuite(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	ctx, atRest := context.WithCancel(t.Context())
	defer atRest()
	checked := make(chan error, 1)
	rounds, found := 0, []verify.Finding(nil)
	go func() {
		for ; ctx.Err() == nil; rounds++ {
			report, err := s.checker.Check(t.Context(), verify.Options{Stream: s.stream})
			if err != nil {
				checked <- err
				return
			}
			found = append(found, report.Findings...)
		}
		checked <- nil
	}()
	var lives sync.WaitGroup
	for _, preset := range []membershipv1.Preset{pipeline, portal, rbac, flat} {
		lives.Go(func() {
			for range 2 {
				s.life(t, preset)
			}
		})
	}
	lives.Go(func() {
		for range 2 {
			o := s.create(t, portal)
			o.invite(unique("grace")+"@example.com", "member", "")
			o.delete()
		}
	})
	lives.Wait()
	atRest()
	require.NoError(t, <-checked)
	require.Empty(t, found, "after %d rounds", rounds)
	require.Positive(t, rounds)

	var report *verify.Report
	for report == nil || report.Messages < report.Events { // streams are read before logs, and something may follow in between
		var err error
		report, err = s.checker.Check(t.Context(), verify.Options{Settled: true, Wait: time.Minute, Stream: s.stream, History: s.history})
		require.NoError(t, err)
		require.Empty(t, report.Findings)
	}
	require.Equal(t, 10, report.Organizations)
	require.Equal(t, report.Events, report.Messages)
	require.Len(t, s.history, report.Operations)
}

// TestRepair breaks a suite that runs, repairs it, and finds everything right again once the services have done their part.
func TestRepair(t *testing.T) {
	t.Parallel()
	s := start(t, "")
	s.life(t, portal).expired()
	w := &world{t: t, live: true, dsns: make(map[string]string)}
	for service := range dev.Migrations {
		w.dsns[service] = s.Owner(service)
	}
	atRest := verify.Options{Settled: true, Wait: 30 * time.Second, Stream: s.stream}
	healthy := func(t *testing.T) {
		t.Helper()
		report, err := s.checker.Check(t.Context(), atRest)
		require.NoError(t, err)
		require.Empty(t, report.Findings)
	}
	healthy(t)
	repair := func(t *testing.T, invariant string) {
		t.Helper()
		report, err := s.checker.Check(t.Context(), verify.Options{Stream: s.stream})
		require.NoError(t, err)
		require.NotEmpty(t, report.Findings)
		repaired := 0
		require.NoError(t, s.checker.Repair(t.Context(), report, func(f verify.Finding, err error) {
			require.NoError(t, err)
			require.Equal(t, invariant, f.ID)
			repaired++
		}))
		require.NotZero(t, repaired, "%+v", report.Findings)
		healthy(t)
	}

	t.Run("A1_CountersAreCounted", func(t *testing.T) {
		w.exec("billing", `UPDATE heads SET occupied = occupied + 3, used = used + 3 WHERE used > 0 RETURNING aggregate_id, NULL::uuid`)
		repair(t, "A1")
	})
	t.Run("E1_AnOperationThatNothingFinishesIsFinished", func(t *testing.T) {
		w.exec("membership", `UPDATE member_operations SET state = 'PENDING' WHERE kind = 'RELEASE' RETURNING organization_id, seat_id`)
		repair(t, "E1")
	})
	t.Run("E1_AnInvitationIsLookedAtAgain", func(t *testing.T) {
		w.exec("invitation", `DELETE FROM due WHERE kind = 'invitation' RETURNING aggregate_id, id`)
		repair(t, "E1")
	})
	t.Run("E1_AReviewIsScheduledAgain", func(t *testing.T) {
		w.exec("billing", `DELETE FROM due WHERE kind = 'review' RETURNING aggregate_id, id`)
		repair(t, "E1")
	})
	t.Run("E3_ASeatThatNoInvitationHoldsIsFreed", func(t *testing.T) {
		w.exec("billing", `UPDATE due SET next_time = now() + interval '1 hour' WHERE kind = 'review' RETURNING aggregate_id, id`) // or billing frees it itself
		_, of := w.revoke()
		repair(t, "E3")
		require.Contains(t, w.lastOf("billing", seat(of)), "RELEASED", "and told of")
	})
	t.Run("E3_ASeatThatNobodySitsOnIsFreed", func(t *testing.T) {
		m := w.remove()
		repair(t, "E3")
		require.Contains(t, w.lastOf("billing", m.seat.String()), "RELEASED", "and told of")
	})
	t.Run("E6_AnEventThatWasNotPublishedIsPublished", func(t *testing.T) {
		organization, _ := w.exec("membership", `SELECT organization_id, NULL::uuid FROM organizations LIMIT 1`)
		w.tell("membership", organization, &eventv1.OrganizationUpdated{After: &eventv1.Organization{DisplayName: "Lost", Preset: "portal"}},
			`UPDATE organizations SET display_name = 'Lost' WHERE organization_id = $1`, `DELETE FROM outbox WHERE aggregate_id = $1`)
		repair(t, "E6")
	})
}

// lastOf is the latest event about something, as it is stored.
func (w *world) lastOf(service, about string) (data string) {
	for _, e := range w.log(service) {
		if strings.Contains(string(e.Data), about) {
			data = string(e.Data)
		}
	}
	return data
}

func TestRepairIsCareful(t *testing.T) {
	t.Parallel()

	t.Run("SeatsThatTheEventsDenyAreNotCounted", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "billing")
		w.exec("billing",
			`UPDATE heads SET reserved = reserved + 1, used = used + 1`,
			`UPDATE seats SET state = 'DENIED' WHERE state = 'RELEASED' AND owner_id IS NOT NULL`,
			`SELECT NULL::uuid, NULL::uuid`)
		said := w.repair(t)
		require.NotEmpty(t, said)
		for _, err := range said {
			require.ErrorContains(t, err, "A8")
		}
	})

	t.Run("ASeatThatSomebodyTookMeanwhileStays", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "membership")
		m := w.remove()
		checker, report := w.open(t)
		require.Len(t, report.Findings, 1)
		w.exec("membership", `UPDATE members SET state = 'ACTIVE', seat_id = '`+hex(m.seat)+`' WHERE account_id = '`+hex(m.account)+`' RETURNING organization_id, account_id`)
		require.NoError(t, checker.Repair(t.Context(), report, func(_ verify.Finding, err error) { require.NoError(t, err) }))
		_, begun := w.exec("membership", `SELECT NULL::uuid, (array_agg(seat_id))[1] FROM member_operations WHERE state = 'PENDING'`)
		require.True(t, begun.IsZero())
	})

	t.Run("ATaskThatEndedMeanwhileIsNotScheduled", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "invitation")
		w.exec("invitation", `DELETE FROM due WHERE kind = 'invitation' RETURNING aggregate_id, id`)
		checker, report := w.open(t)
		require.NotEmpty(t, report.Findings)
		w.exec("invitation", `UPDATE invitations SET state = 'REVOKED' WHERE state = 'PENDING' RETURNING organization_id, invitation_id`)
		require.NoError(t, checker.Repair(t.Context(), report, func(_ verify.Finding, err error) { require.NoError(t, err) }))
		_, scheduled := w.exec("invitation", `SELECT NULL::uuid, (array_agg(id))[1] FROM due`)
		require.True(t, scheduled.IsZero())
	})

	t.Run("WhatHasNoRepairSaysWhatToDo", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "billing")
		m := w.member()
		w.tell("billing", m.organization, released(m.seat), freed("OCCUPIED", "occupied", m.seat)...)
		_, report := w.open(t)
		require.Len(t, report.Findings, 1)
		require.Empty(t, report.Findings[0].Repair)
		require.Contains(t, report.Findings[0].Advice, "Disable the member")
		require.Empty(t, w.repair(t))
	})
}

func TestOnly(t *testing.T) {
	t.Parallel()
	w := theWorld(t, "billing")
	wrong, _ := w.exec("billing", `UPDATE heads SET reserved = reserved + 1, used = used + 1 WHERE aggregate_id = (SELECT min(aggregate_id::text)::uuid FROM heads WHERE used > 0) RETURNING aggregate_id, NULL::uuid`)
	right, _ := w.exec("billing", `SELECT max(aggregate_id::text)::uuid, NULL::uuid FROM heads`)
	checker, _ := w.open(t)
	for of, finds := range map[id.Any]bool{wrong: true, right: false} {
		report, err := checker.Check(t.Context(), verify.Options{Only: id.Organization(of)})
		require.NoError(t, err)
		require.Equal(t, 1, report.Organizations)
		require.Equal(t, finds, !report.OK())
	}
}

// open checks the world and keeps the checker open.
func (w *world) open(t *testing.T) (*verify.Checker, *verify.Report) {
	t.Helper()
	checker, err := verify.Open(t.Context(), w.dsns)
	require.NoError(t, err)
	t.Cleanup(checker.Close)
	report, err := checker.Check(t.Context(), verify.Options{})
	require.NoError(t, err)
	return checker, report
}

// repair repairs the world and returns what was said to each repair.
func (w *world) repair(t *testing.T) (said []error) {
	t.Helper()
	checker, report := w.open(t)
	require.NoError(t, checker.Repair(t.Context(), report, func(_ verify.Finding, err error) { said = append(said, err) }))
	return said
}

func TestOpen(t *testing.T) {
	t.Parallel()

	t.Run("ARoleThatSeesNothingIsRefused", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t)
		c := testkit.Cluster(t)
		admin, err := pgx.Connect(t.Context(), c.DSN("postgres", "postgres"))
		require.NoError(t, err)
		defer admin.Close(t.Context())
		for name, role := range map[string]string{"reader": "pg_read_all_data", "runtime": "roster_app"} { // one may read everything, and is shown nothing
			_, err = admin.Exec(t.Context(), `CREATE ROLE `+name+` LOGIN IN ROLE `+role)
			require.NoError(t, err)
			dsns := maps.Clone(w.dsns)
			dsns["billing"] = strings.Replace(w.dsns["billing"], "user='billing_owner'", "user='"+name+"'", 1)
			_, err = verify.Open(t.Context(), dsns)
			require.ErrorContains(t, err, "billing database: this role does not see every row")
		}
	})

	t.Run("ADatabaseThatIsNotGivenIsNamed", func(t *testing.T) {
		t.Parallel()
		_, err := verify.Open(t.Context(), map[string]string{"invitation": "postgres://localhost:1/x"})
		require.ErrorContains(t, err, "invitation database: ")
	})
}

func TestWait(t *testing.T) {
	t.Parallel()

	t.Run("WhatEndsInTimeIsNotReported", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "billing")
		w.exec("billing", `INSERT INTO outbox (part, aggregate_id, revision) SELECT part, aggregate_id, revision FROM heads RETURNING aggregate_id, NULL::uuid`)
		checker, _ := w.open(t)
		report, err := checker.Check(t.Context(), verify.Options{Settled: true})
		require.NoError(t, err)
		require.NotEmpty(t, report.Findings)
		go w.exec("billing", `DELETE FROM outbox RETURNING aggregate_id, NULL::uuid`)
		report, err = checker.Check(t.Context(), verify.Options{Settled: true, Wait: 30 * time.Second})
		require.NoError(t, err)
		require.Empty(t, report.Findings)
	})

	t.Run("WhatLastsIsReported", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "billing")
		aggregate, _ := w.exec("billing", `INSERT INTO outbox (part, aggregate_id, revision) SELECT part, aggregate_id, revision FROM heads LIMIT 1 RETURNING aggregate_id, NULL::uuid`)
		w.finds(verify.Options{Settled: true, Wait: time.Second}, id.Organization(aggregate).String(), "", "E5")
	})
}

func TestClientHistory(t *testing.T) {
	t.Parallel()
	// of returns the first operation of a verb that was acknowledged, for a test to change.
	of := func(history []verify.Operation, verb verify.Verb) *verify.Operation {
		return &history[slices.IndexFunc(history, func(o verify.Operation) bool { return o.Verb == verb && o.Outcome == verify.OK })]
	}
	for _, c := range []struct {
		name   string
		change func([]verify.Operation) []verify.Operation
		detail string // of what is found; empty: nothing
	}{
		{"E9_WhatHappenedHappened", func(h []verify.Operation) []verify.Operation { return h }, ""},
		{"E9_AnAcknowledgedRemovalLeftNothing", func(h []verify.Operation) []verify.Operation {
			return append(h, verify.Operation{Verb: verify.Remove, RequestID: "never", Outcome: verify.OK})
		}, "was acknowledged, and there is no member.removed"},
		{"E9_AnAcknowledgedInvitationLeftNothing", func(h []verify.Operation) []verify.Operation {
			return append(h, verify.Operation{Verb: verify.Invite, RequestID: "never", Email: "never@example.com", Outcome: verify.OK})
		}, "was acknowledged, and there is no invitation.created"},
		{"E9_AcceptedBySomebodyElse", func(h []verify.Operation) []verify.Operation {
			of(h, verify.Accept).AccountID = id.NewAccount().String()
			return h
		}, "was acknowledged, and there is no invitation.accepted"},
		{"E9_ARefusedOperationHappened", func(h []verify.Operation) []verify.Operation {
			of(h, verify.Disable).Outcome = verify.Refused
			return h
		}, "was refused"},
		{"E9_ARefusedInvitationWasSent", func(h []verify.Operation) []verify.Operation {
			of(h, verify.Invite).Outcome = verify.Refused
			return h
		}, "was refused"},
		{"E9_AnUnknownOutcomeIsEither", func(h []verify.Operation) []verify.Operation {
			for i := range h {
				h[i].Outcome = verify.Unknown
			}
			return append(h, verify.Operation{Verb: verify.Remove, RequestID: "never", Outcome: verify.Unknown})
		}, ""},
		{"E9_ARefusalAfterALostAnswerIsUnknown", func(h []verify.Operation) []verify.Operation {
			lost := of(h, verify.Decline)
			lost.Outcome = verify.Unknown
			refused := *lost
			refused.Outcome = verify.Refused
			return append(h, refused)
		}, ""},
		{"E9_TwoThatEnableAtOnceShareAnEvent", func(h []verify.Operation) []verify.Operation {
			other := *of(h, verify.Enable)
			other.RequestID = "other"
			return append(h, other)
		}, ""},
		{"E9_AnotherRoleWasGiven", func(h []verify.Operation) []verify.Operation {
			of(h, verify.ChangeRole).Role = "other"
			return h
		}, "asked for something else"},
		{"E9_AnotherLimitWasSet", func(h []verify.Operation) []verify.Operation {
			of(h, verify.SetSeatLimit).Limit = new(int32(99))
			return h
		}, "asked for something else"},
		{"E9_AnInvitationOfWhichNothingWasLearnedIsSomebodys", func(h []verify.Operation) []verify.Operation {
			lost := of(h, verify.Invite)
			lost.Outcome, lost.InvitationID, lost.Email = verify.Unknown, "", ""
			return h
		}, ""},
		{"E9_ButOneAsksForOne", func(h []verify.Operation) []verify.Operation {
			lost := *of(h, verify.Invite)
			lost.Outcome, lost.InvitationID, lost.Email = verify.Unknown, "", ""
			h = slices.DeleteFunc(h, func(o verify.Operation) bool {
				return o.Verb == verify.Invite && o.OrganizationID == lost.OrganizationID
			})
			return append(h, lost)
		}, "was asked for by nobody"},
		{"E9_NobodyAskedForIt", func(h []verify.Operation) []verify.Operation {
			request := of(h, verify.Revoke).RequestID
			return slices.DeleteFunc(h, func(o verify.Operation) bool { return o.RequestID == request })
		}, "was asked for by nobody"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := theWorld(t)
			report := w.check(verify.Options{Settled: true, History: c.change(slices.Clone(w.history))})
			if c.detail == "" {
				require.Empty(t, report.Findings)
				return
			}
			require.Equal(t, len(report.Findings), report.Counts["E9"], "%+v", report.Findings)
			require.True(t, slices.ContainsFunc(report.Findings, func(f verify.Finding) bool { return strings.Contains(f.Detail, c.detail) }), "%+v", report.Findings)
		})
	}

	t.Run("E9_OneRequestHappenedTwice", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "invitation")
		organization, _ := w.exec("invitation", `SELECT organization_id, NULL::uuid FROM invitations WHERE invitation_id = `+accepted)
		operation := verify.Operation{Verb: verify.Invite, RequestID: "twice", Email: "twice@example.com", Outcome: verify.Unknown}
		for range 2 {
			w.tell("invitation", organization, &eventv1.InvitationCreated{Personal: &eventv1.Personal{Email: operation.Email}})
		}
		report := w.check(verify.Options{History: append(slices.Clone(w.history), operation)})
		require.Equal(t, 1, report.Counts["E9"], "%+v", report.Findings)
		require.Contains(t, report.Findings[len(report.Findings)-1].Detail, "happened 2 times")
	})

	t.Run("E9_AcceptedWithoutAMember", func(t *testing.T) {
		t.Parallel()
		w := theWorld(t, "invitation")
		organization, invited := w.exec("invitation", `SELECT organization_id, invitation_id FROM invitations WHERE invitation_id = `+pending)
		after := proto.CloneOf(w.invitation(organization, id.Invitation(invited)))
		after.State, after.AccountId = eventv1.Invitation_STATE_ACCEPTED, id.NewAccount().String()
		w.tell("invitation", organization, &eventv1.InvitationAccepted{After: after})
		report := w.check(verify.Options{History: []verify.Operation{{
			Verb: verify.Accept, InvitationID: after.GetInvitationId(), AccountID: after.GetAccountId(), Outcome: verify.OK}}})
		require.Equal(t, 1, report.Counts["E9"], "%+v", report.Findings)
		require.Contains(t, report.Findings[len(report.Findings)-1].Detail, "no member.added")
	})
}

func TestReadHistory(t *testing.T) {
	t.Parallel()
	operation := verify.Operation{Verb: verify.Remove, RequestID: "r", Outcome: verify.OK, Start: time.Unix(1, 0).UTC(), End: time.Unix(2, 0).UTC()}
	var file strings.Builder
	for range 2 {
		require.NoError(t, verify.WriteOperation(&file, operation))
	}
	read, err := verify.ReadHistory(strings.NewReader(file.String() + `{"op":"remo`)) // its writer was killed
	require.NoError(t, err)
	require.Equal(t, []verify.Operation{operation, operation}, read)

	for line, want := range map[string]string{
		`{"op":"walk","outcome":"ok"}`:      `there is no operation "walk"`,
		`{"op":"remove","outcome":"maybe"}`: `there is no outcome "maybe"`,
		`remove`:                            "line 1 of the history",
	} {
		_, err := verify.ReadHistory(strings.NewReader(line + "\n"))
		require.ErrorContains(t, err, want)
	}
}
