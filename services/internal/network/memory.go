package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/test/bufconn"
)

// bufferSize is what a connection in memory holds in each direction, gRPC's own first window.
const bufferSize = 64 << 10

// Memory returns a network within this process. It has no sockets: whoever holds the Network is trusted to dial
// under the role that it names, and the server hears that role as it would from a certificate. Dialing before
// anyone listens is refused at once, as with TCP.
func Memory() Network {
	return &memory{listeners: make(map[endpoint]*memoryListener)}
}

type memory struct {
	mu        sync.Mutex
	listeners map[endpoint]*memoryListener
}

type endpoint struct{ role, address string }

func (m *memory) Listen(role, address string) (net.Listener, credentials.TransportCredentials, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := endpoint{role, address}
	if m.listeners[at] != nil {
		return nil, nil, fmt.Errorf("%s listens on %q already", role, address)
	}
	lis := &memoryListener{Listener: bufconn.Listen(bufferSize), network: m, at: at}
	m.listeners[at] = lis
	return lis, memoryCredentials{}, nil
}

func (m *memory) Dial(from, to, address string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	connect := func(ctx context.Context, _ string) (net.Conn, error) {
		m.mu.Lock()
		lis := m.listeners[endpoint{to, address}]
		m.mu.Unlock()
		if lis == nil {
			return nil, fmt.Errorf("%s does not listen on %q", to, address)
		}
		return lis.DialContext(ctx)
	}
	return dial("passthrough:///"+to, to, memoryCredentials{from: from, to: to}, append(opts, grpc.WithContextDialer(connect))...)
}

// memoryListener gives its address back when it is closed.
type memoryListener struct {
	*bufconn.Listener
	network *memory
	at      endpoint
}

func (l *memoryListener) Close() error {
	l.network.mu.Lock()
	if l.network.listeners[l.at] == l {
		delete(l.network.listeners, l.at)
	}
	l.network.mu.Unlock()
	return l.Listener.Close()
}

// memoryCredentials introduce the dialing role: one byte of length, then the role. That is proof enough where
// only this process can reach the listener.
type memoryCredentials struct{ from, to string }

func (c memoryCredentials) ClientHandshake(_ context.Context, _ string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if len(c.from) > 255 {
		return nil, nil, errors.New("role is too long")
	}
	if _, err := conn.Write(append([]byte{byte(len(c.from))}, c.from...)); err != nil {
		return nil, nil, fmt.Errorf("introduce %s: %w", c.from, err)
	}
	return conn, proven(c.to), nil // there is one listener of that role at the address
}

func (memoryCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	var frame [256]byte
	if _, err := io.ReadFull(conn, frame[:1]); err != nil {
		return nil, nil, fmt.Errorf("read role: %w", err)
	}
	role := frame[1 : 1+int(frame[0])]
	if _, err := io.ReadFull(conn, role); err != nil {
		return nil, nil, fmt.Errorf("read role: %w", err)
	}
	return conn, proven(string(role)), nil
}

func (memoryCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "memory"}
}
func (c memoryCredentials) Clone() credentials.TransportCredentials { return c }
func (memoryCredentials) OverrideServerName(string) error           { return nil }
