package load

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"

	"google.golang.org/grpc"

	billingv1 "github.com/rosterhq/roster/pkg/gen/roster/billing/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/newcomer"
	"github.com/rosterhq/roster/services/internal/verify"
)

// moves are what clients do, and how often.
var moves = []struct {
	weight int
	do     func(*Load, *client, *organization)
}{
	{30, (*Load).check}, {8, (*Load).get}, {3, (*Load).list}, {8, (*Load).usage},
	{12, (*Load).invite}, {12, (*Load).answer}, {3, (*Load).race}, {3, (*Load).revoke}, {3, (*Load).resend}, {1, (*Load).decline},
	{6, (*Load).changeRole}, {4, (*Load).disable}, {4, (*Load).enable}, {5, (*Load).remove},
	{2, (*Load).rename}, {2, (*Load).setLimit},
}

// act makes one move.
func (l *Load) act(c *client) {
	o := l.pick(c)
	total := 0
	for _, m := range moves {
		total += m.weight
	}
	n := c.rand.IntN(total)
	for _, m := range moves {
		if n -= m.weight; n < 0 {
			m.do(l, c, o)
			return
		}
	}
}

// operation begins one.
func (o *organization) operation(verb verify.Verb, actor, target *person) Operation {
	return Operation{Operation: verify.Operation{Verb: verb, OrganizationID: o.id, AccountID: target.account()}, ActorID: actor.account()}
}

// change begins one that has a request id.
func (l *Load) change(o *organization, verb verify.Verb, actor, target *person) Operation {
	op := o.operation(verb, actor, target)
	op.RequestID = l.name("do")
	return op
}

// permissions that are asked about: each divides the roles in another way.
var permissions = []string{"products.use", "members.remove", "resources.write", "org.read"}

func (l *Load) check(c *client, o *organization) {
	l.ask(c, o, o.anyone(c), permissions[c.rand.IntN(len(permissions))])
}

func (l *Load) ask(c *client, o *organization, target *person, permission string) {
	asker := o.owner
	if target.token != "" && chance(c.rand, 2) {
		asker = target
	}
	op := o.operation(CheckAccess, asker, target)
	op.Permission = permission
	var answer *membershipv1.CheckAccessResponse
	l.do(c, &op, asker, func(ctx context.Context, conn grpc.ClientConnInterface) (err error) {
		answer, err = membershipv1.NewAccessServiceClient(conn).CheckAccess(ctx, &membershipv1.CheckAccessRequest{
			OrganizationId: o.id, AccountId: target.id, Permission: permission})
		return err
	}, func() { op.Decision = strings.TrimPrefix(answer.GetDecision().String(), "DECISION_") })
}

func (l *Load) get(c *client, o *organization) { l.read(c, o, o.anyone(c)) }

func (l *Load) read(c *client, o *organization, target *person) {
	op := o.operation(GetMember, o.owner, target)
	var answer *membershipv1.GetMemberResponse
	l.do(c, &op, o.owner, func(ctx context.Context, conn grpc.ClientConnInterface) (err error) {
		answer, err = membershipv1.NewMemberServiceClient(conn).GetMember(ctx, &membershipv1.GetMemberRequest{OrganizationId: o.id, AccountId: target.id})
		return err
	}, func() {
		op.Role, op.State = answer.GetMember().GetRole(), strings.TrimPrefix(answer.GetMember().GetState().String(), "STATE_")
	})
}

// list notes what the list says of each of the cast, also of those who are not in it, and of each as often as they are.
func (l *Load) list(c *client, o *organization) {
	known := o.everyone()
	op := o.operation(ListPeople, o.owner, nil)
	var answer *membershipv1.ListPeopleResponse
	l.do(c, &op, o.owner, func(ctx context.Context, conn grpc.ClientConnInterface) (err error) {
		answer, err = membershipv1.NewMemberServiceClient(conn).ListPeople(ctx, &membershipv1.ListPeopleRequest{
			OrganizationId: o.id, PageSize: 500, View: membershipv1.ListPeopleRequest_VIEW_MEMBERS})
		return err
	}, nil)
	if op.Outcome != verify.OK {
		return
	}
	for _, p := range known {
		op.AccountID, op.State, op.Role = p.id, "", ""
		listed := 0
		for _, row := range answer.GetPeople() {
			if row.GetAccountId() == p.id {
				op.State, op.Role = strings.TrimPrefix(row.GetState().String(), "STATE_"), row.GetRole()
				l.history.add(op)
				listed++
			}
		}
		switch listed {
		case 0:
			l.history.add(op)
		case 1:
		default: // nobody is two
			op.State = "DOUBLED"
			l.history.add(op)
		}
	}
}

func (l *Load) usage(c *client, o *organization) {
	op := o.operation(GetSeatUsage, o.owner, nil)
	var answer *billingv1.GetSeatUsageResponse
	l.do(c, &op, o.owner, func(ctx context.Context, conn grpc.ClientConnInterface) (err error) {
		answer, err = billingv1.NewSeatUsageServiceClient(conn).GetSeatUsage(ctx, &billingv1.GetSeatUsageRequest{OrganizationId: o.id})
		return err
	}, func() { op.Used, op.Total = answer.GetUsage().GetUsed(), answer.GetUsage().Total })
}

// look is how an organization ended.
func (l *Load) look(c *client, o *organization) {
	l.usage(c, o)
	for _, p := range o.everyone() {
		l.read(c, o, p)
		l.ask(c, o, p, permissions[0])
	}
}

// invite invites somebody: by a link for whoever holds it, where the policy has links, or by mail.
func (l *Load) invite(c *client, o *organization) {
	i := &invitation{role: o.role(c)}
	req := &invitationv1.CreateInvitationRequest{OrganizationId: o.id, Role: i.role, DisplayName: "Grace Hopper"}
	byMail := true
	if o.preset == membershipv1.Preset_PRESET_PIPELINE {
		req.Username = l.name("grace-")
		byMail = chance(c.rand, 4)
	}
	actor := o.actor(c, nil)
	op := l.change(o, verify.Invite, actor, nil)
	op.Role, req.RequestId = i.role, op.RequestID
	if byMail {
		if i.invitee = o.address(c); i.invitee != nil {
			i.email = i.invitee.email
		} else {
			i.email = l.name("grace-") + "@example.com"
			op.Email = i.email
		}
		req.Email = i.email
	}
	var answer *invitationv1.CreateInvitationResponse
	l.do(c, &op, actor, func(ctx context.Context, conn grpc.ClientConnInterface) (err error) {
		answer, err = invitationv1.NewInvitationServiceClient(conn).CreateInvitation(ctx, req)
		return err
	}, func() {
		i.id = answer.GetInvitation().GetId()
		op.InvitationID = i.id
		if token, found := follow(answer.GetLink(), "/invite/"); found {
			i.links = append(i.links, token)
			op.Link = label(token)
		}
	})
	switch op.Outcome {
	case verify.OK:
		o.put(i)
	case verify.Refused:
		o.leave(i.invitee)
	}
}

// link returns the newest link of an invitation; "": its mail has not come yet.
func (l *Load) link(o *organization, i *invitation) string {
	if len(i.links) > 0 {
		return i.links[len(i.links)-1]
	}
	token, err := l.received(i.email, "/invite/"+o.id+".")
	if err != nil {
		return ""
	}
	return o.id + "." + token
}

// answer lets somebody accept: whom it is for, whoever holds the link, somebody without an account, several at once, one
// with a link that is void, one who is a member already.
func (l *Load) answer(c *client, o *organization) {
	i := o.take(c, func(*invitation) bool { return true })
	if i == nil {
		l.invite(c, o)
		return
	}
	link := l.link(o, i)
	if link == "" {
		o.put(i)
		return
	}
	var who []*person
	switch {
	case i.invitee != nil:
		who = append(who, i.invitee)
		if chance(c.rand, 3) { // twice at once
			who = append(who, i.invitee)
		}
	case i.email != "":
		l.acceptAnew(c, o, i, link)
		return
	default:
		if len(i.links) > 1 && chance(c.rand, 2) {
			if p := o.enter(c); p != nil {
				l.accept(c, o, i, i.links[0], p)
			}
		}
		select {
		case <-l.fresh.C:
			l.acceptAnew(c, o, i, link)
			return
		default:
		}
		for len(who) == 0 || chance(c.rand, 3) && len(who) < 4 {
			p := o.enter(c)
			if p == nil {
				break
			}
			who = append(who, p)
		}
		if m := o.somebody(c, func(member) bool { return true }); m != nil && (len(who) == 0 || chance(c.rand, 10)) {
			who = append(who, m) // who is one already
		}
	}
	if len(who) == 0 {
		o.put(i)
		return
	}
	l.accept(c, o, i, link, who...)
}

// atOnce lets as many clients do something at the same time.
func (l *Load) atOnce(c *client, n int, do func(*client, int)) {
	var acting sync.WaitGroup
	for i := range n {
		other := &client{number: c.number, rand: rand.New(rand.NewPCG(c.rand.Uint64(), 0))}
		acting.Go(func() { do(other, i) })
	}
	acting.Wait()
}

// accept lets people accept at the same time, some of them perhaps twice, and notes what became of each. Whoever was told
// nothing takes no part in anything from then on.
func (l *Load) accept(c *client, o *organization, i *invitation, link string, who ...*person) {
	told := make([]Operation, len(who))
	l.atOnce(c, len(who), func(c *client, n int) {
		told[n] = o.operation(verify.Accept, who[n], who[n])
		told[n].InvitationID, told[n].Role, told[n].Link = i.id, i.role, label(link)
		l.do(c, &told[n], who[n], func(ctx context.Context, conn grpc.ClientConnInterface) error {
			_, err := invitationv1.NewInvitationServiceClient(conn).AcceptInvitation(ctx, &invitationv1.AcceptInvitationRequest{LinkToken: link})
			return err
		}, nil)
	})
	best := make(map[*person]verify.Outcome)
	for n, op := range told {
		if best[who[n]] != verify.OK && (op.Outcome != verify.Refused || best[who[n]] == "") {
			best[who[n]] = op.Outcome
		}
		if op.Reason == "ALREADY_MEMBER" {
			best[who[n]] = verify.Unknown // whatever we believed
		}
	}
	for p, outcome := range best {
		switch outcome {
		case verify.OK:
			o.joined(p, member{role: i.role})
		case verify.Refused:
			o.leave(p)
		}
	}
}

// acceptAnew lets somebody accept who has no account, and gets one by it.
func (l *Load) acceptAnew(c *client, o *organization, i *invitation, link string) {
	op := o.operation(verify.Accept, nil, nil)
	op.InvitationID, op.Role, op.Link = i.id, i.role, label(link)
	var answer *invitationv1.AcceptInvitationResponse
	l.do(c, &op, nil, func(ctx context.Context, conn grpc.ClientConnInterface) (err error) {
		answer, err = invitationv1.NewInvitationServiceClient(conn).AcceptInvitation(ctx, &invitationv1.AcceptInvitationRequest{
			LinkToken: link, Password: newcomer.Password, DisplayName: "Grace Hopper", Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		return err
	}, func() { op.AccountID = answer.GetAccountId() })
	if op.Outcome != verify.OK {
		return
	}
	who := &person{id: answer.GetAccountId(), token: answer.GetSessionToken()}
	if o.preset == membershipv1.Preset_PRESET_RBAC { // the organization manages the account, and who is disabled is signed out
		who.token = ""
	}
	o.joined(who, member{role: i.role})
}

// race lets an acceptance run against what takes the link away.
func (l *Load) race(c *client, o *organization) {
	i := o.take(c, func(i *invitation) bool { return i.invitee == nil && len(i.links) > 0 })
	if i == nil {
		return
	}
	who := o.enter(c)
	if who == nil {
		o.put(i)
		return
	}
	link := i.links[len(i.links)-1]
	against := []func(*client){
		func(c *client) { l.end(c, o, i) },
		func(c *client) { l.say(c, o, i, link) },
		func(c *client) { l.renew(c, o, i) },
	}[c.rand.IntN(3)]
	l.atOnce(c, 2, func(c *client, n int) {
		if n == 0 {
			l.accept(c, o, i, link, who)
			return
		}
		against(c)
	})
}

func (l *Load) revoke(c *client, o *organization) {
	if i := o.take(c, func(*invitation) bool { return true }); i != nil {
		l.end(c, o, i)
	}
}

// end takes an invitation back.
func (l *Load) end(c *client, o *organization, i *invitation) {
	actor := o.actor(c, nil)
	op := l.change(o, verify.Revoke, actor, nil)
	op.InvitationID = i.id
	var answer *invitationv1.RevokeInvitationResponse
	l.do(c, &op, actor, func(ctx context.Context, conn grpc.ClientConnInterface) (err error) {
		answer, err = invitationv1.NewInvitationServiceClient(conn).RevokeInvitation(ctx, &invitationv1.RevokeInvitationRequest{
			OrganizationId: o.id, InvitationId: i.id, RequestId: op.RequestID})
		return err
	}, func() { op.SeatReleased = answer.GetSeatReleased() })
	if op.Outcome == verify.OK {
		o.leave(i.invitee)
	}
}

func (l *Load) decline(c *client, o *organization) {
	i := o.take(c, func(*invitation) bool { return true })
	if i == nil {
		return
	}
	link := l.link(o, i)
	if link == "" {
		o.put(i)
		return
	}
	l.say(c, o, i, link)
}

// say says no.
func (l *Load) say(c *client, o *organization, i *invitation, link string) {
	op := o.operation(verify.Decline, nil, nil)
	op.InvitationID, op.Link = i.id, label(link)
	l.do(c, &op, nil, func(ctx context.Context, conn grpc.ClientConnInterface) error {
		_, err := invitationv1.NewInvitationServiceClient(conn).DeclineInvitation(ctx, &invitationv1.DeclineInvitationRequest{LinkToken: link})
		return err
	}, nil)
	if op.Outcome == verify.OK {
		o.leave(i.invitee)
	}
}

func (l *Load) resend(c *client, o *organization) {
	if i := o.take(c, func(*invitation) bool { return true }); i != nil && l.renew(c, o, i) {
		o.put(i)
	}
}

// renew sends an invitation again, and tells whether it still waits.
func (l *Load) renew(c *client, o *organization, i *invitation) bool {
	actor := o.actor(c, nil)
	op := l.change(o, verify.Resend, actor, nil)
	op.InvitationID = i.id
	var answer *invitationv1.ResendInvitationResponse
	l.do(c, &op, actor, func(ctx context.Context, conn grpc.ClientConnInterface) (err error) {
		answer, err = invitationv1.NewInvitationServiceClient(conn).ResendInvitation(ctx, &invitationv1.ResendInvitationRequest{
			OrganizationId: o.id, InvitationId: i.id, RequestId: op.RequestID})
		return err
	}, func() {
		if token, found := follow(answer.GetLink(), "/invite/"); found {
			i.links = append(i.links, token)
			op.Link = label(token)
		}
	})
	return op.Outcome == verify.OK
}

func (l *Load) changeRole(c *client, o *organization) {
	target := o.somebody(c, func(member) bool { return true })
	if target == nil {
		return
	}
	actor := o.actor(c, target)
	op := l.change(o, verify.ChangeRole, actor, target)
	op.Role = o.role(c)
	l.do(c, &op, actor, func(ctx context.Context, conn grpc.ClientConnInterface) error {
		_, err := membershipv1.NewMemberServiceClient(conn).ChangeMemberRole(ctx, &membershipv1.ChangeMemberRoleRequest{
			OrganizationId: o.id, AccountId: target.id, Role: op.Role, RequestId: op.RequestID})
		return err
	}, func() { o.change(target, func(m *member) { m.role = op.Role }) })
}

func (l *Load) disable(c *client, o *organization) {
	target := o.somebody(c, func(m member) bool { return !m.disabled || chance(c.rand, 10) })
	if target == nil {
		return
	}
	actor := o.actor(c, target)
	op := l.change(o, verify.Disable, actor, target)
	var answer *membershipv1.DisableMemberResponse
	l.do(c, &op, actor, func(ctx context.Context, conn grpc.ClientConnInterface) (err error) {
		answer, err = membershipv1.NewMemberServiceClient(conn).DisableMember(ctx, &membershipv1.DisableMemberRequest{
			OrganizationId: o.id, AccountId: target.id, RequestId: op.RequestID})
		return err
	}, func() {
		op.SeatReleased = answer.GetSeatReleased()
		o.change(target, func(m *member) { m.disabled = true })
	})
}

func (l *Load) enable(c *client, o *organization) {
	target := o.somebody(c, func(m member) bool { return m.disabled || chance(c.rand, 20) })
	if target == nil {
		return
	}
	actor := o.actor(c, target)
	op := l.change(o, verify.Enable, actor, target)
	l.do(c, &op, actor, func(ctx context.Context, conn grpc.ClientConnInterface) error {
		_, err := membershipv1.NewMemberServiceClient(conn).EnableMember(ctx, &membershipv1.EnableMemberRequest{
			OrganizationId: o.id, AccountId: target.id, RequestId: op.RequestID})
		return err
	}, func() { o.change(target, func(m *member) { m.disabled = false }) })
}

func (l *Load) remove(c *client, o *organization) {
	target := o.somebody(c, func(member) bool { return true })
	if target == nil {
		return
	}
	was, in := o.expel(target)
	if !in {
		return
	}
	actor := o.actor(c, target)
	op := l.change(o, verify.Remove, actor, target)
	var answer *membershipv1.RemoveMemberResponse
	l.do(c, &op, actor, func(ctx context.Context, conn grpc.ClientConnInterface) (err error) {
		answer, err = membershipv1.NewMemberServiceClient(conn).RemoveMember(ctx, &membershipv1.RemoveMemberRequest{
			OrganizationId: o.id, AccountId: target.id, RequestId: op.RequestID})
		return err
	}, func() { op.SeatReleased = answer.GetSeatReleased() })
	switch op.Outcome {
	case verify.OK:
		o.leave(target)
	case verify.Refused:
		o.joined(target, was)
	}
}

func (l *Load) rename(c *client, o *organization) {
	op := l.change(o, verify.UpdateOrganization, o.owner, nil)
	name := l.name("Difference Engines ")
	l.do(c, &op, o.owner, func(ctx context.Context, conn grpc.ClientConnInterface) error {
		_, err := membershipv1.NewOrganizationServiceClient(conn).UpdateOrganization(ctx, &membershipv1.UpdateOrganizationRequest{
			OrganizationId: o.id, DisplayName: name, RequestId: op.RequestID})
		return err
	}, nil)
}

// setLimit moves the limit to one that it is not, now and then above what anybody needs.
func (l *Load) setLimit(c *client, o *organization) {
	o.mu.Lock()
	was := o.limit
	if o.limiting {
		o.mu.Unlock()
		return
	}
	o.limiting = true
	o.mu.Unlock()
	limit := int32(2 + c.rand.IntN(cast))
	if was != nil && *was == limit {
		limit += cast
	}
	op := l.change(o, verify.SetSeatLimit, nil, nil)
	op.Limit = &limit
	l.do(c, &op, l.operator, func(ctx context.Context, conn grpc.ClientConnInterface) error {
		_, err := billingv1.NewSeatLimitServiceClient(conn).SetSeatLimit(ctx, &billingv1.SetSeatLimitRequest{
			OrganizationId: o.id, Limit: &limit, Reason: "load", RequestId: op.RequestID})
		return err
	}, nil)
	if op.Outcome != verify.OK {
		return // nobody knows what the limit is
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.limit, o.limiting = &limit, false
}
