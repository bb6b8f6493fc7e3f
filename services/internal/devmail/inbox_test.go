package devmail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rosterhq/roster/services/internal/mail"
)

func start(t *testing.T, dir string) *Inbox {
	t.Helper()
	inbox, err := Start(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := inbox.Stop(); err != nil {
			t.Error(err)
		}
	})
	return inbox
}

// send has the real sender deliver an ordinary message.
func send(t *testing.T, inbox *Inbox, to, subject string) error {
	t.Helper()
	smtp := mail.SMTP{Addr: inbox.Addr(), From: "Roster <no-reply@roster.example>", TLS: mail.None}
	return smtp.Send(t.Context(), mail.Message{
		ID: "id", To: to, Subject: subject,
		Text: "Grüße. Open https://roster.example/invite/abc?x=1&y=2, or (https://roster.example/help).\n" +
			"Once more: https://roster.example/help\n",
		HTML: `<p>Grüße & <a href="https://roster.example/invite/abc">accept</a></p>` + "\n",
	})
}

func mustSend(t *testing.T, inbox *Inbox, to, subject string) {
	t.Helper()
	if err := send(t, inbox, to, subject); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, inbox *Inbox, path string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	inbox.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return answer
}

// subjects reads the JSON and returns the subjects in it.
func subjects(t *testing.T, inbox *Inbox, path string) []string {
	t.Helper()
	var body struct{ Messages []Received }
	if err := json.Unmarshal(get(t, inbox, path).Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, m := range body.Messages {
		list = append(list, m.Subject)
	}
	return list
}

func TestMessagesAsJSON(t *testing.T) {
	t.Parallel()
	inbox := start(t, t.TempDir())

	if got := strings.TrimSpace(get(t, inbox, "/dev/mail/messages").Body.String()); got != `{"messages":[]}` {
		t.Errorf("an empty inbox answers %s", got)
	}

	mustSend(t, inbox, "Ada@example.com", "first · Grüße")
	mustSend(t, inbox, "bob@example.com", "second")
	mustSend(t, inbox, "ada@example.com", "third")

	var body struct{ Messages []map[string]any }
	answer := get(t, inbox, "/dev/mail/messages?to=ADA@example.com")
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if kind := answer.Header().Get("Content-Type"); kind != "application/json" {
		t.Errorf("Content-Type: %s", kind)
	}
	if len(body.Messages) != 2 {
		t.Fatalf("got %d messages to Ada, want 2", len(body.Messages))
	}
	first := body.Messages[1]
	for field, want := range map[string]any{
		"to":      []any{"Ada@example.com"},
		"from":    `"Roster" <no-reply@roster.example>`,
		"subject": "first · Grüße",
		"links":   []any{"https://roster.example/invite/abc?x=1&y=2", "https://roster.example/help"},
		"html":    `<p>Grüße & <a href="https://roster.example/invite/abc">accept</a></p>` + "\n",
	} {
		if got := fmt.Sprint(first[field]); got != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", field, got, want)
		}
	}
	if text := fmt.Sprint(first["text"]); !strings.HasPrefix(text, "Grüße. Open https://roster.example/invite/abc?x=1&y=2, or") {
		t.Errorf("text: %s", text)
	}

	for path, want := range map[string][]string{
		"/dev/mail/messages":                    {"third", "second", "first · Grüße"},
		"/dev/mail/messages?to=ada@example.com": {"third", "first · Grüße"},
		"/dev/mail/messages?to=ada":             {}, // a part of an address is not the address
	} {
		if got := subjects(t, inbox, path); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestMessagesSurviveRestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "folder")
	inbox := start(t, dir)
	mustSend(t, inbox, "ada@example.com", "before")
	before, _ := inbox.Wait(t.Context(), "ada@example.com", nil)
	if err := inbox.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.eml"), []byte("not ours"), 0o600); err != nil {
		t.Fatal(err)
	}

	inbox = start(t, dir)
	mustSend(t, inbox, "ada@example.com", "after")
	if got, want := subjects(t, inbox, "/dev/mail/messages"), []string{"after", "before"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	restored, ok := inbox.find(before.ID)
	if !ok || fmt.Sprint(restored) != fmt.Sprint(before) {
		t.Errorf("the message changed:\n%v\n%v", before, restored)
	}
}

func TestOldestMessagesGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inbox := start(t, dir)
	for n := range keep + 2 {
		if err := inbox.deliver([]string{"ada@example.com"}, fmt.Appendf(nil, "Subject: %d\r\n\r\nHello.\r\n", n)); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := inbox.newest()
	if len(files) != keep || len(got) != keep || got[0].Subject != "1001" || got[keep-1].Subject != "2" {
		t.Errorf("%d files, %d messages from %s to %s", len(files), len(got), got[len(got)-1].Subject, got[0].Subject)
	}
}

func TestBouncesAreRefused(t *testing.T) {
	t.Parallel()
	inbox := start(t, t.TempDir())
	err := send(t, inbox, "Bounce-7@example.com", "hello")
	if !errors.Is(err, mail.ErrPermanent) || !strings.Contains(err.Error(), "no such user") {
		t.Errorf("got %v, want ErrPermanent: no such user", err)
	}
	if got := subjects(t, inbox, "/dev/mail/messages"); len(got) != 0 {
		t.Errorf("kept %q", got)
	}
}

func TestSizeIsLimited(t *testing.T) {
	t.Parallel()
	inbox := start(t, t.TempDir())
	smtp := mail.SMTP{Addr: inbox.Addr(), From: "no-reply@roster.example", TLS: mail.None}
	m := mail.Message{ID: "id", To: "ada@example.com", Subject: "big", HTML: "<p>"}

	m.Text = strings.Repeat("0123456789012345678901234567890123456789012345678901234567890\n", 16_000) // under 1 MiB
	if err := smtp.Send(t.Context(), m); err != nil {
		t.Error(err)
	}
	m.Text += m.Text
	if err := smtp.Send(t.Context(), m); !errors.Is(err, mail.ErrPermanent) {
		t.Errorf("got %v, want ErrPermanent", err)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	t.Run("FindsWhatIsThere", func(t *testing.T) {
		t.Parallel()
		inbox := start(t, t.TempDir())
		mustSend(t, inbox, "ada@example.com", "first")
		mustSend(t, inbox, "ada@example.com", "second")
		mustSend(t, inbox, "bob@example.com", "third")
		got, err := inbox.Wait(t.Context(), "ADA@example.com", nil)
		if err != nil || got.Subject != "second" {
			t.Errorf("got %q, %v", got.Subject, err)
		}
	})
	t.Run("WaitsForTheOneThatMatches", func(t *testing.T) {
		t.Parallel()
		inbox := start(t, t.TempDir())
		looked := make(chan struct{}, 8) // tells that Wait has looked at the first message
		found := make(chan Received, 1)
		go func() {
			m, _ := inbox.Wait(t.Context(), "ada@example.com", func(m Received) bool {
				looked <- struct{}{}
				return m.Subject == "second"
			})
			found <- m
		}()
		mustSend(t, inbox, "ada@example.com", "first")
		<-looked
		mustSend(t, inbox, "bob@example.com", "second")
		mustSend(t, inbox, "ada@example.com", "second")
		if m := <-found; m.Subject != "second" || m.To[0] != "ada@example.com" {
			t.Errorf("got %+v", m)
		}
	})
	t.Run("EndsWithItsContext", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := start(t, t.TempDir()).Wait(ctx, "", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
}

func TestPages(t *testing.T) {
	t.Parallel()
	inbox := start(t, t.TempDir())

	t.Run("EmptyInboxSaysWhatToDo", func(t *testing.T) {
		if page := get(t, inbox, "/dev/mail").Body.String(); !strings.Contains(page, "No mail yet.") {
			t.Error(page)
		}
	})
	mustSend(t, inbox, "ada@example.com", "To <Ada>")
	mustSend(t, inbox, "bob@example.com", "To Bob")
	m, err := inbox.Wait(t.Context(), "ada@example.com", nil)
	if err != nil {
		t.Fatal(err)
	}

	for _, test := range []struct {
		rule, path string
		has, lacks []string
	}{
		{"ListShowsAll", "/dev/mail", []string{"To &lt;Ada&gt;", "To Bob", "/dev/mail/" + m.ID, "2 of 2 shown"}, []string{"<Ada>"}},
		{"SearchFindsByPartOfAddress", "/dev/mail?q=ADA", []string{"To &lt;Ada&gt;", "1 of 2 shown"}, []string{"To Bob"}},
		{"SearchWithoutResultSaysSo", "/dev/mail?q=%3Cnobody", []string{"No mail to an address with “&lt;nobody”"}, []string{"To Bob"}},
		{"MessageShowsEverything", "/dev/mail/" + m.ID, []string{
			"To &lt;Ada&gt;", "ada@example.com", "Grüße. Open", "<dt>Message-Id</dt>", "&lt;id@roster.example&gt;",
			`<a href="https://roster.example/invite/abc?x=1&amp;y=2">`, `<a href="https://roster.example/help">`,
		}, []string{"<p>Grüße"}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			page := get(t, inbox, test.path).Body.String()
			for _, part := range test.has {
				if !strings.Contains(page, part) {
					t.Errorf("%s lacks %q:\n%s", test.path, part, page)
				}
			}
			for _, part := range test.lacks {
				if strings.Contains(page, part) {
					t.Errorf("%s has %q", test.path, part)
				}
			}
		})
	}

	t.Run("FrameHoldsTheHTMLAndIsSandboxed", func(t *testing.T) {
		page := get(t, inbox, "/dev/mail/"+m.ID).Body.String()
		_, rest, found := strings.Cut(page, `sandbox="allow-popups allow-popups-to-escape-sandbox" srcdoc="`)
		frame, _, _ := strings.Cut(rest, `"`)
		if !found || html.UnescapeString(frame) != `<base target="_blank">`+m.HTML {
			t.Errorf("frame: %s", frame)
		}
	})
	t.Run("UnknownMessageIsNotFound", func(t *testing.T) {
		for _, path := range []string{"/dev/mail/20200101T000000.000000000", "/dev/mail/..%2F..%2Fsecret"} {
			if code := get(t, inbox, path).Code; code != http.StatusNotFound {
				t.Errorf("%s: %d", path, code)
			}
		}
	})
	t.Run("EveryAnswerIsProtected", func(t *testing.T) {
		for _, path := range []string{"/dev/mail", "/dev/mail/" + m.ID, "/dev/mail/messages", "/dev/mail/none"} {
			header := get(t, inbox, path).Header()
			if csp := header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "script-src") {
				t.Errorf("%s: Content-Security-Policy: %s", path, csp)
			}
			if header.Get("Referrer-Policy") != "no-referrer" || header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %v", path, header)
			}
		}
	})
}

func TestParse(t *testing.T) {
	t.Parallel()
	const id = "20260309T223000.000000001"
	for _, test := range []struct{ rule, raw, text, html string }{
		{"PlainWithoutContentType", "Subject: x\r\n\r\nHello\r\n", "Hello\n", ""},
		{"Base64", "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: BASE64\r\n\r\nPHA+R3LD\r\nvMOfZTwvcD4=\r\n", "", "<p>Grüße</p>"},
		{"NestedParts", "Content-Type: multipart/mixed; boundary=a\r\n\r\n" +
			"--a\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n" +
			"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=\r\n=C3=9Fe\r\n" +
			"--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n--b--\r\n" +
			"--a\r\nContent-Type: text/plain\r\n\r\nattached\r\n--a--\r\n", "Grüße", "<p>"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			m, err := parse(id, []byte(test.raw))
			if err != nil || m.Text != test.text || m.HTML != test.html {
				t.Errorf("got %q, %q, %v", m.Text, m.HTML, err)
			}
		})
	}
	t.Run("BrokenPartsAreAnError", func(t *testing.T) {
		t.Parallel()
		if _, err := parse(id, []byte("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nno end")); err == nil {
			t.Error("parsed")
		}
	})
}
