package role

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/grpc"

	"github.com/rosterhq/roster/services/internal/mail"
	"github.com/rosterhq/roster/services/internal/network"
	"github.com/rosterhq/roster/services/internal/seal"
)

// Common is what every role is told.
type Common struct {
	Admin     string `env:"ADMIN" usage:"address for metrics and health; never public"`
	PublicURL string `env:"PUBLIC_URL" envDefault:"http://localhost:8080" usage:"where people reach the gateway; the origin of every link"`

	NATS      string `env:"NATS_URL" envDefault:"nats://127.0.0.1:4222" usage:"NATS servers, separated by commas; with tls:// the role shows its certificate"`
	NATSCreds string `env:"NATS_CREDS" usage:"file with the role's NATS credentials, for a NATS that does not go by certificates"`

	TLSCert string `env:"TLS_CERT" usage:"PEM file of the role's certificate, which names it as roster://<role>"`
	TLSKey  string `env:"TLS_KEY" usage:"PEM file of its private key"`
	TLSCA   string `env:"TLS_CA" usage:"PEM file of the authority that signs for the roles"`

	Membership string `env:"MEMBERSHIP" envDefault:"127.0.0.1:9001" usage:"addresses of the membership service, separated by commas"`
	Invitation string `env:"INVITATION" envDefault:"127.0.0.1:9002" usage:"addresses of the invitation service, separated by commas"`
	Identity   string `env:"IDENTITY" envDefault:"127.0.0.1:9003" usage:"addresses of the identity service, separated by commas"`
	Billing    string `env:"BILLING" envDefault:"127.0.0.1:9004" usage:"addresses of the billing service, separated by commas"`

	Linger time.Duration `env:"LINGER" envDefault:"5s" usage:"how long a role that is told to end goes on serving, until clients and balancers have turned to others"`

	Embedded `env:"-"`
}

// Config is what a service with a database is told.
type Config struct {
	Common
	Listen       string `env:"LISTEN" usage:"address for the other services, with mutual TLS; its own in the list of services by default"`
	PublicListen string `env:"PUBLIC_LISTEN" usage:"address for clients that present a session or a key; put TLS in front of it"`

	DatabaseURL  string `env:"DATABASE_URL" usage:"DSN of the service's own database, as its runtime role; postgres://membership@host/membership"`
	DatabaseFile string `env:"DATABASE_URL_FILE" usage:"file that holds the DSN"`
	Conns        int32  `env:"DATABASE_CONNS" envDefault:"16" usage:"database connections at most"`
	NATSReplicas int    `env:"NATS_REPLICAS" envDefault:"3" usage:"copies of the service's stream"`
	KeyFile      string `env:"KEY_FILE" usage:"file with the service's keys, 32 bytes in base64 a line: the first seals, all open; all instances share it"`

	Checkpoints time.Duration `env:"CHECKPOINTS" envDefault:"5m" usage:"how long the history of an organization grows before it is signed; the signature leaves the database"`

	SMTPAddr         string         `env:"SMTP_ADDR" usage:"mail server, host:port"`
	SMTPFrom         string         `env:"SMTP_FROM" envDefault:"Roster <no-reply@localhost>" usage:"sender of all mail"`
	SMTPUsername     string         `env:"SMTP_USERNAME" usage:"account at the mail server"`
	SMTPPasswordFile string         `env:"SMTP_PASSWORD_FILE" usage:"file that holds its password"`
	SMTPTLS          mail.TLSPolicy `env:"SMTP_TLS" envDefault:"opportunistic" usage:"mandatory, opportunistic (as the server offers), or none"`
}

// Embedded is what a process that holds several roles hands to each, instead of addresses and files.
type Embedded struct {
	Network network.Network              // nil: TLS with the files above
	Public  grpc.ServiceRegistrar        // a server of the process where clients find this service too
	Key     *seal.Key                    // instead of KeyFile
	Connect func() (*nats.Conn, error)   // instead of NATS
	Mail    mail.Sender                  // instead of SMTP
	Log     *slog.Logger                 // nil: slog.Default()
	Ready   func()                       // called once the role serves
	Checks  func(name string, run Check) // where readiness checks go; nil: an admin listener of the role's own
}

// addresses of the services, by name.
func (c Common) address(service string) string {
	return map[string]string{"membership": c.Membership, "invitation": c.Invitation, "identity": c.Identity, "billing": c.Billing}[service]
}

// Check says what is missing or contradictory, all at once.
func (c Common) Check() error {
	var wrong []error
	if c.Network == nil && (c.TLSCert == "" || c.TLSKey == "" || c.TLSCA == "") {
		wrong = append(wrong, errors.New("ROSTER_TLS_CERT, ROSTER_TLS_KEY and ROSTER_TLS_CA are required: services prove to each other who they are"))
	}
	if !strings.HasPrefix(c.PublicURL, "http://") && !strings.HasPrefix(c.PublicURL, "https://") || strings.HasSuffix(c.PublicURL, "/") {
		wrong = append(wrong, fmt.Errorf("ROSTER_PUBLIC_URL must be an http or https origin without a slash at the end, not %q", c.PublicURL))
	}
	return errors.Join(wrong...)
}

// Check says what is missing or contradictory, all at once.
func (c Config) Check() error {
	wrong := []error{c.Common.Check()}
	if c.DatabaseURL == "" && c.DatabaseFile == "" {
		wrong = append(wrong, errors.New("ROSTER_DATABASE_URL or ROSTER_DATABASE_URL_FILE is required, for example postgres://membership@db/membership"))
	}
	if c.Key == nil && c.KeyFile == "" {
		wrong = append(wrong, errors.New("ROSTER_KEY_FILE is required; make one with `openssl rand -base64 32`"))
	}
	if c.Mail == nil && c.SMTPAddr == "" {
		wrong = append(wrong, errors.New("ROSTER_SMTP_ADDR is required: invitations and confirmations go by mail"))
	}
	return errors.Join(wrong...)
}

// secret returns the value, or what the file holds.
func secret(value, file string) (string, error) {
	if value != "" || file == "" {
		return value, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(text)), nil
}
