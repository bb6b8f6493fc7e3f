// Package devmail is the development inbox: an SMTP server that delivers nothing, keeps what it receives, and
// shows it on pages under /dev/mail. It lets a developer, a test or a demo read the mail that Roster sends.
//
// It has no access control and its messages hold sign-in links, so it never runs in production.
package devmail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

const (
	keep      = 1000    // messages; the oldest go first
	sizeLimit = 1 << 20 // bytes of one message
)

// Inbox receives mail on a loopback port. Recipients whose local part begins with "bounce" are refused with
// "550 no such user", to try out what happens when an address does not exist.
type Inbox struct {
	dir      string
	listener net.Listener
	server   *smtp.Server
	served   chan error // the result of server.Serve

	mu       sync.Mutex
	messages []Received    // oldest first
	arrived  chan struct{} // closed and replaced when a message arrives
	stopped  bool
}

// Start opens the inbox kept in dir, which it makes if there is none. Each message is one .eml file there.
func Start(dir string) (*Inbox, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("development inbox: %w", err)
	}
	messages, err := load(dir)
	if err != nil {
		return nil, fmt.Errorf("development inbox: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("development inbox: %w", err)
	}

	i := &Inbox{dir: dir, listener: listener, served: make(chan error, 1), messages: messages, arrived: make(chan struct{})}
	i.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{inbox: i}, nil }))
	i.server.Domain = "localhost"
	i.server.MaxMessageBytes = sizeLimit
	i.server.ReadTimeout, i.server.WriteTimeout = time.Minute, time.Minute
	i.server.EnableSMTPUTF8 = true
	i.server.ErrorLog = slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn)
	go func() {
		i.served <- i.server.Serve(listener)
		close(i.served)
	}()
	return i, nil
}

// Addr is the host:port to send mail to.
func (i *Inbox) Addr() string { return i.listener.Addr().String() }

// Stop ends the SMTP server; nothing is written to the folder afterwards. What was received can still be read.
// To stop it again does nothing.
func (i *Inbox) Stop() error {
	err := i.server.Close()
	if errors.Is(err, smtp.ErrServerClosed) {
		return nil
	}
	i.listener.Close() // again, for the server may have closed before Serve told it what it listens on
	err = errors.Join(err, <-i.served)

	i.mu.Lock() // waits for a message that is being stored
	defer i.mu.Unlock()
	i.stopped = true
	return err
}

// Wait returns the newest message to the address, of any if to is empty, for which match is true, of any if
// match is nil. If there is none yet it waits for one to arrive, until ctx ends.
func (i *Inbox) Wait(ctx context.Context, to string, match func(Received) bool) (Received, error) {
	for {
		i.mu.Lock()
		arrived := i.arrived // taken before looking, so that nothing arrives unseen in between
		i.mu.Unlock()

		for _, m := range i.newest() {
			if m.sentTo(to) && (match == nil || match(m)) {
				return m, nil
			}
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return Received{}, fmt.Errorf("waiting for mail to %q: %w", to, context.Cause(ctx))
		}
	}
}

// newest returns all messages, newest first.
func (i *Inbox) newest() []Received {
	i.mu.Lock()
	defer i.mu.Unlock()
	list := make([]Received, 0, len(i.messages))
	for n := len(i.messages) - 1; n >= 0; n-- {
		list = append(list, i.messages[n])
	}
	return list
}

// find returns the message with the id.
func (i *Inbox) find(id string) (Received, bool) {
	for _, m := range i.newest() {
		if m.ID == id {
			return m, true
		}
	}
	return Received{}, false
}

var errStopped = errors.New("the inbox has stopped")

// deliver stores a message, forgets the oldest if there are too many, and wakes those who wait.
func (i *Inbox) deliver(to []string, content []byte) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stopped {
		return errStopped
	}

	// The id is the time of arrival. It only ever grows, so the order of names is the order of arrival.
	now := time.Now().UTC()
	if n := len(i.messages); n > 0 && !now.After(i.messages[n-1].Time) {
		now = i.messages[n-1].Time.Add(time.Nanosecond)
	}
	id := now.Format(idLayout)

	// Who it was for is part of the envelope, not of the message: it is kept in headers put before the rest.
	var raw bytes.Buffer
	for _, address := range to {
		fmt.Fprintf(&raw, "%s: %s\r\n", deliveredTo, address)
	}
	raw.Write(content)
	m, err := parse(id, raw.Bytes())
	if err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "malformed message: " + oneLine(err)}
	}
	if err := i.write(id, raw.Bytes()); err != nil {
		return err
	}

	i.messages = append(i.messages, m)
	for len(i.messages) > keep {
		if err := os.Remove(i.path(i.messages[0].ID)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		i.messages = i.messages[1:]
	}
	close(i.arrived)
	i.arrived = make(chan struct{})
	return nil
}

// write leaves either the whole file or none.
func (i *Inbox) write(id string, raw []byte) error {
	unfinished := i.path(id) + ".part"
	if err := os.WriteFile(unfinished, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(unfinished, i.path(id))
}

func (i *Inbox) path(id string) string { return filepath.Join(i.dir, id+".eml") }

// load reads the folder, oldest message first. Files that are not ours are left alone.
func load(dir string) ([]Received, error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, err
	}
	var messages []Received
	for _, entry := range entries {
		id, ok := strings.CutSuffix(entry.Name(), ".eml")
		if !ok {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, err
		}
		if m, err := parse(id, raw); err == nil {
			messages = append(messages, m)
		}
	}
	return messages, nil
}

// session is one SMTP conversation.
type session struct {
	inbox *Inbox
	to    []string
}

func (s *session) Mail(string, *smtp.MailOptions) error { return nil }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(strings.ToLower(to), "bounce") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	content, err := io.ReadAll(r) // the server stops at sizeLimit
	if err != nil {
		return err
	}
	return s.inbox.deliver(s.to, content)
}

func (s *session) Reset()        { s.to = nil }
func (s *session) Logout() error { return nil }

// oneLine is the text of an error, fit for an SMTP answer.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
