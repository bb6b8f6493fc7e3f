package network

import (
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Plain returns TCP without TLS: nobody at the other end is a service. It is for public listeners behind a
// proxy that ends TLS, for their clients, and for tests of refusals.
func Plain() Network { return plain{} }

type plain struct{}

func (plain) Listen(_, address string) (net.Listener, credentials.TransportCredentials, error) {
	lis, err := net.Listen("tcp", address)
	return lis, insecure.NewCredentials(), err
}

func (plain) Dial(_, to, address string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	return dial(address, to, insecure.NewCredentials(), opts...)
}
