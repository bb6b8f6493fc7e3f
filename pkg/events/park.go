package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// An event that a durable consumer's handler refuses again and again is poison. What follows it cannot be handled either,
// so the consumer parks the aggregate: this and all later events of it get a dead letter each, in order,
// and all other aggregates go on. Whether an aggregate is parked is nowhere but in these letters, so it survives restarts and
// the move to another process.
//
// An event is acknowledged when it has its letter. A crash between the two makes it come again, and then it is
// found there: the dead letters of an aggregate are in order, so what does not go beyond the last is among them or was
// handled. A letter is taken out when its event was handled, so a crash between these makes it be handled again,
// as with any consumer.
//
// A letter only says which event waits, and where. To retry is to read the event once more, from its stream, or from what
// was published again of the log. So what is erased there is nowhere else.
const (
	// DeadLetterRoot is what the subjects of dead letters begin with: roster.dlq.<consumer>.<service>.<aggregate>.
	DeadLetterRoot = "roster.dlq."
	// RetryRoot is what the subjects of requests begin with that ask a consumer to retry: roster.retry.<consumer>.<service>.<aggregate>.
	RetryRoot = "roster.retry."
)

// DeadLetters is the name of a consumer's own stream of dead letters. The consumer makes it when it begins to hear, with as many
// copies as the events have. A letter stays until its event is handled or skipped, at most as long as events stay in
// their stream: one that expires is as good as skipped.
func DeadLetters(consumer string) string { return "DLQ_" + consumer }

// ErrNotParked says that an aggregate has no dead letters.
var ErrNotParked = errors.New("nothing is parked")

// Parked is an aggregate whose events a consumer could not handle.
type Parked struct {
	Consumer  string
	Service   string
	Aggregate string
	First     Event     // which was refused; without its data
	Reason    string    // why, without what the event says of a person
	Since     time.Time // when it was parked
	Events    uint64    // that wait, the first included
}

func deadLetters(consumer, service, aggregate string) string {
	return DeadLetterRoot + consumer + "." + service + "." + aggregate
}

// makeDeadLetters makes this consumer's stream, or brings it up to date. Unlike those of events it is read where it is
// written: a copy that is behind would say that an aggregate is not parked.
func (s *source) makeDeadLetters(ctx context.Context, events jetstream.StreamConfig) error {
	_, err := s.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:        DeadLetters(s.config.Name),
		Description: "Which events the consumer " + s.config.Name + " could not handle",
		Subjects:    []string{DeadLetterRoot + s.config.Name + ".>"},
		Storage:     jetstream.FileStorage,
		Compression: jetstream.S2Compression,
		Replicas:    events.Replicas,
		Discard:     jetstream.DiscardNew,
		MaxAge:      events.MaxAge,
		MaxMsgSize:  4 << 10,
		DenyPurge:   true,
		AllowMsgTTL: true, // notes of what was skipped do not expire
	})
	if err != nil {
		return fmt.Errorf("dead letters: %w", err)
	}
	return nil
}

// letter is what a dead letter holds: which event waits, and nothing of what it says.
type letter struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Service   string    `json:"service"`
	Aggregate string    `json:"aggregate"`
	Revision  int64     `json:"revision"`
	Epoch     int64     `json:"epoch"`
	Time      time.Time `json:"time"`
	PrevHash  string    `json:"prevhash"`
	Hash      string    `json:"hash"`
	Subject   string    `json:"subject"`           // where the event came from
	Sequence  uint64    `json:"sequence"`          // in its stream
	Reason    string    `json:"reason,omitempty"`  // of the refusal, of the event that was refused
	Skipped   bool      `json:"skipped,omitempty"` // it was the last and was skipped: what comes next follows it
}

func letterOf(e Event) letter {
	return letter{
		ID: e.ID, Type: e.Type, Service: e.Service, Aggregate: e.Aggregate, Revision: e.Revision, Epoch: e.Epoch, Time: e.Time,
		PrevHash: e.PrevHash, Hash: e.Hash, Subject: e.Subject, Sequence: e.StreamSequence,
	}
}

// event is the event without its data.
func (l letter) event() Event {
	return Event{
		ID: l.ID, Type: l.Type, Service: l.Service, Aggregate: l.Aggregate, Revision: l.Revision, Epoch: l.Epoch, Time: l.Time,
		PrevHash: l.PrevHash, Hash: l.Hash, Subject: l.Subject, StreamSequence: l.Sequence,
	}
}

// message is the letter on its way to the stream.
func (l letter) message(consumer string) (*nats.Msg, error) {
	msg := nats.NewMsg(deadLetters(consumer, l.Service, l.Aggregate))
	if l.Skipped {
		msg.Header.Set(jetstream.MsgTTLHeader, "never") // or the next event would be a gap, however late it comes
	}
	var err error
	msg.Data, err = json.Marshal(l)
	return msg, err
}

// What a reason may hold.
const reasonSize = 500

var word = regexp.MustCompile(`[\pL\pM\pN@._%+-]+`)

// reasonOf is what an error says in one line, without addresses and without the words of the event's personal part.
func reasonOf(e Event, refusal error) string {
	var data struct{ Personal any }
	json.Unmarshal(e.Data, &data) // what cannot be read has no such part
	private := make(map[string]bool)
	collectWords(data.Personal, private)
	text := word.ReplaceAllStringFunc(strings.ToValidUTF8(refusal.Error(), ""), func(w string) string {
		if strings.Contains(w, "@") || private[foldWord(w)] {
			return "…"
		}
		return w
	})
	text = strings.Join(strings.Fields(text), " ")
	return strings.ToValidUTF8(text[:min(len(text), reasonSize)], "")
}

// collectWords adds the words of all texts in a JSON value.
func collectWords(value any, words map[string]bool) {
	switch v := value.(type) {
	case string:
		for _, w := range word.FindAllString(v, -1) {
			words[foldWord(w)] = true
		}
	case []any:
		for _, inner := range v {
			collectWords(inner, words)
		}
	case map[string]any:
		for _, inner := range v {
			collectWords(inner, words)
		}
	}
}

func foldWord(w string) string { return strings.ToLower(strings.Trim(w, "._%+-")) }

// park makes an event the first of its aggregate's dead letters.
func (s *source) park(ctx context.Context, d *delivery, reason error) error {
	if err := s.bury(ctx, d, reasonOf(d.Event, reason), nil); err != nil {
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
	last, err := lastLetter(ctx, s.js, s.config.Name, s.service, d.Aggregate)
	switch {
	case errors.Is(err, ErrNotParked): // what was parked was handled, by whichever process was asked to, or nobody asked in time
		s.log.WarnContext(ctx, "aggregate parked no longer: its dead letters were handled, or have expired", "aggregate", d.Aggregate, "revision", d.Revision)
		l.applied = applied{}
	case err != nil:
		return err
	case d.Epoch < last.Epoch || d.Epoch == last.Epoch && d.Revision <= last.Revision:
		return nil // it is there, or it was
	case last.skipped:
		if err := discard(ctx, s.js, s.config.Name, last.sequence); err != nil {
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
	l := letterOf(d.Event)
	l.Reason = reason
	msg, err := l.message(s.config.Name)
	if err != nil {
		return fmt.Errorf("park: %w", err)
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

// findParked reads which aggregates are parked.
func (s *source) findParked(ctx context.Context) error {
	subjects, err := letters(ctx, s.js, DeadLetters(s.config.Name), deadLetters(s.config.Name, s.service, "*"))
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
func letters(ctx context.Context, js jetstream.JetStream, name, filter string) (map[string]uint64, error) {
	stream, err := js.Stream(ctx, name)
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

// deadLetter is one event that is parked, without its data.
type deadLetter struct {
	Event
	sequence uint64 // of the letter
	since    time.Time
	reason   string
	skipped  bool
}

func firstLetter(ctx context.Context, js jetstream.JetStream, consumer, service, aggregate string) (deadLetter, error) {
	return readLetter(ctx, js, consumer, func(stream jetstream.Stream) (*jetstream.RawStreamMsg, error) {
		return stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(deadLetters(consumer, service, aggregate)))
	})
}

func lastLetter(ctx context.Context, js jetstream.JetStream, consumer, service, aggregate string) (deadLetter, error) {
	return readLetter(ctx, js, consumer, func(stream jetstream.Stream) (*jetstream.RawStreamMsg, error) {
		return stream.GetLastMsgForSubject(ctx, deadLetters(consumer, service, aggregate))
	})
}

func readLetter(ctx context.Context, js jetstream.JetStream, consumer string, get func(jetstream.Stream) (*jetstream.RawStreamMsg, error)) (d deadLetter, err error) {
	var msg *jetstream.RawStreamMsg
	var l letter
	stream, err := js.Stream(ctx, DeadLetters(consumer))
	if err == nil {
		msg, err = get(stream)
	}
	if err == nil {
		err = json.Unmarshal(msg.Data, &l)
	}
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrMsgNotFound):
		return d, ErrNotParked
	case err != nil:
		return d, fmt.Errorf("dead letters: %w", err)
	}
	return deadLetter{Event: l.event(), sequence: msg.Sequence, since: msg.Time, reason: l.Reason, skipped: l.Skipped}, nil
}

// ListParked lists the parked aggregates of all consumers, in alphabetical order.
func ListParked(ctx context.Context, js jetstream.JetStream) ([]Parked, error) {
	var all []Parked
	streams := js.StreamNames(ctx, jetstream.WithStreamListSubject(DeadLetterRoot+">"))
	for name := range streams.Name() {
		subjects, err := letters(ctx, js, name, DeadLetterRoot+">")
		if err != nil {
			return nil, err
		}
		for subject, n := range subjects {
			parts := strings.Split(strings.TrimPrefix(subject, DeadLetterRoot), ".")
			if len(parts) != 3 || name != DeadLetters(parts[0]) {
				continue
			}
			p := Parked{Consumer: parts[0], Service: parts[1], Aggregate: parts[2], Events: n}
			first, err := firstLetter(ctx, js, p.Consumer, p.Service, p.Aggregate)
			if errors.Is(err, ErrNotParked) || first.skipped {
				continue
			}
			if err != nil {
				return nil, err
			}
			p.First, p.Reason, p.Since = first.Event, first.reason, first.since
			all = append(all, p)
		}
	}
	if err := streams.Err(); err != nil {
		return nil, fmt.Errorf("dead letters: %w", err)
	}
	slices.SortFunc(all, func(a, b Parked) int {
		return strings.Compare(deadLetters(a.Consumer, a.Service, a.Aggregate), deadLetters(b.Consumer, b.Service, b.Aggregate))
	})
	return all, nil
}

// Skip takes the first dead letter of a parked aggregate away, for good, and returns its event without the data. The others
// wait on; without others the aggregate is parked no longer.
func Skip(ctx context.Context, js jetstream.JetStream, consumer, service, aggregate string) (Event, error) {
	first, err := firstLetter(ctx, js, consumer, service, aggregate)
	if err != nil {
		return first.Event, err
	}
	if first.skipped {
		return first.Event, ErrNotParked
	}
	last, err := lastLetter(ctx, js, consumer, service, aggregate)
	if err != nil {
		return first.Event, err
	}
	if last.sequence == first.sequence { // or the consumer would miss it, and wait
		note := letterOf(first.Event)
		note.Skipped = true
		msg, err := note.message(consumer)
		if err == nil {
			_, err = js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(last.sequence))
		}
		if err != nil {
			return first.Event, fmt.Errorf("dead letters: %w", err)
		}
	}
	return first.Event, discard(ctx, js, consumer, first.sequence)
}

func discard(ctx context.Context, js jetstream.JetStream, consumer string, sequence uint64) error {
	stream, err := js.Stream(ctx, DeadLetters(consumer))
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
	first, err := firstLetter(ctx, js, consumer, service, aggregate)
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
	l := &lane{}
	for n := 0; ; n++ {
		d, err := firstLetter(ctx, s.js, s.config.Name, s.service, aggregate)
		if errors.Is(err, ErrNotParked) {
			return nil
		}
		if err == nil && !d.skipped {
			d.Event, err = s.fetch(ctx, d.Event)
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
			err = discard(ctx, s.js, s.config.Name, d.sequence)
		}
		if err != nil {
			return err
		}
	}
}

// fetch reads an event again that has a dead letter. It is where it was, or behind what was published again; and in a stream
// that was made anew, anywhere.
func (s *source) fetch(ctx context.Context, parked Event) (Event, error) {
	stream, err := s.js.Stream(ctx, Stream(s.service))
	if err != nil {
		return parked, fmt.Errorf("read %s again: %w", parked.ID, err)
	}
	for _, from := range []uint64{parked.StreamSequence, 1} {
		for at := from; ; at++ {
			msg, err := stream.GetMsg(ctx, at, jetstream.WithGetMsgSubject(parked.Subject))
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				break
			}
			if err != nil {
				return parked, fmt.Errorf("read %s again: %w", parked.ID, err)
			}
			at = msg.Sequence
			found, err := Parse(msg.Data)
			if err == nil && found.ID == parked.ID && found.Hash == parked.Hash {
				found.Subject, found.StreamSequence = msg.Subject, msg.Sequence
				return found, nil
			}
		}
	}
	return parked, fmt.Errorf("%s is in the stream no longer; `roster events republish %s --aggregate %s --from-revision %d` brings it back, then retry",
		parked.ID, s.service, parked.Aggregate, parked.Revision)
}
