// Package load puts on a suite what many clients at once would: they make organizations, invite, accept, change and remove
// people and look at all that, over REST and gRPC, in each other's way on purpose. Whatever happens to the suite, a client
// repeats its request until it knows what became of it or gives up, and the history holds what each was told.
//
// It is for programs that break the suite meanwhile, and then ask whether the history can be true.
package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"

	"github.com/rosterhq/roster/services/internal/devmail"
	"github.com/rosterhq/roster/services/internal/newcomer"
)

// Config says on what to put the load, and how much. Numbers have defaults.
type Config struct {
	URLs    []string                 // of the gateways
	Conn    grpc.ClientConnInterface // to the public listeners of the services
	Inbox   *devmail.Inbox           // where the suite's mail arrives
	Claim   string                   // one-time token of the first operator, who sets seat limits
	History *History

	Seed          uint64
	Clients       int     // 24
	Rate          float64 // operations a second at most, 200
	People        int     // accounts to begin with, 32
	Organizations int     // in use at a time, 12
	Operations    int     // on one organization before another takes its place, 1200
}

// Load is a world of people and organizations, and clients who act in it.
type Load struct {
	config   Config
	history  *History
	edges    []func(*person) grpc.ClientConnInterface
	operator *person
	people   []*person
	tries    tries
	names    atomic.Int64
	fresh    *time.Ticker // when somebody may get a new account, whose password costs much to hash

	mu     sync.Mutex
	active []*organization
	all    []*organization
}

// client is one of those who act. One goroutine uses it.
type client struct {
	number int
	rand   *rand.Rand
}

// Prepare makes the people and the first organizations. Nothing may break meanwhile.
func Prepare(ctx context.Context, c Config) (*Load, error) {
	c.Clients, c.Rate, c.People = cmp.Or(c.Clients, 24), cmp.Or(c.Rate, 200), cmp.Or(c.People, 32)
	c.Organizations, c.Operations = cmp.Or(c.Organizations, 12), cmp.Or(c.Operations, 1200)
	if c.People <= cast {
		return nil, fmt.Errorf("an organization takes %d people", cast+1)
	}
	l := &Load{config: c, history: c.History, edges: edges(c), people: make([]*person, c.People), fresh: time.NewTicker(time.Second)}
	claimed, err := identityv1.NewOperatorServiceClient(c.Conn).ClaimOperator(ctx, &identityv1.ClaimOperatorRequest{Token: c.Claim})
	if err != nil {
		return nil, fmt.Errorf("claim operator: %w", err)
	}
	l.operator = &person{token: claimed.GetApiKey()}
	signing, within := errgroup.WithContext(ctx)
	signing.SetLimit(4)
	for i := range l.people {
		signing.Go(func() (err error) {
			l.people[i], err = l.signUp(within, fmt.Sprintf("ada-%d@example.com", i))
			return err
		})
	}
	if err := signing.Wait(); err != nil {
		return nil, fmt.Errorf("sign up: %w", err)
	}
	maker := l.client(0)
	for i := range c.Organizations {
		if l.found(maker) == nil {
			return nil, fmt.Errorf("organization %d was not made", i)
		}
	}
	return l, nil
}

func (l *Load) client(number int) *client {
	return &client{number: number, rand: rand.New(rand.NewPCG(l.config.Seed, uint64(number)))}
}

// Run lets the clients act until ctx ends, and waits for what they have under way.
func (l *Load) Run(ctx context.Context) {
	turn := time.NewTicker(time.Duration(float64(time.Second) / l.config.Rate))
	defer turn.Stop()
	var acting sync.WaitGroup
	for n := range l.config.Clients {
		acting.Go(func() {
			for c := l.client(n + 1); ; {
				select {
				case <-ctx.Done():
					return
				case <-turn.C:
					l.act(c)
				}
			}
		})
	}
	acting.Wait()
}

// Settle looks at everything once more. It is for when the suite has recovered: the answers say how everything ended.
func (l *Load) Settle() {
	work := make(chan *organization)
	var looking sync.WaitGroup
	for n := range l.config.Clients {
		looking.Go(func() {
			c := l.client(n + 1)
			for o := range work {
				l.look(c, o)
			}
		})
	}
	for _, o := range l.Organizations() {
		work <- o
	}
	close(work)
	looking.Wait()
}

// Organizations returns all that were ever made.
func (l *Load) Organizations() []*organization {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[:len(l.all):len(l.all)]
}

// Tries returns every call so far.
func (l *Load) Tries() []Try {
	l.tries.mu.Lock()
	defer l.tries.mu.Unlock()
	return l.tries.all[:len(l.tries.all):len(l.tries.all)]
}

// pick returns one of the organizations in use. The first is hot.
func (l *Load) pick(c *client) *organization {
	l.mu.Lock()
	o := l.active[0]
	if c.rand.IntN(5) > 0 {
		o = l.active[c.rand.IntN(len(l.active))]
	}
	l.mu.Unlock()
	if o.made.Add(1) != int64(l.config.Operations) {
		return o
	}
	if next := l.found(c); next != nil {
		return next
	}
	o.made.Store(0) // nobody could make another: this one stays in use
	return o
}

// person has an account and a session; without one, others only do things to them.
type person struct{ id, email, token string }

func (p *person) secret() string {
	if p == nil {
		return ""
	}
	return p.token
}

func (p *person) account() string {
	if p == nil {
		return ""
	}
	return p.id
}

// signUp makes a person.
func (l *Load) signUp(ctx context.Context, email string) (*person, error) {
	p, err := newcomer.SignUp(ctx, l.config.Conn, newcomer.In(l.config.Inbox), email)
	return &person{p.ID, p.Email, p.Session}, err
}

// errNoMail says that no mail has come yet.
var errNoMail = errors.New("no mail has come")

// received returns what follows the part in a link of a mail that is there already.
func (l *Load) received(to, part string) (string, error) {
	over, cancel := context.WithCancelCause(context.Background())
	cancel(errNoMail)
	return newcomer.In(l.config.Inbox)(over, to, part)
}
