package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// figure is one thing that is measured.
type figure struct {
	name string
	cost cost
	call call                                                 // by one of the callers
	run  func(context.Context, time.Duration) (sample, error) // instead of call
	then func()                                               // after the measurement

	server int // the process that serves it, when it is not the suite's
}

// cost is what one call waits for, counted in the code; the column xacts of the report holds it against what PostgreSQL
// counts, which includes the relay's, the sweepers' and the consumers' own.
type cost struct {
	commits int // that wait for the disk
	trips   int // to PostgreSQL
	calls   int // from one service to another
}

// Names of figures that ratios are made of.
const (
	empty       = "gRPC empty"
	emptySigned = "gRPC empty, with a session"
	check       = "gRPC CheckAccess"
	checkOne    = "gRPC BatchCheckAccess of 1"
	checkMany   = "gRPC BatchCheckAccess of 100"
	checkMost   = "gRPC BatchCheckAccess of 1000"
	catalogue   = "gRPC ListPermissions"
	restNowhere = "REST unknown path"
	restList    = "REST ListPermissions"
	restCheck   = "REST CheckAccess"
	pgbench     = "pgbench five rows"
	pgbenchHot  = "pgbench five rows, hot"
	change      = "ChangeMemberRole"
	changeHot   = "ChangeMemberRole, hot"
	changeOne   = "ChangeMemberRole, hot, one admin"
	inviteLink  = "CreateInvitation by link"
	inviteHot   = "CreateInvitation by link, hot"
	inviteMail  = "CreateInvitation by mail"
	accept      = "AcceptInvitation, existing account"
	remove      = "RemoveMember"

	publishOne    = "JetStream, publish to consumer"
	publishMany   = "JetStream, asynchronous"
	bareOne       = "bare relay, commit to consumer"
	bareMany      = "bare relay, drain"
	eventOne      = "commit to consumer"
	eventMany     = "drain until the outbox is empty"
	eventHeard    = "drain until a consumer knows"
	flight        = "five rows in one flight"
	flightHot     = "five rows in one flight, hot"
	reserve       = "ReserveSeats"
	reserveHot    = "ReserveSeats, hot"
	reserveBusy   = "ReserveSeats, relay at work"
	reserveRPC    = "gRPC ReserveSeats"
	reserveRPCHot = "gRPC ReserveSeats, hot"
)

// asked are permissions that batches ask for, of which everybody has the first.
var asked = []string{"members.read", "resources.read", "resources.write", "products.use", "audit.read"}

// figures are what a round measures, in this order: some take what others made.
func figures(w *world, y *yardstick) []figure {
	health := healthv1.NewHealthClient(w.conn)
	access := membershipv1.NewAccessServiceClient(w.conn)
	roles := membershipv1.NewRoleServiceClient(w.conn)
	team := membershipv1.NewMemberServiceClient(w.conn)
	invitations := invitationv1.NewInvitationServiceClient(w.conn)

	// createLink invites somebody by a link that is handed over.
	createLink := func(ctx context.Context, o *organization, by person) (string, error) {
		made, err := invitations.CreateInvitation(ctx, &invitationv1.CreateInvitationRequest{
			OrganizationId: o.id, Role: "developer", Username: w.name(), DisplayName: "Grace Hopper"}, by.with)
		return lastSegment(made.GetLink()), err
	}
	// flip gives a member of the hot organization the other of two roles. Each caller has a member of its own.
	flip := func(ctx context.Context, o *organization, member int, by person) error {
		role := "viewer"
		if o.promoted[member] {
			role = "developer"
		}
		o.promoted[member] = !o.promoted[member]
		_, err := team.ChangeMemberRole(ctx, &membershipv1.ChangeMemberRoleRequest{
			OrganizationId: o.id, AccountId: o.members[member].id, Role: role}, by.with)
		return err
	}
	// batch asks what somebody may do, so many times over: of members and permissions in turn.
	batch := func(questions int) call {
		return func(ctx context.Context, _ int) error {
			o := w.any()
			req := &membershipv1.BatchCheckAccessRequest{OrganizationId: o.id}
			for i := range questions {
				req.Questions = append(req.Questions, &membershipv1.BatchCheckAccessRequest_Question{
					AccountId: o.members[i%len(o.members)].id, Permission: asked[i%len(asked)]})
			}
			answer, err := access.BatchCheckAccess(ctx, req, o.members[rand.IntN(len(o.members))].with)
			if err == nil && !answer.GetAnswers()[0].GetAllowed() {
				return errDenied
			}
			return err
		}
	}
	flipped := cost{commits: 1, trips: 2}
	byLink := cost{commits: 4, trips: 12, calls: 4}

	return []figure{
		{name: empty, call: func(ctx context.Context, _ int) error {
			_, err := health.Check(ctx, &healthv1.HealthCheckRequest{})
			return err
		}},
		{name: emptySigned, call: func(ctx context.Context, i int) error {
			_, err := health.Check(ctx, &healthv1.HealthCheckRequest{}, w.people[i].with)
			return err
		}},
		{name: check, cost: cost{trips: 1}, call: func(ctx context.Context, _ int) error {
			o := w.any()
			who := o.members[rand.IntN(len(o.members))]
			answer, err := access.CheckAccess(ctx, &membershipv1.CheckAccessRequest{OrganizationId: o.id, Permission: "members.read"}, who.with)
			if err == nil && !answer.GetAllowed() {
				return errDenied
			}
			return err
		}},
		{name: checkOne, cost: cost{trips: 1}, call: batch(1)},
		{name: checkMany, cost: cost{trips: 1}, call: batch(100)},
		{name: checkMost, cost: cost{trips: 1}, call: batch(1000)},
		{name: catalogue, call: func(ctx context.Context, i int) error {
			_, err := roles.ListPermissions(ctx, &membershipv1.ListPermissionsRequest{}, w.people[i].with)
			return err
		}},
		{name: restNowhere, call: func(ctx context.Context, i int) error {
			return w.rest(ctx, http.MethodGet, "/v1/nowhere", "", w.people[i], http.StatusNotFound)
		}},
		{name: restList, cost: cost{calls: 1}, call: func(ctx context.Context, i int) error {
			return w.rest(ctx, http.MethodGet, "/v1/permissions", "", w.people[i], http.StatusOK)
		}},
		{name: restCheck, cost: cost{trips: 1, calls: 1}, call: func(ctx context.Context, _ int) error {
			o := w.any()
			who := o.members[rand.IntN(len(o.members))]
			return w.rest(ctx, http.MethodPost, "/v1/access:check", `{"organizationId":"`+o.id+`","permission":"members.read"}`, who, http.StatusOK)
		}},
		{name: pgbench, cost: cost{commits: 1, trips: 7}, run: y.run("spread.sql")},
		{name: pgbenchHot, cost: cost{commits: 1, trips: 7}, run: y.run("hot.sql")},
		{name: change, cost: flipped, call: func(ctx context.Context, i int) error {
			for {
				o := w.any()
				if !o.mu.TryLock() { // one flip at a time, so that each changes something
					continue
				}
				defer o.mu.Unlock()
				return flip(ctx, o, rand.IntN(len(o.members)), o.owner)
			}
		}},
		{name: changeHot, cost: flipped, call: func(ctx context.Context, i int) error {
			return flip(ctx, w.hot, i, w.admins[i%len(w.admins)])
		}},
		{name: changeOne, cost: flipped, call: func(ctx context.Context, i int) error {
			return flip(ctx, w.hot, i, w.hot.owner)
		}},
		{name: inviteLink, cost: byLink, call: func(ctx context.Context, _ int) error {
			o := w.any()
			link, err := createLink(ctx, o, o.owner)
			if err == nil {
				w.invited.put(invited{o, link})
			}
			return err
		}},
		{name: inviteHot, cost: byLink, call: func(ctx context.Context, i int) error {
			_, err := createLink(ctx, w.hot, w.admins[i%len(w.admins)])
			return err
		}},
		{name: inviteMail, cost: cost{commits: 3, trips: 12, calls: 5}, call: func(ctx context.Context, _ int) error {
			o := w.portal[rand.IntN(len(w.portal))]
			_, err := invitations.CreateInvitation(ctx, &invitationv1.CreateInvitationRequest{
				OrganizationId: o.id, Role: "member", Email: w.name() + "@example.com"}, o.owner.with)
			return err
		}},
		{name: accept, cost: cost{commits: 5, trips: 12, calls: 4}, call: func(ctx context.Context, _ int) error {
			inv, err := w.invited.take()
			if err != nil {
				return err
			}
			p, ok := inv.to.leave()
			if !ok {
				return errSkip // everybody has joined
			}
			if err := w.accept(ctx, p, inv.link); err != nil {
				return err
			}
			w.accepted.put(accepted{inv.to, p})
			return nil
		}, then: w.invited.clear},
		{name: remove, cost: cost{commits: 3, trips: 6, calls: 1}, call: func(ctx context.Context, _ int) error {
			member, err := w.accepted.take()
			if err != nil {
				return err
			}
			_, err = team.RemoveMember(ctx, &membershipv1.RemoveMemberRequest{
				OrganizationId: member.by.id, AccountId: member.id}, member.by.owner.with)
			if err == nil {
				member.by.comeBack(member.person)
			}
			return err
		}},
	}
}

// eventFigures are about the way of an event, and about the commits at its beginning.
func eventFigures(r *rig, y *yardstick, callers int) []figure {
	reserved := cost{commits: 1, trips: 1}
	var heard sample
	all := []figure{
		{name: publishOne, run: r.broker.latency},
		{name: bareOne, cost: cost{commits: 1, trips: 1}, run: y.bareLatency(r.broker)},
		{name: eventOne, cost: reserved, run: r.latency},
		{name: publishMany, run: r.broker.publish},
		{name: bareMany, run: y.bareDrain(r.broker)},
		{name: eventMany, run: r.drain(&heard)},
		{name: eventHeard, run: func(context.Context, time.Duration) (sample, error) { return heard, nil }},
		{name: flight, cost: cost{commits: 1, trips: 1}, call: y.flight(false)},
		{name: flightHot, cost: cost{commits: 1, trips: 1}, call: y.flight(true)},
		{name: reserve, cost: reserved, call: r.inService(false)},
		{name: reserveHot, cost: reserved, call: r.inService(true)},
		{name: reserveBusy, cost: reserved, run: r.relaying(callers, r.inService(false))},
		{name: reserveRPC, cost: cost{commits: 1, trips: 1, calls: 1}, call: r.remotely(false)},
		{name: reserveRPCHot, cost: cost{commits: 1, trips: 1, calls: 1}, call: r.remotely(true)},
	}
	for i := range all {
		all[i].server = r.broker.pid()
	}
	return all
}

var errDenied = errors.New("CheckAccess denied a member")

// rest makes one request and reads the whole answer.
func (w *world) rest(ctx context.Context, method, path, body string, by person, want int) error {
	req, err := http.NewRequestWithContext(ctx, method, w.URL+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+by.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := w.web.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != want {
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return nil
}
