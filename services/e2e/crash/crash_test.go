// Package crash proves that no crash anywhere loses, doubles or oversells anything: the suite runs as processes, and each dies, as
// by kill -9, at every place that an operation comes to. Which places there are, the binary tells: package failpoint names
// them, and every operation is recorded once undisturbed. Then it is done again for every place and process, and must end
// as it ended then.
package crash

import (
	"encoding/json"
	"flag"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/rosterhq/roster/pkg/fault"
	accessv1 "github.com/rosterhq/roster/pkg/gen/roster/access/v1"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	_ "github.com/rosterhq/roster/services/dev" // holds every point of the suite
	"github.com/rosterhq/roster/services/internal/failpoint"
	"github.com/rosterhq/roster/services/internal/fleet"
)

var everywhere = flag.Bool("everywhere", false, "let every process die at every place, not one at every point")

// TestCrash lets processes die in the middle of every operation.
func TestCrash(t *testing.T) {
	t.Parallel()
	m := newMatrix(t)
	t.Cleanup(func() { m.isComplete(t) })
	whole := t
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			m.run(t, whole, op)
		})
	}
}

// matrix is every operation against every death in it.
type matrix struct {
	rosterd string

	starting sync.Mutex // one world at a time: several at once find the same free addresses
	mu       sync.Mutex
	idle     []*world
	recorded int
	reached  map[string]bool // points and methods
	died     map[string]bool // points
	deaths   int
	spared   int
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	rosterd, err := fleet.Build(t.Context(), t.TempDir(), "-tags", "failpoints")
	require.NoError(t, err)
	return &matrix{rosterd: rosterd, reached: make(map[string]bool), died: make(map[string]bool)}
}

// enter gives a world to one operation; leave gives it back.
func (m *matrix) enter(t, whole *testing.T) *world {
	t.Helper()
	m.mu.Lock()
	n := len(m.idle)
	if n == 0 {
		m.mu.Unlock()
		return m.newWorld(t, whole)
	}
	defer m.mu.Unlock()
	w := m.idle[n-1]
	m.idle = m.idle[:n-1]
	return w
}

func (m *matrix) newWorld(t, whole *testing.T) *world {
	t.Helper()
	m.starting.Lock()
	defer m.starting.Unlock()
	return newWorld(t, whole, m.rosterd)
}

func (m *matrix) leave(w *world) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.idle = append(m.idle, w)
}

// run does an operation undisturbed, and then once more for every death in it.
func (m *matrix) run(t, whole *testing.T, op operation) {
	w := m.enter(t, whole)
	want, deaths := m.record(t, w, op)
	for _, d := range m.chosen(t, op, deaths) {
		t.Run(d.String(), func(t *testing.T) {
			for times, name := range []string{"first", "retry"}[:tries()] {
				t.Run(name, func(t *testing.T) {
					defer func() {
						if t.Failed() { // what has gone wrong in it stays
							w.show(t)
							w = m.newWorld(t, whole)
						}
					}()
					m.disturb(t, w, op, want, d, times+1)
				})
			}
		})
	}
	m.leave(w)
}

// tries is how often a process dies at one place, when that is tried everywhere: in the first call, and again in the
// second.
func tries() int {
	if *everywhere {
		return 2
	}
	return 1
}

// death is where a process dies.
type death struct {
	role string
	failpoint.Place
	nth int
}

func (d death) String() string {
	name := strings.TrimSpace(d.role + " " + d.Point + " " + path.Base("/"+d.About))
	name = strings.TrimSuffix(name, " /")
	if d.nth > 1 {
		name += fmt.Sprintf(" %d", d.nth)
	}
	return name
}

// record does an operation undisturbed, and returns its outcome and every death that there can be in it.
func (m *matrix) record(t *testing.T, w *world, op operation) (want outcome, deaths []death) {
	t.Helper()
	s := newScene(w)
	want = w.perform(t, op, s, func() {
		for _, role := range fleet.Roles {
			require.NoError(t, w.points.Forget(role))
		}
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.recorded++
	for _, role := range fleet.Roles {
		places, err := w.points.Reached(role)
		require.NoError(t, err)
		count := make(map[failpoint.Place]int)
		for _, at := range places {
			count[at]++
			deaths = append(deaths, death{role, at, count[at]})
			m.reached[at.Point] = true
			m.reached[at.About] = true
		}
	}
	require.NotEmpty(t, deaths)
	require.Equal(t, op.refusal, want.untold)
	t.Logf("undisturbed: %d deaths are possible; %+v", len(deaths), want)
	w.check(t)
	w.goesOn(t, s)
	return want, deaths
}

// chosen returns the deaths to try: all, or the operation's brief ones.
func (m *matrix) chosen(t *testing.T, op operation, deaths []death) (chosen []death) {
	t.Helper()
	if *everywhere {
		return deaths
	}
	for _, name := range op.brief {
		i := slices.IndexFunc(deaths, func(d death) bool { return d.String() == name })
		require.GreaterOrEqual(t, i, 0, "%s does not come to %q, but to %v", op.name, name, deaths)
		chosen = append(chosen, deaths[i])
	}
	return chosen
}

// disturb does an operation while a process dies in it, once or as often as told, and compares the outcome.
func (m *matrix) disturb(t *testing.T, w *world, op operation, want outcome, d death, times int) {
	t.Helper()
	before := make(map[string]int64)
	for role, life := range w.lives {
		before[role] = life.deaths.Load()
	}
	s := newScene(w)
	got := w.perform(t, op, s, func() { require.NoError(t, w.points.Arm(d.role, d.Place, d.nth, times)) })
	left, err := w.points.Disarm(d.role)
	require.NoError(t, err)
	require.Eventually(t, func() bool { // who died at the very end may not have been missed yet
		return int(w.lives[d.role].deaths.Load()-before[d.role]) >= times-left
	}, patience, time.Millisecond)
	w.settle(t)
	for role, life := range w.lives {
		died := int(life.deaths.Load() - before[role])
		if role == d.role {
			require.Equal(t, times-left, died, "%s dies where it is told, and nowhere else", role)
			m.count(d, died)
			if died == 0 {
				require.True(t, *everywhere, "%s did not come to %s", role, d) // what sweepers and relays take together varies
				t.Log("did not come there this time")
			}
			continue
		}
		require.Zero(t, died, "%s lives", role)
	}
	if op.done != errorv1.Reason_REASON_UNSPECIFIED && got.untold == op.done { // a repeated call was too late
		got.answer, got.untold = want.answer, want.untold
	}
	require.Equal(t, want, got)
	w.check(t)
	w.goesOn(t, s)
}

func (m *matrix) count(d death, died int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.deaths += died; died == 0 {
		m.spared++
		return
	}
	m.died[d.Point] = true
}

// isComplete checks, after all operations were tried, that they come to every point, and that no mutation is missing.
func (m *matrix) isComplete(t *testing.T) {
	t.Logf("%d deaths; %d times nobody came to where they should die", m.deaths, m.spared)
	if m.recorded < len(operations) {
		return // only some were asked for
	}
	for _, point := range failpoint.All() {
		if !m.reached[point] {
			t.Errorf("no operation comes to %s", point)
		} else if !m.died[point] {
			t.Errorf("nobody died at %s: add it to the brief deaths of an operation", point)
		}
	}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				method := methods.Get(j)
				rule, _ := proto.GetExtension(method.Options(), accessv1.E_Rule).(*accessv1.Rule)
				name := fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name())
				if rule != nil && !slices.Equal(rule.GetAudit(), []string{"read"}) && !m.reached[name] {
					t.Errorf("no operation calls %s, which changes something", name)
				}
			}
		}
		return true
	})
}

// outcome is everything that an operation came to, without what differs every time.
type outcome struct {
	answer  string
	untold  errorv1.Reason // why there is no answer
	changes []string       // of what the services keep
	links   []string       // that the person's mails hold, and what is behind them
	seen    string         // by a client
}

// perform does an operation from beginning to rest. ready is called just before.
func (w *world) perform(t *testing.T, op operation, s *scene, ready func()) (o outcome) {
	t.Helper()
	if op.arrange != nil {
		op.arrange(t, s)
	}
	w.settle(t)
	before := w.census(t)
	ready()
	answer, err := op.act(t.Context(), s)
	w.settle(t)
	if err != nil {
		f := fault.From(err)
		require.NotNil(t, f, "%v", err)
		o.untold = f.Reason
	} else {
		o.answer = s.plain(t, answer)
	}
	o.changes = slices.DeleteFunc(changes(before, w.census(t)), func(line string) bool {
		return slices.ContainsFunc(op.repeats, func(prefix string) bool { return strings.HasPrefix(line, prefix) })
	})
	for _, token := range w.links(s.email) {
		_, err := w.as("").PreviewInvitation(t.Context(), &invitationv1.PreviewInvitationRequest{LinkToken: token})
		o.links = append(o.links, fault.ReasonOf(err).String())
	}
	if len(op.repeats) > 0 { // every mail is another one
		o.links = slices.Compact(o.links)
	}
	if op.see != nil {
		o.seen = strings.ReplaceAll(op.see(t, s), s.tag, "TAG")
	}
	return o
}

var ids = regexp.MustCompile(`\b[a-z]{3}_[0-9A-Za-z_-]+`)

// plain is an answer without what differs every time: ids, times and secrets, and how far seat and mail are already.
func (s *scene) plain(t *testing.T, answer proto.Message) string {
	t.Helper()
	text, err := protojson.Marshal(answer)
	require.NoError(t, err)
	var fields any
	require.NoError(t, json.Unmarshal(text, &fields))
	text, err = json.Marshal(withoutSecrets(fields))
	require.NoError(t, err)
	return strings.ReplaceAll(ids.ReplaceAllString(string(text), "ID"), s.tag[:12], "TAG") // names are from before s.tag got longer
}

func withoutSecrets(value any) any {
	if list, ok := value.([]any); ok {
		for i, inner := range list {
			list[i] = withoutSecrets(inner)
		}
		return list
	}
	fields, ok := value.(map[string]any)
	if !ok {
		return value
	}
	for name, inner := range fields {
		switch {
		case name == "seatReleased", name == "session", name == "sessionToken":
			delete(fields, name)
		case name == "delivery": // the mail is on its way
			delete(fields, name)
		case name == "token", name == "recoveryCodes", name == "secret", name == "lastFour", name == "ending", name == "temporaryPassword", name == "link", name == "etag", name == "recordValue", strings.HasSuffix(name, "Time"):
			fields[name] = "SOME"
		default:
			fields[name] = withoutSecrets(inner)
		}
	}
	return fields
}

// goesOn does something ordinary, where the operation was.
func (w *world) goesOn(t *testing.T, s *scene) {
	t.Helper()
	if s.org == "" {
		organization(membershipv1.Preset_PRESET_RBAC)(t, s)
	}
	next := &invitationv1.CreateInvitationRequest{OrganizationId: s.org, Email: "next." + s.email, DisplayName: "Next One", Role: "admin"}
	if s.preset == membershipv1.Preset_PRESET_PIPELINE {
		next.Username = s.tag + "-next"
	}
	made, err := w.owner.CreateInvitation(t.Context(), next)
	require.NoError(t, err)
	require.Equal(t, invitationv1.Invitation_STATE_PENDING, made.GetInvitation().GetState())
}
