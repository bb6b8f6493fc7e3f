package devnats

import (
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestStreamSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustStart(t, dir, "")
	if s.URL() != "" {
		t.Errorf("URL is %q without a listener", s.URL())
	}
	js := connect(t, s)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "KEPT", Subjects: []string{"kept"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "kept", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	s.Stop() // harmless

	stream, err := connect(t, mustStart(t, dir, "")).Stream(t.Context(), "KEPT")
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if string(msg.Data) != "hello" {
		t.Errorf("the message is %q after the restart", msg.Data)
	}
}

func TestListener(t *testing.T) {
	t.Parallel()
	s := mustStart(t, t.TempDir(), "127.0.0.1:0")
	conn, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()

	taken := strings.TrimPrefix(s.URL(), "nats://")
	if _, err := Start(t.TempDir(), taken); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a taken address gives %v", err)
	}
	for _, wrong := range []string{"localhost", "localhost:nats", "localhost:70000"} {
		if _, err := Start(t.TempDir(), wrong); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("the address %s gives %v", wrong, err)
		}
	}
}

func TestStoreThatCannotBeWrittenSaysWhy(t *testing.T) {
	t.Parallel()
	if _, err := Start("/dev/null", ""); err == nil || !strings.Contains(err.Error(), "/dev/null") {
		t.Errorf("the error does not name the folder: %v", err)
	}
}

// The outbox publishes the events of a transaction as one batch: all of them appear, or none.
func TestBatchIsPublishedAsOne(t *testing.T) {
	t.Parallel()
	s := mustStart(t, t.TempDir(), "")
	js := connect(t, s)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "BATCHES", Subjects: []string{"batch.>"}, AllowAtomicPublish: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	messages := func() uint64 {
		info, err := stream.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return info.State.Msgs
	}
	publish := func(sequence int, commit bool) {
		msg := nats.NewMsg("batch." + strconv.Itoa(sequence))
		msg.Header.Set("Nats-Batch-Id", "one")
		msg.Header.Set("Nats-Batch-Sequence", strconv.Itoa(sequence))
		if commit {
			msg.Header.Set("Nats-Batch-Commit", "1")
		}
		// The server answers the first message and the commit; to ask for one answer each keeps the order.
		if reply, err := js.Conn().RequestMsgWithContext(t.Context(), msg); err != nil || strings.Contains(string(reply.Data), "error") {
			t.Fatalf("message %d: %v, %v", sequence, reply, err)
		}
	}
	publish(1, false)
	publish(2, false)
	if n := messages(); n != 0 {
		t.Errorf("%d messages before the commit", n)
	}
	publish(3, true)
	if n := messages(); n != 3 {
		t.Errorf("%d messages after the commit, want 3", n)
	}
}

func mustStart(t *testing.T, dir, addr string) *Server {
	t.Helper()
	s, err := Start(dir, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func connect(t *testing.T, s *Server) jetstream.JetStream {
	t.Helper()
	conn, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}
