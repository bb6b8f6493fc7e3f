package role

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rosterhq/roster/services/internal/network"
)

// The oldest NATS server that has what we use: a consumer goes back to the last event that was acknowledged.
const natsMajor, natsMinor = 2, 14

// connect connects to NATS as the role. With tls:// the role's certificate says who it is, unless it has a file with
// credentials, and the server shows one that names it as roster://nats.
func connect(name string, c Common, log *slog.Logger) (*nats.Conn, error) {
	if c.Connect != nil {
		return c.Connect()
	}
	options := []nats.Option{
		nats.Name("roster-" + name), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true),
		nats.PingInterval(10 * time.Second),      // a server that is gone without a word is noticed within 30 s
		nats.CustomInboxPrefix("_INBOX." + name), // in which others cannot listen
		nats.ConnectHandler(func(conn *nats.Conn) {
			if err := usable(conn); err != nil {
				log.Error("NATS cannot be used", "error", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Error("NATS refuses", "error", err)
		}),
	}
	switch {
	case c.NATSCreds != "":
		options = append(options, nats.UserCredentials(c.NATSCreds))
	case strings.HasPrefix(c.NATS, "tls://"):
		config, err := network.TLSClient(network.TLSFiles{Cert: c.TLSCert, Key: c.TLSKey, CA: c.TLSCA}, name, "nats")
		if err != nil {
			return nil, err
		}
		options = append(options, nats.Secure(config))
	}
	return nats.Connect(c.NATS, options...)
}

// usable says what is wrong with the connection, or with the server at its other end.
func usable(conn *nats.Conn) error {
	if !conn.IsConnected() {
		return errors.New("not connected")
	}
	var major, minor int
	version := conn.ConnectedServerVersion()
	if _, err := fmt.Sscanf(version, "%d.%d.", &major, &minor); err != nil {
		return fmt.Errorf("the server's version is %q", version)
	}
	if major < natsMajor || major == natsMajor && minor < natsMinor {
		return fmt.Errorf("the server is of version %s, and %d.%d or later is needed", version, natsMajor, natsMinor)
	}
	return nil
}
