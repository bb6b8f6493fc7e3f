package gateway

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
)

var (
	errNoRoute   = fault.New(errorv1.Reason_REASON_ROUTE_NOT_FOUND, "There is no such path. The paths are listed at /docs.")
	errTooLarge  = fault.Newf(errorv1.Reason_REASON_BODY_TOO_LARGE, "A body has at most %d bytes.", maxBody)
	errMediaType = fault.New(errorv1.Reason_REASON_MEDIA_TYPE_UNSUPPORTED, "Send the body as `Content-Type: application/json`, uncompressed, in UTF-8.")
)

// newAPI returns the handler of /v1: every RPC that has a route.
func (e *edge) newAPI() (http.Handler, error) {
	var err error
	if e.routes, err = routesOf(); err != nil {
		return nil, err
	}
	e.words = map[string]bool{"invite": true, "verify": true, "sign-in": true, "docs": true}
	for _, r := range e.routes {
		for _, word := range r.literals() {
			e.words[word] = true
		}
	}
	nothing := func(string) (string, bool) { return "", false }
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, newMarshaler()),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithUnescapingMode(runtime.UnescapingModeAllExceptSlash), // an encoded slash is part of an id, and no id has one
		runtime.WithWriteContentLength(),
		runtime.WithIncomingHeaderMatcher(nothing),
		runtime.WithOutgoingHeaderMatcher(nothing),
		runtime.WithOutgoingTrailerMatcher(nothing),
		runtime.WithMiddlewares(noteRoute),
		runtime.WithForwardResponseOption(prepareFile),
		runtime.WithForwardResponseRewriter(asFile),
		runtime.WithStreamErrorHandler(e.cut),
		runtime.WithErrorHandler(e.apiError),
		runtime.WithRoutingErrorHandler(e.routingError),
	)
	for _, service := range services {
		for _, register := range service.register {
			if err := register(context.Background(), mux, e.Conns[service.role]); err != nil {
				return nil, err
			}
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := e.prepare(w, r); err != nil {
			e.refuse(w, r, err)
			return
		}
		// Nothing of the request's headers is left for grpc-gateway to pass on: Authorization, X-Forwarded-For and
		// Grpc-Timeout it would take past any matcher.
		r.Header = make(http.Header)
		mux.ServeHTTP(w, r)
	}), nil
}

// prepare reads from the request what an API call may bring, and refuses the rest.
func (e *edge) prepare(w http.ResponseWriter, r *http.Request) (err error) {
	c := callFrom(r.Context())
	if err := c.bearer(r.Header); err != nil {
		return err
	}
	if c.rest, err = restOf(r); err != nil {
		return err
	}
	c.rest.hasBody = r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch
	text, err := readBody(w, r, maxBody)
	switch {
	case err != nil:
		return err
	case len(text) > 0 && !c.rest.hasBody:
		return fault.Invalid("body", "is not for this method")
	case (len(text) > 0 || r.Header.Get("Content-Type") != "") && c.rest.hasBody && !isJSON(r.Header):
		return errMediaType
	}
	r.Body = &body{text: text, call: c}
	return nil
}

// readBody reads a body of at most so many bytes, whatever Content-Length says.
func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	if r.ContentLength > most {
		return nil, errTooLarge
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, errTooLarge
	case err != nil:
		return nil, fault.Invalid("body", "ended early")
	}
	return text, nil
}

func isJSON(h http.Header) bool {
	media, parameters, err := mime.ParseMediaType(h.Get("Content-Type"))
	charset := parameters["charset"]
	encoding := h.Get("Content-Encoding")
	return err == nil && media == "application/json" && (charset == "" || strings.EqualFold(charset, "utf-8")) &&
		(encoding == "" || strings.EqualFold(encoding, "identity"))
}

// noteRoute tells the log which route it was.
func noteRoute(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		if pattern, ok := runtime.HTTPPattern(r.Context()); ok {
			callFrom(r.Context()).route = strings.ReplaceAll(pattern.String(), "=*}", "}")
		}
		next(w, r, params)
	}
}

// apiError answers for a call that failed, at the service or on the way.
func (e *edge) apiError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	if c := callFrom(r.Context()); !c.sent && fault.From(err) == nil {
		err = c.unread(err)
	}
	e.refuse(w, r, err)
}

// routingError answers for a path or a method that is no route.
func (e *edge) routingError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, _ int) {
	var allowed []string
	for _, route := range e.routes {
		if route.matches(r.URL.EscapedPath()) && !slices.Contains(allowed, route.method) {
			allowed = append(allowed, route.method)
		}
	}
	if len(allowed) == 0 {
		e.refuse(w, r, errNoRoute)
		return
	}
	e.refuseMethod(w, r, allowed)
}
