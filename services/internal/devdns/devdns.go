// Package devdns is a DNS server for tests: it knows the TXT records that it is told, and says of all other names that they
// do not exist.
package devdns

import (
	"errors"
	"net"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Server answers on a port of this machine.
type Server struct {
	conn net.PacketConn
	done chan struct{}

	mu      sync.Mutex
	records map[string][]string
	broken  map[string]bool
	asked   map[string]int
}

// Start starts a server.
func Start() (*Server, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{conn: conn, done: make(chan struct{}), records: make(map[string][]string), broken: make(map[string]bool), asked: make(map[string]int)}
	go s.serve()
	return s, nil
}

// Addr is where it answers.
func (s *Server) Addr() string { return s.conn.LocalAddr().String() }

// Stop ends it.
func (s *Server) Stop() {
	s.conn.Close()
	<-s.done
}

// Set writes the TXT records of a name; none: the name does not exist.
func (s *Server) Set(name string, texts ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[strings.ToLower(name)] = texts
}

// Break makes questions about a name fail, or not any more.
func (s *Server) Break(name string, broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken[strings.ToLower(name)] = broken
}

// Asked tells how often somebody asked for a name.
func (s *Server) Asked(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[strings.ToLower(name)]
}

func (s *Server) serve() {
	defer close(s.done)
	buffer := make([]byte, 4096)
	for {
		n, from, err := s.conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if answer, err := s.answer(buffer[:n]); err == nil {
			s.conn.WriteTo(answer, from)
		}
	}
}

func (s *Server) answer(packet []byte) ([]byte, error) {
	var question dnsmessage.Message
	if err := question.Unpack(packet); err != nil {
		return nil, err
	}
	answer := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: question.ID, Response: true, Authoritative: true, RecursionDesired: question.RecursionDesired, RecursionAvailable: true},
		Questions: question.Questions,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range question.Questions {
		name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
		s.asked[name]++
		texts := s.records[name]
		switch {
		case s.broken[name]:
			answer.RCode = dnsmessage.RCodeServerFailure
		case len(texts) == 0:
			answer.RCode = dnsmessage.RCodeNameError
		}
		for _, text := range texts {
			if q.Type == dnsmessage.TypeTXT && answer.RCode == dnsmessage.RCodeSuccess {
				answer.Answers = append(answer.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET}, Body: &dnsmessage.TXTResource{TXT: []string{text}}})
			}
		}
	}
	return answer.Pack()
}
