package org

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/id"
)

// Class is active members of whom the same is true: what they may do is decided once for all of them.
type Class struct {
	Role    id.Role
	Groups  []id.Group // directly
	Members int64
	First   []id.Account // the first of them, by id
	Gone    bool         `db:"-"` // they have no access any more
}

// World is what access in an organization as a whole follows from.
type World struct {
	Organization Organization
	Groups       Groups
}

// Allowed is what each of the class may do in the organization as a whole.
func (w World) Allowed(c Class) Set {
	if c.Gone {
		return nil
	}
	m := Member{State: MemberActive, Role: c.Role}
	for _, key := range c.Groups {
		if g, err := w.Groups.ByID(key); err == nil {
			m.Grants = append(m.Grants, w.Groups.grants(g, w.Organization.Roles)...)
		}
	}
	return w.Organization.Allowed(m, id.Project{})
}

// withRole returns the world with a role as it becomes.
func (w World) withRole(role Role) World {
	w.Organization.Roles = slices.Clone(w.Organization.Roles)
	for i, r := range w.Organization.Roles {
		if r.ID == role.ID {
			w.Organization.Roles[i] = role
		}
	}
	return w
}

// Proposal is a change that somebody thinks of.
type Proposal struct {
	After    World
	Whom     Holders           // it is about who has one of these,
	Accounts []id.Account      // or is one of these
	Becomes  func(Class) Class // what becomes of them by themselves; nil: nothing
	Refusal  error             // why the actor could not make it
}

// Propose is what an actor thinks of. Each verb of it runs the rule of the change itself.
type Propose struct {
	Actor Actor
	World World
}

// ChangeRole thinks of a member with another role.
func (p Propose) ChangeRole(target Member, key string, others bool) (Proposal, error) {
	role, err := p.World.Organization.Roles.Givable(key)
	if err != nil {
		return Proposal{}, err
	}
	return p.of(target, p.Actor.ChangeRole(&target, key, "", others), func(c Class) Class {
		c.Role = role.ID
		return c
	}), nil
}

// Disable thinks of a member without access.
func (p Propose) Disable(target Member, others bool, now time.Time) Proposal {
	_, refusal := p.Actor.Disable(&target, others, now)
	return p.of(target, refusal, gone)
}

// Remove thinks of the organization without a member.
func (p Propose) Remove(target Member, others bool) Proposal {
	_, refusal := p.Actor.Remove(&target, others)
	return p.of(target, refusal, gone)
}

func gone(c Class) Class {
	c.Gone = true
	return c
}

// Join thinks of a member in a group.
func (p Propose) Join(target Member, key id.Group, inside bool) (Proposal, error) {
	if _, err := p.World.Groups.ByID(key); err != nil {
		return Proposal{}, err
	}
	refusal := p.Actor.Enroll(target, p.World.Groups, key)
	if refusal == nil && inside {
		refusal = ErrInGroup
	}
	return p.of(target, refusal, func(c Class) Class {
		if !slices.Contains(c.Groups, key) {
			c.Groups = append(slices.Clone(c.Groups), key)
		}
		return c
	}), nil
}

// Leave thinks of a group without a member.
func (p Propose) Leave(target Member, key id.Group, inside bool) (Proposal, error) {
	if _, err := p.World.Groups.ByID(key); err != nil {
		return Proposal{}, err
	}
	refusal := p.Actor.Withdraw(target, p.World.Groups, key)
	if refusal == nil && !inside {
		refusal = ErrNoMember
	}
	return p.of(target, refusal, func(c Class) Class {
		c.Groups = slices.DeleteFunc(slices.Clone(c.Groups), func(g id.Group) bool { return g == key })
		return c
	}), nil
}

func (p Propose) of(target Member, refusal error, becomes func(Class) Class) Proposal {
	return Proposal{After: p.World, Accounts: []id.Account{target.Account}, Becomes: becomes, Refusal: refusal}
}

// EditRole thinks of a role that allows something else.
func (p Propose) EditRole(key id.Role, permissions []string) (Proposal, error) {
	role, known := p.World.Organization.Roles.ByID(key)
	if !known {
		return Proposal{}, ErrNoRole
	}
	words := role.Words()
	words.Permissions = permissions
	after := role
	var err error
	if after.Permissions, err = p.World.Organization.Registry.parse(permissions); err != nil {
		return Proposal{}, err
	}
	_, refusal := p.Actor.EditRole(role, words, "")
	whom := Holders{Roles: []id.Role{key}}
	for _, g := range p.World.Groups {
		if slices.ContainsFunc(g.Bindings, func(b Binding) bool { return b.Role == key }) {
			inside, _ := p.World.Groups.Inside(g.ID)
			whom.Groups = append(whom.Groups, inside...)
		}
	}
	return Proposal{After: p.World.withRole(after), Whom: whom, Refusal: refusal}, nil
}

// Bind thinks of a group that gives a role in the whole organization.
func (p Propose) Bind(group id.Group, key string) (Proposal, error) {
	_, _, _, refusal := p.Actor.BindRole(p.World.Groups, Binding{Group: group}, key)
	return p.bindings(group, key, refusal, func(bindings []Binding, b Binding) []Binding {
		if slices.Contains(bindings, b) {
			return bindings
		}
		return append(slices.Clone(bindings), b)
	})
}

// Unbind thinks of a group that no longer gives a role.
func (p Propose) Unbind(group id.Group, key string) (Proposal, error) {
	_, _, _, refusal := p.Actor.UnbindRole(p.World.Groups, Binding{Group: group}, key)
	return p.bindings(group, key, refusal, func(bindings []Binding, b Binding) []Binding {
		return slices.DeleteFunc(slices.Clone(bindings), func(other Binding) bool { return other == b })
	})
}

func (p Propose) bindings(group id.Group, key string, refusal error, becomes func([]Binding, Binding) []Binding) (Proposal, error) {
	inside, err := p.World.Groups.Inside(group)
	if err != nil {
		return Proposal{}, err
	}
	role, err := p.World.Organization.Roles.Givable(key)
	if err != nil {
		return Proposal{}, err
	}
	g, _ := p.World.Groups.ByID(group)
	g.Bindings = becomes(g.Bindings, Binding{Group: group, Role: role.ID})
	after := p.World
	after.Groups = after.Groups.with(g)
	return Proposal{After: after, Whom: Holders{Groups: inside}, Refusal: refusal}, nil
}

// Effect is what a change does about one permission.
type Effect struct {
	Permission string
	Gain, Lose int64 // how many may do it who could not, and how many may no longer
	Gainers    []id.Account
	Losers     []id.Account
}

// Effects compares what members may do as things are and as they would become, by permission.
func (p Proposal) Effects(before World, classes []Class) (effects []Effect) {
	of := make(map[string]*Effect)
	about := func(permission string) *Effect {
		if of[permission] == nil {
			of[permission] = &Effect{Permission: permission}
		}
		return of[permission]
	}
	for _, class := range classes {
		becomes := class
		if p.Becomes != nil {
			becomes = p.Becomes(class)
		}
		could, can := before.Allowed(class), p.After.Allowed(becomes)
		for _, permission := range can.Without(could) {
			e := about(permission)
			e.Gain += class.Members
			e.Gainers = append(e.Gainers, class.First...)
		}
		for _, permission := range could.Without(can) {
			e := about(permission)
			e.Lose += class.Members
			e.Losers = append(e.Losers, class.First...)
		}
	}
	for _, e := range of {
		e.Gainers, e.Losers = first(e.Gainers), first(e.Losers)
		effects = append(effects, *e)
	}
	slices.SortFunc(effects, func(a, b Effect) int { return strings.Compare(a.Permission, b.Permission) })
	return effects
}

// NamedInEffect is how many accounts an effect names on each side.
const NamedInEffect = 100

func first(accounts []id.Account) []id.Account {
	slices.SortFunc(accounts, func(a, b id.Account) int { return bytes.Compare(a[:], b[:]) })
	return accounts[:min(len(accounts), NamedInEffect)]
}

// ErrInGroup is the fault about somebody who is in the group already.
var ErrInGroup = fault.New(errorv1.Reason_REASON_ALREADY_MEMBER, "The member is in this group already.")
