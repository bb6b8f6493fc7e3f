package mail_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/rosterhq/roster/services/internal/devmail"
	"github.com/rosterhq/roster/services/internal/mail"
)

func message() mail.Message {
	return mail.Message{
		ID: "0198-abc", To: "ada@example.com", Subject: "Grüße an alle",
		Text: "Text with ümlauts.\n.\nA dot alone on a line.\n", HTML: "<p>HTML with ümlauts.</p>\n",
	}
}

func sender(addr string) *mail.SMTP {
	return &mail.SMTP{Addr: addr, From: "Roster <no-reply@roster.example>", TLS: mail.None}
}

func TestSend(t *testing.T) {
	t.Parallel()
	inbox, err := devmail.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inbox.Stop() })
	if err := sender(inbox.Addr()).Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	got, err := inbox.Wait(t.Context(), "ada@example.com", nil)
	if err != nil {
		t.Fatal(err)
	}

	t.Run("WordsArriveUnchanged", func(t *testing.T) {
		t.Parallel()
		want := message()
		if got.Subject != want.Subject || got.Text != want.Text || got.HTML != want.HTML {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	})
	for name, want := range map[string]string{
		"From":           `"Roster" <no-reply@roster.example>`,
		"To":             "<ada@example.com>",
		"Message-Id":     "<0198-abc@roster.example>",
		"Auto-Submitted": "auto-generated",
		"Mime-Version":   "1.0",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := got.Header.Get(name); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		})
	}
	t.Run("TextAndHTMLAreAlternatives", func(t *testing.T) {
		t.Parallel()
		if kind := got.Header.Get("Content-Type"); !strings.HasPrefix(kind, "multipart/alternative;") {
			t.Errorf("Content-Type: %s", kind)
		}
	})
	t.Run("DateIsSet", func(t *testing.T) {
		t.Parallel()
		if _, err := got.Header.Date(); err != nil {
			t.Error(err)
		}
	})
}

func TestSendRefusesMalformedMessages(t *testing.T) {
	t.Parallel()
	for rule, spoil := range map[string]func(*mail.Message){
		"RecipientWithSecondLine":  func(m *mail.Message) { m.To = "ada@example.com\r\nBcc: eve@example.com" },
		"RecipientWithCommand":     func(m *mail.Message) { m.To = "ada@example.com>\r\nRCPT TO:<eve@example.com" },
		"TwoRecipients":            func(m *mail.Message) { m.To = "ada@example.com, eve@example.com" },
		"RecipientWithDisplayName": func(m *mail.Message) { m.To = "Ada <ada@example.com>" },
		"NoRecipient":              func(m *mail.Message) { m.To = "" },
		"SubjectWithSecondLine":    func(m *mail.Message) { m.Subject = "Hello\r\nBcc: eve@example.com" },
		"SubjectWithEscape":        func(m *mail.Message) { m.Subject = "Hello\x1b[31m" },
		"IDWithSecondLine":         func(m *mail.Message) { m.ID = "1\r\nBcc: eve@example.com" },
		"IDWithBracket":            func(m *mail.Message) { m.ID = "1>" },
		"NoID":                     func(m *mail.Message) { m.ID = "" },
		"NoText":                   func(m *mail.Message) { m.Text = "" },
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			m := message()
			spoil(&m)
			if err := sender("127.0.0.1:1").Send(t.Context(), m); !errors.Is(err, mail.ErrPermanent) {
				t.Errorf("got %v, want ErrPermanent", err)
			}
		})
	}
}

func TestSendTellsPermanentFromTemporary(t *testing.T) {
	t.Parallel()
	no := func(code int) error { return &smtp.SMTPError{Code: code, Message: "no"} }
	for _, test := range []struct {
		rule      string
		server    server
		permanent bool
	}{
		{"UnknownRecipientIsPermanent", server{rcpt: no(550)}, true},
		{"RefusedContentIsPermanent", server{data: no(554)}, true},
		{"BusyMailboxIsTemporary", server{rcpt: no(450)}, false},
		{"FullDiskIsTemporary", server{data: no(452)}, false},
		{"RefusedSenderIsTemporary", server{mail: no(550)}, false},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			err := sender(test.server.start(t)).Send(t.Context(), message())
			if err == nil || errors.Is(err, mail.ErrPermanent) != test.permanent {
				t.Errorf("got %v, want permanent %v", err, test.permanent)
			}
		})
	}

	t.Run("NobodyListeningIsTemporary", func(t *testing.T) {
		t.Parallel()
		err := sender(listen(t, func(conn net.Conn) { conn.Close() })).Send(t.Context(), message())
		if err == nil || errors.Is(err, mail.ErrPermanent) {
			t.Errorf("got %v, want a temporary error", err)
		}
	})
}

func TestSendObeysTLSPolicy(t *testing.T) {
	t.Parallel()
	t.Run("MandatoryRefusesPlainServer", func(t *testing.T) {
		t.Parallel()
		s := sender(server{}.start(t))
		s.TLS = mail.Mandatory
		if err := s.Send(t.Context(), message()); err == nil || errors.Is(err, mail.ErrPermanent) {
			t.Errorf("got %v, want a temporary error", err)
		}
	})
	t.Run("OpportunisticAcceptsPlainServer", func(t *testing.T) {
		t.Parallel()
		s := sender(server{}.start(t))
		s.TLS = mail.Opportunistic
		if err := s.Send(t.Context(), message()); err != nil {
			t.Error(err)
		}
	})
	for rule, policy := range map[string]mail.TLSPolicy{
		"OpportunisticRefusesUnknownCertificate": mail.Opportunistic,
		"MandatoryRefusesUnknownCertificate":     mail.Mandatory,
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			s := sender(server{offersTLS: true}.start(t))
			s.TLS = policy
			if err := s.Send(t.Context(), message()); err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("got %v, want a certificate error", err)
			}
		})
	}
	t.Run("PasswordIsNotSentInTheClear", func(t *testing.T) {
		t.Parallel()
		said := make(chan string, 1)
		s := sender(listen(t, func(conn net.Conn) {
			defer conn.Close()
			io.WriteString(conn, "220 here\r\n")
			buffer := make([]byte, 512)
			conn.Read(buffer)
			io.WriteString(conn, "250-here\r\n250 AUTH PLAIN LOGIN\r\n")
			rest, _ := io.ReadAll(conn)
			said <- string(rest)
		}))
		s.TLS, s.Username, s.Password = mail.Opportunistic, "roster", "correct horse"
		if err := s.Send(t.Context(), message()); err == nil {
			t.Error("sent")
		}
		if rest := <-said; strings.Contains(rest, "AUTH") {
			t.Errorf("the server heard %q", rest)
		}
	})
}

func TestSendEnds(t *testing.T) {
	t.Parallel()
	t.Run("WhenCanceled", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		s := sender(listen(t, func(net.Conn) { cancel() })) // connects, then says nothing
		if err := s.Send(ctx, message()); !errors.Is(err, context.Canceled) || errors.Is(err, mail.ErrPermanent) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
	t.Run("AfterTheTimeout", func(t *testing.T) {
		t.Parallel()
		s := sender(listen(t, func(net.Conn) {}))
		s.Timeout = 50 * time.Millisecond
		if err := s.Send(t.Context(), message()); err == nil || errors.Is(err, mail.ErrPermanent) {
			t.Errorf("got %v, want a temporary error", err)
		}
	})
	t.Run("WellIfOnlyTheGoodbyeFails", func(t *testing.T) {
		t.Parallel()
		s := sender(listen(t, func(conn net.Conn) {
			defer conn.Close()
			client := bufio.NewReader(conn)
			io.WriteString(conn, "220 here\r\n")
			for _, answer := range []string{"250 here", "250 ok", "250 ok", "250 ok", "354 go on"} { // EHLO to DATA
				client.ReadString('\n')
				io.WriteString(conn, answer+"\r\n")
			}
			for line := ""; line != ".\r\n"; {
				line, _ = client.ReadString('\n')
			}
			io.WriteString(conn, "250 taken\r\n") // and then the line goes dead
		}))
		if err := s.Send(t.Context(), message()); err != nil {
			t.Error(err)
		}
	})
}

// server is an SMTP server that gives the same answers to everybody.
type server struct {
	mail, rcpt, data error
	offersTLS        bool
}

func (s server) start(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	smtpServer := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return session{s}, nil }))
	if s.offersTLS {
		https := httptest.NewTLSServer(nil) // for its certificate, which nobody trusts
		t.Cleanup(https.Close)
		smtpServer.TLSConfig = https.TLS
	}
	go smtpServer.Serve(listener)
	t.Cleanup(func() { listener.Close(); smtpServer.Close() })
	return listener.Addr().String()
}

type session struct{ server }

func (s session) Mail(string, *smtp.MailOptions) error { return s.mail }
func (s session) Rcpt(string, *smtp.RcptOptions) error { return s.rcpt }
func (s session) Data(r io.Reader) error               { io.Copy(io.Discard, r); return s.data }
func (s session) Reset()                               {}
func (s session) Logout() error                        { return nil }

// listen hands the first connection to serve, and closes it when the test ends.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		serve(conn)
		<-t.Context().Done()
		conn.Close()
	}()
	return listener.Addr().String()
}
