package freeport

import (
	"net"
	"testing"
)

func TestPortIsNotGivenTwice(t *testing.T) {
	t.Parallel()
	lis, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	lis.Close() // its server is away
	if other, err := net.ListenPacket("udp", lis.Addr().String()); err == nil {
		other.Close()
		t.Error("another process could be given the port")
	}
	again, err := net.Listen("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}
