package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsCommand is what this program is called with to be a NATS server.
const natsCommand = "nats"

// serveNATS runs a NATS server that has every message on the disk before it confirms it, as a production server has.
func serveNATS(ctx context.Context, data string) error {
	ctx, cancel := untilOrphaned(ctx)
	defer cancel()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: data, SyncAlways: true, NoSigs: true})
	if err != nil {
		return err
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !s.ReadyForConnections(30 * time.Second) {
		return errors.New("NATS does not answer")
	}
	if err := json.NewEncoder(os.Stdout).Encode(s.ClientURL()); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// broker is the NATS server, and what it can do at most.
type broker struct {
	*child
	conn *nats.Conn
	js   jetstream.JetStream
}

const (
	bareStream  = "YARDSTICK"
	bareSubject = "yardstick"
	underWay    = 1024 // asynchronous publishes
	payload     = 600  // bytes, as much as a small event
)

func startBroker(ctx context.Context, data string) (*broker, error) {
	b := &broker{}
	var url string
	var err error
	if b.child, err = spawn(ctx, &url, natsCommand, data); err != nil {
		return nil, fmt.Errorf("start NATS: %w", err)
	}
	if b.conn, err = nats.Connect(url); err == nil {
		b.js, err = jetstream.New(b.conn, jetstream.WithPublishAsyncMaxPending(underWay))
	}
	if err != nil {
		b.stop()
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return b, nil
}

func (b *broker) stop() {
	if b.conn != nil {
		b.conn.Close()
	}
	b.child.stop()
}

// fresh makes the yardstick's stream anew.
func (b *broker) fresh(ctx context.Context) error {
	if err := b.js.DeleteStream(ctx, bareStream); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	_, err := b.js.CreateStream(ctx, jetstream.StreamConfig{Name: bareStream, Subjects: []string{bareSubject + ".>"}, AllowAtomicPublish: true})
	return err
}

// hear ends the stopwatch's times by the messages' keys, until it is stopped.
func (b *broker) hear(ctx context.Context, w *stopwatch) (jetstream.ConsumeContext, error) {
	consumer, err := b.js.CreateConsumer(ctx, bareStream, jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 10_000})
	if err != nil {
		return nil, err
	}
	return consumer.Consume(func(m jetstream.Msg) {
		w.end(m.Headers().Get(nats.MsgIdHdr))
		_ = m.Ack()
	})
}

// message is one as small as an event.
func message(key string) *nats.Msg {
	m := nats.NewMsg(bareSubject + "." + key)
	m.Data = make([]byte, payload)
	m.Header.Set(nats.MsgIdHdr, key)
	return m
}

// latency is how long a message takes that is published by itself.
func (b *broker) latency(ctx context.Context, dur time.Duration) (sample, error) {
	if err := b.fresh(ctx); err != nil {
		return sample{}, err
	}
	w := newStopwatch()
	hearing, err := b.hear(ctx, w)
	if err != nil {
		return sample{}, err
	}
	defer hearing.Stop()
	made, err := pace(ctx, steadyRate, dur, func(ctx context.Context, i int) error {
		key := strconv.Itoa(i)
		w.begin(key)
		_, err := b.js.PublishMsg(ctx, message(key))
		return err
	})
	if err != nil {
		return sample{}, err
	}
	return w.wait(ctx, made)
}

// publish stores messages asynchronously, as fast as they are confirmed.
func (b *broker) publish(ctx context.Context, dur time.Duration) (s sample, err error) {
	if err := b.fresh(ctx); err != nil {
		return s, err
	}
	begin := time.Now()
	for time.Since(begin) < dur {
		if _, err := b.js.PublishMsgAsync(message(strconv.Itoa(s.calls)), jetstream.WithStallWait(patience)); err != nil {
			return s, err
		}
		s.calls++
	}
	select {
	case <-b.js.PublishAsyncComplete():
	case <-ctx.Done():
		return s, ctx.Err()
	case <-time.After(patience):
		return s, errors.New("JetStream does not confirm")
	}
	s.rate = float64(s.calls) / time.Since(begin).Seconds()
	stream, err := b.js.Stream(ctx, bareStream)
	if err == nil && int(stream.CachedInfo().State.Msgs) != s.calls {
		err = fmt.Errorf("JetStream holds %d of %d", stream.CachedInfo().State.Msgs, s.calls)
	}
	return s, err
}
