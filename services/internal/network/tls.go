package network

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// TLSFiles are the PEM files of one role. The certificate names the role in a URI, `roster://membership`, and
// is good for both ends of a connection (extended key usages serverAuth and clientAuth). Host names in it do not
// matter: a replica may move, its role may not. Files that change are read again; connections live five minutes,
// so that a rotation is complete soon after.
type TLSFiles struct {
	Cert string // the role's certificate, then any intermediate ones
	Key  string // its private key
	CA   string // the authorities that sign for the roles, and for nobody else
}

// TLS returns TCP with TLS 1.3, where both ends show a certificate. It fails when the files cannot be used.
func TLS(files TLSFiles) (Network, error) {
	k := &keyring{files: files}
	if err := k.load(); err != nil {
		return nil, err
	}
	return mutual{k}, nil
}

// TLSClient is the TLS of a role that calls a server which speaks another protocol than gRPC, such as NATS: TLS 1.3,
// where both ends show a certificate and the server's names it as the role `to`.
func TLSClient(files TLSFiles, from, to string) (*tls.Config, error) {
	m := mutual{&keyring{files: files}}
	if err := m.keys.load(); err != nil {
		return nil, err
	}
	if err := m.mustBe(from); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			own := m.keys.now().certificate
			return &own, nil
		},
		InsecureSkipVerify: true, //nolint:gosec // verified below, as by tlsCredentials
		VerifyConnection: func(s tls.ConnectionState) error {
			return m.keys.now().verifyServer(s.PeerCertificates, to)
		},
	}, nil
}

type mutual struct{ keys *keyring }

func (m mutual) Listen(role, address string) (net.Listener, credentials.TransportCredentials, error) {
	if err := m.mustBe(role); err != nil {
		return nil, nil, err
	}
	lis, err := net.Listen("tcp", address)
	return lis, tlsCredentials{keys: m.keys}, err
}

func (m mutual) Dial(from, to, address string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	if err := m.mustBe(from); err != nil {
		return nil, err
	}
	return dial(address, to, tlsCredentials{keys: m.keys, to: to}, opts...)
}

// mustBe finds a wrong certificate at the start rather than at the first refused call.
func (m mutual) mustBe(role string) error {
	if has := m.keys.now().role; has != role {
		return fmt.Errorf("%s is the certificate of %q, not of %q", m.keys.files.Cert, has, role)
	}
	return nil
}

// tlsCredentials make each handshake with what the files hold at that moment.
type tlsCredentials struct {
	keys *keyring
	to   string // the role that a client expects
}

func (c tlsCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	own := c.keys.now()
	var client string
	conn, _, err := credentials.NewTLS(&tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{own.certificate},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              own.authorities,
		SessionTicketsDisabled: true, // every connection shows its certificate anew
		VerifyConnection: func(s tls.ConnectionState) (err error) {
			client, err = roleOf(s.PeerCertificates[0])
			return err
		},
	}).ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	return conn, proven(client), nil
}

func (c tlsCredentials) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	own := c.keys.now()
	conn, _, err := credentials.NewTLS(&tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{own.certificate},
		InsecureSkipVerify: true, //nolint:gosec // verified below: the same chain, the role in place of the host name
		VerifyConnection:   func(s tls.ConnectionState) error { return own.verifyServer(s.PeerCertificates, c.to) },
	}).ClientHandshake(ctx, authority, raw)
	if err != nil {
		return nil, nil, err
	}
	return conn, proven(c.to), nil
}

func (tlsCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}
func (c tlsCredentials) Clone() credentials.TransportCredentials { return c }
func (tlsCredentials) OverrideServerName(string) error           { return nil }

// identity is who we are and whom we believe.
type identity struct {
	role        string
	certificate tls.Certificate
	authorities *x509.CertPool
}

// verifyServer checks that a chain is of the given role and signed by our authorities.
func (own identity) verifyServer(chain []*x509.Certificate, role string) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{
		Roots: own.authorities, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}); err != nil {
		return err
	}
	is, err := roleOf(chain[0])
	if err == nil && is != role {
		err = fmt.Errorf("the server is %q, not %q", is, role)
	}
	return err
}

// roleOf returns the role that a verified certificate names. It names exactly one, in one spelling.
func roleOf(c *x509.Certificate) (role string, err error) {
	for _, uri := range c.URIs {
		if uri.Scheme != "roster" {
			continue
		}
		if role != "" || uri.Host == "" || uri.String() != "roster://"+uri.Host {
			return "", errors.New("certificate must name one role, as in roster://membership")
		}
		role = uri.Host
	}
	if role == "" {
		return "", errors.New("certificate names no role")
	}
	return role, nil
}

// keyring is the identity in the files.
type keyring struct {
	files TLSFiles

	mu      sync.Mutex
	read    [3]stamp // the files as they were when current was read
	current identity
}

// stamp tells one state of a file from another.
type stamp struct {
	changed time.Time
	size    int64
}

// now returns the identity that the files hold. Files that cannot be used, as between the two halves of a
// rotation, leave it as it was; the next handshake tries again.
func (k *keyring) now() identity {
	if err := k.load(); err != nil {
		slog.Warn("TLS files changed and cannot be used; the old ones stay", "error", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current
}

// load reads the files when they have changed.
func (k *keyring) load() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var found [3]stamp
	for i, name := range []string{k.files.Cert, k.files.Key, k.files.CA} {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		found[i] = stamp{info.ModTime(), info.Size()}
	}
	if found == k.read {
		return nil
	}
	fresh, err := readIdentity(k.files)
	if err != nil {
		return err
	}
	if k.current.role != "" && fresh.role != k.current.role {
		return fmt.Errorf("%s is now of role %q, was of %q", k.files.Cert, fresh.role, k.current.role)
	}
	k.current, k.read = fresh, found // stamped before reading: a change in between is seen the next time
	return nil
}

func readIdentity(files TLSFiles) (own identity, err error) {
	if own.certificate, err = tls.LoadX509KeyPair(files.Cert, files.Key); err != nil {
		return own, err
	}
	if own.role, err = roleOf(own.certificate.Leaf); err != nil {
		return own, fmt.Errorf("%s: %w", files.Cert, err)
	}
	authorities, err := os.ReadFile(files.CA)
	if err != nil {
		return own, err
	}
	own.authorities = x509.NewCertPool()
	if !own.authorities.AppendCertsFromPEM(authorities) {
		return own, fmt.Errorf("%s holds no certificate", files.CA)
	}
	return own, nil
}
