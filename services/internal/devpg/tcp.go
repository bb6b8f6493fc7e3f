package devpg

import (
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

const loopback = "127.0.0.1"

// freePort finds a port that nobody listens on. It lies below those that the system gives to outgoing connections, so
// that it is still free after a restart.
func freePort() (port string, err error) {
	const first, count, tries = 15000, 15000, 20
	for range tries {
		port = strconv.Itoa(first + rand.IntN(count))
		lis, listenErr := net.Listen("tcp", net.JoinHostPort(loopback, port))
		if listenErr == nil {
			return port, lis.Close()
		}
		err = errors.Join(err, listenErr)
	}
	return "", err
}

func (c *Cluster) hba() string { return filepath.Join(c.home, "hba.conf") }

// letIn writes who may enter: through the socket everybody who reaches it, through the port whoever has a password.
func (c *Cluster) letIn() error {
	if c.options.Password == "" {
		return nil
	}
	return os.WriteFile(c.hba(), []byte(`local all,replication all trust
host all,replication all `+loopback+`/32 scram-sha-256
`), 0o644)
}
