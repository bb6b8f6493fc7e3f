package devmail

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

//go:embed pages/*.html
var files embed.FS

var (
	listPage    = page("list.html")
	messagePage = page("message.html")
)

func page(name string) *template.Template {
	functions := template.FuncMap{"clock": func(t time.Time) string { return t.Format("2006-01-02 15:04:05 UTC") }}
	return template.Must(template.New("layout.html").Funcs(functions).ParseFS(files, "pages/layout.html", "pages/"+name))
}

// Handler serves the inbox:
//
//	GET /dev/mail                     the list; ?q= finds by part of an address
//	GET /dev/mail/{id}                one message
//	GET /dev/mail/messages?to=ADDRESS as JSON, newest first; to is optional, and its case does not matter
func (i *Inbox) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /dev/mail", i.list)
	mux.HandleFunc("GET /dev/mail/messages", i.json)
	mux.HandleFunc("GET /dev/mail/{id}", i.show)
	return protect(mux)
}

// protect sets what every answer needs: mail is written by others and holds links that sign people in.
// No script runs and nothing is loaded from elsewhere, neither here nor in the mail, whose frame inherits this.
func protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "+
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (i *Inbox) list(w http.ResponseWriter, r *http.Request) {
	query := strings.TrimSpace(r.URL.Query().Get("q"))
	wanted := strings.ToLower(query)
	messages := i.newest()
	total := len(messages)
	messages = slices.DeleteFunc(messages, func(m Received) bool {
		return !strings.Contains(strings.ToLower(strings.Join(m.To, " ")), wanted)
	})
	render(w, listPage, map[string]any{"Title": "Mail", "Query": query, "Messages": messages, "Total": total, "Addr": i.Addr()})
}

func (i *Inbox) show(w http.ResponseWriter, r *http.Request) {
	m, ok := i.find(r.PathValue("id"))
	if !ok {
		http.Error(w, "There is no such message. Only the newest 1,000 are kept.", http.StatusNotFound)
		return
	}
	type field struct{ Name, Value string }
	var fields []field
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		for _, value := range m.Header[name] {
			fields = append(fields, field{name, decode(value)})
		}
	}
	// Links in the frame open a new window: the sandbox lets them go nowhere else.
	frame := `<base target="_blank">` + m.HTML
	render(w, messagePage, map[string]any{"Title": m.Subject, "Message": m, "Fields": fields, "Frame": frame})
}

func (i *Inbox) json(w http.ResponseWriter, r *http.Request) {
	to := r.URL.Query().Get("to")
	messages := slices.DeleteFunc(i.newest(), func(m Received) bool { return !m.sentTo(to) })
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"messages": messages}) // it fails only if the reader has left
}

func render(w http.ResponseWriter, page *template.Template, data any) {
	var body bytes.Buffer
	if err := page.Execute(&body, data); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = body.WriteTo(w) // it fails only if the reader has left
}
