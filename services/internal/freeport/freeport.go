// Package freeport finds ports for servers that others have to know before they start, and that are started again.
package freeport

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Listen listens on a port of the loopback interface. Unlike a port that the system picks, it lies below those from which
// outgoing connections get theirs, so that nobody takes it by chance while the server is away. Nor does another call in this
// process, or in another one, as long as this process lives.
func Listen() (net.Listener, error) {
	const first, count, tries = 10000, 20000, 20
	var failed error
	for range tries {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(count)))
		claim, err := net.ListenPacket("udp", address) // nobody but us needs UDP's port of the number
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		lis, err := net.Listen("tcp", address)
		if err != nil {
			claim.Close()
			failed = errors.Join(failed, err)
			continue
		}
		claims.Lock()
		defer claims.Unlock()
		claims.kept = append(claims.kept, claim)
		return lis, nil
	}
	return nil, failed
}

// claims are what tells that ports were handed out. The process's end gives them back.
var claims struct {
	sync.Mutex
	kept []net.PacketConn
}
