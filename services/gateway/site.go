package gateway

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/rosterhq/roster/pkg/fault"
	errorv1 "github.com/rosterhq/roster/pkg/gen/roster/error/v1"
	identityv1 "github.com/rosterhq/roster/pkg/gen/roster/identity/v1"
	invitationv1 "github.com/rosterhq/roster/pkg/gen/roster/invitation/v1"
	membershipv1 "github.com/rosterhq/roster/pkg/gen/roster/membership/v1"
)

// pagePolicy is what a page may do: show itself, with our style, and post forms to us.
const pagePolicy = "default-src 'none'; style-src 'self'; form-action 'self'%s; base-uri 'none'; frame-ancestors 'none'"

// scriptPolicy is what those may do besides that ask for a passkey, or have a form that is sent once: run our script, which calls the API.
const scriptPolicy = "; script-src 'self'; connect-src 'self'"

//go:embed pages/*.html
var pageFiles embed.FS

//go:embed static/style.css
var style []byte

//go:embed static/passkey.js
var passkeyScript []byte

// These change with what they name, so that browsers may keep it.
var (
	styleURL  = versioned("/static/style.css", style)
	scriptURL = versioned("/static/passkey.js", passkeyScript)
)

func versioned(path string, content []byte) string {
	return fmt.Sprintf("%s?v=%x", path, sha256.Sum256(content))[:len(path)+len("?v=")+12]
}

// serveStatic serves what never changes under its URL.
func serveStatic(media string, content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media+"; charset=utf-8")
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		_, _ = w.Write(content)
	}
}

// site is everything that is not the API: what people open in a browser.
type site struct {
	*edge
	accounts    identityv1.AccountServiceClient
	sessions    identityv1.SessionServiceClient
	passwords   identityv1.PasswordServiceClient
	emails      identityv1.EmailServiceClient
	factors     identityv1.FactorServiceClient
	federated   identityv1.FederatedSignInServiceClient
	identities  identityv1.FederatedIdentityServiceClient
	directory   identityv1.AccountDirectoryServiceClient
	tokens      identityv1.TokenServiceClient
	invitations invitationv1.InvitationServiceClient
	members     membershipv1.MemberServiceClient
	reference   *reference
	mux         *http.ServeMux
}

func (e *edge) newSite() (http.Handler, error) {
	identity, invitation, membership := e.Conns["identity"], e.Conns["invitation"], e.Conns["membership"]
	s := &site{
		edge:        e,
		accounts:    identityv1.NewAccountServiceClient(identity),
		sessions:    identityv1.NewSessionServiceClient(identity),
		passwords:   identityv1.NewPasswordServiceClient(identity),
		emails:      identityv1.NewEmailServiceClient(identity),
		factors:     identityv1.NewFactorServiceClient(identity),
		federated:   identityv1.NewFederatedSignInServiceClient(identity),
		identities:  identityv1.NewFederatedIdentityServiceClient(identity),
		directory:   identityv1.NewAccountDirectoryServiceClient(identity),
		tokens:      identityv1.NewTokenServiceClient(identity),
		invitations: invitationv1.NewInvitationServiceClient(invitation),
		members:     membershipv1.NewMemberServiceClient(membership),
		mux:         http.NewServeMux(),
	}
	var err error
	if s.reference, err = newReference(e.PublicURL); err != nil {
		return nil, err
	}
	// What a form has answered stays in the address bar; whoever asks for it again starts anew.
	toStart := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusSeeOther) }
	toSecurity := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/security", http.StatusSeeOther) }
	for pattern, handle := range map[string]http.HandlerFunc{
		"GET /verify":                             toStart,
		"GET /reset":                              toStart,
		"GET /revert-email":                       toStart,
		"GET /leave":                              toStart,
		"GET /sign-out":                           toStart,
		"GET /invite/accept":                      toStart,
		"GET /invite/decline":                     toStart,
		"GET /{$}":                                s.home,
		"GET /sign-in":                            s.showSignIn,
		"POST /sign-in":                           s.signIn,
		"GET /sign-in/code":                       s.showSignIn,
		"GET /sign-in/passkey":                    s.showSignIn,
		"POST /sign-in/passkey":                   s.signInWithPasskey,
		"POST /sign-in/code":                      s.answerChallenge,
		"GET /sign-in/password":                   s.showSignIn,
		"POST /sign-in/password":                  s.choosePassword,
		"GET /signin/{organization}":              s.showSignIn,
		"GET /signin/oidc/{provider}":             s.beginFederated,
		"GET /signin/oidc/{provider}/callback":    s.completeFederated,
		"POST /sign-out":                          s.signOut,
		"GET /verify/{token}":                     s.showVerify,
		"POST /verify":                            s.verify,
		"GET /security":                           s.showSecurity,
		"GET /security/{do}":                      toSecurity,
		"POST /security/prove":                    s.proveAgain,
		"POST /security/{do}":                     s.changeSecurity,
		"GET /leave/{token}":                      s.showLeave,
		"POST /leave":                             s.leave,
		"GET /revert-email/{token}":               s.showRevertEmail,
		"POST /revert-email":                      s.revertEmail,
		"GET /forgot":                             s.showForgot,
		"POST /forgot":                            s.forgot,
		"GET /reset/{token}":                      s.showReset,
		"POST /reset":                             s.reset,
		"GET /invite/{token}":                     s.showInvitation,
		"POST /invite/accept":                     s.accept,
		"POST /invite/decline":                    s.decline,
		"GET /organizations/{organization}/seats": s.showSeats,
		"GET /avatars/{avatar}":                   s.showAvatar,
		"POST /oauth/introspect":                  s.introspect,
		"POST /oauth/revoke":                      s.revoke,
		"GET /docs":                               s.showReference,
		"GET /docs/errors":                        s.showReasons,
		"GET /openapi.json":                       s.openAPI,
		"GET /asyncapi.json":                      s.asyncAPI,
		"GET /static/style.css":                   serveStatic("text/css", style),
		"GET /static/passkey.js":                  serveStatic("text/javascript", passkeyScript),
	} {
		s.mux.HandleFunc(pattern, handle)
	}
	if e.DevMail != nil {
		s.mux.Handle("/dev/mail", e.DevMail)
		s.mux.Handle("/dev/mail/", e.DevMail)
	}
	return s, nil
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handler, pattern := s.mux.Handler(r)
	if pattern == "" {
		s.noPage(w, r, handler)
		return
	}
	callFrom(r.Context()).route = pattern[strings.IndexByte(pattern, ' ')+1:]
	s.mux.ServeHTTP(w, r)
}

// noPage answers where there is no page: 405 when another method would find one, 404 otherwise.
func (s *site) noPage(w http.ResponseWriter, r *http.Request, refusal http.Handler) {
	answer := headersOnly{header: make(http.Header)}
	refusal.ServeHTTP(&answer, r)
	if answer.status == http.StatusMethodNotAllowed {
		s.refuseMethod(w, r, strings.Split(answer.header.Get("Allow"), ", "))
		return
	}
	s.refuse(w, r, errNoRoute)
}

// headersOnly hears what the mux would answer.
type headersOnly struct {
	header http.Header
	status int
}

func (w *headersOnly) Header() http.Header         { return w.header }
func (w *headersOnly) Write(p []byte) (int, error) { return len(p), nil }
func (w *headersOnly) WriteHeader(status int)      { w.status = status }

// pages are the templates, by name.
var pages = func() map[string]*template.Template {
	functions := template.FuncMap{
		"fresh":  rand.Text,
		"style":  func() string { return styleURL },
		"script": func() string { return scriptURL },
		"day":    func(t time.Time) string { return t.UTC().Format("Monday, 2 January 2006, 15:04 UTC") },
		"prose":  prose,
		"stamp":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}
	all := make(map[string]*template.Template)
	for _, name := range []string{"home", "sign_in", "code", "next_password", "verify", "revert_email", "leave", "security", "prove", "passkey", "link", "app", "recovery_codes", "forgot", "reset", "invitation", "decline", "notice", "reference", "reasons"} {
		all[name] = template.Must(template.New("layout.html").Funcs(functions).
			ParseFS(pageFiles, "pages/layout.html", "pages/forms.html", "pages/"+name+".html"))
	}
	return all
}()

var quoted = regexp.MustCompile("`([^`]+)`")

// prose sets what a comment of the protos has in backticks as code.
func prose(text string) template.HTML {
	return template.HTML(quoted.ReplaceAllString(template.HTMLEscapeString(text), "<code>$1</code>")) //nolint:gosec // escaped
}

// view is a page and what it shows.
type view struct {
	Title  string
	Wide   bool
	Leaves bool // its form leads to one of the deployment's apps
	Script bool // it asks for a passkey, makes one, or has a form that is sent once
	Data   any
}

// render writes a page.
func (e *edge) render(w http.ResponseWriter, r *http.Request, status int, page string, v view) {
	var text bytes.Buffer
	if err := pages[page].Execute(&text, v); err != nil {
		callFrom(r.Context()).note(err)
		e.refuseJSON(w, r, e.faultOf(r, err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	to := "" // a form may lead to an app, after signing in
	if v.Leaves {
		to = " " + strings.Join(e.AppOrigins, " ")
	}
	policy := fmt.Sprintf(pagePolicy, to)
	if v.Script {
		policy += scriptPolicy
	}
	w.Header().Set("Content-Security-Policy", policy)
	w.WriteHeader(status)
	_, _ = text.WriteTo(w) // it fails only if the reader has left
}

var (
	errFormType  = fault.New(errorv1.Reason_REASON_MEDIA_TYPE_UNSUPPORTED, "Open the page in a browser and send its form.")
	errFormLarge = fault.Newf(errorv1.Reason_REASON_BODY_TOO_LARGE, "A form has at most %d bytes.", maxForm)
)

// brokenLink says for people what is wrong with a token that was cut or mistyped: nothing but the link.
func brokenLink(err error, reason fault.Reason) error {
	if fault.ReasonOf(err) == errorv1.Reason_REASON_VALIDATION_FAILED {
		return fault.New(reason, "The link is incomplete.")
	}
	return err
}

// form reads a posted form. What stands in the URL is no part of it.
func (s *site) form(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded") {
		return nil, errFormType
	}
	text, err := readBody(w, r, maxForm)
	if fault.ReasonOf(err) == errFormLarge.Reason {
		return nil, errFormLarge
	}
	if err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(string(text))
	if err != nil {
		return nil, fault.Invalid("form", "is malformed")
	}
	for name := range values {
		for i, value := range values[name] {
			values[name][i] = strings.ToValidUTF8(value, "\uFFFD")
		}
	}
	r.PostForm = values
	return values, nil
}
