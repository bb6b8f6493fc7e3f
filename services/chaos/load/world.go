package load

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/verify"
)

// cast is how many people have to do with an organization, beside its owner.
const cast = 10

// organization is one with what the clients believe about it. They may be wrong, which the history is not.
type organization struct {
	id     string
	preset membershipv1.Preset
	owner  *person
	cast   []*person
	made   atomic.Int64 // operations

	mu          sync.Mutex
	outside     []*person          // who could join, and is not about to
	inside      map[*person]member // who has joined, and is not about to be removed
	mailed      map[*person]bool   // who was invited by mail once; a second mail could not be told from the first
	invitations []*invitation      // that nobody is about to answer
	limit       *int32
	limiting    bool // somebody sets the limit, or has and was never told
}

type member struct {
	role     string
	disabled bool
}

// invitation waits for an answer.
type invitation struct {
	id, role string
	email    string   // whom it is for; empty: for whoever holds the link
	invitee  *person  // whose address that is; nil: nobody's yet
	links    []string // the tokens, newest last; none: they went out by mail
}

// given are the roles that can be given.
var given = map[membershipv1.Preset][]string{
	membershipv1.Preset_PRESET_PIPELINE: {"admin", "developer", "viewer"},
	membershipv1.Preset_PRESET_PORTAL:   {"admin", "member"},
	membershipv1.Preset_PRESET_RBAC:     {"admin", "member"},
	membershipv1.Preset_PRESET_FLAT:     {"member"},
}

// mixture of presets: the first by far makes the most kinds of invitations.
var mixture = []membershipv1.Preset{
	membershipv1.Preset_PRESET_PIPELINE, membershipv1.Preset_PRESET_PIPELINE, membershipv1.Preset_PRESET_PIPELINE,
	membershipv1.Preset_PRESET_PORTAL, membershipv1.Preset_PRESET_RBAC, membershipv1.Preset_PRESET_FLAT,
}

// found makes an organization and takes it into use, in the place of one that has had enough. Nil: it was not made.
func (l *Load) found(c *client) *organization {
	o := &organization{preset: mixture[c.rand.IntN(len(mixture))], inside: make(map[*person]member), mailed: make(map[*person]bool)}
	chosen := c.rand.Perm(len(l.people))
	o.owner = l.people[chosen[0]]
	for _, i := range chosen[1 : cast+1] {
		o.cast = append(o.cast, l.people[i])
	}
	o.outside = slices.Clone(o.cast)
	if !l.create(c, o) {
		return nil
	}
	l.setLimit(c, o)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, o)
	worn := slices.IndexFunc(l.active, func(other *organization) bool { return other.made.Load() >= int64(l.config.Operations) })
	if worn < 0 || len(l.active) < l.config.Organizations {
		l.active = append(l.active, o)
	} else {
		l.active[worn] = o
	}
	return o
}

func (l *Load) create(c *client, o *organization) bool {
	op := Operation{Operation: verify.Operation{Verb: verify.CreateOrganization, RequestID: l.name("new")},
		ActorID: o.owner.id, Preset: strings.ToLower(strings.TrimPrefix(o.preset.String(), "PRESET_"))}
	name := l.name("Analytical Engines ")
	l.do(c, &op, o.owner, func(ctx context.Context, conn grpc.ClientConnInterface) error {
		made, err := membershipv1.NewOrganizationServiceClient(conn).CreateOrganization(ctx, &membershipv1.CreateOrganizationRequest{
			DisplayName: name, Preset: o.preset, RequestId: op.RequestID})
		o.id = made.GetOrganization().GetId()
		op.OrganizationID = o.id
		return err
	}, nil)
	return op.Outcome == verify.OK
}

// name is one that nobody else has.
func (l *Load) name(stem string) string { return fmt.Sprintf("%s%d", stem, l.names.Add(1)) }

// enter takes somebody who could join.
func (o *organization) enter(c *client) *person {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.outside) == 0 {
		return nil
	}
	i := c.rand.IntN(len(o.outside))
	p := o.outside[i]
	o.outside = slices.Delete(o.outside, i, i+1)
	return p
}

// address takes somebody who could join, whom a mail can reach.
func (o *organization) address(c *client) *person {
	p := o.enter(c)
	if p == nil {
		return nil
	}
	o.mu.Lock()
	again := o.mailed[p] || p.email == ""
	o.mailed[p] = true
	o.mu.Unlock()
	if again {
		o.leave(p)
		return nil
	}
	return p
}

// leave brings somebody back who has not joined, or not any more.
func (o *organization) leave(p *person) {
	if p == nil || p.token == "" { // who has no session cannot accept
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, in := o.inside[p]; !in && !slices.Contains(o.outside, p) {
		o.outside = append(o.outside, p)
	}
}

// joined notes a member.
func (o *organization) joined(p *person, m member) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.inside[p] = m
	o.outside = slices.DeleteFunc(o.outside, func(other *person) bool { return other == p })
	if !slices.Contains(o.cast, p) { // somebody with a new account
		o.cast = append(o.cast, p)
	}
}

// change notes what became of a member, if they are one still.
func (o *organization) change(p *person, with func(*member)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if m, ok := o.inside[p]; ok {
		with(&m)
		o.inside[p] = m
	}
}

// anyone returns somebody of the cast.
func (o *organization) anyone(c *client) *person {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cast[c.rand.IntN(len(o.cast))]
}

// everyone returns the cast.
func (o *organization) everyone() []*person {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.cast)
}

// somebody returns a member for whom the condition holds; nil: there is none.
func (o *organization) somebody(c *client, is func(member) bool) *person {
	o.mu.Lock()
	defer o.mu.Unlock()
	var found []*person
	for _, p := range o.cast { // not the map, whose order no seed decides
		if m, ok := o.inside[p]; ok && is(m) {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found[c.rand.IntN(len(found))]
}

// actor is who does something to the target: mostly the owner, or else an admin.
func (o *organization) actor(c *client, target *person) *person {
	if c.rand.IntN(10) < 7 {
		return o.owner
	}
	admin := o.somebody(c, func(m member) bool { return m.role == "admin" || o.preset == membershipv1.Preset_PRESET_FLAT })
	if admin == nil || admin == target || admin.token == "" {
		return o.owner
	}
	return admin
}

func (o *organization) role(c *client) string {
	roles := given[o.preset]
	return roles[c.rand.IntN(len(roles))]
}

// expel takes a member away who is about to be removed.
func (o *organization) expel(p *person) (member, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m, ok := o.inside[p]
	delete(o.inside, p)
	return m, ok
}

func (o *organization) put(i *invitation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.invitations = append(o.invitations, i)
}

// take takes an invitation that fits; nil: there is none.
func (o *organization) take(c *client, fits func(*invitation) bool) *invitation {
	o.mu.Lock()
	defer o.mu.Unlock()
	var found []int
	for n, i := range o.invitations {
		if fits(i) {
			found = append(found, n)
		}
	}
	if len(found) == 0 {
		return nil
	}
	n := found[c.rand.IntN(len(found))]
	i := o.invitations[n]
	o.invitations = slices.Delete(o.invitations, n, n+1)
	return i
}

// label names a link without opening it.
func label(token string) string {
	if token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:6])
}

// follow returns what comes after the part.
func follow(link, part string) (string, bool) {
	_, after, found := strings.Cut(link, part)
	return after, found
}

// chance is true once in n times.
func chance(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }
