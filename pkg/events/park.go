package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// An event that a durable consumer's handler refuses again and again is poison. What follows it cannot be handled either,
// so the consumer parks the aggregate: this and all later events of it go to the stream of dead letters, in order,
// and all other aggregates go on. Whether an aggregate is parked is nowhere but in that stream, so it survives restarts and
// the move to another process.
//
// An event is acknowledged when the dead letters have it. A crash between the two makes it come again, and then it is
// found there: the dead letters of an aggregate are in order, so what does not go beyond the last is among them or was
// handled. An event is taken out when it was handled, so a crash between these makes it be handled again,
// as with any consumer.
const (
	// DeadLetters is the stream, which keeps what it has until it is handled or skipped.
	DeadLetters = "DLQ"
	// DeadLetterRoot is what its subjects begin with: dlq.<consumer>.<service>.<aggregate>.
	DeadLetterRoot = "dlq."
	// RetryRoot is what the subjects of requests begin with that ask a consumer to retry: roster.retry.<consumer>.<service>.<aggregate>.
	RetryRoot = "roster.retry."
)

const (
	headerReason  = "Roster-Reason"  // of the refusal, of the event that was refused
	headerSubject = "Roster-Subject" // where the event came from
	headerSkipped = "Roster-Skipped" // it was the last and was skipped: what comes next follows it
)

// ErrNotParked says that an aggregate has no dead letters.
var ErrNotParked = errors.New("nothing is parked")

// Parked is an aggregate whose events a consumer could not handle.
type Parked struct {
	Consumer  string
	Service   string
	Aggregate string
	First     Event     // which was refused
	Reason    string    // why
	Since     time.Time // when it was parked
	Events    uint64    // that wait, the first included
}

func deadLetters(consumer, service, aggregate string) string {
	return DeadLetterRoot + consumer + "." + service + "." + aggregate
}

// park makes an event the first of its aggregate's dead letters.
func (s *source) park(ctx context.Context, d *delivery, reason error) error {
	if err := s.bury(ctx, d, reason.Error(), nil); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parked[d.Aggregate] = true
	return nil
}

// pass applies an event, or adds it to the dead letters of its aggregate for as long as there are any.
func (s *source) pass(ctx context.Context, l *lane, d *delivery) error {
	s.mu.Lock()
	parked := s.parked[d.Aggregate]
	s.mu.Unlock()
	if !parked {
		return s.apply(ctx, l, d.Event)
	}
	last, err := lastLetter(ctx, s.js, deadLetters(s.config.Name, s.service, d.Aggregate))
	switch {
	case errors.Is(err, ErrNotParked): // what was parked was handled, by whichever process was asked to
		l.applied = applied{}
	case err != nil:
		return err
	case d.Epoch < last.Epoch || d.Epoch == last.Epoch && d.Revision <= last.Revision:
		return nil // it is there, or it was
	case last.skipped:
		if err := discard(ctx, s.js, last.sequence); err != nil {
			return err
		}
		l.applied = applied{true, last.Position()}
	default:
		return s.bury(ctx, d, "", &last)
	}
	s.mu.Lock()
	delete(s.parked, d.Aggregate)
	s.mu.Unlock()
	return s.apply(ctx, l, d.Event)
}

// bury adds an event to the dead letters, behind the last; nil: as the first. If that one was handled or skipped meanwhile,
// it fails, and the event has another look at what to do.
func (s *source) bury(ctx context.Context, d *delivery, reason string, last *deadLetter) error {
	msg := letterOf(deadLetters(s.config.Name, s.service, d.Aggregate), d.msg.Data(), d.msg.Headers())
	msg.Header.Set(headerSubject, d.Subject)
	if reason != "" {
		reason = strings.Join(strings.Fields(reason), " ") // a header is one line
		msg.Header.Set(headerReason, strings.ToValidUTF8(reason[:min(len(reason), 500)], ""))
	}
	var behind []jetstream.PublishOpt
	if last != nil {
		behind = append(behind, jetstream.WithExpectLastSequencePerSubject(last.sequence))
	}
	if _, err := s.js.PublishMsg(ctx, msg, behind...); err != nil {
		return fmt.Errorf("park: %w", err)
	}
	return nil
}

// letterOf copies an event. NATS's own headers tell where it is now.
func letterOf(subject string, data []byte, headers nats.Header) *nats.Msg {
	msg := nats.NewMsg(subject)
	msg.Data = data
	for name, values := range headers {
		if strings.HasPrefix(name, "Roster-") {
			msg.Header[name] = values
		}
	}
	return msg
}

// findParked reads which aggregates are parked.
func (s *source) findParked(ctx context.Context) error {
	subjects, err := letters(ctx, s.js, deadLetters(s.config.Name, s.service, "*"))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parked = make(map[string]bool)
	for subject := range subjects {
		s.parked[subject[strings.LastIndex(subject, ".")+1:]] = true
	}
	return nil
}

// letters counts the dead letters by subject.
func letters(ctx context.Context, js jetstream.JetStream, filter string) (map[string]uint64, error) {
	stream, err := js.Stream(ctx, DeadLetters)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("dead letters: %w", err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, fmt.Errorf("dead letters: %w", err)
	}
	return info.State.Subjects, nil
}

// deadLetter is one event that is parked.
type deadLetter struct {
	Event
	sequence uint64
	since    time.Time
	reason   string
	skipped  bool
}

func firstLetter(ctx context.Context, js jetstream.JetStream, subject string) (deadLetter, error) {
	return letter(ctx, js, func(stream jetstream.Stream) (*jetstream.RawStreamMsg, error) {
		return stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(subject))
	})
}

func lastLetter(ctx context.Context, js jetstream.JetStream, subject string) (deadLetter, error) {
	return letter(ctx, js, func(stream jetstream.Stream) (*jetstream.RawStreamMsg, error) {
		return stream.GetLastMsgForSubject(ctx, subject)
	})
}

func letter(ctx context.Context, js jetstream.JetStream, get func(jetstream.Stream) (*jetstream.RawStreamMsg, error)) (d deadLetter, err error) {
	var msg *jetstream.RawStreamMsg
	stream, err := js.Stream(ctx, DeadLetters)
	if err == nil {
		msg, err = get(stream)
	}
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrMsgNotFound):
		return d, ErrNotParked
	case err != nil:
		return d, fmt.Errorf("dead letters: %w", err)
	}
	d = deadLetter{sequence: msg.Sequence, since: msg.Time, reason: msg.Header.Get(headerReason), skipped: msg.Header.Get(headerSkipped) != ""}
	d.Event, err = Parse(msg.Data)
	d.Subject = msg.Header.Get(headerSubject)
	return d, err
}

// ListParked lists the parked aggregates of all consumers, in alphabetical order.
func ListParked(ctx context.Context, js jetstream.JetStream) ([]Parked, error) {
	subjects, err := letters(ctx, js, DeadLetterRoot+">")
	if err != nil {
		return nil, err
	}
	var all []Parked
	for subject, n := range subjects {
		first, err := firstLetter(ctx, js, subject)
		parts := strings.Split(subject, ".")
		if errors.Is(err, ErrNotParked) || first.skipped || len(parts) != 4 {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, Parked{Consumer: parts[1], Service: parts[2], Aggregate: parts[3], First: first.Event,
			Reason: first.reason, Since: first.since, Events: n})
	}
	slices.SortFunc(all, func(a, b Parked) int {
		return strings.Compare(deadLetters(a.Consumer, a.Service, a.Aggregate), deadLetters(b.Consumer, b.Service, b.Aggregate))
	})
	return all, nil
}

// Skip takes the first dead letter of a parked aggregate away, for good, and returns its event. The others wait on; without
// others the aggregate is parked no longer.
func Skip(ctx context.Context, js jetstream.JetStream, consumer, service, aggregate string) (Event, error) {
	subject := deadLetters(consumer, service, aggregate)
	stream, err := js.Stream(ctx, DeadLetters)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return Event{}, ErrNotParked
	}
	if err != nil {
		return Event{}, fmt.Errorf("dead letters: %w", err)
	}
	first, err := firstLetter(ctx, js, subject)
	if err != nil {
		return first.Event, err
	}
	if first.skipped {
		return first.Event, ErrNotParked
	}
	last, err := lastLetter(ctx, js, subject)
	if err != nil {
		return first.Event, err
	}
	if last.sequence == first.sequence { // or the consumer would miss it, and wait
		original, err := stream.GetMsg(ctx, first.sequence)
		if err != nil {
			return first.Event, fmt.Errorf("dead letters: %w", err)
		}
		msg := letterOf(subject, original.Data, original.Header)
		msg.Header.Set(headerSkipped, "true")
		if _, err := js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(last.sequence)); err != nil {
			return first.Event, fmt.Errorf("dead letters: %w", err)
		}
	}
	return first.Event, discard(ctx, js, first.sequence)
}

func discard(ctx context.Context, js jetstream.JetStream, sequence uint64) error {
	stream, err := js.Stream(ctx, DeadLetters)
	if err != nil {
		return fmt.Errorf("dead letters: %w", err)
	}
	if err := stream.DeleteMsg(ctx, sequence); err != nil {
		if _, gone := stream.GetMsg(ctx, sequence); errors.Is(gone, jetstream.ErrMsgNotFound) {
			return nil
		}
		return fmt.Errorf("dead letters: %w", err)
	}
	return nil
}

// Retry asks a process of the consumer to handle the dead letters of an aggregate, in order. When all went well
// the aggregate is parked no longer; otherwise the error says what was in the way.
func Retry(ctx context.Context, js jetstream.JetStream, consumer, service, aggregate string) error {
	first, err := firstLetter(ctx, js, deadLetters(consumer, service, aggregate))
	if err != nil {
		return err
	}
	if first.skipped {
		return ErrNotParked
	}
	answer, err := js.Conn().RequestWithContext(ctx, RetryRoot+consumer+"."+service+"."+aggregate, nil)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("consumer %s does not run", consumer)
	case err != nil:
		return err
	case len(answer.Data) > 0:
		return errors.New(string(answer.Data))
	}
	return nil
}

// answerRetries has one of the processes with this consumer's name answer requests to retry. It need not be the one that
// hears: that one adds to the dead letters for as long as there are any, and goes on when the last was handled.
func (s *source) answerRetries(ctx context.Context) (stop func()) {
	prefix := RetryRoot + s.config.Name + "." + s.service + "."
	subscription, err := s.js.Conn().QueueSubscribe(prefix+"*", s.config.Name, func(request *nats.Msg) {
		var answer string
		if err := s.retry(ctx, strings.TrimPrefix(request.Subject, prefix)); err != nil {
			answer = err.Error()
		}
		request.Respond([]byte(answer))
	})
	if err != nil {
		s.log.ErrorContext(ctx, "dead letters cannot be retried", "error", err)
		return func() {}
	}
	return func() { subscription.Unsubscribe() }
}

// retry handles the dead letters of an aggregate. The first of them is next, also when it does not follow what was
// applied: then those before it were skipped.
func (s *source) retry(ctx context.Context, aggregate string) error {
	subject := deadLetters(s.config.Name, s.service, aggregate)
	l := &lane{}
	for n := 0; ; n++ {
		d, err := firstLetter(ctx, s.js, subject)
		if errors.Is(err, ErrNotParked) {
			return nil
		}
		if err == nil && n == 0 {
			err = s.recall(ctx, l, d.Event)
		}
		switch {
		case err != nil:
		case d.skipped:
			l.applied = applied{true, d.Position()}
		case n == 0 && l.judge(d.Event, true) == gap:
			err = s.tell(ctx, l, d.Event)
		default:
			err = s.apply(ctx, l, d.Event)
		}
		if err == nil {
			err = discard(ctx, s.js, d.sequence)
		}
		if err != nil {
			return err
		}
	}
}
