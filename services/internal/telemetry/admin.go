package telemetry

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// checkLimit is how long a check may take; a slow answer is a no.
const checkLimit = 2 * time.Second

// Ready adds a check to /readyz, under a name that people can place. A second check of the same name replaces
// the first.
func (t *Telemetry) Ready(name string, check func(context.Context) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.checks[name] = check
}

// Address returns where the admin listener is; "" when there is none.
func (t *Telemetry) Address() string {
	if t.listener == nil {
		return ""
	}
	return t.listener.Addr().String()
}

func (t *Telemetry) listen(address string) (err error) {
	if t.listener, err = net.Listen("tcp", address); err != nil {
		return err
	}
	routes := http.NewServeMux()
	routes.Handle("GET /metrics", promhttp.HandlerFor(t.Registry, promhttp.HandlerOpts{}))
	routes.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	routes.HandleFunc("GET /readyz", t.readyz)
	t.admin = &http.Server{Handler: routes, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	t.served = make(chan error, 1)
	go func() { t.served <- t.admin.Serve(t.listener) }()
	return nil
}

// readyz runs all checks at once and lists their answers by name.
func (t *Telemetry) readyz(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	checks := maps.Clone(t.checks)
	t.mu.Unlock()
	names := slices.Sorted(maps.Keys(checks))

	ctx, cancel := context.WithTimeout(r.Context(), checkLimit)
	defer cancel()
	answers := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { answers[i] = checks[name](ctx) })
	}
	all.Wait()

	if len(names) == 0 || slices.ContainsFunc(answers, func(err error) bool { return err != nil }) {
		w.WriteHeader(http.StatusServiceUnavailable) // without a check the process is only starting
	}
	for i, name := range names {
		if answers[i] != nil {
			fmt.Fprintf(w, "%s: %v\n", name, answers[i])
		} else {
			fmt.Fprintf(w, "%s: ok\n", name)
		}
	}
}
