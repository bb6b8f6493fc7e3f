package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/network"
	"github.com/rosterhq/roster/services/internal/newcomer"
)

// watcher removes members over the new primary, and asks the process at the old one about them all the time.
type watcher struct {
	organization string
	token        string   // of the owner's session
	members      []string // accounts
	conn         grpc.ClientConnInterface
	old          membershipv1.AccessServiceClient

	mu      sync.Mutex
	removed map[string]time.Time // when the removal had returned
	answers []answer
}

// answer is one of the process at the old primary.
type answer struct {
	account string
	asked   time.Time
	allowed bool
}

const watched = 5 // members

// watch makes an organization with members who can be removed.
func (s *stage) watch(ctx context.Context) (*watcher, error) {
	w := &watcher{conn: s.fleet.Conn(), removed: make(map[string]time.Time)}
	for _, p := range s.fleet.Of("membership") {
		if p.Name == stuck {
			conn, err := network.Plain().Dial("", "membership", s.fleet.Public(p))
			if err != nil {
				return nil, err
			}
			w.old = membershipv1.NewAccessServiceClient(conn)
		}
	}
	owner, err := newcomer.SignUp(ctx, w.conn, newcomer.In(s.fleet.Mail), "owner@example.com")
	if err != nil {
		return nil, err
	}
	w.token = owner.Session
	made, err := membershipv1.NewOrganizationServiceClient(w.conn).CreateOrganization(w.owner(ctx), &membershipv1.CreateOrganizationRequest{
		DisplayName: "Watched", Preset: membershipv1.Preset_PRESET_PIPELINE})
	if err != nil {
		return nil, err
	}
	w.organization = made.GetOrganization().GetId()
	invitations := invitationv1.NewInvitationServiceClient(w.conn)
	for n := range watched {
		sent, err := invitations.CreateInvitation(w.owner(ctx), &invitationv1.CreateInvitationRequest{
			OrganizationId: w.organization, DisplayName: "Watched", Username: fmt.Sprintf("watched-%d", n), Role: "developer"})
		if err != nil {
			return nil, err
		}
		accepted, err := invitations.AcceptInvitation(ctx, &invitationv1.AcceptInvitationRequest{
			LinkToken: secretOf(sent.GetLink()), Password: newcomer.Password, DisplayName: "Watched", Delivery: identityv1.Delivery_DELIVERY_TOKEN})
		if err != nil {
			return nil, err
		}
		w.members = append(w.members, accepted.GetAccountId())
	}
	return w, nil
}

// secretOf is the last part of a link.
func secretOf(link string) string { return link[strings.LastIndexByte(link, '/')+1:] }

func (w *watcher) owner(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+w.token)
}

// ask asks the process at the old primary until ctx ends.
func (w *watcher) ask(ctx context.Context) {
	var asking sync.WaitGroup
	for _, account := range w.members {
		asking.Go(func() {
			for ctx.Err() == nil {
				asked := time.Now()
				said, err := w.old.CheckAccess(w.owner(ctx), &membershipv1.CheckAccessRequest{
					OrganizationId: w.organization, AccountId: account, Permission: "products.use"})
				if err != nil {
					pause(ctx, 20*time.Millisecond)
				}
				w.mu.Lock()
				w.answers = append(w.answers, answer{account, asked, err == nil && said.GetAllowed()})
				w.mu.Unlock()
			}
		})
	}
	asking.Wait()
}

// removeAll removes the members one after the other, over whichever process does it.
func (w *watcher) removeAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*goal)
	defer cancel()
	members := membershipv1.NewMemberServiceClient(w.conn)
	for n, account := range w.members {
		for {
			within, done := context.WithTimeout(w.owner(ctx), 10*time.Second)
			_, err := members.RemoveMember(within, &membershipv1.RemoveMemberRequest{
				OrganizationId: w.organization, AccountId: account, RequestId: fmt.Sprintf("remove-%d", n)})
			done()
			if err == nil {
				break
			}
			if pause(ctx, 20*time.Millisecond) != nil {
				return fmt.Errorf("remove a member: %w", err)
			}
		}
		w.mu.Lock()
		w.removed[account] = time.Now()
		w.mu.Unlock()
	}
	return nil
}

// judge counts the answers, and names those that allowed what had been taken away when they were asked for.
func (w *watcher) judge() (asked int, stale []string) {
	for _, a := range w.answers {
		if at, gone := w.removed[a.account]; gone && a.allowed && a.asked.After(at) {
			stale = append(stale, fmt.Sprintf("%s is allowed %s after the removal", a.account, a.asked.Sub(at)))
		}
	}
	return len(w.answers), stale
}
