package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// TLSPolicy says how a connection is protected. A server's certificate is verified wherever TLS is used.
type TLSPolicy int

const (
	Opportunistic TLSPolicy = iota // STARTTLS if the server offers it; a password is never sent in the clear
	Mandatory                      // STARTTLS, or no mail
	None                           // plain text, for the development inbox
)

// UnmarshalText reads a policy from settings: opportunistic, mandatory or none.
func (p *TLSPolicy) UnmarshalText(text []byte) error {
	policy, ok := map[string]TLSPolicy{"opportunistic": Opportunistic, "mandatory": Mandatory, "none": None}[string(text)]
	if !ok {
		return errors.New("must be opportunistic, mandatory or none")
	}
	*p = policy
	return nil
}

func (p TLSPolicy) startTLS() gomail.TLSPolicy {
	switch p {
	case Mandatory:
		return gomail.TLSMandatory
	case None:
		return gomail.NoTLS
	default:
		return gomail.TLSOpportunistic
	}
}

// implicitTLS is the port on which TLS begins with the first byte and STARTTLS does not exist (RFC 8314).
const implicitTLS = 465

// SMTP delivers messages to one server. It keeps no connection and is safe for concurrent use.
type SMTP struct {
	Addr     string // host:port; port 465 speaks TLS from the first byte whatever the policy
	From     string // "Roster <no-reply@example.com>"
	Username string // empty: no authentication
	Password string
	TLS      TLSPolicy
	Timeout  time.Duration // for one message, connecting included; zero is 30 seconds
}

// Send delivers m and returns once the server has taken responsibility for it. The error is ErrPermanent if the
// server refused the recipient or the content with a 5xx answer, or if m itself is malformed. Any other error,
// including a refused sender or password, may pass: try again later.
func (s *SMTP) Send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Timeout, 30*time.Second))
	defer cancel()

	if err := m.check(); err != nil {
		return fmt.Errorf("send mail %q: %w: %w", m.ID, ErrPermanent, err)
	}
	msg, err := s.compose(m)
	if err != nil {
		return fmt.Errorf("send mail %q: %w", m.ID, err)
	}
	client, err := s.client(ctx)
	if err != nil {
		return fmt.Errorf("send mail %q: %w", m.ID, err)
	}
	err = client.DialAndSendWithContext(ctx, msg)
	switch {
	case err == nil, msg.IsDelivered():
		// The server has taken the message. If the goodbye failed, an error would only cause a second copy.
		return nil
	case refused(err):
		return fmt.Errorf("send mail %q: %w: %w", m.ID, ErrPermanent, err)
	case ctx.Err() != nil:
		return fmt.Errorf("send mail %q: %w: %w", m.ID, ctx.Err(), err)
	default:
		return fmt.Errorf("send mail %q: %w", m.ID, err)
	}
}

// refused reports whether the server said no, for good, to the recipient or to the content. A 5xx answer to
// anything earlier is about our configuration, which an operator can mend while the message waits.
func refused(err error) bool {
	var answer *gomail.SendError
	if !errors.As(err, &answer) || answer.ErrorCode()/100 != 5 {
		return false
	}
	switch answer.Reason {
	case gomail.ErrSMTPRcptTo, gomail.ErrSMTPData, gomail.ErrSMTPDataClose:
		return true
	}
	return false
}

// compose builds what goes over the wire.
func (s *SMTP) compose(m Message) (*gomail.Msg, error) {
	from, err := netmail.ParseAddress(s.From)
	if err != nil {
		return nil, fmt.Errorf("sender %q: %w", s.From, err)
	}
	_, host, _ := strings.Cut(from.Address, "@")

	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.SetAddrHeaderFromMailAddress(gomail.HeaderFrom, from)
	msg.SetAddrHeaderFromMailAddress(gomail.HeaderTo, &netmail.Address{Address: m.To})
	msg.SetMessageIDWithValue(m.ID + "@" + host)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // holiday notices do not answer (RFC 3834)
	msg.Subject(m.Subject)
	msg.SetDate()
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	return msg, nil
}

// client returns a client whose connection ends with ctx: the library itself heeds ctx only while it connects.
func (s *SMTP) client(ctx context.Context) (*gomail.Client, error) {
	host, service, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return nil, fmt.Errorf("server address: %w", err)
	}
	port, err := strconv.Atoi(service)
	if err != nil {
		return nil, fmt.Errorf("server address: port %q is not a number", service)
	}

	connect, policy := new(net.Dialer).DialContext, s.TLS.startTLS()
	if port == implicitTLS {
		config := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
		// The library recognizes the TLS connection; a stricter policy would insist on STARTTLS inside it.
		connect, policy = (&tls.Dialer{Config: config}).DialContext, gomail.TLSOpportunistic
	}
	options := []gomail.Option{
		gomail.WithPort(port),
		gomail.WithTLSPolicy(policy),
		gomail.WithTimeout(cmp.Or(s.Timeout, 30*time.Second)),
		gomail.WithDialContextFunc(func(dialing context.Context, network, addr string) (net.Conn, error) {
			conn, err := connect(dialing, network, addr)
			if err == nil {
				context.AfterFunc(ctx, func() { conn.Close() })
			}
			return conn, err
		}),
	}
	if s.Username != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(s.Username), gomail.WithPassword(s.Password))
	}
	return gomail.NewClient(host, options...)
}
