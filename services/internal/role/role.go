// Package role is what every service of the suite stands on when it runs: its database, its event log on the way to
// JetStream, its key, its servers, and who is calling. A service's Run reads: Start, dial, New, Serve.
package role

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rosterhq/roster/pkg/events"
	"github.com/rosterhq/roster/pkg/fault"
	eventv1 "github.com/rosterhq/roster/pkg/gen/roster/event/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/chain"
	"github.com/rosterhq/roster/services/internal/credential"
	"github.com/rosterhq/roster/services/internal/denial"
	"github.com/rosterhq/roster/services/internal/failpoint"
	"github.com/rosterhq/roster/services/internal/id"
	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/network"
	"github.com/rosterhq/roster/services/internal/outbox"
	"github.com/rosterhq/roster/services/internal/postgres"
	"github.com/rosterhq/roster/services/internal/reseal"
	"github.com/rosterhq/roster/services/internal/saga"
	"github.com/rosterhq/roster/services/internal/seal"
	"github.com/rosterhq/roster/services/internal/server"
	"github.com/rosterhq/roster/services/internal/telemetry"
)

// Check is a readiness check.
type Check = func(context.Context) error

// Base is a role that is not serving yet.
type Base struct {
	Name string
	Log  *slog.Logger

	common  Common
	network network.Network
	nats    *nats.Conn
	js      jetstream.JetStream
	servers []func(context.Context) error
	tasks   []func(context.Context) error // that run beside the servers, and a little longer
	closers []func()                      // in reverse
	serving atomic.Bool
}

// Open connects a role to the others. Close undoes it.
func Open(ctx context.Context, name string, c Common) (*Base, error) {
	b := &Base{Name: name, common: c, Log: c.Log}
	if b.Log == nil {
		b.Log = slog.Default()
	}
	b.Log = b.Log.With("role", name)
	for _, step := range []func(context.Context) error{b.openTelemetry, b.openNetwork, b.openNATS} {
		if err := step(ctx); err != nil {
			b.Close()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return b, nil
}

// Stateful is a role with a database and an event log.
type Stateful struct {
	*Base
	DB   *postgres.DB
	Key  *seal.Key
	Mail *mail.Queue

	config  Config
	relayed *postgres.DB // as the relay sees it
	sweeper *saga.Sweeper
}

// Start connects a service to what it stands on. Close undoes it.
func Start(ctx context.Context, name string, c Config) (*Stateful, error) {
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	base, err := Open(ctx, name, c.Common)
	if err != nil {
		return nil, err
	}
	s := &Stateful{Base: base, config: c}
	for _, step := range []func(context.Context) error{s.openKey, s.openDatabase, s.openMail} {
		if err := step(ctx); err != nil {
			s.Close()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return s, nil
}

// Close undoes Open and Start.
func (b *Base) Close() {
	for i := len(b.closers) - 1; i >= 0; i-- {
		b.closers[i]()
	}
	b.closers = nil
}

func (b *Base) openTelemetry(ctx context.Context) error {
	if b.common.Checks == nil {
		if err := b.startTelemetry(ctx); err != nil {
			return err
		}
	}
	b.common.Checks(b.Name, func(context.Context) error {
		if !b.serving.Load() {
			return errors.New("does not serve")
		}
		return nil
	})
	return nil
}

func (b *Base) startTelemetry(ctx context.Context) error {
	t, err := telemetry.Start(ctx, b.Name, telemetry.Options{Listen: b.common.Admin})
	if err != nil {
		return err
	}
	b.common.Checks = t.Ready
	b.closers = append(b.closers, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := t.Close(ctx); err != nil {
			b.Log.Warn("telemetry did not end well", "error", err)
		}
	})
	return nil
}

func (b *Base) openNetwork(context.Context) (err error) {
	if b.network = b.common.Network; b.network == nil {
		b.network, err = network.TLS(network.TLSFiles{Cert: b.common.TLSCert, Key: b.common.TLSKey, CA: b.common.TLSCA})
	}
	return err
}

func (b *Base) openNATS(context.Context) (err error) {
	if b.nats, err = connect(b.Name, b.common, b.Log); err != nil {
		return fmt.Errorf("NATS: %w", err)
	}
	b.closers = append(b.closers, b.nats.Close)
	b.common.Checks(b.Name+" NATS", func(context.Context) error { return usable(b.nats) })
	if b.js, err = jetstream.New(b.nats); err != nil {
		return fmt.Errorf("NATS: %w", err)
	}
	return nil
}

func (s *Stateful) openKey(context.Context) (err error) {
	if s.Key = s.config.Key; s.Key == nil {
		s.Key, err = seal.Load(s.config.KeyFile)
	}
	return err
}

// openDatabase opens the service's database twice: for its verbs, and for the relay, which sees the events of all
// tenants and nothing else.
func (s *Stateful) openDatabase(ctx context.Context) error {
	dsn, err := secret(s.config.DatabaseURL, s.config.DatabaseFile)
	if err != nil {
		return err
	}
	if s.DB, err = postgres.Open(ctx, s.Name, dsn, s.Key, postgres.Options{Conns: s.config.Conns, Tracing: telemetry.Exports()}); err != nil {
		return err
	}
	s.closers = append(s.closers, s.DB.Close)
	relayed, err := postgres.Open(ctx, s.Name, dsn, nil, postgres.Options{Role: postgres.RelayRole, Conns: 2})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, relayed.Close)
	s.relayed = relayed
	relay := outbox.NewRelay(relayed, s.js, s.config.NATSReplicas, s.Log)
	s.sweeper = &saga.Sweeper{DB: s.DB, Log: s.Log}
	s.DB.Committed = func(waiting postgres.Waiting) {
		if waiting&postgres.Relay != 0 {
			relay.Wake()
		}
		if waiting&postgres.Sweeper != 0 {
			s.sweeper.Wake()
		}
	}
	s.tasks = append(s.tasks, relay.Run, s.sweeper.Run, s.DB.Beats,
		func(ctx context.Context) error { return relayed.Forgets(ctx, s.Log) })
	s.common.Checks(s.Name+" database", s.DB.Pool.Ping)
	return nil
}

func (s *Stateful) openMail(context.Context) error {
	sender := s.config.Mail
	if sender == nil {
		password, err := secret("", s.config.SMTPPasswordFile)
		if err != nil {
			return err
		}
		sender = &mail.SMTP{Addr: s.config.SMTPAddr, From: s.config.SMTPFrom, Username: s.config.SMTPUsername,
			Password: password, TLS: s.config.SMTPTLS}
	}
	s.Mail = &mail.Queue{DB: s.DB, Sender: sender, Key: s.Key.Derive("mail")}
	return nil
}

// Chain verifies the service's histories of organizations, and signs beside the servers where they stand.
func (s *Stateful) Chain() *chain.Server {
	server := &chain.Server{DB: s.DB, JS: s.js, Key: s.Key.Derive("checkpoint")}
	signer := &chain.Signer{Server: server, Every: cmp.Or(s.config.Checkpoints, 5*time.Minute), Replicas: s.config.NATSReplicas, Log: s.Log}
	s.Beside(signer.Run)
	return server
}

// Dial returns a connection to another service, on which this one speaks for itself.
func (b *Base) Dial(service string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	conn, err := b.network.Dial(b.Name, service, b.common.address(service), options...)
	if err != nil {
		return nil, fmt.Errorf("%s: dial %s: %w", b.Name, service, err)
	}
	b.closers = append(b.closers, func() { conn.Close() })
	return conn, nil
}

// Either side of applying an event of another service: JetStream has not heard that it is.
var (
	beforeHandle = failpoint.New("consumer.before_handle")
	afterHandle  = failpoint.New("consumer.after_handle")
)

// Hear runs a durable consumer of other services' events beside the servers. It hears everything that these services
// publish, or it could not tell what is missing, and hands on the types that are wanted; all when types is empty. Handlers are
// idempotent, so what failed because something else is away is tried until that is back.
func (b *Base) Hear(name string, services, types []string, handle events.Handler) error {
	for _, t := range types {
		if !slices.Contains(events.Types(), t) {
			return fmt.Errorf("%s: hears %s, which is no event", b.Name, t)
		}
	}
	consumer, err := events.New(b.js, events.Config{
		Name: b.Name + "-" + name, Services: services, Log: b.Log, OnGap: b.goOn,
	}, func(ctx context.Context, e events.Event) error {
		if len(types) > 0 && !slices.Contains(types, e.Type) {
			return nil
		}
		beforeHandle.Hit(e.Type)
		err := handle(ctx, e)
		afterHandle.Hit(e.Type)
		if away(err) {
			return events.Later(err)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", b.Name, err)
	}
	b.tasks = append(b.tasks, consumer.Run)
	return nil
}

// goOn follows a history that was rewritten: what it tells next is what counts. What is only missing is waited for, until
// it is published again.
func (b *Base) goOn(ctx context.Context, g *events.GapError) error {
	if !g.Fork {
		return g
	}
	b.Log.ErrorContext(ctx, "following another history: the service lost events that were published", "error", g)
	return nil
}

// away tells whether an error comes from a database or another service that does not answer, or not now.
func away(err error) bool {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch refused.Code[:2] {
		case "08", "25", "40", "53", "55", "57", "58": // connection, read-only, conflict, resources, locks, shut down, system
			return true
		}
		return false
	}
	if f := fault.From(err); f != nil {
		return f.Code() == codes.Unavailable || f.Code() == codes.DeadlineExceeded || f.Code() == codes.ResourceExhausted
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Aborted:
		return true
	}
	_, dialed := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	return dialed || network || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// Sessions returns what exchanges a client's credential for a token of one of the services. It hears of identity which
// sessions and keys have ended.
func (b *Base) Sessions() (*credential.Resolver, identityv1.CredentialServiceClient, error) {
	identity, err := b.Dial("identity")
	if err != nil {
		return nil, nil, err
	}
	client := identityv1.NewCredentialServiceClient(identity)
	resolver := credential.NewResolver(client, time.Now)
	return resolver, client, b.hearEnds(resolver.Ended)
}

// hearEnds tells which sessions and keys end. It hears the events as they pass, and not the stream: what is missed is noticed at the next beat.
func (b *Base) hearEnds(ended *credential.Ended) error {
	told := make(chan *nats.Msg, 64<<10) // one channel, so that a beat does not overtake what was told before it
	var heard []*nats.Subscription
	for _, subject := range []string{"roster.v1.session.ended.>", "roster.v1.account.api_key_deleted.>", outbox.BeatSubject("identity")} {
		subscription, err := b.nats.ChanSubscribe(subject, told)
		if err != nil {
			return fmt.Errorf("hear which sessions and keys end: %w", err)
		}
		heard = append(heard, subscription)
	}
	b.Beside(func(ctx context.Context) error {
		var lost uint64
		doubtful := 0 // beats: the first after a reconnection may have been waiting here since before it
		for {
			select {
			case <-ctx.Done():
				return nil
			case m := <-told:
				if m.Subject != outbox.BeatSubject("identity") {
					if credential, ok := endOf(m.Data); ok {
						ended.End(credential)
					}
					continue
				}
				now := b.nats.Stats().Reconnects
				for _, subscription := range heard {
					dropped, _ := subscription.Dropped() // of a subscription that is closed, when nothing counts any more
					now += uint64(dropped)
				}
				if now != lost {
					lost, doubtful = now, 2
				}
				ended.Beat(doubtful > 0)
				doubtful = max(doubtful-1, 0)
			}
		}
	})
	return nil
}

// endOf returns the session or the key whose end an event tells.
func endOf(data []byte) (credential id.Any, ok bool) {
	event, err := events.Parse(data)
	if err != nil {
		return credential, false
	}
	message, err := event.Message()
	if err != nil {
		return credential, false
	}
	switch ended := message.(type) {
	case *eventv1.SessionEnded:
		session, err := id.ParseSession(ended.GetSessionId())
		return id.Any(session), err == nil
	case *eventv1.AccountApiKeyDeleted:
		key, err := id.ParseAPIKey(ended.GetApiKeyId())
		return id.Any(key), err == nil
	}
	return credential, false
}

// Service is what Serve serves.
type Service interface {
	Register(grpc.ServiceRegistrar)         // what clients call
	RegisterInternal(grpc.ServiceRegistrar) // what other services call
	Steps() map[string]saga.Step
	Sealed() []reseal.Column // beside the mails
}

// Serve serves until ctx ends, then drains.
func (s *Stateful) Serve(ctx context.Context, service Service) error {
	resealer := &reseal.Resealer{DB: s.DB, Relay: s.relayed, Key: s.Key, Columns: append(service.Sealed(), s.Mail.Sealed()), Log: s.Log}
	if err := resealer.Begin(ctx); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	s.Beside(resealer.Run)
	sessions, keys, err := s.Sessions()
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	authenticator := &credential.Authenticator{Resolver: sessions, Verifier: credential.NewVerifier(s.Name, credential.KeysOf(keys), time.Now)}
	denials, err := s.Denials(service)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	s.Beside(denials.Run)
	config := server.Config{Role: s.Name, Log: s.Log, Authenticate: authenticator.Authenticate, Follow: sessions.Follow, Linger: s.common.Linger, Reflection: true,
		Denied: denials.Add}

	address := s.config.Listen
	if address == "" {
		address = s.common.address(s.Name)
	}
	lis, creds, err := s.network.Listen(s.Name, address)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	internal := server.New(creds, config)
	service.Register(internal)
	service.RegisterInternal(internal)
	s.Serves(func(ctx context.Context) error { return internal.Serve(ctx, lis) })

	if s.common.Public != nil {
		service.Register(s.common.Public)
	}
	if s.config.PublicListen != "" {
		lis, creds, err := network.Plain().Listen(s.Name, s.config.PublicListen)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		config.Authenticate, config.Reflection = authenticator.AuthenticateClient, false
		public := server.New(creds, config)
		service.Register(public)
		s.Serves(func(ctx context.Context) error { return public.Serve(ctx, lis) })
	}
	s.sweeper.Steps = service.Steps()
	return s.Run(ctx)
}

// Denials returns what tells the membership service, in this process or over there, which calls were denied. It is to be run.
func (b *Base) Denials(service any) (*denial.Recorder, error) {
	if here, ok := service.(membershipv1.DenialServiceServer); ok {
		return denial.NewRecorder(func(ctx context.Context, told *membershipv1.RecordDenialsRequest) error {
			_, err := here.RecordDenials(ctx, told)
			return err
		}, b.Log), nil
	}
	membership, err := b.Dial("membership")
	if err != nil {
		return nil, err
	}
	client := membershipv1.NewDenialServiceClient(membership)
	return denial.NewRecorder(func(ctx context.Context, told *membershipv1.RecordDenialsRequest) error {
		_, err := client.RecordDenials(ctx, told)
		return err
	}, b.Log), nil
}

// Beside adds what runs beside the servers, and a little longer.
func (b *Base) Beside(task func(context.Context) error) { b.tasks = append(b.tasks, task) }

// Serves adds a server. It drains when its context ends.
func (b *Base) Serves(server func(context.Context) error) { b.servers = append(b.servers, server) }

// Run runs the role until ctx ends or a part of it fails. First the servers drain. Only then what runs beside them ends,
// so that the relay takes the events of the last calls along.
func (b *Base) Run(ctx context.Context) error {
	b.serving.Store(true)
	context.AfterFunc(ctx, func() { b.serving.Store(false) })
	if b.common.Ready != nil {
		b.common.Ready()
	}
	beside, end := context.WithCancel(context.WithoutCancel(ctx))
	return Together(ctx,
		func(ctx context.Context) error {
			defer end()
			return Together(ctx, b.servers...)
		},
		func(context.Context) error { return Together(beside, b.tasks...) })
}

// Together runs tasks until ctx ends or one of them fails; then all end.
func Together(ctx context.Context, tasks ...func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, task := range tasks {
		group.Go(func() error { return task(ctx) })
	}
	return group.Wait()
}
