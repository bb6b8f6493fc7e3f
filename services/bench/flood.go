package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"

	"github.com/rosterhq/roster/services/internal/fleet"
	"github.com/rosterhq/roster/services/internal/newcomer"
)

// floodCommand is what this program is called with to measure what a flood of bad sign-ins does to everybody else.
const floodCommand = "flood"

// flood is what the flags of floodCommand say.
type flood struct {
	dur      time.Duration
	parallel int // sign-ins under way
	networks int // that they come from

	callers int // of what goes on beside it, each with one call under way
}

// floodEnv makes the gateway believe what a proxy before it says of where people are, and the budgets those of production.
var floodEnv = []string{"ROSTER_TRUSTED_PROXIES=1", "ROSTER_ATTEMPTS=100"}

// What is measured idle and under the flood. The first is what the second is held against.
const (
	nowhere      = "REST unknown path"
	resolved     = "REST ListPermissions: the session is resolved"
	checkSession = "REST GetMe: session check"
	checkAccess  = "gRPC CheckAccess"
)

func runFlood(ctx context.Context, args []string) error {
	f := flood{callers: 4}
	flags := flag.NewFlagSet(floodCommand, flag.ContinueOnError)
	flags.DurationVar(&f.dur, "dur", 30*time.Second, "length of the flood; what it is held against is measured before, each for a third of that")
	flags.IntVar(&f.parallel, "parallel", 500, "bad sign-ins under way")
	flags.IntVar(&f.networks, "networks", 500, "networks that they come from; 1: its budget is soon spent, many: the gate is full")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if f.dur <= 0 || f.parallel < 1 || f.networks < 1 || f.networks > f.parallel {
		return errors.New("needs a duration, one sign-in, and no more networks than sign-ins")
	}
	dir, err := os.MkdirTemp("", "roster-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil { // PostgreSQL's user has to pass through
		return err
	}
	suite, err := fleet.Start(ctx, fleet.Config{Dir: dir, Env: floodEnv})
	if err != nil {
		return err
	}
	measured, err := f.measure(ctx, suite)
	if err == nil {
		measured.print(os.Stdout)
	}
	return errors.Join(err, suite.Stop())
}

// flooded is what was measured.
type flooded struct {
	flood
	idle, under      map[string]sample
	idleRSS, peakRSS map[string]int     // MiB, by process
	busy             map[string]float64 // processors that each process took during the flood
	answers          map[string]int     // to bad sign-ins, by reason
	honest           time.Duration      // that an honest sign-in took from a network that was not seen before, with its repetitions; 0: it did not get in
	tries            int
	refused          string // why it was refused last
}

func (f flood) measure(ctx context.Context, suite *fleet.Fleet) (m flooded, err error) {
	m = flooded{flood: f, idle: make(map[string]sample), under: make(map[string]sample)}
	web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * f.parallel}, Timeout: 30 * time.Second}
	defer web.CloseIdleConnections()
	ada, err := newcomer.SignUp(ctx, suite.Conn(), newcomer.In(suite.Mail), fmt.Sprintf("ada-%d@example.com", f.networks))
	if err != nil {
		return m, err
	}
	made, err := membershipv1.NewOrganizationServiceClient(suite.Conn()).CreateOrganization(ctx,
		&membershipv1.CreateOrganizationRequest{DisplayName: "Analytical Engines", Preset: membershipv1.Preset_PRESET_RBAC}, bearer(ada.Session))
	if err != nil {
		return m, err
	}
	access := membershipv1.NewAccessServiceClient(suite.Conn())
	get := func(path string, want int) call {
		return func(ctx context.Context, _ int) error {
			code, _, err := request(ctx, web, http.MethodGet, suite.URL+path, "", map[string]string{"Authorization": "Bearer " + ada.Session})
			if err == nil && code != want {
				err = fmt.Errorf("GET %s: %d", path, code)
			}
			return err
		}
	}
	calm := map[string]call{
		nowhere:      get("/v1/nowhere", http.StatusNotFound),
		resolved:     get("/v1/permissions", http.StatusOK),
		checkSession: get("/v1/me", http.StatusOK),
		checkAccess: func(ctx context.Context, _ int) error {
			answer, err := access.CheckAccess(ctx, &membershipv1.CheckAccessRequest{OrganizationId: made.GetOrganization().GetId(), Permission: "members.read"}, bearer(ada.Session))
			if err == nil && !answer.GetAllowed() {
				return errDenied
			}
			return err
		},
	}
	for name, do := range calm {
		if m.idle[name], err = load(ctx, f.callers, f.dur/3, do); err != nil {
			return m, fmt.Errorf("%s: %w", name, err)
		}
	}
	if m.idleRSS, err = resident(suite); err != nil {
		return m, err
	}
	before, begin := processors(suite), time.Now()
	err = m.drown(ctx, suite, web, ada.Email, calm)
	m.busy = processors(suite)
	for name := range m.busy {
		m.busy[name] = (m.busy[name] - before[name]) / time.Since(begin).Seconds()
	}
	return m, err
}

// processors is how many seconds of a processor each process has used: the suite's, and this one, which floods.
func processors(suite *fleet.Fleet) map[string]float64 {
	seconds := make(map[string]float64)
	if me, err := readProcess(os.Getpid()); err == nil {
		seconds["the flood"] = me.own.Seconds()
	}
	for _, p := range suite.Processes {
		if read, err := readProcess(p.PID()); err == nil {
			seconds[p.Name] = read.own.Seconds()
		}
	}
	return seconds
}

// drown floods the suite while everything goes on, at least until the honest sign-in has come to an end.
func (m *flooded) drown(ctx context.Context, suite *fleet.Fleet, web *http.Client, honest string, calm map[string]call) error {
	var all sync.WaitGroup
	var mu sync.Mutex
	var wrong error
	m.answers, m.peakRSS = make(map[string]int), maps.Clone(m.idleRSS)
	note := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		wrong = errors.Join(wrong, err)
	}
	ended, over := make(chan struct{}), time.Now().Add(m.dur)
	tried := make(chan struct{})
	all.Go(func() {
		_, err := load(ctx, m.parallel, m.dur+2*perseverance, func(ctx context.Context, i int) error {
			select {
			case <-tried:
				if time.Now().After(over) {
					return errNoMore
				}
			default:
			}
			_, reason, err := m.signIn(ctx, web, suite.URL, "mallory-"+strconv.Itoa(i)+"@example.com", "not the password", fmt.Sprintf("10.%d.%d.1", i%m.networks/250, i%m.networks%250))
			mu.Lock()
			defer mu.Unlock()
			m.answers[reason]++
			return err
		})
		note(err)
		close(ended)
	})
	for name, do := range calm {
		all.Go(func() {
			took, err := load(ctx, 1, m.dur, do)
			mu.Lock()
			m.under[name] = took
			mu.Unlock()
			note(err)
		})
	}
	all.Go(func() {
		for every := time.NewTicker(100 * time.Millisecond); ; {
			select {
			case <-ended:
				every.Stop()
				return
			case <-every.C:
			}
			now, err := resident(suite)
			if err != nil {
				note(err)
				return
			}
			for name, size := range now {
				m.peakRSS[name] = max(m.peakRSS[name], size)
			}
		}
	})
	all.Go(func() {
		defer close(tried)
		note(m.signInHonestly(ctx, web, suite.URL, honest))
	})
	all.Wait()
	return wrong
}

// perseverance is how long somebody tries to sign in.
const perseverance = 30 * time.Second

// signInHonestly comes from a network of its own in the middle of the flood, and tries again as people do who hear that many are signing in.
func (m *flooded) signInHonestly(ctx context.Context, web *http.Client, at, email string) error {
	if err := pause(ctx, m.dur/3); err != nil {
		return err
	}
	for begin := time.Now(); time.Since(begin) < perseverance; {
		m.tries++
		code, reason, err := m.signIn(ctx, web, at, email, newcomer.Password, "192.0.2.1")
		switch {
		case err != nil:
			return err
		case code == http.StatusOK:
			m.honest = time.Since(begin)
			return nil
		case reason != "BUSY" && reason != "RATE_LIMITED":
			return fmt.Errorf("the honest sign-in, try %d: %d %s", m.tries, code, reason)
		}
		m.refused = reason
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context, how time.Duration) error {
	select {
	case <-time.After(how):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// signIn signs in from an address, and returns why not.
func (m *flooded) signIn(ctx context.Context, web *http.Client, at, email, password, from string) (code int, reason string, err error) {
	code, answer, err := request(ctx, web, http.MethodPost, at+"/v1/sessions", `{"email":"`+email+`","password":"`+password+`","delivery":"DELIVERY_TOKEN"}`,
		map[string]string{"X-Forwarded-For": from, "Content-Type": "application/json", "Accept": "application/problem+json"})
	if err != nil || code == http.StatusOK {
		return code, "", err
	}
	var problem struct{ Reason string }
	if err := json.Unmarshal(answer, &problem); err != nil {
		return code, "", err
	}
	return code, problem.Reason, nil
}

// request makes one and reads the whole answer.
func request(ctx context.Context, web *http.Client, method, url, body string, headers map[string]string) (code int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	resp, err := web.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// resident is how much memory each process has, in MiB.
func resident(suite *fleet.Fleet) (map[string]int, error) {
	sizes := make(map[string]int)
	for _, p := range suite.Processes {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.PID()))
		if err != nil {
			return nil, err
		}
		pages, err := strconv.Atoi(strings.Fields(string(text))[1])
		if err != nil {
			return nil, err
		}
		sizes[p.Name] = pages * os.Getpagesize() >> 20
	}
	return sizes, nil
}

func (m flooded) print(to io.Writer) {
	fmt.Fprintf(to, "%d bad sign-ins at a time from %d networks, for %s\n\n", m.parallel, m.networks, m.dur)
	fmt.Fprintf(to, "%-48s %12s %12s %12s %12s %8s %8s\n", "", "idle p50", "p99", "flood p50", "p99", "p50 by", "p99 by")
	for _, name := range []string{nowhere, resolved, checkSession, checkAccess} {
		idle, under := m.idle[name], m.under[name]
		fmt.Fprintf(to, "%-48s %12s %12s %12s %12s %8.1f %8.1f\n", name, brief(idle.p50), brief(idle.p99), brief(under.p50), brief(under.p99),
			times(under.p50, idle.p50), times(under.p99, idle.p99))
	}
	fmt.Fprintf(to, "\nresolving a session at the gateway, of an empty request: idle %.2f, flood %.2f (p50)\n",
		times(m.idle[resolved].p50, m.idle[nowhere].p50), times(m.under[resolved].p50, m.under[nowhere].p50))
	for _, name := range slices.Sorted(maps.Keys(m.idleRSS)) {
		fmt.Fprintf(to, "%-14s %4d MiB, at most %d over that\n", name, m.idleRSS[name], m.peakRSS[name]-m.idleRSS[name])
	}
	for _, name := range slices.Sorted(maps.Keys(m.busy)) {
		fmt.Fprintf(to, "%-14s took %.2f processors\n", name, m.busy[name])
	}
	if m.honest > 0 {
		fmt.Fprintf(to, "an honest sign-in from a network of its own: %s, %d tries\n", brief(m.honest), m.tries)
	} else {
		fmt.Fprintf(to, "an honest sign-in from a network of its own: not in %s, %d tries, %s\n", perseverance, m.tries, m.refused)
	}
	for _, reason := range slices.Sorted(maps.Keys(m.answers)) {
		fmt.Fprintf(to, "answered %-20s %d\n", reason, m.answers[reason])
	}
}

func times(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

func brief(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
