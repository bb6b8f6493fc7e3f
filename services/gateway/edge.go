package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"

	"github.com/rosterhq/roster/services/internal/caller"
)

// edge is the handler of the public listener.
type edge struct {
	Dependencies
	secure         bool                        // the public URL is https
	crossOrigin    *http.CrossOriginProtection // of pages: our own forms alone
	crossOriginAPI *http.CrossOriginProtection
	routes         []route
	words          map[string]bool // that stand in routes, and so may stand in a log
	api, site      http.Handler
}

// ServeHTTP is the way of a request: its trace, what every answer carries, what no request may do, and then the
// API or a page. One line in the log tells how it ended.
func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	ctx, end := trace(r)
	c := e.newCall(r)
	r = r.WithContext(withCall(ctx, c))
	answer := &response{ResponseWriter: w, call: c}
	e.setHeaders(answer.Header(), r)
	defer func() {
		if value := recover(); value != nil {
			e.recovered(answer, r, value)
		}
		e.log(r, answer, time.Since(begin))
		end(r.Method, c.route, answer.code())
		if answer.broken {
			panic(http.ErrAbortHandler) // half an answer must not look like a whole one
		}
	}()

	preflight := isAPI(r.URL.Path) && e.allowOrigin(answer.Header(), r)
	switch err := e.admit(r); {
	case err != nil:
		e.refuse(answer, r, err)
	case preflight:
		answer.WriteHeader(http.StatusNoContent)
	case isAPI(r.URL.Path):
		e.api.ServeHTTP(answer, r)
	default:
		e.site.ServeHTTP(answer, r)
	}
}

// admit refuses what neither the API nor a page takes.
func (e *edge) admit(r *http.Request) error {
	protection := e.crossOrigin
	if isAPI(r.URL.Path) {
		protection = e.crossOriginAPI
	}
	if err := protection.Check(r); err != nil {
		return fault.New(errorv1.Reason_REASON_CROSS_ORIGIN, "A page of another origin may not do this. Open Roster itself and try again.")
	}
	if !utf8.ValidString(r.URL.Path) || strings.ContainsRune(r.URL.Path, 0) {
		return fault.Invalid("path", "must be UTF-8")
	}
	return nil
}

// setHeaders sets what every answer carries. Pages widen the policy to what they need.
func (e *edge) setHeaders(h http.Header, r *http.Request) {
	h.Set("X-Request-Id", caller.TraceID(r.Context()))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if e.secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// recovered ends a request whose handler has panicked.
func (e *edge) recovered(w *response, r *http.Request, value any) {
	if value == http.ErrAbortHandler { //nolint:errorlint // the very value, as net/http compares it
		w.broken = true
		return
	}
	w.call.note(fmt.Errorf("panic: %v", value))
	w.call.stack = string(debug.Stack())
	if w.broken = w.status != 0; !w.broken {
		e.refuse(w, r, errInternal)
	}
}

// log writes the one line of a request. What a stranger chose stays out of it: paths hold tokens, and text can
// forge lines.
func (e *edge) log(r *http.Request, w *response, took time.Duration) {
	c := w.call
	if c.route == "" {
		c.route = e.redact(r.URL.Path)
	}
	about := []slog.Attr{
		slog.String("method", methodName(r.Method)),
		slog.String("route", c.route),
		slog.Int("status", w.code()),
		slog.Duration("took", took),
		slog.String("trace", caller.TraceID(r.Context())),
	}
	if c.reason != "" {
		about = append(about, slog.String("reason", c.reason))
	}
	level := slog.LevelInfo
	if c.cause != nil { // ours to mend; a refusal's words may be personal
		level = slog.LevelWarn
		about = append(about, slog.String("error", c.cause.Error()))
	}
	if c.reason == errInternal.Name() {
		level = slog.LevelError
	}
	if c.stack != "" {
		about = append(about, slog.String("stack", c.stack))
	}
	e.Log.LogAttrs(context.WithoutCancel(r.Context()), level, "request", about...)
}

// redact returns a path with a star for everything that stands in no route.
func (e *edge) redact(path string) string {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, segment := range segments {
		if segment != "" && !e.words[segment] {
			segments[i] = "*"
		}
	}
	return "/" + strings.Join(segments[:min(len(segments), 10)], "/")
}

func methodName(method string) string {
	known := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
	if slices.Contains(known, method) {
		return method
	}
	return "other"
}

// response knows how a request was answered, and sets the cookie in time.
type response struct {
	http.ResponseWriter
	call   *call
	status int  // 0: nothing was sent yet
	broken bool // the answer could not be finished
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
		w.call.setCookie(w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}
