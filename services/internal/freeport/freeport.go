// Package freeport finds ports for servers that others have to know before they start, and that are started again.
package freeport

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Listen listens on a port of the loopback interface. Unlike a port that the system picks, it lies below those from which
// outgoing connections get theirs, so that nobody takes it by chance while the server is away.
func Listen() (net.Listener, error) {
	const first, count, tries = 10000, 20000, 20
	var failed error
	for range tries {
		lis, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(count))))
		if err == nil {
			return lis, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}
