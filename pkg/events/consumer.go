package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Handler is told one event. An error means: again later, and nothing more about this aggregate until then. A durable
// consumer tries an event five times; then it parks the aggregate, see Parked.
type Handler func(context.Context, Event) error

// Later wraps an error that is not the event's fault, as when a database is away: the event is tried for as long as that
// takes, and its aggregate is not parked.
func Later(err error) error { return later{err} }

type later struct{ error }

func (l later) Unwrap() error { return l.error }

// Config says what a consumer hears. The zero value hears everything, for as long as it runs.
type Config struct {
	// Name makes the consumer durable: it goes on where it was when it ran last. Of several processes with the
	// same name one hears, and another takes over when that one is gone.
	Name string

	Services     []string // all by default
	Types        []string // such as invitation.accepted, or member.> for all about members; all by default
	Organization string   // org_..., one organization only
	Start        Start    // of a consumer that has no position yet

	// Positions knows what was applied before this process began. Without it the first event that a process
	// hears of an aggregate is taken for the next one, and events whose acknowledgement was lost with the process
	// before are told again. A process keeps the positions of the 65,536 aggregates and more that it heard of last;
	// of others it asks as if it began with them.
	Positions Positions
	// Snapshot begins with a copy of the present state instead of with Start, and repairs it when events are missing.
	Snapshot Snapshot
	// OnGap is asked what to do about an event that does not follow what was applied. It may repair the state
	// and return nil, to go on with that event; after an error it is asked again later. By default Snapshot
	// repairs the aggregate. Without that too, the gap is logged and the aggregate waits.
	OnGap func(context.Context, *GapError) error
	// Parallel is how many handlers may run at once, 16 by default.
	Parallel int
	Log      *slog.Logger
}

// Positions tells how far events were applied. Handlers write it, best in the transaction of what they do, and
// then even two processes that both believe to be the one who hears apply every event once.
type Positions interface {
	// Applied returns where the aggregate is: the zero Position when nothing was applied.
	Applied(ctx context.Context, service, aggregate string) (Position, error)
}

// Position is how far an aggregate's events were applied.
type Position struct {
	Epoch    int64  // of the event that was applied last; 0 when not known
	Revision int64  // its revision
	Hash     string // its hash; empty when not known
}

// Position is where an aggregate is that the event was applied to.
func (e Event) Position() Position { return Position{e.Epoch, e.Revision, e.Hash} }

// Snapshot copies the state that a service has now: of one aggregate, or of all that the consumer is about when aggregate
// is empty. What the copy held of an aggregate before is replaced. Of every aggregate it must call stamp with the
// position that the copied state has, read in the same transaction as the state. Pages may be read one after the other,
// each in a transaction of its own, and while others write.
//
// Nothing is lost and nothing doubled by that. Before the snapshot begins, the consumer reads the last sequence S of
// the stream; afterwards it hears what is behind S. An event at S or before was committed before S was read, so the
// snapshot has it. Every other event has a sequence behind S and is heard, and if the snapshot has it already, its
// revision is not above the stamp and it is dropped.
type Snapshot func(ctx context.Context, service, aggregate string, stamp func(aggregate string, at Position)) error

// GapError says that an event does not follow the one that was applied before.
type GapError struct {
	Event   Event
	Applied Position
	// Fork: the history was rewritten, because the service's database was restored or promoted. What was applied
	// may never have happened. Otherwise, events between the two are missing.
	Fork bool
}

func (g *GapError) Error() string {
	if g.Fork {
		return fmt.Sprintf("revision %d of %s from %s belongs to another history than revision %d, which was applied",
			g.Event.Revision, g.Event.Aggregate, g.Event.Service, g.Applied.Revision)
	}
	return fmt.Sprintf("revision %d of %s from %s does not follow revision %d, which was applied",
		g.Event.Revision, g.Event.Aggregate, g.Event.Service, g.Applied.Revision)
}

// Consumer hands events to a handler.
type Consumer struct {
	js      jetstream.JetStream
	config  Config
	handle  Handler
	sources []*source
	slots   chan struct{} // one per handler that may run
}

// New checks the configuration. Nothing is heard before Run.
func New(js jetstream.JetStream, c Config, h Handler) (*Consumer, error) {
	filters, err := c.filters()
	if err == nil && c.Snapshot != nil && c.Name != "" && c.Positions == nil {
		err = errors.New("a durable consumer of a snapshot needs Positions: the next process does not know the stamps")
	}
	if err != nil {
		return nil, fmt.Errorf("consumer %q: %w", c.Name, err)
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	consumer := &Consumer{js: js, config: c, handle: h, slots: make(chan struct{}, cmp.Or(c.Parallel, 16))}
	for service, subjects := range filters {
		consumer.sources = append(consumer.sources, &source{
			Consumer: consumer,
			service:  service,
			filter:   subjects,
			remember: remembered,
			log:      c.Log.With("consumer", c.Name, "service", service),
		})
	}
	return consumer, nil
}

// Run hears until the context ends, through everything that happens to NATS. Then it waits for the handlers.
func (c *Consumer) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, s := range c.sources {
		running.Go(func() { s.run(ctx) })
	}
	running.Wait()
	return nil
}

const (
	group     = "one"            // the priority group that all processes with one name are in
	ackWait   = 10 * time.Second // bounds how long an event waits that was sent to a process which is gone
	heartbeat = ackWait / 3
	pullTime  = 3 * time.Second
	pinTime   = 10 * time.Second // how long a process that vanished keeps its place
	awayTime  = 10 * time.Second // how long one keeps it whose handler only says Later
	patience  = 30 * time.Second // with a service that starts with us and has not made its stream yet

	remembered = 1 << 16 // aggregates whose position a process keeps at least, and at most twice as many; 300 bytes each
)

// source hears the stream of one service.
//
// JetStream delivers in order, until a connection breaks: what was on its way then comes again, but later than
// what is new. So a source hears in sessions. A session is an unbroken row of deliveries, numbered from 1, that
// begins behind the last event up to which all were acknowledged; where the row breaks, the next session begins.
type source struct {
	*Consumer
	service string
	filter  []string
	log     *slog.Logger

	remember int // lanes, before others are freed

	mu      sync.Mutex
	lanes   map[string]*lane // by aggregate; those that something came for lately
	earlier map[string]*lane // and those of before, until as many others were heard again
	parked  map[string]bool  // aggregates whose events go to the dead letters
	working sync.WaitGroup
	stuck   chan struct{} // the handler has said Later for awayTime

	made time.Time // when the stream was made that is heard; zero: none was heard yet
	seen uint64    // the last sequence of the stream that was received
	pin  string    // what NATS calls this process while it is the one of its name that hears
}

var (
	errBroken   = errors.New("deliveries are missing")
	errReplaced = errors.New("another process took over")
	errStuck    = errors.New("what the handler needs is away: another process may have it")
	errAnew     = errors.New("what is known is out of date")
	errExpired  = errors.New("events expired while the snapshot was taken")
)

func (s *source) run(ctx context.Context) {
	go s.hold(ctx)
	if s.config.Name != "" {
		defer s.answerRetries(ctx)()
	}
	var heard jetstream.Consumer
	for ctx.Err() == nil {
		heard = s.serve(ctx, heard)
	}
	s.leave(heard)
}

// serve hears until another process took over: what is known here is out of date then, and what waits, the other
// one handles.
func (s *source) serve(ctx context.Context, heard jetstream.Consumer) jetstream.Consumer {
	ctx, cancel := context.WithCancel(ctx)
	defer func() { // what was not handled goes to the other one now, not when its time runs out
		cancel()
		s.working.Wait()
		s.each(func(d *delivery) { d.msg.Nak() })
	}()
	s.mu.Lock()
	s.lanes, s.earlier, s.parked, s.pin = make(map[string]*lane), nil, nil, ""
	s.stuck = make(chan struct{}, 1)
	s.mu.Unlock()
	expected := time.Now().Add(patience)
	for problem := false; ctx.Err() == nil; {
		var err error
		if heard == nil {
			heard, err = s.create(ctx)
		}
		if err == nil {
			expected = time.Time{}
			if problem {
				s.log.InfoContext(ctx, "hearing events again")
				problem = false
			}
			err = s.session(ctx, heard)
		}
		if errors.Is(err, errStuck) {
			s.unpin(ctx, heard)
		}
		replaced := errors.Is(err, errReplaced) || errors.Is(err, errAnew) || errors.Is(err, errStuck)
		if errors.Is(err, errBroken) {
			_, err = s.js.ResetConsumer(ctx, Stream(s.service), heard.CachedInfo().Name)
		}
		if replaced || ctx.Err() != nil {
			break
		}
		if err == nil {
			continue
		}
		heard = nil
		pause := time.Second
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound) && time.Now().Before(expected):
			pause = 100 * time.Millisecond
		case !problem:
			s.log.WarnContext(ctx, "cannot hear events, trying on", "error", err)
			problem = true
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return heard
}

// create finds the consumer in NATS, or makes it.
//
// When a stream is lost its consumers are gone with it, and so is their place. The service publishes its whole log again, so
// the new stream, heard from its beginning, lacks nothing. What was applied before is known to Positions or
// to this process, or else it is told again. So a consumer that had a place begins there, whatever Start says:
// with Latest it would miss what came between the loss and now. A process that began after the loss does not know
// whether its name had a place, and asks the stream: one that replaces another says so. Then even who is new
// begins at its beginning; better too much than a loss. Since needs no such care: all of a new stream was stored
// after the loss, so what comes is never less than what was asked for.
func (s *source) create(ctx context.Context) (jetstream.Consumer, error) {
	stream, err := s.js.Stream(ctx, Stream(s.service))
	if err != nil {
		return nil, err
	}
	var existing *jetstream.ConsumerInfo
	if s.config.Name != "" {
		consumer, err := stream.Consumer(ctx, s.config.Name)
		if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil, err
		}
		if err == nil {
			existing = consumer.CachedInfo()
		}
	}
	info, err := stream.Info(ctx) // not before the consumer's: it cannot have heard more than there is
	if err == nil && s.config.Name != "" {
		err = s.makeDeadLetters(ctx, info.Config)
	}
	if err != nil {
		return nil, err
	}
	begun := !s.made.IsZero()
	lost := begun && (!info.Created.Equal(s.made) || info.State.LastSeq < s.seen)
	if existing != nil && existing.Delivered.Stream > info.State.LastSeq { // the stream has lost its end, which comes again
		if existing, err = s.move(ctx, stream, existing, info.State.LastSeq+1); err != nil {
			return nil, err
		}
		begun = true
	}
	expired := existing != nil && existing.AckFloor.Stream+1 < info.State.FirstSeq
	if expired && s.config.Snapshot == nil {
		s.log.ErrorContext(ctx, "events expired before they were heard", "first", existing.AckFloor.Stream+1, "until", info.State.FirstSeq)
	}
	if lost {
		s.seen = 0
	}

	config := jetstream.ConsumerConfig{
		Durable:        s.config.Name,
		FilterSubjects: s.filter,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        ackWait,
		MaxDeliver:     -1, // to give up would be to lose an event
		MaxAckPending:  1000,
	}
	if config.Durable == "" {
		config.InactiveThreshold = time.Minute
	} else {
		config.PriorityPolicy, config.PriorityGroups, config.PinnedTTL = jetstream.PriorityPolicyPinned, []string{group}, pinTime
	}
	switch {
	case existing != nil && !(expired && s.config.Snapshot != nil): // it has a position, so it matters no more where it began
		config.DeliverPolicy, config.OptStartTime, config.OptStartSeq =
			existing.Config.DeliverPolicy, existing.Config.OptStartTime, existing.Config.OptStartSeq
	case config.Durable == "" && s.seen > 0 && s.seen+1 >= info.State.FirstSeq: // the one before is gone; what it brought is in the lanes
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, s.seen+1
	case s.config.Snapshot != nil && s.busy():
		return nil, errAnew
	case s.config.Snapshot != nil:
		if err := s.copy(ctx); err != nil {
			return nil, err
		}
		now, err := stream.Info(ctx)
		if err != nil {
			return nil, err
		}
		if now.State.FirstSeq > info.State.LastSeq+1 || !now.Created.Equal(info.Created) {
			return nil, errExpired
		}
		if existing != nil {
			if existing, err = s.move(ctx, stream, existing, info.State.LastSeq+1); err != nil {
				return nil, err
			}
		}
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, info.State.LastSeq+1
		if existing != nil {
			config.DeliverPolicy, config.OptStartSeq = existing.Config.DeliverPolicy, existing.Config.OptStartSeq
		}
	case begun && (lost || s.config.Name != "") || s.config.Name != "" && info.Config.Metadata[Rebuilt] != "":
		config.DeliverPolicy = jetstream.DeliverAllPolicy
	default:
		config.DeliverPolicy, config.OptStartTime = s.config.Start.policy()
	}
	consumer, err := stream.CreateOrUpdateConsumer(ctx, config)
	if err == nil {
		s.made = info.Created
		if s.config.Start.latest && s.config.Name == "" {
			s.seen = max(s.seen, info.State.LastSeq) // should it have to be made again
		}
	}
	return consumer, err
}

// move gives a durable consumer another place. One that cannot be moved there is removed, to be made again.
func (s *source) move(ctx context.Context, stream jetstream.Stream, existing *jetstream.ConsumerInfo, sequence uint64) (*jetstream.ConsumerInfo, error) {
	_, err := s.js.ResetConsumerToSequence(ctx, existing.Stream, existing.Name, sequence)
	if err == nil || errors.Is(err, jetstream.ErrConsumerNotFound) {
		return existing, nil
	}
	if err := stream.DeleteConsumer(ctx, existing.Name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, err
	}
	return nil, nil
}

// copy takes a snapshot of all, and notes its stamps. Nothing is at work meanwhile.
func (s *source) copy(ctx context.Context) error {
	err := s.config.Snapshot(ctx, s.service, "", func(aggregate string, at Position) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lane(aggregate).applied = applied{true, at}
	})
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return nil
}

// session receives until deliveries are missing, NATS has a problem or the context ends.
func (s *source) session(ctx context.Context, heard jetstream.Consumer) error {
	ended := make(chan error, 1)
	end := func(err error) {
		select {
		case ended <- err:
		default: // the first reason counts
		}
	}
	next := uint64(1)
	options := []jetstream.PullConsumeOpt{jetstream.PullExpiry(pullTime), jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		switch {
		case errors.Is(err, jetstream.ErrPinIDMismatch):
			end(errReplaced)
		case !errors.Is(err, jetstream.ErrNoHeartbeat) && !errors.Is(err, jetstream.ErrConsumerLeadershipChanged): // it asks again
			end(err)
		}
	})}
	if s.config.Name != "" {
		options = append(options, jetstream.PullPriorityGroup(group))
	}
	consuming, err := heard.Consume(func(msg jetstream.Msg) {
		pin := msg.Headers().Get("Nats-Pin-Id")
		meta, err := msg.Metadata()
		switch {
		case next == 0: // the session has ended
		case s.pin != "" && s.pin != pin: // it is this process again, or NATS was started again
			next = 0
			end(errors.Join(errReplaced, errBroken))
		case err != nil || meta.Sequence.Consumer != next:
			next = 0
			end(errBroken)
		default:
			if s.parked == nil && s.config.Name != "" { // from now on this process is the one that hears, and parks
				if err := s.findParked(ctx); err != nil {
					next = 0
					end(err)
					return
				}
			}
			next++
			s.pin = pin
			s.receive(ctx, msg, meta.Sequence.Stream)
		}
	}, options...)
	if err != nil {
		return err
	}
	closed := consuming.Closed()
	defer func() {
		consuming.Stop()
		<-closed
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-ended:
		return err
	case <-s.stuck:
		return errStuck
	}
}

// receive puts a delivery into the lane of its aggregate.
func (s *source) receive(ctx context.Context, msg jetstream.Msg, sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = max(s.seen, sequence)
	event, err := Parse(msg.Data())
	if err != nil {
		s.log.ErrorContext(ctx, "ignored a message that is no event", "subject", msg.Subject(), "sequence", sequence, "error", err)
		msg.Term()
		return
	}
	event.Subject, event.StreamSequence = msg.Subject(), sequence
	l := s.lane(event.Aggregate)
	if l.add(&delivery{event, msg}) {
		s.working.Go(func() { s.work(ctx, l) })
	}
}

// lane is the lane of an aggregate. The caller holds the mutex.
func (s *source) lane(aggregate string) *lane {
	l := s.lanes[aggregate]
	if l != nil {
		return l
	}
	if l = s.earlier[aggregate]; l == nil {
		l = &lane{earlier: make(chan struct{}, 1)}
	}
	delete(s.earlier, aggregate)
	if len(s.lanes) >= s.remember && (s.config.Snapshot == nil || s.config.Positions != nil) {
		s.forget()
	}
	s.lanes[aggregate] = l
	return l
}

// forget frees the lanes that nothing came for while as many others as are remembered were heard, and in which nothing
// waits. Positions knows where they are. Without, the next event of such an aggregate is taken for the next one, as it
// is when a process begins. Only a copy that has no Positions keeps every lane: its stamps are nowhere else.
func (s *source) forget() {
	young := make(map[string]*lane)
	for aggregate, l := range s.earlier {
		if len(l.waiting) > 0 {
			young[aggregate] = l
		}
	}
	s.earlier, s.lanes = s.lanes, young
}

// busy tells whether anything is known, or at work.
func (s *source) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lanes)+len(s.earlier) > 0
}

// hold tells NATS that what waits in the lanes is in good hands, or else it would come again.
func (s *source) hold(ctx context.Context) {
	ticks := time.NewTicker(heartbeat)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			s.each(func(d *delivery) { d.msg.InProgress() })
		}
	}
}

// leave gives back what was not handled, so that another process gets it at once.
func (s *source) leave(heard jetstream.Consumer) {
	s.each(func(d *delivery) { d.msg.Nak() })
	if heard == nil {
		return
	}
	ctx := context.Background()
	if s.config.Name != "" {
		s.unpin(ctx, heard)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if stream, err := s.js.Stream(ctx, Stream(s.service)); err == nil {
		stream.DeleteConsumer(ctx, heard.CachedInfo().Name)
	}
}

// unpin makes room for another process of the name. Where it fails, that one waits for pinTime.
func (s *source) unpin(ctx context.Context, heard jetstream.Consumer) {
	if s.pin == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	info, err := heard.Info(ctx)
	if err != nil || len(info.PriorityGroups) != 1 || info.PriorityGroups[0].PinnedClientID != s.pin {
		return
	}
	if stream, err := s.js.Stream(ctx, Stream(s.service)); err == nil {
		stream.UnpinConsumer(ctx, info.Name, group)
	}
}

func (s *source) each(do func(*delivery)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, lanes := range []map[string]*lane{s.lanes, s.earlier} {
		for _, l := range lanes {
			for _, d := range l.waiting {
				do(d)
			}
		}
	}
}
