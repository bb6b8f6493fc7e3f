package devpg

import (
	"errors"
	"net"
	"os"
	"path/filepath"

	"github.com/rosterhq/roster/services/internal/freeport"
)

const loopback = "127.0.0.1"

func freePort() (port string, err error) {
	lis, err := freeport.Listen()
	if err != nil {
		return "", err
	}
	_, port, err = net.SplitHostPort(lis.Addr().String())
	return port, errors.Join(err, lis.Close())
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
