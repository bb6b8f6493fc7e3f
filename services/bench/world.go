package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/newcomer"
)

const (
	members = 3 // of an organization, beside its owner
	portals = 50
	atOnce  = 4 // calls under way while the world is made
)

// world is what the load is put on, made through the public API.
type world struct {
	*suite
	people []person
	spread []*organization // pipeline: people join by link
	hot    *organization   // pipeline: a member for each caller, and admins
	admins []person        // of hot
	portal []*organization // portal: people are invited by mail

	invited  pile[invited]
	accepted pile[accepted]
	names    atomic.Int64
}

// person has an account and a session.
type person struct {
	id    string
	email string
	with  grpc.CallOption // the session
	token string
}

// organization is one with the people who belong to it.
type organization struct {
	id      string
	owner   person
	members []person

	mu       sync.Mutex
	outside  []person // who could join
	promoted []bool   // by place in members: which of two roles it has
}

type invited struct {
	to   *organization
	link string
}

type accepted struct {
	by *organization
	person
}

// settle makes people and organizations.
func settle(ctx context.Context, s *suite, c config) (*world, error) {
	w := &world{suite: s, people: make([]person, c.people), spread: make([]*organization, c.organizations), portal: make([]*organization, min(portals, c.organizations))}
	err := each(ctx, c.people, func(ctx context.Context, i int) (err error) {
		w.people[i], err = w.signUp(ctx, fmt.Sprintf("ada-%d@example.com", i))
		return err
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, c.organizations, func(ctx context.Context, i int) (err error) {
		if w.spread[i], err = w.found(ctx, i, membershipv1.Preset_PRESET_PIPELINE); err != nil {
			return err
		}
		return w.join(ctx, w.spread[i], members, "developer")
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, len(w.portal), func(ctx context.Context, i int) (err error) {
		w.portal[i], err = w.found(ctx, i, membershipv1.Preset_PRESET_PORTAL)
		return err
	})
	if err != nil {
		return nil, err
	}
	if w.hot, err = w.found(ctx, 0, membershipv1.Preset_PRESET_PIPELINE); err != nil {
		return nil, err
	}
	if err := w.join(ctx, w.hot, max(1, c.callers/2), "admin"); err != nil {
		return nil, err
	}
	w.admins = append(w.admins, w.hot.members...)
	w.hot.members, w.hot.promoted = nil, nil
	return w, w.join(ctx, w.hot, c.callers, "developer")
}

// each does something n times, a few at once.
func each(ctx context.Context, n int, do func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// signUp makes a person.
func (w *world) signUp(ctx context.Context, email string) (person, error) {
	p, err := newcomer.SignUp(ctx, w.conn, w.mailed, email)
	return person{id: p.ID, email: p.Email, with: bearer(p.Session), token: p.Session}, err
}

// bearer sends a credential with a call.
func bearer(token string) grpc.CallOption {
	return grpc.PerRPCCredentials(header(token))
}

type header string

func (h header) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(h)}, nil
}
func (header) RequireTransportSecurity() bool { return false }

// mailed waits for a mail and returns the last segment of a link in it.
func (w *world) mailed(ctx context.Context, to, part string) (string, error) {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		body, err := w.get(ctx, w.URL+"/dev/mail/messages?to="+url.QueryEscape(to))
		if err != nil {
			return "", err
		}
		var inbox struct{ Messages []struct{ Links []string } }
		if err := json.Unmarshal(body, &inbox); err != nil {
			return "", err
		}
		for _, m := range inbox.Messages {
			for _, link := range m.Links {
				if strings.Contains(link, part) {
					return lastSegment(link), nil
				}
			}
		}
	}
	return "", errors.New("no mail to " + to)
}

func lastSegment(link string) string { return link[strings.LastIndexByte(link, '/')+1:] }

// found makes an organization, owned by one of the people.
func (w *world) found(ctx context.Context, i int, preset membershipv1.Preset) (*organization, error) {
	owner := i % len(w.people)
	made, err := membershipv1.NewOrganizationServiceClient(w.conn).CreateOrganization(ctx,
		&membershipv1.CreateOrganizationRequest{DisplayName: fmt.Sprintf("Analytical Engines %d", i), Preset: preset}, w.people[owner].with)
	if err != nil {
		return nil, err
	}
	o := &organization{id: made.GetOrganization().GetId(), owner: w.people[owner]}
	for j := range w.people {
		if j != owner {
			o.outside = append(o.outside, w.people[j])
		}
	}
	rand.Shuffle(len(o.outside), func(a, b int) { o.outside[a], o.outside[b] = o.outside[b], o.outside[a] })
	return o, nil
}

// join makes people members.
func (w *world) join(ctx context.Context, o *organization, n int, role string) error {
	for range n {
		link, err := w.invite(ctx, o, role)
		if err != nil {
			return err
		}
		p, _ := o.leave()
		if err := w.accept(ctx, p, link); err != nil {
			return err
		}
		o.members = append(o.members, p)
		o.promoted = append(o.promoted, false)
	}
	return nil
}

// leave takes somebody from outside.
func (o *organization) leave() (p person, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.outside) == 0 {
		return p, false
	}
	p = o.outside[len(o.outside)-1]
	o.outside = o.outside[:len(o.outside)-1]
	return p, true
}

func (o *organization) comeBack(p person) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.outside = append(o.outside, p)
}

func (w *world) invite(ctx context.Context, o *organization, role string) (link string, err error) {
	made, err := invitationv1.NewInvitationServiceClient(w.conn).CreateInvitation(ctx, &invitationv1.CreateInvitationRequest{
		OrganizationId: o.id, Role: role, Username: w.name(), DisplayName: "Grace Hopper"}, o.owner.with)
	return lastSegment(made.GetLink()), err
}

func (w *world) accept(ctx context.Context, p person, link string) error {
	done, err := invitationv1.NewInvitationServiceClient(w.conn).AcceptInvitation(ctx, &invitationv1.AcceptInvitationRequest{LinkToken: link}, p.with)
	if err == nil && done.GetInvitation().GetState() != invitationv1.Invitation_STATE_ACCEPTED {
		return errors.New("the invitation is " + done.GetInvitation().GetState().String())
	}
	return err
}

// name is one that nobody has.
func (w *world) name() string { return fmt.Sprintf("grace-%d", w.names.Add(1)) }

// any returns one of the organizations that calls are spread over.
func (w *world) any() *organization { return w.spread[rand.IntN(len(w.spread))] }

// pile is what one figure makes and another takes.
type pile[T any] struct {
	mu    sync.Mutex
	items []T
}

func (p *pile[T]) put(item T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.items = append(p.items, item)
}

// take returns errNoMore when there is none.
func (p *pile[T]) take() (item T, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.items) == 0 {
		return item, errNoMore
	}
	item = p.items[len(p.items)-1]
	p.items = p.items[:len(p.items)-1]
	return item, nil
}

func (p *pile[T]) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.items = nil
}
