// Package network is how the roles of the suite reach one another: a listener and a connection for each pair,
// and at both ends the proof of who the other is. Who may call what is decided by package server.
package network

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Network connects roles and proves to each who the other is. Memory is for one process, TLS for several, and
// Plain proves nothing.
type Network interface {
	// Listen opens the address for a role. A gRPC server serves the listener with the credentials.
	Listen(role, address string) (net.Listener, credentials.TransportCredentials, error)

	// Dial returns a connection of the role `from` to the role `to` at an address. It connects when it is first
	// used, and again whenever it must.
	Dial(from, to, address string, opts ...grpc.DialOption) (*grpc.ClientConn, error)
}

// PeerRole returns the role at the other end of the gRPC call that ctx belongs to; "" when it has proven none.
func PeerRole(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok {
		if proven, ok := p.AuthInfo.(peerInfo); ok {
			return proven.role
		}
	}
	return ""
}

// peerInfo is what a handshake of this package leaves on a connection. Nobody else can make one, so that no
// other credentials can claim a role.
type peerInfo struct {
	credentials.CommonAuthInfo
	role string
}

func proven(role string) peerInfo {
	return peerInfo{credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}, role}
}

// AuthType names the proof in gRPC's debug output.
func (peerInfo) AuthType() string { return "roster" }
