package postgres

import (
	"net"
	"sync"
	"time"
)

// silence is how long a server that was asked may say nothing. It is longer than a statement and a commit may take, so who is
// silent for longer is gone: a machine or a network that vanishes does not even end its connections, and TCP would wait for
// a quarter of an hour.
const silence = 12 * time.Second

// attentive is a connection that fails once the server has been silent.
type attentive struct {
	net.Conn
	mu      sync.Mutex
	limited bool // the driver has set a deadline of its own: to give something up, or to connect
}

func (c *attentive) Write(p []byte) (int, error) {
	if err := c.listen(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *attentive) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && err == nil {
		err = c.listen() // to the rest of a long answer
	}
	return n, err
}

func (c *attentive) listen() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limited {
		return nil
	}
	return c.Conn.SetDeadline(time.Now().Add(silence))
}

func (c *attentive) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limited = !t.IsZero()
	return c.Conn.SetDeadline(t)
}

// NetConn is the connection beneath, as of a tls.Conn.
func (c *attentive) NetConn() net.Conn { return c.Conn }
