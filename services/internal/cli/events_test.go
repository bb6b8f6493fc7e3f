package cli

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/rosterhq/roster/pkg/events"

	"github.com/rosterhq/roster/services/internal/devnats"
)

// published are CloudEvents as the relay publishes them.
var published = []struct{ subject, body string }{
	{"roster.v1.member.role_changed.07.org_1", envelope("membership", "member.role_changed", "org_1", 7,
		`{"context":{"actor":{"kind":"KIND_ACCOUNT","id":"acc_1"}},"before":{"accountId":"acc_2","role":"viewer"},"after":{"accountId":"acc_2","role":"<admin>"}}`)},
	{"roster.v1.invitation.accepted.07.org_1", envelope("invitation", "invitation.accepted", "org_1", 3,
		`{"context":{"actor":{"id":"acc_5"}},"after":{"invitationId":"inv_1","accountId":"acc_5"}}`)},
	{"roster.v1.seat.reserved.09.org_2", envelope("billing", "seat.reserved", "org_2", 1,
		`{"context":{"actor":{"id":"acc_1"}},"seats":[{"seatId":"seat_1"},{"seatId":"seat_2"}]}`)},
	{"roster.v1.session.ended.01.acc_1", envelope("identity", "session.ended", "acc_1", 12,
		`{"context":{"actor":{"id":"acc_1"}},"sessionId":"ses_1"}`)},
	{"roster.v1.member.teleported.07.org_1", envelope("membership", "member.teleported", "org_1", 8, `{"where":"away"}`)}, // of a later version
}

func envelope(service, kind, aggregate string, revision int, data string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"evt_%d","source":"/roster/%s","type":"roster.v1.%s","time":"2026-03-10T11:00:00.000100Z",`+
		`"datacontenttype":"application/json","aggregate":"%s","revision":"%d","epoch":"1","prevhash":"aa","hash":"bb","traceid":"cc","data":%s}`,
		revision, service, kind, aggregate, revision, data)
}

// tail runs `roster events tail` until it has shown as many lines as are wanted, and returns them sorted: there is
// no order between the streams.
func tail(t *testing.T, address string, want int, args ...string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := &countedLines{want: want, done: cancel}
	var stderr bytes.Buffer
	a := newApp(Console{In: strings.NewReader(""), Out: out, Err: &stderr, ConfigDir: t.TempDir(),
		Getenv: func(string) string { return "" }, Now: func() time.Time { return noon }})
	code := a.run(ctx, append([]string{"events", "tail", "--nats", address, "--since", "2026-01-01T00:00:00Z"}, args...))
	require.Equal(t, exitOK, code, "Ctrl-C is how it ends; %s", stderr.String())
	require.Empty(t, stderr.String())
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

type countedLines struct {
	bytes.Buffer
	want int
	done func()
}

func (c *countedLines) Write(line []byte) (int, error) {
	if c.want--; c.want == 0 {
		defer c.done()
	}
	return c.Buffer.Write(line)
}

func TestEventsTail(t *testing.T) {
	t.Parallel()
	server, err := devnats.Start(t.TempDir(), "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	address := server.URL()
	publish(t, server)

	t.Run("ReadableLines", func(t *testing.T) {
		t.Parallel()
		require.ElementsMatch(t, []string{
			"2026-03-10 11:00:00  member.role_changed       org_1  #7  acc_1 -> acc_2",
			"2026-03-10 11:00:00  member.teleported         org_1  #8  ? -> org_1",
			"2026-03-10 11:00:00  invitation.accepted       org_1  #3  acc_5 -> inv_1",
			"2026-03-10 11:00:00  seat.reserved             org_2  #1  acc_1 -> seat_1 +1",
			"2026-03-10 11:00:00  session.ended             acc_1  #12  acc_1 -> ses_1",
		}, tail(t, address, 5))
	})

	t.Run("JSONLinesAreWhatWasPublishedToTheByte", func(t *testing.T) {
		t.Parallel()
		var bodies []string
		for _, p := range published {
			bodies = append(bodies, p.body)
		}
		require.ElementsMatch(t, bodies, tail(t, address, len(bodies), "--json"))
	})

	t.Run("Filters", func(t *testing.T) {
		t.Parallel()
		lines := tail(t, address, 2, "--type", "member.*", "--org", "org_1")
		require.Contains(t, lines[0], "member.role_changed")
		require.Contains(t, lines[1], "member.teleported")
		require.Contains(t, tail(t, address, 1, "--org", "org_2")[0], "seat.reserved")
	})

	t.Run("ANATSThatIsAwayIsSaidToBeWithoutItsPassword", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		r := w.run("events", "tail", "--nats", "nats://me:secret@127.0.0.1:1")
		require.Equal(t, exitFailed, r.code)
		require.Contains(t, r.err, "Error: NATS at nats://127.0.0.1:1: ")
		require.NotContains(t, r.err, "secret")
	})
}

// publish makes the streams and fills them.
func publish(t *testing.T, server *devnats.Server) {
	t.Helper()
	conn, err := server.Connect()
	require.NoError(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	for _, service := range events.Services() {
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: events.Stream(service), Subjects: events.Subjects(service)})
		require.NoError(t, err)
	}
	for _, p := range published {
		_, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: p.subject, Data: []byte(p.body)})
		require.NoError(t, err)
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`broken`: "? org_1",
		`{"context":{"actor":{"id":"opr_1"}},"after":2,"reason":"trial"}`:                                          "opr_1 org_1",
		`{"context":{"actor":{"id":"acc_1"}},"member":{"accountId":"acc_2","seatId":"seat_1"}}`:                    "acc_1 acc_2",
		`{"context":{"actor":{"id":"acc_1"}},"invitation":{"invitationId":"inv_1","seatId":"seat_1"}}`:             "acc_1 inv_1",
		`{"context":{"actor":{"id":"acc_1"}},"seats":[{"seatId":"seat_1","ownerId":"inv_1","accountId":"acc_2"}]}`: "acc_1 seat_1",
		`{"context":{"actor":{"id":"acc_1"}},"account":{"accountId":"acc_1"}}`:                                     "acc_1 acc_1",
	} {
		actor, target := origin(events.Event{Aggregate: "org_1", Data: []byte(data)})
		require.Equal(t, want, actor+" "+target, data)
	}
}
